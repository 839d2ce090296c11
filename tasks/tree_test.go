package tasks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"softprompt/onnx/hint"
)

// The folder that IMDB's authors publish, at each place where it may lie.
func TestTree(t *testing.T) {
	for _, root := range []string{"aclImdb/", "imdb/", ""} {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"train/neg/0_3.txt": "a dull film", "train/neg/10_1.txt": "it drags\n", "train/neg/2_2.txt": "awful\r\n",
			"train/pos/0_9.txt": "a fine\nfilm", "train/pos/1_7.txt": "moving<br />",
			"train/unsup/0_0.txt": "not read", "train/labeledBow.feat": "9 0:9", "train/pos/notes.md": "not read",
			"test/neg/0_2.txt": "slow", "test/pos/0_10.txt": "great",
		} {
			put(t, dir, root+name, []byte(text))
		}
		var got strings.Builder
		for _, ex := range imdbRows(t, dir) {
			fmt.Fprintf(&got, "%s %d %q\n", ex.ID, ex.Label, ex.Input)
		}
		want := `train:0 0 "a dull film"
train:1 1 "a fine\nfilm"
train:2 0 "it drags"
train:3 1 "moving<br />"
train:4 0 "awful"
validation:0 0 "slow"
validation:1 1 "great"
`
		if got.String() != want {
			t.Errorf("%q: read\n%s\nwant\n%s", root, &got, want)
		}
		// A file of JSON lines at the same place goes first.
		put(t, dir, root+"train.jsonl", []byte(`{"text": "one", "label": 1}`))
		if rows, err := lookup(t, "imdb").Load(t.Context(), Train, LoadOptions{Data: dir}); err != nil || len(rows) != 1 {
			t.Errorf("%q: read %v, %v", root, rows, err)
		}
	}
}

func TestHostileTrees(t *testing.T) {
	good := map[string]string{"train/neg/0_3.txt": "a dull film", "train/pos/0_9.txt": "a fine film"}
	for name, c := range map[string]struct{ file, text, want string }{
		"empty":          {"train/pos/0_9.txt", "", "pos/0_9.txt: the text is empty"},
		"only a line":    {"train/pos/0_9.txt", "\n", "pos/0_9.txt: the text is empty"},
		"invalid UTF-8":  {"train/neg/0_3.txt", "caf\xe9", "neg/0_3.txt: not valid UTF-8"},
		"NUL":            {"train/neg/1_1.txt", "a\x00b", "neg/1_1.txt: a NUL byte in the text"},
		"huge":           {"train/neg/0_3.txt", strings.Repeat("a", maxLine+1), "neg/0_3.txt: longer than 1048576 bytes"},
		"a folder":       {"train/neg/0_4.txt/x", "", "neg/0_4.txt: opening neg/0_4.txt: not a plain file"},
		"no such class":  {"train/pos", "a file", "pos has no .txt files"},
		"an empty class": {"train/pos/readme", "", "pos has no .txt files"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range good {
				if !strings.HasSuffix(c.want, "no .txt files") || !strings.Contains(file, "pos") {
					put(t, dir, "aclImdb/"+file, []byte(text))
				}
			}
			put(t, dir, "aclImdb/"+c.file, []byte(c.text))
			rows, err := lookup(t, "imdb").Load(t.Context(), Train, LoadOptions{Data: dir})
			if err == nil || rows != nil || !strings.Contains(err.Error(), "aclImdb/train: "+c.want) {
				t.Errorf("%d rows, error %v, want %q", len(rows), err, c.want)
			}
			if !strings.Contains(hint.Of(err), "mend or remove the row") {
				t.Errorf("hint %q", hint.Of(err))
			}
		})
	}
	// A folder of that name with none of the classes is not the tree.
	dir := t.TempDir()
	put(t, dir, "aclImdb/train/readme", nil)
	if _, err := lookup(t, "imdb").Load(t.Context(), Train, LoadOptions{Data: dir}); !strings.Contains(fmt.Sprint(err), "no train.jsonl in") {
		t.Errorf("error %v", err)
	}
	put(t, dir, "aclImdb/train/neg/0_3.txt", []byte("x"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	put(t, dir, "aclImdb/train/pos/0_3.txt", []byte("x"))
	if _, err := lookup(t, "imdb").Load(ctx, Train, LoadOptions{Data: dir}); !errors.Is(err, context.Canceled) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v of a cancelled load", err)
	}
}
