package main

import (
	"fmt"
	"strings"
)

// A release is an ONNX Runtime that softprompt is tested with.
type release struct {
	version string
	sources map[string][]source // by GOOS/GOARCH, the preferred one first
}

// A source is an archive in a package registry that holds the library.
type source struct {
	client  *client
	version string // npm lacks some versions that pip has; the nearest one stands in
	wheel   string // pip alone: the platform's name in the wheel's file name
	sha256  string // of the archive
	member  string // the library in it
}

// releases are the pinned ones. The first is what a plain make uses, the last
// the oldest supported. To pin another: have the client fetch it as client.fetch
// would for each platform, and put the archive's sum here.
var releases = []release{
	{"1.31.1", map[string][]source{
		"linux/amd64": {
			{pip, "1.31.1", "manylinux_2_28_x86_64", "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536", "onnxruntime/capi/libonnxruntime.so.1.31.1"},
			{npm, "1.30.0", "", npm1300, "package/bin/napi-v6/linux/x64/libonnxruntime.so.1"},
		},
		"linux/arm64": {
			{pip, "1.31.1", "manylinux_2_28_aarch64", "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc", "onnxruntime/capi/libonnxruntime.so.1.31.1"},
			{npm, "1.30.0", "", npm1300, "package/bin/napi-v6/linux/arm64/libonnxruntime.so.1"},
		},
		"darwin/arm64": {
			{pip, "1.31.1", "macosx_14_0_arm64", "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c", "onnxruntime/capi/libonnxruntime.1.31.1.dylib"},
			{npm, "1.30.0", "", npm1300, "package/bin/napi-v6/darwin/arm64/libonnxruntime.1.30.0.dylib"},
		},
	}},
	{"1.24.4", map[string][]source{
		"linux/amd64": {
			{pip, "1.24.4", "manylinux_2_28_x86_64", "0d640eb9f3782689b55cfa715094474cd5662f2f137be6a6f847a594b6e9705c", "onnxruntime/capi/libonnxruntime.so.1.24.4"},
			{npm, "1.24.3", "", npm1243, "package/bin/napi-v6/linux/x64/libonnxruntime.so.1"},
		},
		"linux/arm64": {
			{pip, "1.24.4", "manylinux_2_28_aarch64", "1a5c5a544b22f90859c88617ecb30e161ee3349fcc73878854f43d77f00558b5", "onnxruntime/capi/libonnxruntime.so.1.24.4"},
			{npm, "1.24.3", "", npm1243, "package/bin/napi-v6/linux/arm64/libonnxruntime.so.1"},
		},
		"darwin/arm64": {
			{pip, "1.24.4", "macosx_14_0_arm64", "cad1c2b3f455c55678ab2a8caa51fb420c25e6e3cf10f4c23653cdabedc8de78", "onnxruntime/capi/libonnxruntime.1.24.4.dylib"},
			{npm, "1.24.3", "", npm1243, "package/bin/napi-v6/darwin/arm64/libonnxruntime.1.24.3.dylib"},
		},
	}},
}

// One npm package holds the libraries of all platforms.
const (
	npm1300 = "6e3390d6b783e7be946fad629292799da28d0b42f84856e50d2c1b0383291e75"
	npm1243 = "aa1bb5fa261ea68de05dd53efbba210cd7adf2d2850f4c3a201054c74cc78040"
)

// find is the release of that version, or for "" the first.
func find(releases []release, version string) (release, error) {
	if version == "" {
		return releases[0], nil
	}
	for _, r := range releases {
		if r.version == version {
			return r, nil
		}
	}
	return release{}, fmt.Errorf("no pinned ONNX Runtime %s: there is %s", version, strings.Join(versions(releases), " and "))
}

func versions(releases []release) []string {
	var all []string
	for _, r := range releases {
		all = append(all, r.version)
	}
	return all
}
