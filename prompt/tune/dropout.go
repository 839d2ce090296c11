package tune

import (
	"slices"

	"softprompt/export"
	"softprompt/models"
	"softprompt/prompt"
)

// Dropout draws the masks that a train graph takes as inputs. A mask depends
// on the seed of the row's prompt, the example, the step and the site alone,
// never on the row's place in the batch or on what shares it, so a run replays
// however its batches are cut.
type Dropout struct {
	Rate  float64
	Seeds []uint64 // of each prompt in the bank
	Step  uint64
}

// The kinds of mask, each a stream of random numbers of its own.
const (
	drawHidden uint64 = iota
	drawFeedForward
	drawEncoder
	drawDecoder
	drawCross
	drawPromptKeys // added for the prompt's part of an attention's keys
)

// feed adds the five inputs for rows of a bank's prompts whose targets are
// padded to t tokens. Prompts take positions of the encoder, or keys of every
// attention. Shapes are those of package export.
func (d *Dropout) feed(in *feed, c models.Config, rows []Row, bank *Bank, t int) {
	p := bank.Length
	s := 0
	for _, r := range rows {
		s = max(s, len(r.IDs))
	}
	decoder := 0
	if bank.method != nil && bank.method.LaysKeys {
		decoder = p
	}
	hidden := int(export.HiddenSites(c.NumLayers, c.NumDecoderLayers))
	d.fill(in, export.DropoutHidden, drawHidden, rows, hidden, 1, 0, c.DModel)
	d.fill(in, export.DropoutFeedForward, drawFeedForward, rows, c.NumLayers+c.NumDecoderLayers, 1, 0, c.DFF)
	d.fill(in, export.DropoutEncoder, drawEncoder, rows, c.NumLayers, c.NumHeads, p, s)
	d.fill(in, export.DropoutDecoder, drawDecoder, rows, c.NumDecoderLayers, c.NumHeads, decoder, t)
	d.fill(in, export.DropoutCross, drawCross, rows, c.NumDecoderLayers, c.NumHeads, p, s)
}

// fill draws one input: for each site and row, heads masks of p+n elements.
// The n elements of the text are numbered from its start, the p of the prompt
// from its end, so that padding of either changes nothing.
func (d *Dropout) fill(in *feed, name string, kind uint64, rows []Row, sites, heads, p, n int) {
	width := p + n
	out := make([]float32, sites*len(rows)*heads*width)
	for i, r := range rows {
		row := prompt.NewRand(d.Seeds[r.Prompt], prompt.StreamDropout, r.Key, d.Step)
		for site := range sites {
			for h := range heads {
				at := ((site*len(rows)+i)*heads + h) * width
				text := row.Sub(kind, uint64(site), uint64(h))
				text.Dropout(out[at+p:at+width], d.Rate)
				if p > 0 {
					keys := row.Sub(kind+drawPromptKeys, uint64(site), uint64(h))
					keys.Dropout(out[at:at+p], d.Rate)
					slices.Reverse(out[at : at+p])
				}
			}
		}
	}
	shape := []int{sites, len(rows), heads, 1, width}
	if kind == drawHidden || kind == drawFeedForward {
		shape = []int{sites, len(rows), 1, width}
	}
	in.floats(name, out, shape...)
}
