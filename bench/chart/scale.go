package chart

import (
	"math"
	"strconv"
	"strings"
)

// scale places the values of an axis between two positions on the picture.
type scale struct {
	low, high  float64 // values
	from, to   float64 // positions
	log        bool
	ticks      []float64
	writeValue func(float64) string
}

// newScale fits an axis to the values from low to high.
func newScale(a Axis, low, high, from, to float64, ticks int) scale {
	s := scale{low: low, high: high, from: from, to: to, log: a.Log, ticks: a.Ticks}
	s.writeValue = a.Format
	if s.writeValue == nil {
		s.writeValue = Count
	}
	if s.low == s.high {
		s.low, s.high = aroundOne(s.low, a.Log)
	}
	switch {
	case s.ticks != nil:
	case a.Log:
		s.ticks = logTicks(s.low, s.high, ticks)
	default:
		s.ticks = linearTicks(s.low, s.high, ticks)
		s.low = min(s.low, s.ticks[0])
		s.high = max(s.high, s.ticks[len(s.ticks)-1])
	}
	return s
}

// aroundOne makes room around a single value.
func aroundOne(v float64, log bool) (low, high float64) {
	switch {
	case log:
		return v / 2, v * 2
	case v == 0:
		return 0, 1
	}
	return min(v, 0), max(v, 0)
}

// at returns the position of a value.
func (s scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		low, high, v = math.Log(low), math.Log(high), math.Log(v)
	}
	return s.from + (v-low)/(high-low)*(s.to-s.from)
}

// within clamps a value to what the scale shows.
func (s scale) within(v float64) float64 { return min(max(v, s.low), s.high) }

// linearTicks returns round values from at most low to at least high, about
// count of them: steps of 1, 2 or 5 times a power of ten.
func linearTicks(low, high float64, count int) []float64 {
	raw := (high - low) / float64(count)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * power
	for _, round := range []float64{1, 2, 5} {
		if round*power >= raw {
			step = round * power
			break
		}
	}
	first, last := math.Floor(low/step), math.Ceil(high/step-1e-9)
	ticks := make([]float64, 0, int(last-first)+1)
	for n := first; n <= last; n++ {
		ticks = append(ticks, n*step)
	}
	return ticks
}

// logTicks returns powers of ten between low and high, or 1, 2, 5 times them
// where those are few.
func logTicks(low, high float64, count int) []float64 {
	steps := []float64{1}
	if math.Log10(high/low) < float64(count)/2 {
		steps = []float64{1, 2, 5}
	}
	var ticks []float64
	for p := math.Floor(math.Log10(low)); p <= math.Ceil(math.Log10(high)); p++ {
		for _, step := range steps {
			if v := step * math.Pow(10, p); v >= low && v <= high {
				ticks = append(ticks, v)
			}
		}
	}
	if len(ticks) == 0 {
		ticks = []float64{low, high}
	}
	return ticks
}

// Count writes a number with three figures and k, M or G.
func Count(v float64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size*0.9995 {
			return sign + threeFigures(v/unit.size) + unit.name
		}
	}
	return sign + threeFigures(v)
}

// Duration writes nanoseconds as ns, µs, ms or s.
func Duration(ns float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if ns >= unit.size*0.9995 {
			return threeFigures(ns/unit.size) + " " + unit.name
		}
	}
	return threeFigures(ns) + " ns"
}

// threeFigures leaves out zeros that say nothing.
func threeFigures(v float64) string {
	digits := 2
	switch {
	case v >= 99.95:
		digits = 0
	case v >= 9.995:
		digits = 1
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
