package report

import (
	"fmt"
	"strconv"

	"github.com/HdrHistogram/hdrhistogram-go"

	"umroute/bench/chart"
	"umroute/bench/result"
)

// times is one kind of distribution that samples may have.
type times struct {
	name, file string
	of         func(result.Measured) *result.Distribution
	delays     bool // drawn as the part that was served within a time
}

func latencyTimes() times {
	return times{name: "one-way latency", file: "latency",
		of: func(m result.Measured) *result.Distribution { return m.Latency }}
}

func skewTimes() times {
	return times{name: "skew, first to last copy", file: "skew",
		of: func(m result.Measured) *result.Distribution { return m.Skew }}
}

func joinTimes() times {
	return times{name: "group join delay", file: "join", delays: true,
		of: func(m result.Measured) *result.Distribution { return m.Join }}
}

func leaveTimes() times {
	return times{name: "group leave delay", file: "leave", delays: true,
		of: func(m result.Measured) *result.Distribution { return m.Leave }}
}

// merged is all repeats of one row by one engine in one histogram; nil if none
// of them has one.
func (t table) merged(r row, engine string, kind times) (*hdrhistogram.Histogram, error) {
	var all *hdrhistogram.Histogram
	for _, m := range quiet(t.samples[r][engine]) {
		d := kind.of(m)
		if d == nil || d.HDR == "" {
			continue
		}
		h, err := d.Histogram()
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = result.NewHistogram()
		}
		all.Merge(h)
	}
	return all, nil
}

// timesSection shows one kind of distribution of all rows that have it.
func timesSection(t table, title string, kind times, text ...string) (Section, error) {
	s := Section{Heading: title, Text: text}
	numbers := Table{Caption: kind.name, Head: []string{"what", "engine", "median", "p90", "p99",
		"p99.9", "most", "count"}}
	for _, r := range t.rows {
		f := Figure{Name: fileName(r.test, kind.file, r.String()),
			Caption: kind.name + ": " + r.String()}
		f.Chart = chart.Chart{Title: f.Caption, X: percentileAxis(),
			Y: chart.Axis{Label: kind.name, Log: true, Format: chart.Duration}}
		if kind.delays {
			f.Chart.X = chart.Axis{Label: kind.name, Log: true, Format: chart.Duration}
			f.Chart.Y = chart.Axis{Label: "served, %", Zero: true}
		}
		for _, engine := range t.engines {
			h, err := t.merged(r, engine, kind)
			if err != nil {
				return s, fmt.Errorf("%s of %s: %w", kind.name, engine, err)
			}
			if h == nil {
				continue
			}
			numbers.Rows = append(numbers.Rows, timesRow(r, engine, h))
			if len(f.Chart.Series) < chart.MaxSeries {
				f.Chart.Series = append(f.Chart.Series, chart.Series{Name: engine,
					Colour: t.colour(engine), Points: curve(h, kind.delays), Plain: true})
			}
		}
		if len(f.Chart.Series) > 0 {
			s.Figures = append(s.Figures, f)
		}
	}
	if len(numbers.Rows) > 0 {
		s.Tables = append(s.Tables, numbers)
	}
	return s, nil
}

func timesRow(r row, engine string, h *hdrhistogram.Histogram) []Cell {
	at := func(q float64) string { return chart.Duration(float64(h.ValueAtQuantile(q))) }
	return cells(r.String(), engine, at(50), at(90), at(99), at(99.9),
		chart.Duration(float64(h.Max())), strconv.FormatInt(h.TotalCount(), 10))
}

// percentileAxis gives each further nine the same room; a point at x stands
// for the percentile 100 - 100/x.
func percentileAxis() chart.Axis {
	return chart.Axis{Label: "percentile", Log: true, Ticks: []float64{1, 2, 10, 100, 1e3, 1e4},
		Format: func(x float64) string {
			return strconv.FormatFloat(100-100/x, 'f', -1, 64)
		}}
}

// curve walks through a histogram: time over percentile, or the part in
// percent over the delay. It ends where fewer than one value is left.
func curve(h *hdrhistogram.Histogram, delays bool) []chart.Point {
	var points []chart.Point
	limit := min(float64(h.TotalCount()), 1e4)
	const steps = 12 // in each nine
	for i := 0; ; i++ {
		x := pow10(float64(i) / steps)
		if x > limit*1.0001 {
			break
		}
		percentile := 100 - 100/x
		value := max(float64(h.ValueAtQuantile(percentile)), 1)
		if delays {
			points = append(points, chart.Point{X: value, Y: percentile})
		} else {
			points = append(points, chart.Point{X: x, Y: value})
		}
	}
	if delays {
		points = append(points, chart.Point{X: max(float64(h.Max()), 1), Y: 100})
	}
	return points
}
