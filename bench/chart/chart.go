package chart

import (
	"errors"
	"fmt"
	"math"
)

// MaxSeries is how many series one chart takes: more than the eye keeps apart
// by colour, shape and label together.
const MaxSeries = 8

// Chart is a picture of one or more series over common axes.
type Chart struct {
	Title string // what is seen, in words; also read out to those who see no picture
	X, Y  Axis
	// Series are drawn in their order, and take their colours by Series.Colour.
	Series []Series
}

// Axis says how values along it are placed and written.
type Axis struct {
	Label string
	Log   bool // equal ratios take equal room; all values must be above 0
	// Ticks are the values that are written; nil chooses round ones.
	Ticks []float64
	// Format writes a value; nil writes 1.5k, 2M and so on.
	Format func(float64) string
	// Zero makes a linear axis start at 0, so that heights can be compared.
	Zero bool
}

// Series is one line.
type Series struct {
	Name   string
	Colour int // 0 to MaxSeries-1: the same thing has the same colour in every chart
	Points []Point
	Plain  bool // no marks at the points: for curves of many points
}

// Point is one value with its interval; Low and High are equal to Y, or both 0,
// where there is none.
type Point struct{ X, Y, Low, High float64 }

func (p Point) hasInterval() bool { return p.Low < p.Y || p.High > p.Y && p.High != 0 }

// check refuses what cannot be drawn.
func (c Chart) check() error {
	if len(c.Series) > MaxSeries {
		return fmt.Errorf("draw %q: %d series, at most %d", c.Title, len(c.Series), MaxSeries)
	}
	points := 0
	for _, s := range c.Series {
		if s.Colour < 0 || s.Colour >= MaxSeries {
			return fmt.Errorf("draw %q: series %s: no colour %d", c.Title, s.Name, s.Colour)
		}
		for _, p := range s.Points {
			if err := c.checkPoint(p); err != nil {
				return fmt.Errorf("draw %q: series %s: %w", c.Title, s.Name, err)
			}
			points++
		}
	}
	if points == 0 {
		return fmt.Errorf("draw %q: no points", c.Title)
	}
	return nil
}

func (c Chart) checkPoint(p Point) error {
	for _, v := range []float64{p.X, p.Y, p.Low, p.High} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a value that is no number")
		}
	}
	if c.X.Log && p.X <= 0 || c.Y.Log && p.Y <= 0 {
		return fmt.Errorf("point (%g, %g) on a logarithmic axis", p.X, p.Y)
	}
	return nil
}

// extent returns the least and greatest value of all points along one axis.
func (c Chart) extent(axis Axis, values func(Point) []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, s := range c.Series {
		for _, p := range s.Points {
			for _, v := range values(p) {
				if axis.Log && v <= 0 {
					continue
				}
				low, high = min(low, v), max(high, v)
			}
		}
	}
	for _, v := range axis.Ticks {
		low, high = min(low, v), max(high, v)
	}
	if axis.Zero && !axis.Log {
		low = min(low, 0)
	}
	return low, high
}

func xValues(p Point) []float64 { return []float64{p.X} }

func yValues(p Point) []float64 {
	if p.hasInterval() {
		return []float64{p.Y, p.Low, p.High}
	}
	return []float64{p.Y}
}
