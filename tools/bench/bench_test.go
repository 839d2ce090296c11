package main

import (
	"io"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	o, err := parseOptions(t.Context(), []string{"-sizes", "small", "-peers", "softprompt, peft", "-out", "x.json", "-rounds", "3", "-python", "py"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.command != "go run ./tools/bench -peers=softprompt, peft -rounds=3 -sizes=small" {
		t.Errorf("command %q: it names what changes the numbers and no paths", o.command)
	}
	if len(o.sizes) != 1 || len(o.sections) != 5 || len(o.peers) != 2 || o.peers[1].dtype != "float32" || o.shape != (shape{100, 128, 4, 16}) || o.threads != 2 || o.dropout != 0 {
		t.Errorf("options %+v", o)
	}
	cmd, err := o.peers[1].command(t.Context(), "DIR", o)
	if err != nil {
		t.Fatal(err)
	}
	want := "py -W ignore tools/reference/bench_peft.py --dtype float32 --model DIR --threads 2 --optimizer adamw --dropout 0"
	if got := strings.Join(cmd.Args, " "); got != want {
		t.Errorf("PEFT is started by\n%s, want\n%s", got, want)
	}
	if !strings.Contains(strings.Join(cmd.Env, " "), "OMP_NUM_THREADS=2") {
		t.Error("PEFT may take more threads than it was given")
	}
	cmd, err = o.peers[0].command(t.Context(), "DIR", o)
	if err != nil || cmd.Args[1] != "step" || strings.Join(cmd.Args[2:], " ") != "--model DIR --threads 2 --optimizer adamw --dropout 0" {
		t.Errorf("softprompt is started by %v, %v", cmd, err)
	}
}

// TestSideCommand: softprompt in integers and PEFT in bfloat16 differ from
// their float32 by one option each, and a text adds its own.
func TestSideCommand(t *testing.T) {
	o := options{threads: 1, optimizer: "adamw", interpreter: func() (string, error) { return "py", nil }}
	for name, want := range map[string]string{
		"softprompt-int8": " --precision int8 --rate 0",
		"softprompt":      " --dropout 0 --rate 0",
		"peft-bf16":       "bench_peft.py --dtype bfloat16 --model DIR",
	} {
		cmd, err := sides[sideIndex(name)].command(t.Context(), "DIR", o, "--rate", "0")
		if err != nil || !strings.Contains(strings.Join(cmd.Args, " "), want) {
			t.Errorf("%s is started by %v, %v, want %q in it", name, cmd, err, want)
		}
	}
	numbers := ""
	for _, s := range sides {
		numbers += s.numbers() + " "
	}
	if numbers != "float32 int8 float32 bfloat16 " {
		t.Errorf("the sides compute in %s", numbers)
	}
}

// TestOptionsNoPaths: the command that a report keeps names no folder.
func TestOptionsNoPaths(t *testing.T) {
	o, err := parseOptions(t.Context(), []string{"-boolq", "/home/me/val.jsonl", "-tokenizer", "/home/me/t5", "-only", "text,eval"}, io.Discard)
	if err != nil || o.command != "go run ./tools/bench -boolq=… -only=text,eval -tokenizer=…" {
		t.Errorf("command %q, %v", o.command, err)
	}
}
