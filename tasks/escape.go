package tasks

import "strings"

// special are the characters with a meaning in written label words; a
// backslash takes the meaning away.
const special = `\,;=`

// escape puts a backslash before every special character.
func escape(s string) string {
	var out strings.Builder
	for i := range len(s) {
		if strings.IndexByte(special, s[i]) >= 0 {
			out.WriteByte('\\')
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// unescape drops the backslash before a special character. Any other
// backslash stands for itself.
func unescape(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if escaped(s, i) {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// split cuts s at every separator that no backslash precedes, and leaves the
// backslashes in the parts.
func split(s string, separator byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch {
		case escaped(s, i):
			i++
		case s[i] == separator:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// escaped reports whether s[i] is a backslash before a special character.
func escaped(s string, i int) bool {
	return s[i] == '\\' && i+1 < len(s) && strings.IndexByte(special, s[i+1]) >= 0
}
