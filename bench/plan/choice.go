package plan

import "slices"

// Closed is a Choice.Find that wants closed loops.
const Closed = "closed"

// Choice is which rows a user wants. A list that is empty leaves the choice
// open.
type Choice struct {
	Oifs, Sizes, Flows []int
	Senders, Receivers []string

	IPv6 bool    // in the place of IPv4
	Rate float64 // in the place of the rows' own; 0 keeps that
	Find string  // likewise; with it, Rate is 0
	// Burst sends at a rate in bursts.
	Burst bool
}

// Among returns those of rows that have one of the chosen values each.
func (c Choice) Among(rows []Row) []Row {
	var chosen []Row
	for _, r := range rows {
		if open(c.Oifs, r.Oifs) && open(c.Sizes, r.Size) && open(c.Flows, r.Flows) &&
			open(c.Senders, r.Sender) && open(c.Receivers, r.Receiver) {
			chosen = append(chosen, r)
		}
	}
	return c.finish(chosen)
}

// open says whether a list has the value or leaves the choice open.
func open[T comparable](list []T, value T) bool {
	return len(list) == 0 || slices.Contains(list, value)
}

// Vary returns each of rows with each combination of the chosen values in the
// place of its own. The family and
// rate of a row about joins are its own.
func (c Choice) Vary(rows []Row) []Row {
	return c.finish(c.vary(rows))
}

// Combine returns a row for each combination of the chosen values. Where the
// choice is open it is one flow of 512 bytes to 4, plain to plain.
func (c Choice) Combine() []Row {
	rows := []Row{{Oifs: 4, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain}}
	return c.finish(c.vary(rows))
}

func (c Choice) vary(rows []Row) []Row {
	rows = vary(rows, c.Senders, func(r *Row, v string) { r.Sender = v })
	rows = vary(rows, c.Receivers, func(r *Row, v string) { r.Receiver = v })
	rows = vary(rows, c.Flows, func(r *Row, v int) { r.Flows = v })
	rows = vary(rows, c.Sizes, func(r *Row, v int) { r.Size = v })
	return vary(rows, c.Oifs, func(r *Row, v int) { r.Oifs = v })
}

// vary gives one copy of each row for each value.
func vary[T any](rows []Row, values []T, set func(*Row, T)) []Row {
	if len(values) == 0 {
		return rows
	}
	var all []Row
	for _, r := range rows {
		for _, v := range values {
			set(&r, v)
			all = append(all, r)
		}
	}
	return all
}

// finish sets what holds for all rows, and leaves out what is there twice.
func (c Choice) finish(rows []Row) []Row {
	var unique []Row
	for _, r := range rows {
		if !r.Joins() {
			r.IPv6 = c.IPv6
		}
		if r.Test == "" {
			r.Test = Forward
		}
		if !r.Joins() && r.Test != Capacity {
			c.setRate(&r)
		}
		r.Target = target(r)
		if !slices.Contains(unique, r) {
			unique = append(unique, r)
		}
	}
	return unique
}

func (c Choice) setRate(r *Row) {
	if c.Rate != 0 {
		r.Rate, r.Find = c.Rate, ""
	}
	if c.Find != "" {
		r.Rate, r.Find = 0, c.Find
	}
	if r.Find == Closed {
		r.Find = ""
	}
	r.Burst = (r.Burst || c.Burst) && r.Rate > 0
}

// target is that of the row of Quick which is r otherwise.
func target(r Row) float64 {
	for _, known := range Quick() {
		r.Target = known.Target
		if r == known {
			return known.Target
		}
	}
	return 0
}
