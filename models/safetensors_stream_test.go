package models

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStreamSafetensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.safetensors")
	infos := []TensorInfo{
		{Name: "b", DType: F32, Shape: []int64{2, 3}, Length: 24},
		{Name: "a", DType: F32, Shape: []int64{1}, Length: 4},
	}
	err := StreamSafetensors(path, infos, map[string]string{"source": "test"}, func(i int, w io.Writer) error {
		for range infos[i].Length / 4 { // in pieces
			if _, err := w.Write([]byte{byte(i), 0, 0, 0}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ck, err := OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if ck.Metadata["source"] != "test" {
		t.Errorf("metadata %v", ck.Metadata)
	}
	for i, want := range infos {
		got, ok := ck.Lookup(want.Name)
		if !ok || got.Length != want.Length || i == 0 && got.Offset%64 != 0 {
			t.Errorf("%s is %+v", want.Name, got)
		}
		data, err := ck.Bytes(want.Name)
		if err != nil || !bytes.Equal(data, bytes.Repeat([]byte{byte(i), 0, 0, 0}, int(want.Length/4))) {
			t.Errorf("%s holds % x, %v", want.Name, data, err)
		}
	}
}

func TestStreamSafetensorsLeavesNothingBehind(t *testing.T) {
	broken := errors.New("the source broke")
	for name, c := range map[string]struct {
		info TensorInfo
		data func(int, io.Writer) error
		want string
	}{
		"too few":    {TensorInfo{Name: "a", DType: F32, Shape: []int64{2}, Length: 8}, writing(4), "4 bytes are missing"},
		"too many":   {TensorInfo{Name: "a", DType: F32, Shape: []int64{2}, Length: 8}, writing(12), "4 bytes too many"},
		"broken":     {TensorInfo{Name: "a", DType: F32, Shape: []int64{2}, Length: 8}, func(int, io.Writer) error { return broken }, "the source broke"},
		"wrong size": {TensorInfo{Name: "a", DType: F32, Shape: []int64{2}, Length: 9}, writing(9), "9 bytes for shape [2]"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := StreamSafetensors(filepath.Join(dir, "s.safetensors"), []TensorInfo{c.info}, nil, c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "s.safetensors") {
				t.Errorf("error %v, want one with %q and the file", err, c.want)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// writing returns a source of n bytes.
func writing(n int) func(int, io.Writer) error {
	return func(_ int, w io.Writer) error {
		_, err := w.Write(make([]byte, n))
		return err
	}
}
