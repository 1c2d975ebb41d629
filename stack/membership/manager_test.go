package membership

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"umroute/mgm"
)

// Changes of the interface's owner (mgm's DisableMembership and
// EnableMembership), and what else withdraws memberships.
func TestOwnership(t *testing.T) {
	playAll(t, []script{
		{name: "everything is told again", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1 10.9.0.1
			@1s add exclude 10.9.0.1,239.1.1.1
			@1s add *,239.1.1.1
			> 1s 10.0.1.9 ALLOW 239.1.1.2 10.9.0.2
			@1s add 10.9.0.2,239.1.1.2
			> 2s suspend
			> 2s resume
			@2s add exclude 10.9.0.1,239.1.1.1
			@2s add *,239.1.1.1
			@2s add 10.9.0.2,239.1.1.2
			> 3s end`},
		{name: "what changes meanwhile", config: withFastLeave, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s suspend
			> 3s 10.0.1.9 TO_EX 239.1.1.2
			> 3s 10.0.1.9 ALLOW 239.1.1.3 10.9.0.1
			> 3s 10.0.1.9 TO_IN 239.1.1.3
			> 4s resume
			@4s add *,239.1.1.1
			@4s add *,239.1.1.2
			> 5s end`},
		{name: "remove", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1 10.9.0.1
			@1s add exclude 10.9.0.1,239.1.1.1
			@1s add *,239.1.1.1
			> 2s join 10.9.0.2 239.1.1.2
			@2s add 10.9.0.2,239.1.1.2
			> 3s remove
			@3s delete *,239.1.1.1
			@3s delete exclude 10.9.0.1,239.1.1.1
			@3s delete 10.9.0.2,239.1.1.2
			> 5h0m0s end`},
		{name: "clear", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s join * 239.1.1.2
			@2s add *,239.1.1.2
			> 3s clear
			@3s delete *,239.1.1.1
			@3s query v3 * max=10s qrv=2 qqi=59m44s
			> 4s 10.0.1.9 IS_EX 239.1.1.1
			@4s add *,239.1.1.1
			> 5s end`},
	})
}

// An entry that was told after the change of owner and before Suspend was not
// dropped by the manager: if it is gone by then, Resume takes it back.
func TestWithdrawnWhileSuspended(t *testing.T) {
	config := defaults(IGMP)
	withFastLeave(&config)
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	b.do(strings.Fields("10.0.1.9 TO_EX 239.1.1.1"))
	b.do([]string{"suspend"})
	b.do(strings.Fields("10.0.1.9 TO_IN 239.1.1.1"))
	b.router.Resume(b.now, 1)
	if len(b.view) != 0 {
		t.Errorf("still told: %v", b.view)
	}
}

func TestStatic(t *testing.T) {
	playAll(t, []script{
		{name: "a host comes and goes", config: withFastLeave, script: firstQuery + `
			> 1s join * 239.1.1.1
			@1s add *,239.1.1.1
			> 2s 10.0.1.9 TO_EX 239.1.1.1 10.9.0.1
			> 3s 10.0.1.9 TO_IN 239.1.1.1
			> 4s leave * 239.1.1.1
			@4s delete *,239.1.1.1
			> 5s leave * 239.1.1.1
			error no such static membership
			> 6s end`},
		{name: "a source that hosts exclude", config: withFastLeave, script: firstQuery + `
			> 1s join 10.9.0.1 239.1.1.1
			@1s add 10.9.0.1,239.1.1.1
			> 2s 10.0.1.9 TO_EX 239.1.1.1 10.9.0.1 10.9.0.2
			@2s add exclude 10.9.0.2,239.1.1.1
			@2s add *,239.1.1.1
			@2s delete 10.9.0.1,239.1.1.1
			> 3s leave 10.9.0.1 239.1.1.1
			@3s add exclude 10.9.0.1,239.1.1.1
			> 4s join 10.9.0.1 239.1.1.1
			@4s delete exclude 10.9.0.1,239.1.1.1
			> 5s 10.0.1.9 TO_IN 239.1.1.1
			@5s add 10.9.0.1,239.1.1.1
			@5s delete *,239.1.1.1
			@5s delete exclude 10.9.0.2,239.1.1.1
			> 6s end`},
		{name: "by configuration", config: func(c *InterfaceConfig) {
			quiet(c)
			c.Static = []mgm.Entry{{Group: addr("239.1.1.1")}}
		}, script: `
			> 0s add
			@0s add *,239.1.1.1
			@0s query v3 * max=10s qrv=2 qqi=59m44s
			> 1s leave * 239.1.1.1
			error no such static membership
			> 2s join * 239.1.1.2
			@2s add *,239.1.1.2
			> 3s update static=239.1.1.3
			@3s add *,239.1.1.3
			@3s delete *,239.1.1.1
			> 4s update static=
			@4s delete *,239.1.1.3
			> 5s end`},
		{name: "refused", config: quiet, script: firstQuery + `
			> 1s join * 232.1.1.1
			error invalid: static group 232.1.1.1 needs a source (RFC 4607)
			> 1s join * 224.0.0.5
			error invalid: static group 224.0.0.5: link_local_group
			> 1s join * ff1e::1
			error invalid: static group ff1e::1: not_multicast
			> 1s join 2001:db8::1 239.1.1.1
			error invalid: static group 239.1.1.1: source 2001:db8::1
			> 1s leave 10.9.0.1 239.1.1.1
			error no such static membership
			> 2s end`},
	})
}

// What the manager refuses is tried again with the next report.
func TestRefusal(t *testing.T) {
	config := defaults(IGMP)
	quiet(&config)
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	b.lines = nil
	b.refusal = mgm.ErrInterfaceNotFound
	b.do(strings.Fields("10.0.1.9 TO_EX 239.1.1.1"))
	b.refusal = nil
	b.do(strings.Fields("10.0.1.9 IS_EX 239.1.1.1"))
	b.do(strings.Fields("10.0.1.9 IS_EX 239.1.1.1"))
	want := []string{"@0s refused add *,239.1.1.1", "@0s add *,239.1.1.1"}
	if diff := cmp.Diff(want, b.lines); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}
	if n := b.status().Counters.Refusals; n != 1 {
		t.Errorf("%d refusals counted", n)
	}
}

func TestSendError(t *testing.T) {
	b := newBench(t, IGMP, defaults(IGMP))
	b.fault = errors.New("link is gone")
	b.do([]string{"add"})
	b.advance(start.Add(32 * time.Second))
	want := Sent{Errors: 2}
	if diff := cmp.Diff(want, b.status().Counters.Sent); diff != "" {
		t.Errorf("sent (-want +got)\n%s", diff)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		family Family
		change func(*InterfaceConfig)
	}{
		{"IPv6 address for IGMP", IGMP, func(c *InterfaceConfig) { c.Address = addr("fe80::1") }},
		{"0.0.0.0", IGMP, func(c *InterfaceConfig) { c.Address = addr("0.0.0.0") }},
		{"global address for MLD", MLD, func(c *InterfaceConfig) { c.Address = addr("2001:db8::1") }},
		{"IGMPv4", IGMP, func(c *InterfaceConfig) { c.Version = 4 }},
		{"MLDv3", MLD, func(c *InterfaceConfig) { c.Version = 3 }},
		{"response not below the interval, RFC 9776 section 8.3", IGMP,
			func(c *InterfaceConfig) { c.QueryInterval = 10 * time.Second }},
		{"interval below a second", IGMP, func(c *InterfaceConfig) {
			c.QueryInterval, c.QueryResponseInterval = 900*time.Millisecond, time.Millisecond
		}},
		{"interval beyond QQIC", IGMP, func(c *InterfaceConfig) { c.QueryInterval = 9 * time.Hour }},
		{"response beyond IGMPv2", IGMP, func(c *InterfaceConfig) {
			c.Version, c.QueryResponseInterval = 2, 26*time.Second
		}},
		{"response beyond MLDv1", MLD, func(c *InterfaceConfig) {
			c.Version, c.QueryResponseInterval = 1, 66*time.Second
		}},
		{"startup response", IGMP, func(c *InterfaceConfig) { c.StartupResponseInterval = -1 }},
		{"last member interval", IGMP, func(c *InterfaceConfig) { c.LastMemberQueryInterval = -1 }},
		{"robustness", IGMP, func(c *InterfaceConfig) { c.Robustness = 256 }},
		{"startup count", IGMP, func(c *InterfaceConfig) { c.StartupQueryCount = -1 }},
		{"last member count", IGMP, func(c *InterfaceConfig) { c.LastMemberQueryCount = 256 }},
		{"limit", IGMP, func(c *InterfaceConfig) { c.MaxGroups = -1 }},
		{"static", IGMP, func(c *InterfaceConfig) { c.Static = []mgm.Entry{{}} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.family, defaults(tt.family))
			good, bad := b.config, b.config
			tt.change(&bad)
			if err := b.router.AddInterface(b.now, bad); !errors.Is(err, ErrInvalid) {
				t.Errorf("add: %v", err)
			}
			if err := b.router.AddInterface(b.now, good); err != nil {
				t.Fatal(err)
			}
			if err := b.router.UpdateInterface(b.now, bad); !errors.Is(err, ErrInvalid) {
				t.Errorf("update: %v", err)
			}
			if err := b.router.AddInterface(b.now, good); !errors.Is(err, ErrInterfaceExists) {
				t.Errorf("add twice: %v", err)
			}
		})
	}
}

func TestUnknownInterface(t *testing.T) {
	b := newBench(t, IGMP, defaults(IGMP))
	packet := b.of("10.0.1.9 TO_EX 239.1.1.1")
	r := b.router
	r.Handle(b.now, 7, packet)
	r.LinkUp(b.now, 7)
	r.LinkDown(b.now, 7)
	r.Suspend(7)
	r.Resume(b.now, 7)
	r.Clear(b.now, 7)
	r.RemoveInterface(b.now, 7)
	r.Advance(b.now)
	for _, err := range []error{
		r.UpdateInterface(b.now, b.config),
		r.Join(b.now, 7, netip.Addr{}, addr("239.1.1.1")),
		r.Leave(b.now, 7, netip.Addr{}, addr("239.1.1.1")),
	} {
		if !errors.Is(err, ErrInterfaceNotFound) {
			t.Errorf("error %v", err)
		}
	}
	if at, ok := r.Deadline(); ok || len(b.lines) != 0 {
		t.Errorf("deadline %v, %q", at, b.lines)
	}
}

func TestStatus(t *testing.T) {
	config := defaults(IGMP)
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	for i, words := range []string{
		"10.0.1.9 TO_EX 239.1.1.1 10.9.0.1",
		"10.0.1.8 ALLOW 239.1.1.1 10.9.0.2",
		"10.0.1.8 ALLOW 232.1.1.1 10.9.0.2",
		"10.0.1.7 v2 239.1.1.3",
		"join 10.9.0.3 232.1.1.1",
		"join * 239.1.1.2",
	} {
		b.advance(start.Add(time.Duration(i) * time.Second))
		b.do(strings.Fields(words))
	}
	b.advance(start.Add(10 * time.Second))
	want := []GroupStatus{
		{Interface: "red", Index: 1, Group: addr("232.1.1.1"), Mode: Include, Version: 3,
			LastReporter: addr("10.0.1.8"), Reporters: []netip.Addr{addr("10.0.1.8")},
			Uptime: 8 * time.Second, Expires: 252 * time.Second,
			Sources: []SourceStatus{
				{Address: addr("10.9.0.2"), Expires: 252 * time.Second, Forwarding: true},
				{Address: addr("10.9.0.3"), Forwarding: true, Static: true}}},
		{Interface: "red", Index: 1, Group: addr("239.1.1.1"), Mode: Exclude, Version: 3,
			LastReporter: addr("10.0.1.8"),
			Reporters:    []netip.Addr{addr("10.0.1.8"), addr("10.0.1.9")},
			Uptime:       10 * time.Second, Expires: 250 * time.Second,
			Sources: []SourceStatus{{Address: addr("10.9.0.1")},
				{Address: addr("10.9.0.2"), Expires: 251 * time.Second, Forwarding: true}}},
		{Interface: "red", Index: 1, Group: addr("239.1.1.2"), Mode: Include, Version: 3,
			Uptime: 5 * time.Second, Static: true},
		{Interface: "red", Index: 1, Group: addr("239.1.1.3"), Mode: Exclude, Version: 2,
			LastReporter: addr("10.0.1.7"), Reporters: []netip.Addr{addr("10.0.1.7")},
			Uptime: 7 * time.Second, Expires: 253 * time.Second},
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, b.router.Groups(b.now), same, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("groups (-want +got)\n%s", diff)
	}
	wantInterface := InterfaceStatus{Interface: "red", Index: 1, Enabled: true, Up: true,
		Version: 3, Querier: addr("10.0.1.2"), IsQuerier: true,
		NextQuery: 21*time.Second + 250*time.Millisecond, Robustness: 2,
		QueryInterval: 125 * time.Second, QueryResponseInterval: 10 * time.Second,
		LastMemberQueryInterval: time.Second, GroupMembershipInterval: 260 * time.Second,
		Groups: 4, Counters: Counters{Received: Received{ReportsV2: 1, ReportsV3: 3},
			Sent: Sent{GeneralQueries: 1}}}
	if diff := cmp.Diff(wantInterface, b.status(), same, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("interface (-want +got)\n%s", diff)
	}
}

// Several interfaces are listed in order and know nothing of one another.
func TestInterfaces(t *testing.T) {
	r := New(Config{})
	for _, index := range []uint32{3, 1, 2} {
		config := InterfaceConfig{Index: index, Name: fmt.Sprint("if", index)}
		if err := r.AddInterface(start, config); err != nil {
			t.Fatal(err)
		}
		if index != 1 {
			if err := r.Join(start, index, netip.Addr{}, addr("239.1.1.1")); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []string
	for _, s := range r.Interfaces(start) {
		got = append(got, fmt.Sprint(s.Interface, " ", s.Groups))
	}
	for _, g := range r.Groups(start) {
		got = append(got, g.Interface)
	}
	want := []string{"if1 0", "if2 1", "if3 1", "if2", "if3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got)\n%s", diff)
	}
}

// TestAlarms compares the heap with a plain map, by random operations.
func TestAlarms(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var heap alarms
	groups := make([]*group, 50)
	for i := range groups {
		groups[i] = new(group)
	}
	plain := map[*group]instant{}
	for range 20_000 {
		g := groups[random.IntN(len(groups))]
		if random.IntN(3) == 0 {
			heap.remove(g)
			delete(plain, g)
		} else {
			at := instant(1 + random.IntN(1000))
			heap.set(g, at)
			if old, ok := plain[g]; !ok || at < old {
				plain[g] = at
			}
		}
		var first instant
		for _, at := range plain {
			first = earliest(first, at)
		}
		if at, ok := heap.next(); at != first || ok != (len(plain) > 0) {
			t.Fatalf("next %d %v, want %d of %d", at, ok, first, len(plain))
		}
		if got, want := g.alarm.isDue(500), plain[g] != 0 && plain[g] <= 500; got != want {
			t.Fatalf("due %v, want %v", got, want)
		}
	}
}
