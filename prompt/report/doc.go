// Package report puts runs side by side: which settings tell them apart, how
// their scores spread over seeds, and whether a difference is more than chance.
//
// Call [Load] with run folders, or folders that hold some, and [New] to group
// them:
//
//	runs, err := report.Load("runs/methods", "runs/lengths")
//	r := report.New(runs)
//	for _, g := range r.Groups { … }
//	err = r.Against(map[string]string{"method": "prompt-tuning"})
//
// It reads what a run left and computes nothing anew.
package report
