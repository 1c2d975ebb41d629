package static_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"umroute/mgm"
	"umroute/routing/static"
)

// TestMatch sends a first packet of many flows through overlapping routes.
func TestMatch(t *testing.T) {
	l := newLab(t,
		route("*", "239.0.0.0/8", "red", "blue"),
		route("*", "239.1.0.0/16", "red", "green"),
		route("*", "239.1.1.1", "red", "blue", "green"),
		route("10.0.1.9", "239.1.1.1", "red", "grey"),
		route("10.0.1.0/28", "239.2.0.0/16", "red", "green"),
		route("10.9.0.0/16", "239.3.3.3", "green", "red"),
		route("*", "239.4.4.4", "blue", "red"),
		route("*", "239.4.4.4", "green", "grey"),
		route("*", "239.5.5.5", "red"),
	)
	tests := []struct{ name, source, group, want string }{
		{"the only route", "10.0.1.2", "239.200.0.1", "red>blue"},
		{"a longer group prefix", "10.0.1.2", "239.1.2.3", "red>green"},
		{"the group itself", "10.0.1.2", "239.1.1.1", "red>blue,green"},
		{"the source too", "10.0.1.9", "239.1.1.1", "red>grey"},
		{"a prefix of sources", "10.0.1.2", "239.2.0.1", "red>green"},
		{"outside that prefix", "10.0.1.20", "239.2.0.1", "red>blue"},
		{"a source without other route", "10.9.3.3", "239.3.3.3", "green>red"},
		{"a source elsewhere", "10.0.2.2", "239.1.2.3", "red>green"},
		{"where the source is", "10.0.2.2", "239.4.4.4", "blue>red"},
		{"the same group from there", "10.0.3.3", "239.4.4.4", "green>grey"},
		{"expected in by no exact route", "10.0.1.3", "239.4.4.4", "red>blue"},
		{"no output", "10.0.1.2", "239.5.5.5", "red>"},
		{"no route for the group", "10.0.1.2", "225.1.1.1", "red>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l.packet(test.source, test.group)
			if got := l.entry(test.source, test.group); got != test.want {
				t.Errorf("entry %q, want %q", got, test.want)
			}
		})
	}
}

// TestAddReachesFlow changes routes under a flow that has an entry.
func TestAddReachesFlow(t *testing.T) {
	l := newLab(t)
	l.packet("10.0.1.2", "239.1.1.1")
	l.want("10.0.1.2", "239.1.1.1", "red>")

	l.must(l.static.Add(route("*", "239.1.1.1", "red", "blue")))
	l.packet("10.0.1.2", "239.1.1.1") // the interface has changed hands
	l.want("10.0.1.2", "239.1.1.1", "red>blue")

	l.must(l.static.Add(route("*", "239.1.1.1", "red", "blue", "green")))
	l.want("10.0.1.2", "239.1.1.1", "red>blue,green")

	l.must(l.static.Add(route("10.0.1.2", "239.1.1.1", "red", "green")))
	l.want("10.0.1.2", "239.1.1.1", "red>green")

	l.must(l.static.Delete(route("10.0.1.2", "239.1.1.1", "red").Key))
	l.want("10.0.1.2", "239.1.1.1", "red>blue,green")
	l.must(l.static.Add(route("10.0.1.2", "239.1.1.1", "blue", "red")))
	l.packet("10.0.1.2", "239.1.1.1")
	l.want("10.0.1.2", "239.1.1.1", "blue>red")

	l.must(l.static.Delete(route("10.0.1.2", "239.1.1.1", "blue").Key))
	l.packet("10.0.1.2", "239.1.1.1")
	l.want("10.0.1.2", "239.1.1.1", "red>blue,green")

	l.must(l.static.Delete(route("*", "239.1.1.1", "red").Key))
	l.packet("10.0.1.2", "239.1.1.1")
	l.want("10.0.1.2", "239.1.1.1", "red>")
	if n := len(slices.Collect(l.igmp.Memberships(mgm.AllSources))); n != 0 {
		t.Errorf("%d memberships are left", n)
	}
	if owner := l.owner("red"); owner != 10 {
		t.Errorf("red belongs to %d, want IGMP", owner)
	}
}

// TestWaits has the interfaces of a route come and go.
func TestWaits(t *testing.T) {
	l := newLab(t, route("*", "239.1.1.1", "red", "blue", "green"))
	l.packet("10.0.1.2", "239.1.1.1")
	l.want("10.0.1.2", "239.1.1.1", "red>blue,green")
	l.vanish("blue")
	l.want("10.0.1.2", "239.1.1.1", "red>green")
	if got := l.static.Routes()[0].Waiting; !slices.Equal(got, []string{"blue"}) {
		t.Errorf("waits for %v", got)
	}
	l.appear("blue")
	l.want("10.0.1.2", "239.1.1.1", "red>blue,green")
	l.vanish("red")
	l.want("10.0.1.2", "239.1.1.1", "")
	if owner := l.owner("green"); owner != 10 {
		t.Errorf("green belongs to %d while the route waits", owner)
	}
	l.appear("red")
	l.packet("10.0.1.2", "239.1.1.1")
	l.want("10.0.1.2", "239.1.1.1", "red>blue,green")
}

// TestForeignInterface has a route that wants what another protocol owns.
func TestForeignInterface(t *testing.T) {
	l := newLab(t)
	l.must(l.other.TakeInterface(mgm.Iface{Index: links["blue"]}))
	err := l.static.Add(route("*", "239.1.1.1", "red", "blue"))
	if !errors.Is(err, mgm.ErrInterfaceOwned) {
		t.Fatalf("added: %v", err)
	}
	if n := len(l.static.Routes()); n != 0 {
		t.Errorf("%d routes after a refusal", n)
	}
	if owner := l.owner("red"); owner != 10 {
		t.Errorf("red belongs to %d after a refusal", owner)
	}
	l.must(l.static.Set([]static.Route{route("*", "239.1.1.1", "red", "blue", "green")}))
	l.packet("10.0.1.2", "239.1.1.1")
	l.want("10.0.1.2", "239.1.1.1", "red>green")
	l.must(l.other.ReleaseInterface(mgm.Iface{Index: links["blue"]}))
	l.must(l.static.Add(route("*", "239.9.9.9", "red", "green"))) // any change looks again
	l.packet("10.0.1.2", "239.1.1.2")
	if got := l.static.Routes()[0].Waiting; len(got) != 0 {
		t.Errorf("still waits for %v", got)
	}
}

// TestWithoutIncoming has routes that leave the incoming interface to the RIB.
func TestWithoutIncoming(t *testing.T) {
	l := newLab(t, route("*", "239.1.1.1", "", "blue"), route("10.0.1.2", "239.1.1.1", "", "green"))
	var got []mgm.Entry
	for e := range l.igmp.Memberships(mgm.AllSources) {
		got = append(got, e)
	}
	if len(got) != 2 {
		t.Fatalf("memberships %v, want two", got)
	}
	l.packet("10.0.1.2", "239.1.1.1")
	l.want("10.0.1.2", "239.1.1.1", "red>blue,green")
	l.packet("10.0.2.2", "239.1.1.1")
	l.want("10.0.2.2", "239.1.1.1", "blue>")
	l.must(l.static.Delete(route("*", "239.1.1.1", "").Key))
	l.want("10.0.1.2", "239.1.1.1", "red>green")
}

// TestListenersStay has IGMP ask for a flow on an output that a route leaves out.
func TestListenersStay(t *testing.T) {
	l := newLab(t, route("*", "239.1.1.1", "red", "blue"))
	group := mgm.Entry{Group: flow("10.0.1.2", "239.1.1.1").Group}
	l.must(l.igmp.AddMembership(group, mgm.Iface{Index: links["green"]}, mgm.JoinState))
	l.packet("10.0.1.2", "239.1.1.1")
	l.want("10.0.1.2", "239.1.1.1", "red>blue,green")
	l.must(l.static.Delete(route("*", "239.1.1.1", "red").Key))
	l.packet("10.0.1.2", "239.1.1.1")
	l.want("10.0.1.2", "239.1.1.1", "red>green")
}

// TestReload replaces the configured routes; one that was added stays.
func TestReload(t *testing.T) {
	l := newLab(t, route("*", "239.1.1.1", "red", "blue"), route("*", "239.1.1.2", "red", "blue"))
	l.must(l.static.Add(route("*", "239.1.1.3", "red", "blue")))
	l.packet("10.0.1.2", "239.1.1.1")
	l.must(l.static.Set([]static.Route{route("*", "239.1.1.1", "red", "blue")}))
	var groups []string
	for _, r := range l.static.Routes() {
		groups = append(groups, r.Group.Addr().String())
	}
	if want := []string{"239.1.1.1", "239.1.1.3"}; !slices.Equal(groups, want) {
		t.Errorf("routes for %v, want %v", groups, want)
	}
	l.want("10.0.1.2", "239.1.1.1", "red>blue")
	bad := route("*", "10.0.0.1", "red", "blue")
	if err := l.static.Set([]static.Route{bad}); !errors.Is(err, static.ErrInvalid) {
		t.Errorf("a wrong route: %v", err)
	}
	if n := len(l.static.Routes()); n != 2 {
		t.Errorf("%d routes after a wrong one", n)
	}
}

// TestFlowEnds has an entry's time end: the flow's memberships go with it.
func TestFlowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, route("*", "239.1.0.0/16", "red", "blue"))
		l.packet("10.0.1.2", "239.1.1.1")
		members := func() int { return len(slices.Collect(l.igmp.Memberships(mgm.AllSources))) }
		if n := members(); n != 1 {
			t.Fatalf("%d memberships, want that of the flow", n)
		}
		l.static.Advance(time.Now())
		time.Sleep(mgm.DefaultMFETimeout + time.Second)
		at, due := l.static.Deadline()
		if !due {
			t.Fatal("no deadline while a flow has memberships")
		}
		l.static.Advance(at)
		if n := members(); n != 0 {
			t.Errorf("%d memberships are left", n)
		}
		if _, due := l.static.Deadline(); due {
			t.Error("a deadline without flows")
		}
		l.packet("10.0.1.2", "239.1.1.1")
		l.want("10.0.1.2", "239.1.1.1", "red>blue")
		l.must(l.manager.Close())
	})
}

// TestThreshold follows the threshold of a route to its flow.
func TestThreshold(t *testing.T) {
	strict := route("*", "239.1.1.1", "red", "blue")
	strict.Threshold = 9
	l := newLab(t, strict)
	f := flow("10.0.1.2", "239.1.1.1")
	l.packet("10.0.1.2", "239.1.1.1")
	if got := l.static.Threshold(f, links["blue"]); got != 9 {
		t.Errorf("threshold %d, want 9", got)
	}
	strict.Threshold = 3
	l.must(l.static.Add(strict))
	l.want("10.0.1.2", "239.1.1.1", "") // to be made again
	l.packet("10.0.1.2", "239.1.1.1")
	if got := l.static.Threshold(f, links["blue"]); got != 3 {
		t.Errorf("threshold %d, want 3", got)
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name  string
		route static.Route
		ok    bool
	}{
		{"a group", route("*", "239.1.1.1", "red", "blue"), true},
		{"all groups", route("*", "224.0.0.0/4", "red", "blue"), true},
		{"all groups of IPv6", route("fd00::/16", "ff00::/8", "red", "blue"), true},
		{"no outputs", route("*", "239.1.1.1", "red"), true},
		{"no incoming interface", route("*", "239.1.1.1", "", "blue"), true},
		{"no interface", route("*", "239.1.1.1", ""), false},
		{"a range without incoming interface", route("*", "239.1.1.0/24", "", "blue"), false},
		{"no group", static.Route{Key: static.Key{In: "red"}, Out: []string{"blue"}}, false},
		{"a host as group", route("*", "10.1.1.1", "red", "blue"), false},
		{"more than groups", route("*", "192.0.0.0/2", "red", "blue"), false},
		{"a group of the link", route("*", "224.0.0.5", "red", "blue"), false},
		{"a group of the link, IPv6", route("*", "ff02::1", "red", "blue"), false},
		{"a group as source", route("239.1.1.1", "239.1.1.1", "red", "blue"), false},
		{"two families", route("fd00::1", "239.1.1.1", "red", "blue"), false},
		{"in among out", route("*", "239.1.1.1", "red", "blue", "red"), false},
		{"host bits", static.Route{Key: static.Key{In: "red",
			Group: netip.MustParsePrefix("239.1.1.1/24")}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.route.Check()
			if (err == nil) != test.ok {
				t.Errorf("Check: %v", err)
			}
			if err != nil && !errors.Is(err, static.ErrInvalid) {
				t.Errorf("%v is no ErrInvalid", err)
			}
		})
	}
}
