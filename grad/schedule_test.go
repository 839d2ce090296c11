package grad

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"softprompt/onnx/hint"
)

func TestScheduleAt(t *testing.T) {
	for _, c := range []struct {
		schedule string
		at       map[int64]float64
	}{
		{"constant", map[int64]float64{0: 1, 1: 1, 1e9: 1}},
		{"warmup=4", map[int64]float64{0: 0, 1: 0.25, 3: 0.75, 4: 1, 100: 1}},
		{"linear=10", map[int64]float64{0: 1, 1: 0.9, 9: 0.1, 10: 0, 11: 0}},
		{"warmup=2,linear=10", map[int64]float64{0: 0, 1: 0.5, 2: 1, 6: 0.5, 10: 0, 99: 0}},
		{"cosine=10,warmup=2", map[int64]float64{1: 0.5, 2: 1, 4: (1 + math.Sqrt2/2) / 2, 6: 0.5, 10: 0, 99: 0}},
		{"rsqrt=100", map[int64]float64{0: 1, 100: 1, 400: 0.5, 10_000: 0.1}},
		{"warmup=10_000,rsqrt=10_000", map[int64]float64{5_000: 0.5, 10_000: 1, 40_000: 0.5}},
		{"warmup=3,linear=3", map[int64]float64{2: 2.0 / 3, 3: 1, 4: 0}},
	} {
		s, err := ParseSchedule(c.schedule)
		if err != nil {
			t.Fatal(err)
		}
		for step, want := range c.at {
			if got := s.At(step); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s at step %d: %v, want %v", c.schedule, step, got, want)
			}
		}
	}
}

func TestParseScheduleRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "empty part",
		"constant,":           "empty part",
		"cubic=10":            `unknown decay "cubic"`,
		"rsqrt":               `unknown part "rsqrt"`,
		"warmup":              `unknown part "warmup"`,
		"constant=5":          `unknown part "constant=5"`,
		"warmup=x":            `not "x"`,
		"warmup=0":            `not "0"`,
		"linear=-5":           `not "-5"`,
		"linear=1e4":          `not "1e4"`,
		"warmup=1,warmup=2":   "two warm-ups",
		"linear=1,cosine=2":   "both linear and cosine",
		"constant,linear=5":   "both constant and linear",
		"warmup=500,linear=5": "linear decay until step 5 after a warm-up of 500",
	} {
		_, err := ParseSchedule(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
		if hint.Of(err) == "" {
			t.Errorf("%q: no hint", text)
		}
	}
}

func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Schedule{Warmup: rapid.Int64Range(0, 1000).Draw(t, "warm-up")}
		if s.Decay = rapid.SampledFrom([]string{"", "linear", "cosine", "rsqrt"}).Draw(t, "decay"); s.Decay != "" {
			s.Until = rapid.Int64Range(max(1, s.Warmup), 5000).Draw(t, "until")
			if s.Decay != "rsqrt" && rapid.Bool().Draw(t, "to the end") {
				s.Until = 0
			}
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if back, err := ParseSchedule(s.String()); err != nil || back != s {
			t.Fatalf("%+v is written %q and read %+v, %v", s, s, back, err)
		}
		run := rapid.Int64Range(1, 5000).Draw(t, "steps")
		if whole := s.Over(run); s.decays() && s.Until == 0 && whole.Until != max(run, s.Warmup) || s.Until != 0 && whole != s {
			t.Fatalf("%s over %d steps is %s", s, run, whole)
		}
		s = s.Over(run)
		step := rapid.Int64Range(0, 10_000).Draw(t, "step")
		now, next := s.At(step), s.At(step+1)
		if !(now >= 0 && now <= 1) {
			t.Fatalf("%s at step %d: %v", s, step, now)
		}
		if rising := step < s.Warmup; rising && now > next || !rising && now < next {
			t.Fatalf("%s goes from %v to %v at step %d", s, now, next, step)
		}
	})
}

func TestScheduleCheck(t *testing.T) {
	for _, s := range []Schedule{{Decay: "cubic"}, {Warmup: -1}, {Decay: "linear", Until: -1}, {Decay: "cosine", Warmup: 9, Until: 8}} {
		if s.Check() == nil {
			t.Errorf("%+v passes", s)
		}
	}
}
