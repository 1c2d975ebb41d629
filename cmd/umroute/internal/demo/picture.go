package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"umroute/cmd/umroute/internal/control"
)

// Terminal control: ECMA-48 cursor movement and erasure.
const (
	home      = "\x1b[H"
	clearLine = "\x1b[K"
	clearDown = "\x1b[J"
	clearAll  = "\x1b[2J"
)

// shownEvents is how many of the latest events a terminal shows: as many as
// leave room for the rest in 24 lines.
const shownEvents = 6

// statusEvery is how often a line tells the state where there is no terminal.
const statusEvery = time.Second

// picture shows a demonstration: redrawn in place on a terminal, line by line
// elsewhere.
type picture struct {
	options   Options
	privilege string
	events    []string
	entries   map[string]*rate
	sent      []rate
	reported  time.Duration
}

// rate turns a counter into packets per second, over the last second or so.
type rate struct {
	samples []sample
}

type sample struct {
	at    time.Duration
	count uint64
}

// rateWindow is how many refreshes a rate looks back.
const rateWindow = 5

func (r *rate) add(at time.Duration, count uint64) {
	r.samples = append(r.samples, sample{at, count})
	if len(r.samples) > rateWindow {
		r.samples = r.samples[1:]
	}
}

func (r *rate) perSecond() float64 {
	first, last := r.samples[0], r.samples[len(r.samples)-1]
	if last.at == first.at || last.count < first.count {
		return 0
	}
	return float64(last.count-first.count) / (last.at - first.at).Seconds()
}

func newPicture(options Options, privilege string) *picture {
	p := &picture{options: options, privilege: privilege, entries: make(map[string]*rate),
		sent: make([]rate, len(streams()))}
	if options.Terminal {
		fmt.Fprint(options.Output, clearAll)
	} else {
		fmt.Fprintf(options.Output, "router: %s; hosts: %s\n", privilege, hostNames())
	}
	return p
}

func hostNames() string {
	var names []string
	for _, h := range hosts() {
		names = append(names, h.Name)
	}
	return strings.Join(names, ", ")
}

// event notes what a host does.
func (p *picture) event(at time.Duration, text string) {
	line := fmt.Sprintf("%5.1fs  %s", at.Seconds(), text)
	p.events = append(p.events, line)
	if !p.options.Terminal {
		fmt.Fprintln(p.options.Output, line)
	}
}

// draw shows the present state.
func (p *picture) draw(at time.Duration, counted tally, routes []control.Route) {
	for i := range counted.Sent {
		p.sent[i].add(at, counted.Sent[i])
	}
	for _, route := range routes {
		key := route.Source + " " + route.Group
		if p.entries[key] == nil {
			p.entries[key] = &rate{}
		}
		p.entries[key].add(at, route.Packets)
	}
	if !p.options.Terminal {
		p.status(at, counted, routes)
		return
	}
	var text strings.Builder
	fmt.Fprintf(&text, "umroute demo   %.1f of %.0f s   router: %s\n\n", at.Seconds(),
		p.options.Length.Seconds(), p.privilege)
	p.matrix(&text, counted)
	p.routes(&text, routes)
	fmt.Fprintln(&text, "Events")
	for _, line := range p.events[max(0, len(p.events)-shownEvents):] {
		fmt.Fprintln(&text, line)
	}
	// What was there before is overwritten, not erased first: nothing flickers.
	body := strings.ReplaceAll(text.String(), "\n", clearLine+"\n")
	fmt.Fprint(p.options.Output, home, body, clearDown)
}

// status is one line for logs and pipes.
func (p *picture) status(at time.Duration, counted tally, routes []control.Route) {
	if at < p.reported {
		return
	}
	p.reported = at.Truncate(statusEvery) + statusEvery
	received, lost := map[string]uint64{}, uint64(0)
	for _, s := range counted.Sessions {
		received[s.Host] += s.Received
		lost += s.Lost
	}
	var forwarding int
	for _, route := range routes {
		if !route.Negative {
			forwarding++
		}
	}
	fmt.Fprintf(p.options.Output, "%5.1fs  flows %d, forwarded %d; %s %d, %s %d received, "+
		"%d lost, %d unwanted\n", at.Seconds(), len(routes), forwarding, receiver1,
		received[receiver1], receiver2, received[receiver2], lost, counted.allUnwanted())
}

func (t tally) allUnwanted() (total uint64) {
	for _, counts := range t.Unwanted {
		for _, count := range counts {
			total += count
		}
	}
	return total
}

func columns(w io.Writer, header string, rows func(row func(format string, args ...any))) {
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(aligned, header)
	rows(func(format string, args ...any) { fmt.Fprintf(aligned, format+"\n", args...) })
	aligned.Flush()
	fmt.Fprintln(w)
}

// matrix shows each stream and what each receiver has of it.
func (p *picture) matrix(w io.Writer, counted tally) {
	header := "Group\tSent\tRate\t" + receiver1 + "\t" + receiver2
	columns(w, header, func(row func(string, ...any)) {
		for i, of := range streams() {
			row("%s\t%d\t%.0f/s\t%s\t%s", of.Group.Addr(), counted.Sent[i],
				p.sent[i].perSecond(), counted.cell(receiver1, i), counted.cell(receiver2, i))
		}
	})
	var lost, duplicates uint64
	for _, s := range counted.Sessions {
		lost, duplicates = lost+s.Lost, duplicates+s.Duplicates
	}
	fmt.Fprintf(w, "lost %d, duplicates %d, arrived though nobody asked %d\n\n", lost, duplicates,
		counted.allUnwanted())
}

// cell sums up the sessions of one receiver and one stream.
func (t tally) cell(host string, stream int) string {
	state, received := "", uint64(0)
	for _, s := range t.Sessions {
		if s.Host != host || s.Stream != stream {
			continue
		}
		received += s.Received
		switch {
		case s.Open && s.Absent:
			state = "joined a mute source,"
		case s.Open:
			state = "joined,"
		default:
			state = "left,"
		}
	}
	if state == "" {
		return "-"
	}
	return fmt.Sprintf("%s %d", state, received)
}

func (p *picture) routes(w io.Writer, routes []control.Route) {
	columns(w, "Source\tGroup\tInput\tOutput\tPackets\tRate", func(row func(string, ...any)) {
		for _, route := range routes {
			var outputs []string
			for _, oif := range route.OIFs {
				outputs = append(outputs, oif.Interface)
			}
			if route.Negative {
				outputs = []string{"none"}
			}
			row("%s\t%s\t%s\t%s\t%d\t%.0f/s", route.Source, route.Group, route.IIF,
				strings.Join(outputs, ","), route.Packets,
				p.entries[route.Source+" "+route.Group].perSecond())
		}
	})
}

// conclude prints the account and what is wrong with it.
func (p *picture) conclude(counted tally, faults []string) error {
	out := p.options.Output
	if p.options.Terminal {
		fmt.Fprint(out, home, clearDown)
	}
	columns(out, "Receiver\tGroup\tSource\tReceived\tLost\tDuplicates\tVerdict",
		func(row func(string, ...any)) {
			for _, s := range counted.Sessions {
				source := step{Stream: s.Stream, Absent: s.Absent}.source()
				from, verdict := "any", s.fault()
				if source.IsValid() {
					from = source.String()
				}
				if verdict == "" {
					verdict = "ok"
				}
				row("%s\t%s\t%s\t%d\t%d\t%d\t%s", s.Host, streams()[s.Stream].Group.Addr(), from,
					s.Received, s.Lost, s.Duplicates, verdict)
			}
		})
	if len(faults) == 0 {
		fmt.Fprintf(out, "OK: all that should have arrived arrived, and nothing else did.\n")
		return nil
	}
	slices.Sort(faults)
	return fmt.Errorf("%w:\n  %s", ErrFailed, strings.Join(faults, "\n  "))
}
