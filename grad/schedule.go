package grad

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"softprompt/onnx/hint"
)

// Schedule says which share of the learning rate each step gets: a rise over
// the first Warmup steps, then the decay. The zero value is constant. The
// formulas are those of Hugging Face's optimization.py, so published recipes
// carry over; as there, a warm-up's first step has rate 0.
type Schedule struct {
	Warmup int64  // steps of linear rise from 0; 0 means none
	Decay  string // "" or "constant", "linear", "cosine", "rsqrt"
	// Until is the step at which linear and cosine reach 0, warm-up included,
	// and the one up to which rsqrt stays at 1. 0 is the last step of the run:
	// see [Schedule.Over].
	Until int64
}

// Over returns the schedule of a run of so many steps: a decay that does not
// say until when ends with the run.
func (s Schedule) Over(steps int64) Schedule {
	if s.decays() && s.Until == 0 {
		s.Until = max(steps, s.Warmup)
	}
	return s
}

// decays maps the name of a decay to its formula: the share at a step past
// the warm-up.
var decays = map[string]func(s Schedule, step float64) float64{
	"":         func(Schedule, float64) float64 { return 1 },
	"constant": func(Schedule, float64) float64 { return 1 },
	"linear":   func(s Schedule, step float64) float64 { return 1 - s.progress(step) },
	"cosine":   func(s Schedule, step float64) float64 { return (1 + math.Cos(math.Pi*s.progress(step))) / 2 },
	"rsqrt": func(s Schedule, step float64) float64 {
		return math.Sqrt(float64(s.Until) / max(step, float64(s.Until)))
	},
}

// progress is the share of the decay's steps that lie behind, at most 1.
func (s Schedule) progress(step float64) float64 {
	warmup := float64(s.Warmup)
	return min(1, (step-warmup)/max(1, float64(s.Until)-warmup))
}

// At returns the share, 0 to 1, that the update after step others gets of the
// learning rate; step counts from 0. An unknown decay counts as constant; see
// [Schedule.Check].
func (s Schedule) At(step int64) float64 {
	if step < s.Warmup {
		return float64(step) / float64(s.Warmup)
	}
	decay, ok := decays[s.Decay]
	if !ok {
		return 1
	}
	return decay(s, float64(step))
}

// Check reports a schedule that makes no sense.
func (s Schedule) Check() error {
	if _, known := decays[s.Decay]; !known {
		return fmt.Errorf("unknown decay %q", s.Decay)
	}
	if s.Warmup < 0 {
		return fmt.Errorf("warm-up of %d steps", s.Warmup)
	}
	if s.decays() && s.Until != 0 && s.Until < max(1, s.Warmup) {
		return fmt.Errorf("%s decay until step %d after a warm-up of %d", s.Decay, s.Until, s.Warmup)
	}
	return nil
}

func (s Schedule) decays() bool { return s.Decay != "" && s.Decay != "constant" }

// String writes the schedule as [ParseSchedule] reads it.
func (s Schedule) String() string {
	var parts []string
	if s.Warmup > 0 {
		parts = append(parts, fmt.Sprintf("warmup=%d", s.Warmup))
	}
	switch {
	case !s.decays():
	case s.Until == 0:
		parts = append(parts, s.Decay)
	default:
		parts = append(parts, fmt.Sprintf("%s=%d", s.Decay, s.Until))
	}
	if parts == nil {
		return "constant"
	}
	return strings.Join(parts, ",")
}

// ParseSchedule reads "constant", or a warm-up and a decay with their steps:
// "warmup=500", "linear=10000", "warmup=500,cosine=10000", "rsqrt=10000". A
// linear or cosine decay without a number ends with the run.
func ParseSchedule(text string) (Schedule, error) {
	s, err := parseSchedule(text)
	if err == nil {
		err = s.Check()
	}
	if s.Decay == "constant" {
		s.Decay = "" // one form for one thing
	}
	if err != nil {
		return Schedule{}, hint.Wrap(fmt.Errorf("schedule %q: %w", text, err),
			"write constant, or one or both of warmup=STEPS and linear=STEPS, cosine=STEPS or rsqrt=STEPS, as in warmup=500,linear=10000; linear and cosine alone end with the run")
	}
	return s, nil
}

// endless are the parts that need no number.
var endless = map[string]bool{"constant": true, "linear": true, "cosine": true}

func parseSchedule(text string) (s Schedule, err error) {
	warmed := false
	for part := range strings.SplitSeq(text, ",") {
		name, value, hasValue := strings.Cut(strings.TrimSpace(part), "=")
		var steps int64
		if hasValue {
			if steps, err = strconv.ParseInt(strings.ReplaceAll(value, "_", ""), 10, 64); err != nil || steps < 1 {
				return s, fmt.Errorf("%s wants a number of steps, not %q", name, value)
			}
		}
		switch {
		case name == "":
			return s, fmt.Errorf("an empty part")
		case !hasValue && !endless[name] || hasValue && name == "constant":
			return s, fmt.Errorf("unknown part %q", part)
		case name == "warmup" && warmed:
			return s, fmt.Errorf("two warm-ups")
		case name == "warmup":
			s.Warmup, warmed = steps, true
		case s.Decay != "":
			return s, fmt.Errorf("both %s and %s", s.Decay, name)
		default:
			s.Decay, s.Until = name, steps
		}
	}
	return s, nil
}
