package tasks

import (
	"fmt"
	"slices"
	"strings"
)

// Template is an input text with the names of fields in braces, as in
// "sentence: {sentence}". A doubled brace stands for a brace. It is data:
// nothing in it is ever run, and what a field holds is never read as a
// template again.
type Template string

// EscapeTemplate returns the template that expands to text itself.
func EscapeTemplate(text string) Template {
	return Template(strings.NewReplacer("{", "{{", "}", "}}").Replace(text))
}

// Expand replaces each {field} by its value. It fails where the template does
// not parse or names a field that is not in fields.
func (t Template) Expand(fields map[string]string) (string, error) {
	var out strings.Builder
	err := t.parse(
		func(text string) { out.WriteString(text) },
		func(name string) error {
			value, ok := fields[name]
			if !ok {
				return fmt.Errorf("template %q: the input has no field %q", t, name)
			}
			out.WriteString(value)
			return nil
		})
	if err != nil {
		return "", err
	}
	return out.String(), nil
}

// Validate reports whether the template parses, names at least one field, and
// names none but the given ones.
func (t Template) Validate(fields []string) error {
	named := false
	err := t.parse(
		func(string) {},
		func(name string) error {
			named = true
			if !slices.Contains(fields, name) {
				return fmt.Errorf("template %q: unknown field {%s}, want one of %s",
					t, name, strings.Join(fields, ", "))
			}
			return nil
		})
	if err != nil {
		return err
	}
	if !named {
		return fmt.Errorf("template %q: names no field, so every input would be the same; want one of {%s}",
			t, strings.Join(fields, "}, {"))
	}
	if clean := Clean(string(t)); clean != string(t) {
		return fmt.Errorf("template %q: holds a NUL or bytes that are not UTF-8", t)
	}
	return nil
}

// Fields lists the fields that the template names, each once, in its order.
func (t Template) Fields() ([]string, error) {
	var fields []string
	err := t.parse(func(string) {}, func(name string) error {
		if !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
		return nil
	})
	return fields, err
}

// parse walks over the template and hands out its pieces in order.
func (t Template) parse(literal func(string), field func(string) error) error {
	rest := string(t)
	for {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			literal(rest)
			return nil
		}
		literal(rest[:i])
		brace := rest[i : i+1]
		rest = rest[i+1:]
		switch {
		case strings.HasPrefix(rest, brace): // doubled: the brace itself
			literal(brace)
			rest = rest[1:]
		case brace == "}":
			return fmt.Errorf("template %q: a } without its {; write }} for the brace itself", t)
		default:
			name, after, ok := strings.Cut(rest, "}")
			if !ok || strings.Contains(name, "{") {
				return fmt.Errorf("template %q: a { without its }; write {{ for the brace itself", t)
			}
			if err := field(name); err != nil {
				return err
			}
			rest = after
		}
	}
}
