package grad_test

import (
	"fmt"

	"softprompt/grad"
)

// Two prompts of one row are moved towards different targets; the second is
// stopped early, which the first does not notice.
func ExampleOptimizer() {
	rule := grad.DefaultAdafactor()
	rule.InitialStep, rule.WeightDecay = 0, 0
	opt, err := grad.NewOptimizer(rule, grad.Param{Name: "prompt", Shape: []int64{2, 1, 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	schedule, err := grad.ParseSchedule("linear=200")
	if err != nil {
		fmt.Println(err)
		return
	}
	prompts := []float32{0, 0, 0, 0}
	targets := []float32{3, -1, 5, 5}
	for step := range int64(200) {
		gradient := make([]float32, 4)
		for i := range gradient {
			gradient[i] = prompts[i] - targets[i]
		}
		for k := range 2 {
			if k == 1 && step >= 5 {
				continue
			}
			if _, err := opt.Update(k, 0.3*schedule.At(step), [][]float32{prompts}, [][]float32{gradient}); err != nil {
				fmt.Println(err)
				return
			}
		}
	}
	fmt.Printf("%.1f after %d and %d steps\n", prompts, opt.Steps(0), opt.Steps(1))
	// Output: [3.0 -1.0 1.4 1.4] after 200 and 5 steps
}
