package report

import (
	"fmt"

	"umroute/bench/chart"
	"umroute/bench/result"
)

// Compare puts a page together that shows what changed from one measurement to
// another: each figure that both have, and whether the difference is more than
// chance.
func Compare(before, after []Run) (Page, error) {
	old, next := collect(before), collect(after)
	if len(old) == 0 || len(next) == 0 {
		return Page{}, ErrNothing
	}
	was, is := newTable(old), newTable(next)
	p := Page{Title: "Multicast forwarding, compared"}
	compared, changed := 0, 0
	for _, m := range comparedMetrics() {
		out := Table{Head: []string{"what", "engine", "before", "after", "change", "p"}}
		for _, r := range was.rows {
			for _, engine := range was.engines {
				a, b := was.spread(r, engine, m.value), is.spread(r, engine, m.value)
				if len(a.values) == 0 || len(b.values) == 0 || a.median == 0 {
					continue
				}
				row, significant := comparison(r, engine, m, a, b)
				out.Rows = append(out.Rows, row)
				compared++
				if significant {
					changed++
				}
			}
		}
		if len(out.Rows) > 0 {
			p.Sections = append(p.Sections, Section{Heading: m.name, Tables: []Table{out}})
		}
	}
	if compared == 0 {
		return Page{}, fmt.Errorf("compare: %w that both measurements have", ErrNothing)
	}
	p.Summary = []string{
		fmt.Sprintf("%d of %d figures changed by more than chance: the Mann-Whitney U test "+
			"gives p below %.2f. Among %d figures, about %.0f would seem to if nothing had "+
			"changed at all.", changed, compared, significance, compared,
			float64(compared)*significance),
		"Fewer than four samples on a side cannot show a difference.",
	}
	for _, runs := range [][]Run{before, after} {
		for _, run := range runs {
			p.Facts = append(p.Facts, facts(run)...)
		}
	}
	return p, nil
}

func collect(runs []Run) []result.Measured {
	var samples []result.Measured
	for _, run := range runs {
		samples = append(samples, run.Samples...)
	}
	return samples
}

// comparedMetrics are the figures for which better and worse have a meaning.
func comparedMetrics() []metric {
	of := func(name string, kind times, value func(*result.Distribution) int64) metric {
		return metric{name: name, less: true, format: chart.Duration,
			value: func(m result.Measured) float64 {
				if d := kind.of(m); d != nil {
					return float64(value(d))
				}
				return 0
			}}
	}
	median := func(d *result.Distribution) int64 { return d.P50 }
	return []metric{
		delivered(), cost(),
		of("one-way latency, median", latencyTimes(), median),
		of("one-way latency, 99 %", latencyTimes(),
			func(d *result.Distribution) int64 { return d.P99 }),
		of("group join delay, median", joinTimes(), median),
		of("group leave delay, median", leaveTimes(), median),
	}
}

// comparison is one line: the change in percent, or "~" where it may be chance.
func comparison(r row, engine string, m metric, a, b spread) ([]Cell, bool) {
	p := chance(a, b)
	name := r.test + ", " + r.rate
	if text := r.String(); text != "" {
		name += ": " + text
	}
	line := cells(name, engine, a.write(m.format), b.write(m.format), "~",
		probability(p))
	if p >= significance {
		return line, false
	}
	line[4].Text = fmt.Sprintf("%+.1f %%", (b.median/a.median-1)*100)
	line[4].Kind = "worse"
	if b.median > a.median != m.less {
		line[4].Kind = "better"
	}
	return line, true
}

func probability(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	return fmt.Sprintf("%.3f", p)
}
