package tasks

import "strings"

// nearest returns the name that a mistyped one most likely meant: the one
// with the fewest edits, case aside, or "" where even that one is more than a
// third of the letters away.
func nearest(typed string, names []string) string {
	best, limit := "", max(1, len(typed)/3)
	for _, name := range names {
		if d := edits(strings.ToLower(typed), strings.ToLower(name)); d <= limit {
			best, limit = name, d-1
		}
	}
	return best
}

// edits is the Levenshtein distance of two strings, in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1) // distance of a[:i] to every b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
