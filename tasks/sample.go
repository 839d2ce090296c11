package tasks

import (
	"cmp"
	"slices"
)

// The generator is a counter put through SplitMix64's finaliser: no state, so
// any draw can be made again without the ones before it, and 64-bit integer
// arithmetic alone, so it is the same on every platform.

// draw returns 64 random bits that depend on all of seed, stream and counter.
func draw(seed, stream, counter uint64) uint64 {
	const golden = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio
	return mix(mix(mix(seed+golden)+stream+golden) + counter + golden)
}

// mix is the finaliser of SplitMix64 (Java's SplittableRandom), a bijection
// whose every output bit depends on every input bit.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Streams keep the uses of one seed apart; epochs count from 0.
const (
	streamHoldOut   = 1 << 63
	streamBootstrap = 1<<63 + 1
	streamShots     = 1<<63 + 2
	streamBalance   = 1<<63 + 3
)

// Permutation returns the numbers 0 to n-1 in the random order of one epoch:
// number i has the key draw(seed, epoch, i), and the numbers come in the
// order of their keys. The order of two numbers therefore does not depend on
// n, and no epoch depends on the ones before. It is nil for n below 1.
func Permutation(n int, seed uint64, epoch int) []int {
	if n < 1 {
		return nil
	}
	return byKey(n, seed, uint64(epoch))
}

// byKey returns 0 to n-1 in the order of their draws.
func byKey(n int, seed, stream uint64) []int {
	keys := make([]uint64, n)
	order := make([]int, n)
	for i := range order {
		keys[i] = draw(seed, stream, uint64(i))
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(keys[a], keys[b]), cmp.Compare(a, b))
	})
	return order
}

// HoldOut splits training examples into those to train on and n to choose the
// best step on, so that the reported split is never looked at before the end.
// (The paper chooses on the split it reports; the reference's later recipes
// hold training data back, as here.) The choice is random by seed, each class
// keeps its share, and both parts keep the order of the examples. n is cut to
// 0 and len(examples).
//
// Examples of one group stay together, as the answers to one question tell of
// each other. Groups are taken whole while every class has room in its share
// of n for their examples, so with groups it is at most n that are held out:
// short of it by less than the groups that are left would add, a handful where
// groups are small and many.
//
// Where a data set repeats itself, as SST-2's training split does with the
// phrases of its sentences, the held-out score runs ahead of the real one; it
// orders the steps all the same.
func HoldOut(examples []Example, n int, seed uint64) (train, held []Example) {
	n = min(max(n, 0), len(examples))
	rows := map[int]int{} // of each class
	for _, ex := range examples {
		rows[ex.Label]++
	}
	room := shares(rows, n, len(examples))
	groups := groupRows(examples)
	chosen := make([]bool, len(examples))
	for _, row := range byKey(len(examples), seed, streamHoldOut) {
		if takes(room, examples, groups[row]) {
			for _, r := range groups[row] {
				chosen[r] = true
			}
		}
	}
	for row, ex := range examples {
		if chosen[row] {
			held = append(held, ex)
		} else {
			train = append(train, ex)
		}
	}
	return train, held
}

// groupRows returns the rows of each group under its first row. A row without
// a group is one of its own.
func groupRows(examples []Example) [][]int {
	groups := make([][]int, len(examples))
	first := map[string]int{}
	for row, ex := range examples {
		at := row
		if ex.Group != "" {
			if before, ok := first[ex.Group]; ok {
				at = before
			}
			first[ex.Group] = at
		}
		groups[at] = append(groups[at], row)
	}
	return groups
}

// takes takes the room for a group's rows in the share of each class, unless
// there is too little of it or the group is empty.
func takes(room map[int]int, examples []Example, group []int) bool {
	for i, row := range group {
		label := examples[row].Label
		if room[label]--; room[label] < 0 {
			for _, row := range group[:i+1] { // give it back
				room[examples[row].Label]++
			}
			return false
		}
	}
	return len(group) > 0
}

// shares divides n among the classes in proportion to their rows, by largest
// remainder; of equal remainders the lower label comes first.
func shares(rows map[int]int, n, total int) map[int]int {
	counts := make(map[int]int, len(rows))
	labels := make([]int, 0, len(rows))
	left := n
	for label, k := range rows {
		counts[label] = n * k / total
		left -= counts[label]
		labels = append(labels, label)
	}
	slices.SortFunc(labels, func(a, b int) int {
		ra, rb := n*rows[a]%total, n*rows[b]%total
		return cmp.Or(cmp.Compare(rb, ra), cmp.Compare(a, b))
	})
	for _, label := range labels[:left] {
		counts[label]++
	}
	return counts
}
