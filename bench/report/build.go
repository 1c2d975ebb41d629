package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"umroute/bench/chart"
	"umroute/bench/result"
)

// Build puts a page together from runs. Samples of the same row by the same
// engine count together, whichever run they are of.
func Build(runs []Run) (Page, error) {
	var samples []result.Measured
	for _, run := range runs {
		samples = append(samples, run.Samples...)
	}
	if len(samples) == 0 {
		return Page{}, ErrNothing
	}
	t := newTable(samples)
	p := Page{Title: "Multicast forwarding, measured", Summary: summary(runs, samples)}
	p.Sections = rateSections(t)
	more, err := timeSections(t)
	if err != nil {
		return p, err
	}
	p.Sections = append(p.Sections, more...)
	p.Sections = append(p.Sections, capacitySection(t), missingSection(runs), method())
	p.Sections = slices.DeleteFunc(p.Sections, func(s Section) bool {
		return len(s.Figures)+len(s.Tables) == 0 && s.Heading != method().Heading
	})
	for _, run := range runs {
		p.Facts = append(p.Facts, facts(run)...)
	}
	return p, nil
}

// rateSections shows each test at each kind of rate by itself.
func rateSections(t table) []Section {
	titles := map[string]string{
		"closed": "closed loop", "fixed": "fixed rate", "ndr": "no drop rate",
		"pdr": "partial drop rate, 0.5 %", "mrr": "offered without limit",
	}
	texts := map[string]string{
		"closed": "The sender keeps as many datagrams under way as the slowest receiver's " +
			"buffer takes: nothing is lost, and the rate is what the whole chain bears.",
		"ndr": "The highest rate found at which no datagram was lost.",
		"pdr": "The highest rate found at which at most 0.5 % of the datagrams were lost.",
		"mrr": "The sender offers all it can; what arrives counts, and loss is usual.",
	}
	type kind struct{ test, rate string }
	var order []kind
	groups := map[kind][]row{}
	for _, r := range t.rows {
		k := kind{r.test, r.rate}
		if r.rate == "fixed" || r.protocol != "" {
			continue // their times count
		}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], r)
	}
	var all []Section
	for _, k := range order {
		title := fmt.Sprintf("Throughput: %s, %s", k.test, titles[k.rate])
		var text []string
		if texts[k.rate] != "" {
			text = []string{texts[k.rate]}
		}
		all = append(all, throughputSection(t, title, groups[k], text...))
	}
	return all
}

func timeSections(t table) ([]Section, error) {
	var all []Section
	for _, s := range []struct {
		title string
		kind  times
		text  string
	}{
		{"Latency", latencyTimes(), "From the moment a datagram was to be sent to its arrival " +
			"at each receiver (RFC 3918, section 5.1); all repeats together. Each step to the " +
			"right on the axis has one more nine."},
		{"Skew between outputs", skewTimes(), "From the first copy of a datagram to its last " +
			"(RFC 3918, section 5.2)."},
		{"Group join delay", joinTimes(), "From the join of a host to the first datagram that " +
			"it gets (RFC 3918, section 6.1): which part was served within which time."},
		{"Group leave delay", leaveTimes(), "From the leave of a host to the last datagram on " +
			"its link (RFC 3918, section 6.2). Without fast leave the querier asks first, and " +
			"waits for an answer."},
	} {
		section, err := timesSection(t, s.title, s.kind, s.text)
		if err != nil {
			return nil, err
		}
		all = append(all, section)
	}
	return all, nil
}

func capacitySection(t table) Section {
	s := Section{Heading: "Group capacity", Text: []string{"How many groups were forwarded " +
		"without fault at the most (RFC 3918, section 7.1)."}}
	out := Table{Head: []string{"what", "engine", "groups", "ended by"}}
	for _, r := range t.rows {
		for _, engine := range t.engines {
			value := func(m result.Measured) float64 { return float64(m.Capacity) }
			c := t.spread(r, engine, value)
			if len(c.values) == 0 {
				continue
			}
			out.Rows = append(out.Rows, cells(r.String(), engine, c.write(chart.Count),
				t.samples[r][engine][0].CapacityLimited))
		}
	}
	if len(out.Rows) > 0 {
		s.Tables = []Table{out}
	}
	return s
}

func missingSection(runs []Run) Section {
	s := Section{Heading: "Not measured"}
	out := Table{Head: []string{"what", "why"}}
	for _, run := range runs {
		for _, m := range run.Missing {
			out.Rows = append(out.Rows, cells(m.What, m.Why))
		}
	}
	if len(out.Rows) > 0 {
		s.Tables = []Table{out}
	}
	return s
}

// summary says how much was measured, and what makes it doubtful.
func summary(runs []Run, samples []result.Measured) []string {
	noisy, repeats := 0, map[string]int{}
	for _, m := range samples {
		if m.Noisy {
			noisy++
		}
		repeats[fmt.Sprint(rowOf(m), m.Engine, m.IO)]++
	}
	least := len(samples)
	for _, n := range repeats {
		least = min(least, n)
	}
	text := []string{fmt.Sprintf("%d samples of %d combinations of engine and traffic, at least "+
		"%d of each. Figures are medians; where at least six samples allow it, with an "+
		"interval that holds the true median with 95 %% confidence.", len(samples),
		len(repeats), least)}
	if least < 10 {
		text = append(text, "Fewer than ten samples of some: take the figures as a first look.")
	}
	if noisy > 0 {
		text = append(text, fmt.Sprintf("%d of the samples were taken while others used the "+
			"machine; they are left out where enough remain.", noisy))
	}
	for _, run := range runs {
		switch {
		case run.End == nil:
			text = append(text, run.File+": the run did not come to its end.")
		case run.End.Interrupted:
			text = append(text, run.File+": the run was interrupted.")
		}
		if run.End != nil {
			text = append(text, run.End.Warnings...)
		}
	}
	return text
}

func method() Section {
	return Section{Heading: "How it was measured", Text: []string{
		"Sender, router and receivers are processes in network namespaces of one machine; " +
			"the engines take turns (A B C, A B C, …), so that what disturbs the machine " +
			"disturbs all of them. Sender and receivers use the same processors as the router: " +
			"figures are those of the whole chain, and ratios between engines say more than " +
			"the figures themselves.",
		"Every datagram carries a number, and every receiver checks number, bytes, source and " +
			"TTL. Processor time is that of everything that took part, interrupts included. " +
			"Differences are marked where the Mann-Whitney U test gives chance less than 5 %.",
	}}
}

func facts(run Run) []Fact {
	m := run.Machine
	list := []Fact{{"file", run.File}}
	add := func(key, value string) {
		if value != "" {
			list = append(list, Fact{key, value})
		}
	}
	if !m.Date.IsZero() {
		add("date", m.Date.UTC().Format(time.DateTime)+" UTC")
	}
	add("command", strings.Join(m.Command, " "))
	add("umroute", strings.TrimSpace(m.Version+" "+m.Commit))
	add("Go", m.Go)
	add("processor", m.CPU)
	if m.Cores > 0 {
		add("cores", fmt.Sprint(m.Cores))
		add("memory", fmt.Sprintf("%.1f GiB", float64(m.Memory)/(1<<30)))
	}
	add("virtual machine", m.Virtualization)
	add("kernel", m.Kernel)
	add("load before", m.LoadAvg)
	add("mitigations", pairs(m.Mitigations))
	add("offloads", pairs(m.Offloads))
	add("queues", pairs(m.Queues))
	add("versions", pairs(m.Versions))
	return list
}

func pairs[V any](m map[string]V) string {
	var list []string
	for key, value := range m {
		list = append(list, fmt.Sprintf("%s: %v", key, value))
	}
	slices.Sort(list)
	return strings.Join(list, "; ")
}

// fileName makes a name of words that every file system takes.
func fileName(words ...string) string {
	var b strings.Builder
	for _, word := range words {
		for _, r := range strings.ToLower(word) {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				b.WriteRune(r)
			} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
		}
		if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	return strings.TrimSuffix(b.String(), "-")
}

func pow10(x float64) float64 { return math.Pow(10, x) }
