package tasks

import "strings"

// giving returns where in the input the field that gives way lies, in bytes;
// two equal numbers where the task names none, so that the input's end is cut.
// A field that the template names more than once gives way where it stands
// first.
func (t *Task) giving(fields map[string]string) (from, to int) {
	if t.Cut == "" {
		return 0, 0
	}
	fields = t.clean(fields)
	var out strings.Builder
	found := false
	// The template was expanded before: it names nothing that is missing.
	t.Template.parse(
		func(text string) { out.WriteString(text) },
		func(name string) error {
			at := out.Len()
			out.WriteString(fields[name])
			if name == t.Cut && !found {
				from, to, found = at, out.Len(), true
			}
			return nil
		})
	return from, to
}

// Shorten returns the input with only so many of the bytes of the field that
// gives way, fewer where a character would be cut in two.
func (ex Example) Shorten(keep int) string {
	field := ex.Input[ex.CutFrom:ex.CutTo]
	keep = min(max(keep, 0), len(field))
	for keep > 0 && keep < len(field) && field[keep]&0xC0 == 0x80 { // within a character of UTF-8
		keep--
	}
	return ex.Input[:ex.CutFrom] + strings.TrimRight(field[:keep], " ") + ex.Input[ex.CutTo:]
}
