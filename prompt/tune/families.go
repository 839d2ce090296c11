package tune

import (
	"slices"

	"softprompt/grad"
	"softprompt/prompt"
)

// A method may have tensors that tasks share, such as the matrix of multitask
// prompt tuning. Runs of one pass that share them are a family: they start with
// those of its first run, the gradients of all are added up, and what the first
// run that still goes on makes of a shared tensor is what all go on with.

// mover is what decides where shared tensors start and how they move. Runs that
// differ in it, such as seeds and rates that are compared, share nothing.
type mover struct {
	seed                                uint64
	init, optimizer, schedule           string
	learningRate, weightDecay, clipNorm float64
	initialStep                         int64
	parameterScale                      bool
}

func moverOf(s Settings) mover {
	return mover{
		s.Seed, s.Init, s.Optimizer, s.Schedule, s.LearningRate, s.WeightDecay, s.ClipNorm, s.InitialStep, s.ParameterScale,
	}
}

// families returns which runs share: those of different tasks that agree in
// their mover, in the order of the runs.
func families(all []*setup) [][]int {
	var found [][]int
	for k, u := range all {
		at := slices.IndexFunc(found, func(family []int) bool {
			return moverOf(all[family[0]].settings) == moverOf(u.settings) &&
				!slices.ContainsFunc(family, func(i int) bool { return all[i].settings.Task == u.settings.Task })
		})
		if at < 0 {
			at, found = len(found), append(found, nil)
		}
		found[at] = append(found[at], k)
	}
	return found
}

// startTogether has each run of a family start with the first one's shared
// tensors.
func startTogether(all []*setup, method *prompt.Method) {
	for _, family := range families(all) {
		for i, t := range method.Trainables {
			if !t.Shared {
				continue
			}
			for _, k := range family[1:] {
				all[k].start.Tensors[i].Data = all[family[0]].start.Tensors[i].Data
			}
		}
	}
}

// addShared gives each prompt of a family the sum of the gradients of all in
// what they share.
func (b *Bank) addShared(family []int) {
	b.eachShared(family, func(input string) {
		sum := slices.Clone(b.part(grad.Prefix+input, family[0]))
		for _, k := range family[1:] {
			for i, g := range b.part(grad.Prefix+input, k) {
				sum[i] += g
			}
		}
		for _, k := range family {
			copy(b.part(grad.Prefix+input, k), sum)
		}
	})
}

// follow gives each prompt of a family what the leading one has of what they
// share.
func (b *Bank) follow(family []int, leader int) {
	b.eachShared(family, func(input string) {
		for _, k := range family {
			copy(b.part(input, k), b.part(input, leader))
		}
	})
}

// eachShared calls f with the graph input of each shared trainable.
func (b *Bank) eachShared(family []int, f func(input string)) {
	if len(family) < 2 {
		return
	}
	for _, t := range b.method.Trainables {
		if t.Shared {
			f(t.Input)
		}
	}
}

// part returns the k-th prompt's part of a graph input or gradient, padding
// included.
func (b *Bank) part(name string, k int) []float32 {
	x := b.values[name]
	if x == nil {
		x = b.grads[name]
	}
	all := x.Float32s()
	each := len(all) / b.K
	return all[k*each : (k+1)*each]
}
