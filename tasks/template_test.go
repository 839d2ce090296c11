package tasks

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTemplateExpand(t *testing.T) {
	fields := map[string]string{"a": "A", "b": "{a}", "odd name": "o"}
	for template, want := range map[Template]string{
		"":                  "",
		"plain":             "plain",
		"{a}":               "A",
		"x {a} y {a}":       "x A y A",
		"{b}":               "{a}", // what a field holds is not a template
		"{{a}}":             "{a}",
		"{{{a}}}":           "{A}",
		"{{}}":              "{}",
		"{odd name}":        "o",
		"mot: {a} \u00e9":   "mot: A \u00e9",
		"{a}{b}":            "A{a}",
		"}}{{":              "}{",
		"{{{{":              "{{",
		"<extra_id_0> {a}.": "<extra_id_0> A.",
	} {
		if got, err := template.Expand(fields); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", template, got, err, want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	for template, message := range map[Template]string{
		"{":         "a { without its }",
		"{a":        "a { without its }",
		"{a {b}":    "a { without its }",
		"}":         "a } without its {",
		"{a}}":      "a } without its {",
		"a } b":     "a } without its {",
		"{}":        `no field ""`,
		"{ a}":      `no field " a"`,
		"{c}":       `no field "c"`,
		"{a.b}":     `no field "a.b"`,
		"{a!r:>10}": `no field "a!r:>10"`,
	} {
		_, err := template.Expand(map[string]string{"a": "A", "b": "B"})
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: error %v, want %q in it", template, err, message)
		}
		if err := template.Validate([]string{"a", "b"}); err == nil {
			t.Errorf("%q: found valid", template)
		}
	}
	for template, message := range map[Template]string{
		"":             "names no field",
		"{{a}}":        "names no field",
		"{a}\x00":      "NUL",
		"{a} \xff":     "UTF-8",
		"{a} {unkown}": "unknown field {unkown}, want one of a, b",
	} {
		if err := template.Validate([]string{"a", "b"}); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: error %v, want %q in it", template, err, message)
		}
	}
}

// Whatever the text, escaping it gives the template of that text, and a field
// put between two such texts comes out as it is.
func TestTemplateRoundTrip(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[{}a ]{0,12}`))
	rapid.Check(t, func(t *rapid.T) {
		before, value, after := text.Draw(t, "before"), text.Draw(t, "value"), text.Draw(t, "after")
		template := EscapeTemplate(before) + "{f}" + EscapeTemplate(after)
		got, err := template.Expand(map[string]string{"f": value})
		if want := before + value + after; err != nil || got != want {
			t.Fatalf("%q: %q, %v; want %q", template, got, err, want)
		}
		if Clean(string(template)) == string(template) {
			if err := template.Validate([]string{"f"}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestClean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := string(rapid.SliceOf(rapid.Byte()).Draw(t, "raw"))
		clean := Clean(raw)
		if !utf8.ValidString(clean) || strings.Contains(clean, "\x00") || Clean(clean) != clean {
			t.Fatalf("Clean(%q) = %q", raw, clean)
		}
		if utf8.ValidString(raw) && !strings.Contains(raw, "\x00") && clean != raw {
			t.Fatalf("Clean changed %q to %q", raw, clean)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"sentence: {sentence}", "{{}}", "{", "}", "{a}{b}", "{{{a}}}", "{\x00}", "\xff{a}", strings.Repeat("{", 99)} {
		f.Add(seed)
	}
	fields := map[string]string{"sentence": "S", "a": "{b}", "b": "}"}
	f.Fuzz(func(t *testing.T, s string) {
		template := Template(s)
		out, err := template.Expand(fields)
		valid := template.Validate([]string{"sentence", "a", "b"})
		if valid == nil && err != nil {
			t.Errorf("%q is valid and does not expand: %v", s, err)
		}
		if err != nil && out != "" {
			t.Errorf("%q: text beside an error", s)
		}
		if got, err := EscapeTemplate(s).Expand(nil); err != nil || got != s {
			t.Errorf("escaped %q expands to %q, %v", s, got, err)
		}
	})
}
