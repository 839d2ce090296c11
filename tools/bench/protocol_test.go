package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// An answer is one object in one whole line with no field that is not known;
// anything else is shown in the error, long ones cut.
func TestDecodeLine(t *testing.T) {
	two := bufio.NewReader(strings.NewReader("{\"seconds\": 1.5, \"loss\": 2}\n{\"loss\": 3}\n"))
	for _, want := range []stepped{{1.5, 2}, {0, 3}} {
		if got, err := decoded[stepped](two); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	for name, c := range map[string]struct {
		line, want string // want is the error, "" where the line is taken
	}{
		"an answer":              {"{\"seconds\": 1.5, \"loss\": 2}\n", ""},
		"blanks around":          {"  {\"seconds\": 1.5, \"loss\": 2} \r\n", ""},
		"another order":          {"{\"loss\": 2, \"seconds\": 1.5}\n", ""},
		"nothing":                {"", "it ended before it answered"},
		"an empty line":          {"\n", `it answered "\n": EOF`},
		"cut in the middle":      {"{\"seconds\": 1.5, \"lo", `it ended within its answer "{\"seconds\": 1.5, \"lo"`},
		"no end of line":         {"{\"seconds\": 1.5, \"loss\": 2}", "it ended within its answer "},
		"text":                   {"Loading: 100%\n", `it answered "Loading: 100%\n": invalid character 'L'`},
		"Python's not a number":  {"{\"seconds\": 1, \"loss\": NaN}\n", "invalid character 'N'"},
		"Python's infinity":      {"{\"seconds\": 1, \"loss\": Infinity}\n", "invalid character 'I'"},
		"a number too large":     {"{\"seconds\": 1e999, \"loss\": 2}\n", "cannot unmarshal number 1e999"},
		"a string for a number":  {"{\"seconds\": \"1\", \"loss\": 2}\n", "cannot unmarshal string"},
		"a list":                 {"[1.5, 2]\n", "cannot unmarshal array"},
		"null":                   {"null\n", `it answered "null\n": there is nothing in it`},
		"a field more":           {"{\"seconds\": 1.5, \"loss\": 2, \"speed\": 3}\n", `unknown field "speed"`},
		"another kind of answer": {"{\"peak_rss_bytes\": 1}\n", `unknown field "peak_rss_bytes"`},
		"two answers in a line":  {"{\"seconds\": 1.5, \"loss\": 2}{\"seconds\": 3}\n", "there is more in the line than an answer"},
		"a brace too many":       {"{\"seconds\": 1.5, \"loss\": 2}}\n", "there is more in the line than an answer"},
		"a long line":            {strings.Repeat("x", 5000) + "\n", `"` + strings.Repeat("x", 200) + `": `},
	} {
		s, err := decoded[stepped](bufio.NewReader(strings.NewReader(c.line)))
		if c.want == "" && (err != nil || s != stepped{1.5, 2}) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 400) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// What one end of the protocol says, the other reads: the same answers, in the
// order of the commands, and the memory at the end.
func TestProtocolRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Float64Range(-1e6, 1e6)
		id := rapid.Int64Range(0, 1<<31)
		hello := ready{
			Ready: number.Draw(t, "ready"), DType: rapid.String().Draw(t, "dtype"), Threads: rapid.IntRange(1, 64).Draw(t, "threads"),
			Batch: rapid.SliceOfN(id, 2, 2).Draw(t, "batch"), Prompt: rapid.SliceOfN(id, 2, 2).Draw(t, "prompt"), Runtime: rapid.String().Draw(t, "runtime"),
		}
		var asked []string
		var answers []any
		known := commands{}
		for i := range rapid.IntRange(0, 4).Draw(t, "commands") {
			name := fmt.Sprintf("command-%d", i)
			var answer any = stepped{number.Draw(t, "seconds"), number.Draw(t, "loss")}
			if rapid.Bool().Draw(t, "evaluated") {
				answer = evaluated{
					Seconds: number.Draw(t, "seconds"),
					Scores:  rapid.SliceOfN(rapid.SliceOfN(number, 1, 3), 1, 3).Draw(t, "scores"),
					IDs:     rapid.SliceOfN(rapid.SliceOfN(id, 1, 3), 1, 3).Draw(t, "ids"),
				}
			}
			known[name], asked, answers = func() (any, error) { return answer, nil }, append(asked, name), append(answers, answer)
		}
		end := memory{id.Draw(t, "peak"), id.Draw(t, "resident"), id.Draw(t, "anonymous"), id.Draw(t, "file")}
		var out strings.Builder
		in := strings.NewReader(strings.Join(append(asked, ""), "\n"))
		if err := serve(in, &out, hello, known, func() (memory, error) { return end, nil }); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(strings.NewReader(out.String()))
		for i, want := range append(append([]any{hello}, answers...), end) {
			var got any
			var err error
			switch want.(type) {
			case ready:
				got, err = decoded[ready](lines)
			case stepped:
				got, err = decoded[stepped](lines)
			case evaluated:
				got, err = decoded[evaluated](lines)
			case memory:
				got, err = decoded[memory](lines)
			}
			if err != nil || !cmp.Equal(got, want) {
				t.Fatalf("line %d is %+v, %v, want %+v", i, got, err, want)
			}
		}
		if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
			t.Fatalf("after the end: %q, %v", rest, err)
		}
	})
}

func decoded[T any](lines *bufio.Reader) (v T, err error) { return v, decodeLine(lines, &v) }

// A peer takes commands line by line, however lines end, and stops at the
// first that it does not know.
func TestServeReadsLines(t *testing.T) {
	for name, c := range map[string]struct {
		in, want string
		steps    int // that ran
	}{
		"no line end at the end":   {"step\nstep", "", 2},
		"line ends of Windows":     {"step\r\nstep\r\n", "", 2},
		"nothing is asked":         {"", "", 0},
		"an empty command":         {"step\n\nstep\n", `unknown command "": want step`, 1},
		"blanks around a command":  {" step\n", `unknown command " step"`, 0},
		"a command without an end": {strings.Repeat("step", 1<<15), "token too long", 0},
	} {
		steps := 0
		step := func() (any, error) {
			steps++
			return stepped{1, 2}, nil
		}
		err := serve(strings.NewReader(c.in), io.Discard, work32, commands{"step": step}, func() (memory, error) { return memory{}, nil })
		if steps != c.steps || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d steps, %v; want %d and %q", name, steps, err, c.steps, c.want)
		}
	}
}
