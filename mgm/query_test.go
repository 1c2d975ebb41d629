package mgm

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// flowsOf lists the flows of a walk.
func flowsOf(l *lab, walk func(func(MFE) bool)) []string {
	var list []string
	for e := range walk {
		list = append(list, l.text(Entry(e.Flow)))
	}
	return list
}

func TestQueries(t *testing.T) {
	fill := func(l *lab) []string {
		for _, f := range []string{"T,H", "S2,G", "S,H", "S,G"} {
			l.packet(f, if1)
		}
		l.sync()
		return []string{"(S,G)", "(S2,G)", "(S,H)", "(T,H)"}
	}
	run(t, "T85", func(l *lab) {
		want := fill(l)
		if d := cmp.Diff(want, flowsOf(l, l.m.MFEs())); d != "" {
			l.t.Errorf("MFEs (-want +got):\n%s", d)
		}
		for e := range l.m.MFEs() { // the body may call, and may stop
			if _, err := l.m.MFE(e.Flow); err != nil {
				l.t.Error(err)
			}
			break
		}
	})
	run(t, "T86", func(l *lab) {
		want := fill(l)
		l.route("S2", Iface{})
		l.wantMFE("S2,G", "none")
		if d := cmp.Diff(want[2:], flowsOf(l, l.m.MFEsAfter(l.flow("S2,G")))); d != "" {
			l.t.Errorf("MFEsAfter (-want +got):\n%s", d)
		}
	})
}

func TestUnknownFlow(t *testing.T) {
	run(t, "T87", func(l *lab) {
		_, err := l.m.MFE(l.flow("S,G"))
		l.wantErr(err, ErrNotFound)
		_, err = l.m.MFEStats(l.flow("S,G"))
		l.wantErr(err, ErrMFENotFound)
	})
}

func TestEnumeration(t *testing.T) {
	run(t, "T89", func(l *lab) {
		l.ok(l.B.TakeInterface(if5))
		l.B.add("*,G", if2)
		l.B.add("*,G", if5)
		l.C.add("*,G", if3)
		l.B.add("S,G", if2)
		l.C.add("*,H", if3)
		l.B.add("*,*", if2)
		got := slices.Collect(l.A.Memberships(AllSources))
		want := []Entry{l.entry("*,*"), l.entry("*,G"), l.entry("S,G"), l.entry("*,H")}
		if !slices.Equal(got, want) {
			l.t.Errorf("AllSources = %v", got)
		}
		got = slices.Collect(l.A.Memberships(AnySource))
		if !slices.Equal(got, []Entry{l.entry("*,G"), l.entry("*,H")}) {
			l.t.Errorf("AnySource = %v", got)
		}
		snapshot := l.A.Memberships(AllSources)
		l.C.del("*,H", if3)
		if got := slices.Collect(snapshot); len(got) != 4 {
			l.t.Errorf("the snapshot changed: %v", got)
		}
	})
}

func TestUpstreamAndStats(t *testing.T) {
	run(t, "T90", func(l *lab) {
		l.packet("S,G", if1)
		l.sync()
		l.ok(l.A.SetUpstream(l.flow("S,G"), l.addr("T")))
		l.wantMFE("S,G", "if1>")
		if e, _ := l.m.MFE(l.flow("S,G")); e.Upstream != l.addr("T") {
			l.t.Errorf("upstream = %v", e.Upstream)
		}
		if e := l.forwarder.entries[l.flow("S,G")].mfe; e.Upstream != l.addr("T") {
			l.t.Errorf("forwarder's upstream = %v", e.Upstream)
		}
		l.wantErr(l.B.SetUpstream(l.flow("S,G"), l.addr("T")), ErrInvalidParameter)
		l.wantErr(l.A.SetUpstream(l.flow("S,H"), l.addr("T")), ErrNotFound)
		l.wantErr(l.A.SetUpstream(l.flow("S,G"), l.addr("G")), ErrInvalidParameter)
	})
	run(t, "T91", func(l *lab) {
		l.receivers()
		for range 10 {
			l.packet("S,G", if1)
		}
		l.sync()
		s, err := l.m.MFEStats(l.flow("S,G"))
		l.ok(err)
		want := ForwarderStats{InPackets: 10, TotalOutPackets: 20, OIFs: []OIFStats{
			{Iface: if2, OutPackets: 10}, {Iface: if3, OutPackets: 10},
		}}
		if d := cmp.Diff(want, s.Stats, cmpopts.EquateComparable(Iface{})); d != "" {
			l.t.Errorf("stats (-want +got):\n%s", d)
		}
		for all := range l.m.AllMFEStats() {
			if all.Stats.InPackets != 10 || all.MFE.Flow != l.flow("S,G") {
				l.t.Errorf("stats = %+v", all)
			}
		}
		l.forwarder.Delete(l.flow("S,G")) // 10.12
		if s, err := l.m.MFEStats(l.flow("S,G")); err != nil || s.Stats.InPackets != 0 {
			l.t.Errorf("stats = %+v, %v", s, err)
		}
	})
}

// Reading needs no client.
func TestEmpty(t *testing.T) {
	t.Run("T88", func(t *testing.T) {
		l := emptyLab(t, Config{})
		for range l.m.MFEs() {
			t.Error("there is an MFE")
		}
		for range l.m.AllMFEStats() {
			t.Error("there is an MFE")
		}
	})
}

func TestNew(t *testing.T) {
	rib, forwarder := newFakeRIB(), &fakeForwarder{}
	for _, cfg := range []Config{
		{}, {RIB: rib}, {Forwarder: forwarder},
		{RIB: rib, Forwarder: forwarder, Timeout: -1},
		{RIB: rib, Forwarder: forwarder, WrongIfInterval: -1},
	} {
		if m, err := New(cfg); m != nil || err == nil {
			t.Errorf("New(%+v) = %v, %v", cfg, m, err)
		}
	}
}

func TestClose(t *testing.T) {
	run(t, "10.10", func(l *lab) {
		l.receivers()
		l.packet("S,G", if1)
		l.sync()
		l.onCallback(func(string) { l.ok(l.m.Close()) })
		l.B.del("*,G", if2) // the first callback closes, the others are dropped
		l.ok(l.m.Sync(l.t.Context()))
		time.Sleep(time.Hour)
		if len(l.trace) != 1 {
			l.t.Errorf("callbacks = %q", l.trace)
		}
		g := l.entry("*,G")
		for _, err := range []error{
			l.A.TakeInterface(if5), l.A.ReleaseInterface(if1), l.A.Deregister(),
			l.B.AddMembership(g, if2, JoinState), l.B.DeleteMembership(g, if2, JoinState),
			l.A.SetUpstream(l.flow("S,G"), l.addr("T")), l.A.SetWrongIfAlerts(if1, true),
		} {
			l.wantErr(err, ErrClosed)
		}
		_, err := l.m.Register(ClientID{Protocol: 99}, RoleRouting, Callbacks{})
		l.wantErr(err, ErrClosed)
		l.m.HandleMiss(l.flow("S,H"), if1, nil)
		l.m.HandleWrongIf(l.flow("S,G"), if3, nil)
		l.m.RouteChanged(l.rib.routes[l.addr("S")].Prefix)
		l.wantOwner(if1, l.A)
		l.ok(l.m.Close())
	})
}

func TestSync(t *testing.T) {
	run(t, "context", func(l *lab) {
		release := make(chan struct{})
		l.onCallback(func(string) { <-release })
		l.B.add("*,G", if2)
		ctx, cancel := context.WithTimeout(l.t.Context(), time.Second)
		defer cancel()
		l.wantErr(l.m.Sync(ctx), context.DeadlineExceeded)
		close(release)
		l.sync()
		cancel()
		l.ok(l.m.Sync(ctx)) // nothing to wait for
	})
}

// The queue of misses is bounded, and holds a flow once.
func TestMissQueue(t *testing.T) {
	run(t, "10.16", func(l *lab) {
		release := make(chan struct{})
		l.onCallback(func(string) { <-release })
		l.B.add("*,*", if2) // the delivery goroutine is busy with its alert
		const flood = 3 * maxMisses
		f := l.flow("U,G")
		for range flood {
			l.m.HandleMiss(f, if1, make([]byte, 9000))
			f.Source = f.Source.Next()
		}
		for range flood {
			l.m.HandleMiss(l.flow("U,G"), if1, nil)
		}
		l.onCallback(nil)
		close(release)
		l.sync2()
		if c := l.m.Counters(); c.MFEs != maxMisses || c.MissesDropped != flood-maxMisses {
			l.t.Errorf("counters = %+v", c)
		}
	})
	run(t, "10.17", func(l *lab) {
		header := []byte("header")
		var got string
		l.A.rpf = func(q *RPFQuery) { got = fmt.Sprintf("%s %d", q.Header, cap(q.Header)) }
		release := make(chan struct{})
		l.onCallback(func(string) { <-release })
		l.B.add("*,G", if2)
		l.m.HandleMiss(l.flow("S,G"), if1, header)
		header[0] = 'X'
		l.onCallback(nil)
		close(release)
		l.sync()
		if got[:6] != "header" {
			l.t.Errorf("header = %q", got)
		}
	})
}
