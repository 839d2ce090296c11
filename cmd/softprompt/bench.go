package main

import "fmt"

// benchCmd measures.
type benchCmd struct {
	Profile   benchProfileCmd   `cmd:"" help:"Show where the time of a training step goes."`
	Precision benchPrecisionCmd `cmd:"" help:"Show what a reduced precision costs: errors layer by layer, and the score after tuning."`
}

// fine writes a share of 1 that may be small.
func fine(share float64) string { return fmt.Sprintf("%.3f %%", 100*share) }

// ms writes milliseconds.
func ms(x float64) string { return fmt.Sprintf("%.2f", x) }
