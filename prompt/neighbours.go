package prompt

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Neighbour is a word of the vocabulary that a prompt's vector lies near to.
type Neighbour struct {
	ID     int
	Cosine float32 // of the angle between the two, −1 to 1
}

// Neighbours returns, for each vector of a prompt rows [P,d], the k words of
// the vocabulary with the largest cosine, nearest first and of equals the
// lower id first (Lester et al. 2021, section 7). A vector without length has
// cosine 0 to all.
func Neighbours(rows []float32, dModel int, words Embeddings, k int) ([][]Neighbour, error) {
	if dModel < 1 || len(rows)%dModel != 0 || k < 1 || words.Rows < 1 {
		return nil, fmt.Errorf("looking for neighbours: %d values of width %d, %d of %d words", len(rows), dModel, k, words.Rows)
	}
	k = min(k, words.Rows)
	length := len(rows) / dModel
	if length == 0 {
		return nil, nil
	}
	units := slices.Clone(rows)
	for i, norm := range Norms(rows, dModel) {
		if norm > 0 {
			for j := i * dModel; j < (i+1)*dModel; j++ {
				units[j] = float32(float64(units[j]) / norm)
			}
		}
	}
	prompt := blas32.General{Rows: length, Cols: dModel, Stride: dModel, Data: units}
	scores := blas32.Vector{N: length, Inc: 1, Data: make([]float32, length)}
	nearest := make([][]Neighbour, length)
	for id := range words.Rows {
		word, err := words.row(int64(id), dModel)
		if err != nil {
			return nil, fmt.Errorf("looking for neighbours: %w", err)
		}
		norm := Norms(word, dModel)[0]
		blas32.Gemv(blas.NoTrans, 1, prompt, blas32.Vector{N: dModel, Inc: 1, Data: word}, 0, scores)
		for i, dot := range scores.Data {
			n := Neighbour{ID: id}
			if norm > 0 {
				n.Cosine = float32(max(-1, min(1, float64(dot)/norm)))
			}
			nearest[i] = keepNearest(nearest[i], n, k)
		}
	}
	return nearest, nil
}

// keepNearest puts n into a list of at most k, nearest first. Ids come in
// rising order, so n goes behind its equals.
func keepNearest(list []Neighbour, n Neighbour, k int) []Neighbour {
	if len(list) == k && list[k-1].Cosine >= n.Cosine {
		return list
	}
	at := len(list)
	for at > 0 && list[at-1].Cosine < n.Cosine {
		at--
	}
	return slices.Insert(list, at, n)[:min(k, len(list)+1)]
}

// Norms returns the length of each row of a matrix [P,d].
func Norms(rows []float32, dModel int) []float64 {
	norms := make([]float64, len(rows)/dModel)
	for i := range norms {
		var sum float64
		for _, v := range rows[i*dModel : (i+1)*dModel] {
			sum += float64(v) * float64(v)
		}
		norms[i] = math.Sqrt(sum)
	}
	return norms
}
