package main

import (
	"path"
	"strings"
	"testing"
)

// The table is written by hand: each line of it must be one that can work.
func TestPinnedReleases(t *testing.T) {
	sums := map[string]string{} // to what it was first used for
	for _, r := range releases {
		for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/arm64"} {
			sources := r.sources[platform]
			if len(sources) != 2 || sources[0].client != pip || sources[1].client != npm {
				t.Errorf("%s for %s: want pip, then npm", r.version, platform)
			}
			for _, src := range sources {
				where := r.version + " for " + platform + " from its " + src.client.name
				if len(src.sha256) != 64 || strings.Trim(src.sha256, "0123456789abcdef") != "" {
					t.Errorf("%s: %q is no SHA-256", where, src.sha256)
				}
				archive := src.client.name + src.version + src.wheel
				if first, used := sums[src.sha256]; used && first != archive {
					t.Errorf("%s: its sum is that of another archive", where)
				}
				sums[src.sha256] = archive
				if minor(src.version) < minor("1.24.0") || minor(src.version) > minor(r.version) {
					t.Errorf("%s: version %s", where, src.version)
				}
				if !strings.HasPrefix(path.Base(src.member), "libonnxruntime.") {
					t.Errorf("%s: member %s", where, src.member)
				}
				if strings.HasPrefix(platform, "darwin/") != strings.HasSuffix(src.member, ".dylib") {
					t.Errorf("%s: member %s is for another system", where, src.member)
				}
				if src.client == pip && !strings.Contains(src.member, src.version) {
					t.Errorf("%s: member %s is of another version", where, src.member)
				}
				if (src.client == pip) != (src.wheel != "") {
					t.Errorf("%s: wheel %q", where, src.wheel)
				}
			}
		}
	}
}

// minor is the part of a version that softprompt's floor is about.
func minor(version string) int {
	n := 0
	for _, digit := range strings.Split(version, ".")[1] {
		n = 10*n + int(digit-'0')
	}
	return n
}

func TestFind(t *testing.T) {
	for _, version := range append(versions(releases), "") {
		r, err := find(releases, version)
		if err != nil || version != "" && r.version != version {
			t.Errorf("%q: %s, %v", version, r.version, err)
		}
	}
	_, err := find(releases, "1.19.2")
	wantError(t, err, "1.19.2", "1.31.1 and 1.24.4")
}
