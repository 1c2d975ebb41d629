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

// WriteTable prints summaries for people: a line for each row and engine.
func WriteTable(w io.Writer, summaries []Summary) error {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join([]string{"sender", "receiver", "flows", "size", "oifs", "engine",
		"dgrams/s", "min..max", "x kernel", "target", "cpu-s/Mpkt", "x kernel", "router",
		"p50", "p99", "loss", "faults", "n", ""}, "\t"))
	var last plan.Row
	for i, s := range summaries {
		if i > 0 && kind(s.Row) != kind(last) {
			fmt.Fprintln(t, strings.Repeat("\t", 18))
		}
		last = s.Row
		fmt.Fprintln(t, strings.Join(append(rowCells(s.Row), figureCells(s)...), "\t")+"\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return writeLosses(w, summaries)
}

// writeLosses says where datagrams were lost, as far as somebody counted them.
func writeLosses(w io.Writer, summaries []Summary) error {
	for _, s := range summaries {
		if s.Loss == 0 || len(s.Dropped) == 0 {
			continue
		}
		var places []string
		for _, where := range slices.Sorted(maps.Keys(s.Dropped)) {
			places = append(places, fmt.Sprintf("%d %s", s.Dropped[where], where))
		}
		_, err := fmt.Fprintf(w, "lost with %s, %s: %s\n", s.Engine,
			strings.Join(strings.Fields(strings.Join(rowCells(s.Row), " ")), " "),
			strings.Join(places, ", "))
		if err != nil {
			return err
		}
	}
	return nil
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
	if r.Rate > 0 {
		sender += fmt.Sprintf(" %s/s", count(r.Rate))
	}
	return []string{sender, r.Receiver, fmt.Sprint(r.Flows), fmt.Sprint(r.Size), fmt.Sprint(r.Oifs)}
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
		count(s.Throughput.Min) + ".." + count(s.Throughput.Max),
		times(s.OfKernel), target,
		fmt.Sprintf("%.2f", s.Cost.Median),
		times(s.CostOfKernel),
		unless0(s.RouterCost.Median, "%.2f"),
		latency(s.P50.Median), latency(s.P99.Median),
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
