package membership

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"umroute/mgm"
	"umroute/stack/igmp"
	"umroute/stack/mld"
)

// start is when every script begins.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// bench is a Router with one interface, index 1, between a link and a manager
// that write down what they are told.
type bench struct {
	tb      testing.TB
	router  *Router
	config  InterfaceConfig
	family  Family
	now     time.Time
	lines   []string
	view    view
	watched bool
	views   []view // after each change, if watched
	refusal error  // of the manager
	fault   error  // of the link
}

// view is what the manager knows.
type view map[membership]bool

type membership struct {
	entry mgm.Entry
	flags mgm.StateFlags
}

func newBench(tb testing.TB, family Family, config InterfaceConfig) *bench {
	b := &bench{tb: tb, family: family, config: config, now: start, view: view{}}
	b.config.Index, b.config.Name = 1, "red"
	b.router = New(Config{Family: family, Sender: b, Members: b})
	return b
}

// defaults is an interface as the configuration has it without settings.
func defaults(family Family) InterfaceConfig {
	if family == MLD {
		return InterfaceConfig{Address: addr("fe80::2")}
	}
	return InterfaceConfig{Address: addr("10.0.1.2"),
		Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")}}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func (b *bench) print(format string, arguments ...any) {
	b.lines = append(b.lines, fmt.Sprintf("@%s ", b.now.Sub(start))+fmt.Sprintf(format, arguments...))
}

// Send is the link: it prints queries.
func (b *bench) Send(index uint32, packet []byte) error {
	if b.fault != nil {
		return b.fault
	}
	var q query
	var to netip.Addr
	if b.family == MLD {
		p, err := mld.ParsePacket(packet)
		if err != nil || p.HopLimit != 1 || !p.RouterAlert || p.Source != b.config.Address {
			b.tb.Errorf("sent %+v, %v", p, err)
		}
		var m mld.Query
		if err := m.UnmarshalBinary(p.Message); err != nil {
			b.tb.Errorf("sent %x: %v", p.Message, err)
		}
		q, to = query(m), p.Destination
	} else {
		p, err := igmp.ParsePacket(packet)
		if err != nil || p.TTL != 1 || !p.RouterAlert || p.Source != b.config.Address {
			b.tb.Errorf("sent %+v, %v", p, err)
		}
		var m igmp.Query
		if err := m.UnmarshalBinary(p.Message); err != nil {
			b.tb.Errorf("sent %x: %v", p.Message, err)
		}
		q, to = query(m), p.Destination
	}
	if len(packet) > 1500 {
		b.tb.Errorf("sent a packet of %d octets", len(packet))
	}
	what := "*"
	if q.Group.IsValid() {
		what = q.Group.String()
		if to != q.Group {
			b.tb.Errorf("query for %s sent to %s", q.Group, to)
		}
	} else if to != addr("224.0.0.1") && to != addr("ff02::1") {
		b.tb.Errorf("general query sent to %s", to)
	}
	if len(q.Sources) > 8 {
		what += fmt.Sprintf(" (%d sources)", len(q.Sources))
	} else if len(q.Sources) > 0 {
		what += fmt.Sprint(" ", q.Sources)
	}
	if q.Suppress {
		what += " S"
	}
	b.print("query v%d %s max=%s qrv=%d qqi=%s", q.Version, what, q.MaxResponse,
		q.Robustness, q.Interval)
	return nil
}

func (b *bench) AddMembership(e mgm.Entry, i mgm.Iface, f mgm.StateFlags) error {
	return b.change("add", membership{e, f}, i, true)
}

func (b *bench) DeleteMembership(e mgm.Entry, i mgm.Iface, f mgm.StateFlags) error {
	return b.change("delete", membership{e, f}, i, false)
}

func (b *bench) change(verb string, m membership, i mgm.Iface, add bool) error {
	if i != (mgm.Iface{Index: 1}) {
		b.tb.Errorf("%s on %+v", verb, i)
	}
	what := "*"
	if m.entry.Source.IsValid() {
		what = m.entry.Source.String()
	}
	if m.flags == mgm.ExcludeState {
		what = "exclude " + what
	}
	if b.refusal != nil {
		b.print("refused %s %s,%s", verb, what, m.entry.Group)
		return b.refusal
	}
	b.print("%s %s,%s", verb, what, m.entry.Group)
	if b.view[m] == add {
		b.tb.Errorf("%s %s,%s, though it was done", verb, what, m.entry.Group)
	}
	b.view[m] = add
	if !add {
		delete(b.view, m)
	}
	if b.watched {
		b.views = append(b.views, b.view.clone())
	}
	return nil
}

func (v view) clone() view {
	c := make(view, len(v))
	for m := range v {
		c[m] = true
	}
	return c
}

// forwards reports what the manager would forward, by mgm's rule for exclude
// records.
func (v view) forwards(source, group netip.Addr) bool {
	exact := mgm.Entry{Source: source, Group: group}
	if v[membership{exact, mgm.JoinState}] {
		return true
	}
	return v[membership{mgm.Entry{Group: group}, mgm.JoinState}] &&
		!v[membership{exact, mgm.ExcludeState}]
}

// advance lets the time pass, deadline by deadline.
func (b *bench) advance(to time.Time) {
	for {
		at, ok := b.router.Deadline()
		if !ok || at.After(to) {
			break
		}
		if at.After(b.now) {
			b.now = at
		}
		b.router.Advance(b.now)
	}
	b.now = to
}

// play runs a script and compares it with what happened. Lines that begin with
// ">" are what is done, the others what is seen then:
//
//	> 1s 10.0.1.9 TO_EX 239.1.1.1
//	@1s add *,239.1.1.1
func (b *bench) play(script string) {
	b.tb.Helper()
	var want []string
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		want = append(want, line)
		if rest, ok := strings.CutPrefix(line, "> "); ok {
			words := strings.Fields(rest)
			d, err := time.ParseDuration(words[0])
			if err != nil {
				b.tb.Fatal(err)
			}
			b.advance(start.Add(d))
			b.lines = append(b.lines, line)
			b.do(words[1:])
		}
	}
	if diff := cmp.Diff(want, b.lines); diff != "" {
		b.tb.Errorf("script (-want +got)\n%s", diff)
	}
}

func (b *bench) do(words []string) {
	b.tb.Helper()
	r := b.router
	switch words[0] {
	case "add":
		if err := r.AddInterface(b.now, b.config); err != nil {
			b.tb.Fatal(err)
		}
	case "update":
		for _, w := range words[1:] {
			b.set(w)
		}
		if err := r.UpdateInterface(b.now, b.config); err != nil {
			b.tb.Fatal(err)
		}
	case "remove":
		r.RemoveInterface(b.now, 1)
	case "up":
		r.LinkUp(b.now, 1)
	case "down":
		r.LinkDown(b.now, 1)
	case "clear":
		r.Clear(b.now, 1)
	case "suspend":
		r.Suspend(1)
	case "resume":
		// The manager has dropped everything.
		clear(b.view)
		r.Resume(b.now, 1)
	case "join", "leave":
		b.static(words)
	case "end":
	default:
		b.packet(words)
	}
}

func (b *bench) set(setting string) {
	key, value, _ := strings.Cut(setting, "=")
	switch key {
	case "address":
		b.config.Address = netip.Addr{}
		if value != "" {
			b.config.Address = addr(value)
		}
	case "interval":
		b.config.QueryInterval, _ = time.ParseDuration(value)
	case "response":
		b.config.QueryResponseInterval, _ = time.ParseDuration(value)
	case "version":
		b.config.Version, _ = strconv.Atoi(value)
	case "allow":
		b.config.Allow = []netip.Prefix{netip.MustParsePrefix(value)}
	case "static":
		b.config.Static = nil
		if value != "" {
			b.config.Static = []mgm.Entry{{Group: addr(value)}}
		}
	default:
		b.tb.Fatalf("no setting %q", key)
	}
}

func (b *bench) static(words []string) {
	b.tb.Helper()
	source := netip.Addr{}
	if words[1] != "*" {
		source = addr(words[1])
	}
	f := b.router.Join
	if words[0] == "leave" {
		f = b.router.Leave
	}
	if err := f(b.now, 1, source, addr(words[2])); err != nil {
		b.lines = append(b.lines, "error "+errors.Unwrap(err).Error())
	}
}

// status returns the snapshot of the interface.
func (b *bench) status() InterfaceStatus {
	b.tb.Helper()
	all := b.router.Interfaces(b.now)
	if len(all) != 1 {
		b.tb.Fatalf("%d interfaces", len(all))
	}
	return all[0]
}

// group returns the snapshot of a group, or false.
func (b *bench) group(a string) (GroupStatus, bool) {
	all := b.router.Groups(b.now)
	i := slices.IndexFunc(all, func(g GroupStatus) bool { return g.Group == addr(a) })
	if i < 0 {
		return GroupStatus{}, false
	}
	return all[i], true
}
