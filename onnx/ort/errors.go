package ort

import (
	"errors"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"softprompt/onnx/hint"
)

// ErrOutOfMemory is wrapped by errors that a smaller batch may cure.
var ErrOutOfMemory = errors.New("out of memory")

// noise is what the runtime wraps around its messages: where in its source
// they come from, its error codes, and the conditions it checked.
var noise = []*regexp.Regexp{
	regexp.MustCompile(`^(Error creating C session|Error running network|Exception during initialization|Error): `),
	regexp.MustCompile(`^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : `),
	// a full path, then the function's signature
	regexp.MustCompile(`^/\S+\.(?:cc|cpp|h|cu|cuh):\d+ [^()]*(?:operator\(\))?\((?:[^()]|\([^()]*\))*\)(?: const)?(?: \[with [^\]]*\])? `),
	// a file name, then the function's name
	regexp.MustCompile(`^\w+\.(?:cc|cpp|h|cu|cuh):\d+ \w+ `),
	regexp.MustCompile(`^.* was false\. `),
}

// inNode is how the runtime reports what failed while a node ran.
var inNode = regexp.MustCompile(`Non-zero status code returned while running (\S+) node\. Name:'([^']*)' Status Message: (.*)$`)

// explained is an error of the runtime in our words.
type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }

// explain turns an error of the runtime into one line that starts with the
// node, where the runtime names it, and carries advice, where we have some.
func explain(err error) error {
	if err == nil {
		return nil
	}
	node, text := "", strings.Join(strings.Fields(err.Error()), " ")
	if m := inNode.FindStringSubmatch(text); m != nil {
		node, text = m[1]+" node "+m[2]+": ", m[3]
	}
	text = clean(text)
	for _, r := range rules {
		m := r.pattern.FindStringSubmatchIndex(text)
		if m == nil {
			continue
		}
		expand := func(s string) string { return string(r.pattern.ExpandString(nil, s, text, m)) }
		cause := err
		if r.is != nil {
			cause = r.is
		}
		out := error(&explained{node + expand(r.text), cause})
		if r.advice != "" {
			out = hint.Wrap(out, "%s", expand(r.advice))
		}
		return out
	}
	return &explained{node + lower(text), err}
}

// clean strips the noise from the front of a message, however it is nested.
func clean(s string) string {
	for before := ""; before != s; {
		before = s
		for _, n := range noise {
			s = n.ReplaceAllString(s, "")
		}
	}
	return strings.TrimSuffix(s, ".")
}

// lower makes the first letter small, unless it begins a name like MatMul or
// an abbreviation.
func lower(s string) string {
	word, _, _ := strings.Cut(s, " ")
	first, size := utf8.DecodeRuneInString(word)
	if first == utf8.RuneError || strings.ContainsFunc(word[size:], unicode.IsUpper) {
		return s
	}
	return string(unicode.ToLower(first)) + s[size:]
}
