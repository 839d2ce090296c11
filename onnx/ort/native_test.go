package ort

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

// header returns the folder of the Go wrapper, which ONNX Runtime's header
// travels with.
func header(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatalf("finding the wrapper's folder: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// TestSlots compares each number of native.c's table with the place that the
// function has in the header.
func TestSlots(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(header(t), "onnxruntime_c_api.h"))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`).ReplaceAllString(string(src), "")
	_, text, ok := strings.Cut(text, "struct OrtApi {")
	if !ok {
		t.Fatal("the header has no struct OrtApi")
	}
	text, _, _ = strings.Cut(text, "\n};")
	member := regexp.MustCompile(`ORT_API2_STATUS\(\s*(\w+)|ORT_CLASS_RELEASE\(\s*(\w+)|ORT_API_T\([^,]*,\s*(\w+)|ORT_API_CALL\s*\*\s*(\w+)\)\s*\(`)
	at := map[string]int{}
	for i, m := range member.FindAllStringSubmatch(text, -1) {
		name := m[1] + m[3] + m[4]
		if m[2] != "" {
			name = "Release" + m[2]
		}
		at[name] = i
	}
	// The runtime's own sources assert these two.
	if at["ReleaseCustomOpDomain"] != 101 || at["ReleaseAvailableProviders"] != 126 {
		t.Fatalf("the header was read wrongly: ReleaseCustomOpDomain at %d, ReleaseAvailableProviders at %d",
			at["ReleaseCustomOpDomain"], at["ReleaseAvailableProviders"])
	}

	native, err := os.ReadFile("native.c")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(native), "enum slot {")
	table, _, _ = strings.Cut(table, "};")
	slots := regexp.MustCompile(`(\w+) = (\d+),`).FindAllStringSubmatch(table, -1)
	if len(slots) < 30 {
		t.Fatalf("native.c's table was read wrongly: %d slots", len(slots))
	}
	for _, s := range slots {
		place, ok := at[s[1]]
		if !ok {
			t.Errorf("the header has no %s", s[1])
		} else if s[2] != strconv.Itoa(place) {
			t.Errorf("%s = %s, the header has it at %d", s[1], s[2], place)
		}
	}
}

// TestWrapperFields makes an upgrade of the wrapper that renames what handle
// looks for fail here, and not in C.
func TestWrapperFields(t *testing.T) {
	for _, c := range []struct {
		v    any
		path []string
	}{
		{ort.SessionOptions{}, []string{"o"}},
		{ort.RunOptions{}, []string{"o"}},
		{ort.DynamicAdvancedSession{}, []string{"s", "ortSession"}},
	} {
		typ := reflect.TypeOf(c.v)
		for _, name := range c.path {
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			f, ok := typ.FieldByName(name)
			if !ok {
				t.Fatalf("%T has no field %s any more", c.v, name)
			}
			typ = f.Type
		}
		if typ.Kind() != reflect.Pointer {
			t.Errorf("%T's %v is a %v, not a pointer", c.v, c.path, typ)
		}
	}
	if handle(&ort.SessionOptions{}, "nothing") != nil {
		t.Error("a field that is not there has a handle")
	}
}
