package report

import (
	"fmt"
	"slices"

	"umroute/bench/chart"
	"umroute/bench/result"
)

// metric is one figure of a sample.
type metric struct {
	name   string // for the axis
	file   string // for the plot's file
	value  func(result.Measured) float64
	format func(float64) string
	less   bool // is better
}

func delivered() metric {
	return metric{name: "datagrams/s delivered", file: "throughput", format: chart.Count,
		value: func(m result.Measured) float64 { return m.Delivered }}
}

// cost is processor time for what was sent: it is the steadier figure where
// others use the machine.
func cost() metric {
	return metric{name: "CPU seconds per million sent, whole system", file: "cpu", less: true,
		format: func(v float64) string { return fmt.Sprintf("%.3g", v) },
		value: func(m result.Measured) float64 {
			if m.CPUPerSent > 0 {
				return m.CPUPerSent
			}
			return m.CPUPerCopies * float64(m.Oifs)
		}}
}

// throughputSection shows what went through at one kind of rate.
func throughputSection(t table, title string, rows []row, text ...string) Section {
	s := Section{Heading: title, Text: text}
	for _, group := range byAxis(rows) {
		for _, m := range []metric{delivered(), cost()} {
			if f, ok := t.figure(group, m); ok {
				s.Figures = append(s.Figures, f)
			}
		}
	}
	s.Tables = append(s.Tables, t.ratios(rows, delivered()), t.ratios(rows, cost()))
	s.Tables = slices.DeleteFunc(s.Tables, func(t Table) bool { return len(t.Rows) == 0 })
	return s
}

// axisGroup is rows that differ in one dimension.
type axisGroup struct {
	along dimension
	rows  []row
	rest  row
}

// byAxis sorts rows into charts: the dimension that puts most of them on a line
// with others makes the axis, and the values of the rest make a chart each.
func byAxis(rows []row) []axisGroup {
	var best []axisGroup
	most := 0
	for _, d := range dimensions() {
		groups, placed := along(d, rows)
		if placed > most {
			best, most = groups, placed
		}
	}
	return best
}

// along groups rows that differ in one dimension alone, and counts them.
func along(d dimension, rows []row) (all []axisGroup, placed int) {
	groups := map[row][]row{}
	var order []row
	for _, r := range rows {
		rest := r
		d.clear(&rest)
		if groups[rest] == nil {
			order = append(order, rest)
		}
		groups[rest] = append(groups[rest], r)
	}
	for _, rest := range order {
		differ := func(r row) bool { return d.value(r) != d.value(groups[rest][0]) }
		if slices.ContainsFunc(groups[rest], differ) {
			all = append(all, axisGroup{d, groups[rest], rest})
			placed += len(groups[rest])
		}
	}
	return all, placed
}

// figure draws one metric of one group of rows, a line for each engine.
func (t table) figure(g axisGroup, m metric) (Figure, bool) {
	c := chart.Chart{
		X: chart.Axis{Label: g.along.name, Log: true},
		Y: chart.Axis{Label: m.name, Zero: true, Format: m.format},
	}
	for _, r := range g.rows {
		v := g.along.value(r)
		c.X.Log = c.X.Log && v > 0
		c.X.Ticks = append(c.X.Ticks, v)
	}
	for _, engine := range t.engines {
		series := chart.Series{Name: engine, Colour: t.colour(engine)}
		for _, r := range g.rows {
			if s := t.spread(r, engine, m.value); len(s.values) > 0 {
				series.Points = append(series.Points, chart.Point{X: g.along.value(r),
					Y: s.median, Low: s.low, High: s.high})
			}
		}
		if len(series.Points) > 0 && len(c.Series) < chart.MaxSeries {
			c.Series = append(c.Series, series)
		}
	}
	if len(c.Series) == 0 {
		return Figure{}, false
	}
	caption := m.name
	if rest := g.rest.String(); rest != "" {
		caption += ": " + rest
	}
	c.Title = caption
	return Figure{Name: fileName(g.rest.test, g.rest.rate, m.file, g.rest.String()),
		Caption: caption, Chart: c}, true
}

// ratios lists one metric of rows, and how it compares with the baseline's.
func (t table) ratios(rows []row, m metric) Table {
	base := t.baseline()
	out := Table{Caption: m.name, Head: []string{"what"}}
	var engines []string
	for _, engine := range t.engines {
		has := func(r row) bool { return len(t.spread(r, engine, m.value).values) > 0 }
		if slices.ContainsFunc(rows, has) {
			engines = append(engines, engine)
			out.Head = append(out.Head, engine)
			if engine != base {
				out.Head = append(out.Head, "of "+base)
			}
		}
	}
	for _, r := range rows {
		cells := []Cell{{Text: r.String()}}
		found := false
		for _, engine := range engines {
			s := t.spread(r, engine, m.value)
			found = found || len(s.values) > 0
			cells = append(cells, Cell{Text: s.write(m.format)})
			if engine != base {
				cells = append(cells, ratioCell(s, t.spread(r, base, m.value), m))
			}
		}
		if found {
			out.Rows = append(out.Rows, cells)
		}
	}
	return out
}

// ratioCell marks a ratio that is more than chance.
func ratioCell(s, base spread, m metric) Cell {
	cell := Cell{Text: ratio(s, base)}
	if cell.Text == "–" || chance(s, base) >= significance {
		return cell
	}
	cell.Kind = "worse"
	if s.median > base.median != m.less {
		cell.Kind = "better"
	}
	return cell
}
