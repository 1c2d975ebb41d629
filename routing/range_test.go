package routing

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"umroute/mgm"
)

// rangeOfText makes a Range of prefixes, "" for any.
func rangeOfText(source, group string) Range {
	r := Range{}
	for _, p := range []struct {
		text string
		to   *netip.Prefix
	}{{source, &r.Source}, {group, &r.Group}} {
		if p.text != "" {
			*p.to = netip.MustParsePrefix(p.text)
			r.IPv6 = p.to.Addr().Is6()
		}
	}
	return r
}

// setRange installs an entry for r on both sides, like m but for the flow.
func (p *pair) setRange(r Range, m mgm.MFE) {
	if err := p.SetRange(r, m.In, m.OIFs); err != nil {
		p.t.Fatal(err)
	}
	if e := p.plain.ranges[r]; e != nil {
		e.MFE = m
		return
	}
	e := &oracleEntry{MFE: m, outs: make(map[mgm.Iface]*mgm.OIFStats)}
	var covered []mgm.Flow
	for f := range p.plain.waiting {
		if r.plainlyCovers(f) {
			covered = append(covered, f)
		}
	}
	slices.SortFunc(covered, func(a, b mgm.Flow) int {
		return cmp.Compare(p.plain.waiting[a].number, p.plain.waiting[b].number)
	})
	for _, f := range covered {
		p.plain.release(f, e)
	}
	p.plain.ranges[r] = e
}

func (p *pair) deleteRange(r Range) {
	_, want := p.plain.ranges[r]
	delete(p.plain.ranges, r)
	if got := p.DeleteRange(r); got != want {
		p.t.Errorf("deletion of %v says %v", r, got)
	}
}

func (r Range) plainlyCovers(f mgm.Flow) bool {
	return f.Group.Is6() == r.IPv6 && (!r.Source.IsValid() || r.Source.Contains(f.Source)) &&
		(!r.Group.IsValid() || r.Group.Contains(f.Group))
}

// plainBits orders Ranges: the greatest that covers a flow is its.
func (r Range) plainBits() int { return max(r.Group.Bits(), 0)*1000 + max(r.Source.Bits(), 0) }

// inRange finds the entry that covers f, or nil.
func (o *oracle) inRange(f mgm.Flow) (best *oracleEntry) {
	bits := -1
	for r, e := range o.ranges {
		if r.plainlyCovers(f) && r.plainBits() > bits {
			best, bits = e, r.plainBits()
		}
	}
	return best
}

var (
	randomPrefixes4 = [2][]string{{"", "", "10.0.0.0/8", "10.0.1.2/32", "192.0.2.0/24"},
		{"", "239.0.0.0/8", "239.1.0.0/16", "232.0.0.0/7", "239.1.1.1/32", "224.0.0.0/4"}}
	randomPrefixes6 = [2][]string{{"", "", "fd00::/8", "fd00::2/128", "2001:db8::/32"},
		{"ff0e::/16", "ff0e::1/128", "ff00::/8", "ff05::/64", "ff0c::/14"}}
)

// randomRange draws a Range.
func randomRange(rng *rand.Rand) Range {
	lists := oneOf(rng, [][2][]string{randomPrefixes4, randomPrefixes6})
	return rangeOfText(oneOf(rng, lists[0]), oneOf(rng, lists[1]))
}

func TestRange(t *testing.T) {
	var u upcalls
	r := threeLinks(t, Config{})
	r.Bind(false, &u)
	oifs := func(list ...uint32) []mgm.Iface { return mfe(flow4, 1, list...).OIFs }
	set := func(which Range, in uint32, outs ...uint32) {
		t.Helper()
		if err := r.SetRange(which, mgm.Iface{Index: in}, oifs(outs...)); err != nil {
			t.Fatal(err)
		}
	}
	t.Log("# what waits for a manager leaves by a range that covers it, and first")
	r.deliver(1, data(9, "a"), data(9, "b"))
	u.want(t, "miss 10.0.1.2 239.1.1.1 1")
	set(rangeOfText("", "232.0.0.0/8"), 1, 3)
	r.wantSent(3, "")
	set(Range{}, 1, 3, 2, 1)
	r.deliver(1, data(9, "c"))
	r.wantSent(2, "abc")
	r.wantSent(3, "abc")
	u.want(t)
	t.Log("# longer prefixes go first, that of the group before that of the source")
	set(rangeOfText("10.0.1.2/32", "239.0.0.0/8"), 1, 2)
	r.deliver(1, data(9, "d"))
	r.wantSent(2, "d")
	r.wantSent(3, "")
	set(rangeOfText("", "239.1.0.0/16"), 1, 3)
	r.deliver(1, data(9, "e"))
	r.wantSent(2, "")
	r.wantSent(3, "e")
	t.Log("# the manager's entry for the flow goes before all, also to drop")
	r.set(mfe(flow4, 1))
	r.deliver(1, data(9, "f"))
	r.wantDrops(1, DropNegative, 1)
	r.Plane(false).Delete(flow4)
	r.deliver(2, data(9, "g"))
	r.wantDrops(2, DropWrongIf, 1)
	u.want(t, "wrongif 10.0.1.2 239.1.1.1 2")
	r.wantSent(3, "")
	stats, ok := r.RangeStats(rangeOfText("", "239.1.0.0/16"))
	if !ok || stats.InPackets != 1 || stats.DifferentIf != 1 || stats.TotalOutPackets != 1 {
		t.Errorf("statistics %+v, %v", stats, ok)
	}
	t.Log("# without its range a flow is missed again")
	for _, which := range []Range{{}, rangeOfText("10.0.1.2/32", "239.0.0.0/8"),
		rangeOfText("", "239.1.0.0/16")} {
		if !r.DeleteRange(which) || r.DeleteRange(which) {
			t.Errorf("%v was not there once", which)
		}
		if _, ok := r.RangeStats(which); ok {
			t.Errorf("statistics of %v after deletion", which)
		}
	}
	r.deliver(1, data(9, "h"))
	u.want(t, "miss 10.0.1.2 239.1.1.1 1")
}

func TestRangeErrors(t *testing.T) {
	r := threeLinks(t, Config{})
	for _, which := range []Range{
		rangeOfText("239.0.0.0/8", ""), rangeOfText("", "10.0.0.0/8"),
		rangeOfText("10.0.0.1/8", ""), rangeOfText("fd00::/8", "239.0.0.0/8"),
		{IPv6: true, Group: netip.MustParsePrefix("239.0.0.0/8")},
		{IPv6: true, Source: netip.MustParsePrefix("::ffff:10.0.0.0/104")},
	} {
		if err := r.SetRange(which, mgm.Iface{Index: 1}, nil); err == nil {
			t.Errorf("%v is taken", which)
		}
		if _, ok := r.RangeStats(which); ok || r.DeleteRange(which) {
			t.Errorf("%v is there", which)
		}
	}
	if err := r.SetRange(Range{}, mgm.Iface{}, nil); err == nil {
		t.Error("no incoming interface is taken")
	}
}

// TestRangeReaders looks up while Ranges come and go: what covers a flow for
// good is found, or something longer.
func TestRangeReaders(t *testing.T) {
	f := New(Config{})
	p, rng := f.planes[0], rand.New(rand.NewPCG(7, 7))
	ports := make([]*port, 33)
	for i := range ports {
		ports[i] = f.port(uint32(i + 1))
	}
	set := func(bits int) {
		which := Range{Group: netip.PrefixFrom(flow4.Group, bits).Masked()}
		p.setRange(which, ports[bits], nil)
	}
	set(16)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			k := keyOf(flow4)
			for !stop.Load() {
				if e := p.match(&k); e == nil || e.in.index < 17 {
					t.Errorf("found %+v", e)
					return
				}
			}
		})
	}
	for range 20_000 {
		bits := 4 + rng.IntN(29)
		if bits == 16 || rng.IntN(2) == 0 {
			set(bits)
			continue
		}
		p.deleteRange(Range{Group: netip.PrefixFrom(flow4.Group, bits).Masked()})
	}
	stop.Store(true)
	readers.Wait()
}
