package ort

import (
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

func TestParseDevice(t *testing.T) {
	for s, want := range map[string]Device{
		"cpu":             {Kind: "cpu"},
		"cuda":            {Kind: "cuda"},
		"cuda:0":          {Kind: "cuda"},
		"cuda:1":          {Kind: "cuda", Index: 1},
		"./ep.so":         {Kind: "library", Library: "./ep.so"},
		"ep.so":           {Kind: "library", Library: "ep.so"},
		"/opt/ep.dylib:2": {Kind: "library", Library: "/opt/ep.dylib", Index: 2},
	} {
		got, err := ParseDevice(s)
		if err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", s, got, err, want)
		}
		again, err := ParseDevice(got.String())
		again.Library, want.Library = strings.TrimPrefix(again.Library, "./"), strings.TrimPrefix(want.Library, "./")
		if err != nil || again != want {
			t.Errorf("%s: read again from %s: %+v %v", s, got, again, err)
		}
	}
	for _, s := range []string{"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CUDA", ":1"} {
		if d, err := ParseDevice(s); err == nil || hint.Of(err) == "" {
			t.Errorf("%q: %+v, error %v, hint %q", s, d, err, hint.Of(err))
		}
	}
	if s := (Device{}).String(); s != "cpu" {
		t.Errorf("the zero device is %s", s)
	}
}

func FuzzParseDevice(f *testing.F) {
	for _, s := range []string{"cpu", "cuda:1", "./ep.so:3", "a/b:c", "ep.so:99999999999999999999", "/::0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDevice(s)
		if err != nil {
			return
		}
		again, err := ParseDevice(d.String())
		if err != nil || again.Kind != d.Kind || again.Index != d.Index {
			t.Errorf("%q gives %+v, whose name %q gives %+v, %v", s, d, d.String(), again, err)
		}
	})
}
