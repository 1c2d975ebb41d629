package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"umroute/cmd/umroute/internal/control"
)

// cell is one field of a table: what is shown, and what it is sorted by where
// that is a number.
type cell struct {
	text   string
	number float64
	digits bool // number counts
}

func word(text string) cell {
	if text == "" {
		text = "-"
	}
	return cell{text: clean(text)}
}

func amount(n float64) cell { return cell{text: short(n), number: n, digits: true} }

func whole(n uint64) cell {
	return cell{text: strconv.FormatUint(n, 10), number: float64(n), digits: true}
}

func seconds(s float64) cell {
	text := time.Duration(s * float64(time.Second)).Round(time.Second).String()
	return cell{text: text, number: s, digits: true}
}

// short writes a rate in at most five characters.
func short(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1fG", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1fM", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.0fk", n/1e3)
	}
	return fmt.Sprintf("%.0f", n)
}

func (c cell) compare(other cell) int {
	if c.digits && other.digits {
		return cmp.Compare(other.number, c.number) // the largest first
	}
	return cmp.Compare(c.text, other.text)
}

// table is one of the views.
type table struct {
	name    string
	columns []string
	rows    func(*State) [][]cell
	// sorted is the column by which rows are sorted at first, -1: as they come.
	sorted int
}

// tables are the views, in the order of their keys.
var tables = []table{
	{"interfaces", []string{"Interface", "State", "Link", "Netns", "IO", "Groups", "Rx/s",
		"Tx/s", "Drops/s", "Rx", "Tx", "Drops"}, interfaceRows, -1},
	{"groups", []string{"Interface", "Group", "Mode", "Sources", "Members", "V", "Uptime",
		"Reporters"}, groupRows, -1},
	{"flows", []string{"Source", "Group", "In", "Out", "Packets/s", "Packets", "WrongIf", "Owner",
		"Uptime"}, flowRows, 4},
	{"events", []string{"Time", "Level", "Event", "Attributes"}, eventRows, -1},
}

func interfaceRows(s *State) (rows [][]cell) {
	for _, i := range s.Interfaces {
		state := "up"
		if !i.Up {
			state = "down"
		}
		rows = append(rows, []cell{word(i.Name), word(state), word(i.Link), word(i.Netns),
			word(i.IO), whole(uint64(i.IGMP.Groups + i.MLD.Groups)), amount(s.rate("rx", i.Name)),
			amount(s.rate("tx", i.Name)), amount(s.rate("drops", i.Name)), whole(i.RxPackets),
			whole(i.TxPackets), whole(total(i.Drops))})
	}
	return rows
}

func groupRows(s *State) (rows [][]cell) {
	for _, g := range s.Groups {
		rows = append(rows, []cell{word(g.Interface), word(g.Group), word(g.Mode),
			whole(uint64(len(g.Sources))), whole(uint64(len(g.Reporters))),
			whole(uint64(g.Version)), seconds(s.since("groups", g.Uptime)),
			word(strings.Join(g.Reporters, ","))})
	}
	return rows
}

func flowRows(s *State) (rows [][]cell) {
	for _, r := range s.Routes {
		var outputs []string
		for _, oif := range r.OIFs {
			outputs = append(outputs, oif.Interface)
		}
		rows = append(rows, []cell{word(r.Source), word(r.Group), word(r.IIF),
			word(strings.Join(outputs, ",")), amount(s.rate("flow", flowName(r))), whole(r.Packets),
			whole(r.WrongIf), word(r.Owner), seconds(s.since("routes", r.Uptime))})
	}
	return rows
}

// eventRows has the newest first, as what has just happened matters most.
func eventRows(s *State) (rows [][]cell) {
	for _, e := range slices.Backward(s.Events) {
		rows = append(rows, []cell{word(clock(e)), word(e.Level), word(e.Message),
			word(attributes(e))})
	}
	return rows
}

func clock(e control.Event) string {
	at, err := time.Parse(time.RFC3339Nano, e.Time)
	if err != nil {
		return e.Time
	}
	return at.Local().Format("15:04:05.000")
}

func attributes(e control.Event) string {
	var all []string
	for key, value := range e.Attributes {
		all = append(all, key+"="+clean(value))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// choose keeps the rows in which some cell contains the filter, and sorts them.
func choose(rows [][]cell, filter string, column int, reverse bool) [][]cell {
	filter = strings.ToLower(filter)
	rows = slices.DeleteFunc(rows, func(row []cell) bool {
		return !slices.ContainsFunc(row, func(c cell) bool {
			return strings.Contains(strings.ToLower(c.text), filter)
		})
	})
	if column >= 0 {
		slices.SortStableFunc(rows, func(a, b []cell) int { return a[column].compare(b[column]) })
	}
	if reverse {
		slices.Reverse(rows)
	}
	return rows
}

// layout writes rows in aligned columns, numbers to the right.
func layout(columns []string, rows [][]cell) (head string, lines []string) {
	widths := make([]int, len(columns))
	for n, column := range columns {
		widths[n] = utf8.RuneCountInString(column)
		for _, row := range rows {
			widths[n] = max(widths[n], utf8.RuneCountInString(row[n].text))
		}
	}
	write := func(text func(n int) (string, bool)) string {
		var b strings.Builder
		for n := range columns {
			content, right := text(n)
			format := "%-*s  "
			if right {
				format = "%*s  "
			}
			fmt.Fprintf(&b, format, widths[n], content)
		}
		return strings.TrimRight(b.String(), " ")
	}
	right := func(n int) bool { return len(rows) > 0 && rows[0][n].digits }
	head = write(func(n int) (string, bool) { return columns[n], right(n) })
	for _, row := range rows {
		lines = append(lines, write(func(n int) (string, bool) {
			return row[n].text, row[n].digits
		}))
	}
	return head, lines
}
