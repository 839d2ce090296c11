package prompt

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func table(rows []float32, width int) Embeddings {
	return Embeddings{Rows: len(rows) / width, Row: func(id int) []float32 { return rows[id*width : (id+1)*width] }}
}

func TestNeighbours(t *testing.T) {
	words := table([]float32{
		0, 0, // no direction
		1, 0,
		0, 2,
		-3, 0,
		5, 5,
		10, 0, // the same direction as 1
	}, 2)
	got, err := Neighbours([]float32{7, 0, 0, 0, -1, -1}, 2, words, 3)
	if err != nil {
		t.Fatal(err)
	}
	half := float32(math.Sqrt2 / 2)
	want := [][]Neighbour{
		{{1, 1}, {5, 1}, {4, half}},
		{{0, 0}, {1, 0}, {2, 0}}, // a vector without length has no neighbours to tell apart
		{{3, half}, {0, 0}, {1, -half}},
	}
	if d := diff.Diff(want, got, cmpopts.EquateApprox(0, 1e-6)); d != "" {
		t.Error(d)
	}
}

// Against sorting all cosines, computed one by one in float64.
func TestNeighboursAgainstSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 6).Draw(t, "width")
		value := rapid.Map(rapid.IntRange(-8, 8), func(n int) float32 { return float32(n) })
		draw := func(what string, rows int) []float32 {
			return rapid.SliceOfN(value, rows*width, rows*width).Draw(t, what)
		}
		length, vocab := rapid.IntRange(0, 4).Draw(t, "length"), rapid.IntRange(1, 12).Draw(t, "words")
		rows, words := draw("prompt", length), draw("vocabulary", vocab)
		k := rapid.IntRange(1, 14).Draw(t, "k")
		got, err := Neighbours(rows, width, table(words, width), k)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != length {
			t.Fatalf("%d lists for %d rows", len(got), length)
		}
		for i, list := range got {
			want := make([]float64, vocab)
			for id := range want {
				want[id] = cosine(rows[i*width:(i+1)*width], words[id*width:(id+1)*width])
			}
			if len(list) != min(k, vocab) {
				t.Fatalf("%d neighbours, want %d", len(list), min(k, vocab))
			}
			for j, n := range list {
				if math.Abs(float64(n.Cosine)-want[n.ID]) > 1e-6 {
					t.Fatalf("row %d: cosine of %d is %v, want %v", i, n.ID, n.Cosine, want[n.ID])
				}
				if j > 0 && (list[j-1].Cosine < n.Cosine || list[j-1].Cosine == n.Cosine && list[j-1].ID >= n.ID) {
					t.Fatalf("row %d: %v stands before %v", i, list[j-1], n)
				}
			}
			slices.SortFunc(want, func(a, b float64) int { return cmp.Compare(b, a) })
			if last := float64(list[len(list)-1].Cosine); math.Abs(last-want[len(list)-1]) > 1e-6 {
				t.Fatalf("row %d: the last of %d neighbours has cosine %v, want %v", i, len(list), last, want[len(list)-1])
			}
		}
	})
}

func cosine(a, b []float32) float64 {
	var dot, aa, bb float64
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return dot / math.Sqrt(aa*bb)
}

func TestNeighboursRefusals(t *testing.T) {
	words := table(make([]float32, 6), 3)
	for name, c := range map[string]struct {
		rows  []float32
		width int
		words Embeddings
		k     int
	}{
		"no width":    {nil, 0, words, 1},
		"half a row":  {make([]float32, 4), 3, words, 1},
		"none wanted": {make([]float32, 3), 3, words, 0},
		"no words":    {make([]float32, 3), 3, Embeddings{}, 1},
		"other width": {make([]float32, 4), 2, words, 1},
	} {
		if _, err := Neighbours(c.rows, c.width, c.words, c.k); err == nil || !strings.Contains(err.Error(), "looking for neighbours") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestNorms(t *testing.T) {
	if d := diff.Diff([]float64{5, 0, 1}, Norms([]float32{3, 4, 0, 0, 0, -1}, 2)); d != "" {
		t.Error(d)
	}
}
