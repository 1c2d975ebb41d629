package result

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"umroute/bench/plan"
)

// WriteTable prints summaries for people: a line for each row and engine, in a
// table for each kind of measurement.
func WriteTable(w io.Writer, summaries []Summary) error {
	var traffic, joins, capacities []Summary
	for _, s := range summaries {
		switch {
		case s.Row.Joins():
			joins = append(joins, s)
		case s.Row.Test == plan.Capacity:
			capacities = append(capacities, s)
		default:
			traffic = append(traffic, s)
		}
	}
	var parts []string
	if len(traffic) > 0 {
		parts = append(parts, trafficTable(traffic)+losses(traffic))
	}
	if len(joins) > 0 {
		parts = append(parts, delayTable(joins))
	}
	if len(capacities) > 0 {
		parts = append(parts, capacityTable(capacities))
	}
	_, err := io.WriteString(w, strings.Join(parts, "\n"))
	return err
}

// table lines cells up, and leaves no blanks at the ends of lines.
func table(flags uint, rows [][]string) string {
	var text, trimmed strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', flags)
	for _, cells := range rows {
		fmt.Fprintln(t, strings.Join(cells, "\t")+"\t")
	}
	t.Flush()
	for line := range strings.Lines(text.String()) {
		trimmed.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return trimmed.String()
}

func trafficTable(summaries []Summary) string {
	rows := [][]string{{"test", "sender", "receiver", "flows", "size", "oifs", "rate", "engine",
		"dgrams/s", "interval", "x kernel", "target", "x naive", "cpu-s/Mpkt", "x kernel",
		"x naive", "router", "p50", "p99", "skew", "loss", "faults", "n"}}
	var last Summary
	for i, s := range summaries {
		if i > 0 && (kind(s.Row) != kind(last.Row) || s.Rate != last.Rate) {
			rows = append(rows, make([]string, len(rows[0])))
		}
		last = s
		cells := append([]string{testOf(s.Row)}, rowCells(s.Row)...)
		rows = append(rows, append(append(cells, s.Rate), figureCells(s)...))
	}
	return table(tabwriter.AlignRight, rows)
}

func delayTable(summaries []Summary) string {
	rows := [][]string{{"test", "protocol", "fast leave", "burden", "engine", "p50", "p90", "p99",
		"min", "max", "n"}}
	for _, s := range summaries {
		cells := []string{s.Row.Test, s.Row.Protocol, yes(s.Row.FastLeave), count(s.Row.Burden),
			s.Engine.String()}
		if d := s.Delay; d != nil {
			for _, ns := range []int64{d.P50, d.P90, d.P99, d.Min, d.Max} {
				cells = append(cells, time.Duration(ns).Round(10*time.Microsecond).String())
			}
			cells = append(cells, fmt.Sprint(d.Count))
		}
		rows = append(rows, cells)
	}
	return table(0, rows)
}

func capacityTable(summaries []Summary) string {
	rows := [][]string{{"test", "ip", "engine", "groups", "interval", "limit", "n"}}
	for _, s := range summaries {
		c := s.Capacity
		rows = append(rows, []string{s.Row.Test, family(s.Row), s.Engine.String(), count(c.Median),
			count(c.Low) + ".." + count(c.High), s.Limit, fmt.Sprint(s.Samples)})
	}
	return table(0, rows)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func family(r plan.Row) string {
	if r.IPv6 {
		return "6"
	}
	return "4"
}

func testOf(r plan.Row) string {
	if r.Test == "" {
		return plan.Forward
	}
	return r.Test
}

// losses says where datagrams were lost, as far as somebody counted them.
func losses(summaries []Summary) string {
	var b strings.Builder
	for _, s := range summaries {
		// Without limit there is always loss, and in a search at a limit.
		if s.Loss == 0 || len(s.Dropped) == 0 || s.Rate != Closed && s.Rate != Fixed {
			continue
		}
		var places []string
		for _, where := range slices.Sorted(maps.Keys(s.Dropped)) {
			places = append(places, fmt.Sprintf("%d %s", s.Dropped[where], where))
		}
		fmt.Fprintf(&b, "lost with %s, %s: %s\n", s.Engine,
			strings.Join(strings.Fields(strings.Join(rowCells(s.Row), " ")), " "),
			strings.Join(places, ", "))
	}
	return b.String()
}

// kind is a row without its fan-out: what stands together in the table.
func kind(r plan.Row) plan.Row {
	r.Oifs, r.Target = 0, 0
	return r
}

func rowCells(r plan.Row) []string {
	sender := r.Sender
	if r.IPv6 {
		sender += " IPv6"
	}
	if r.Burst {
		sender += " bursts"
	}
	if r.Rate > 0 {
		sender += fmt.Sprintf(" %s/s", count(r.Rate))
	}
	if r.Unicast > 0 {
		sender += fmt.Sprintf(" %d0%% unicast", r.Unicast)
	}
	if r.Burden > 0 {
		sender += fmt.Sprintf(" beside %s/s", count(r.Burden))
	}
	size := "imix"
	if r.Size > 0 {
		size = fmt.Sprint(r.Size)
	}
	return []string{sender, r.Receiver, fmt.Sprint(r.Flows), size, fmt.Sprint(r.Oifs)}
}

func figureCells(s Summary) []string {
	target := ""
	if s.Row.Target > 0 && s.Engine.Name == plan.Umroute {
		target = fmt.Sprintf("%.1f", s.Row.Target)
	}
	samples := fmt.Sprint(s.Samples)
	if s.Noisy > 0 {
		samples += fmt.Sprintf("(-%d)", s.Noisy)
	}
	return []string{
		s.Engine.String(),
		count(s.Throughput.Median),
		count(s.Throughput.Low) + ".." + count(s.Throughput.High),
		times(s.OfKernel), target, times(s.OfNaive),
		fmt.Sprintf("%.2f", s.Cost.Median),
		times(s.CostOfKernel), times(s.CostOfNaive),
		unless0(s.RouterCost.Median, "%.2f"),
		latency(s.P50.Median), latency(s.P99.Median), latency(s.Skew.Median),
		percent(s.Loss), fmt.Sprint(s.Faults), samples,
	}
}

// count prints a number with three digits or so: 950, 9.50k, 95.0k, 950k.
func count(v float64) string {
	switch {
	case v >= 1e7:
		return fmt.Sprintf("%.1fM", v/1e6)
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 1e5:
		return fmt.Sprintf("%.0fk", v/1e3)
	case v >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	case v >= 1e3:
		return fmt.Sprintf("%.2fk", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}

func times(v float64) string { return unless0(v, "%.2f") }

func unless0(v float64, format string) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func latency(ns float64) string {
	if ns == 0 {
		return ""
	}
	return time.Duration(ns).Round(time.Microsecond).String()
}

func percent(fraction float64) string {
	if fraction == 0 {
		return "0"
	}
	return fmt.Sprintf("%.3f%%", fraction*100)
}
