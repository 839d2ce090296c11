// Package study repeats experiments: a file says what all runs have in common,
// what is varied and over how many seeds, and what the prompts are scored on
// besides.
//
// Call [Load] to read such a file, [File.Variants] for the runs that it asks
// for, and [Run] to make them:
//
//	f, err := study.Load("experiments/prompt-length.yaml")
//	outcomes, err := study.Run(ctx, rt, f, study.Options{Out: "runs/length"})
//
// Each variant has a folder with one run for each seed below it, and the
// outcome beside them. What is there already is not made again, so that a
// study that was stopped goes on where it was.
package study
