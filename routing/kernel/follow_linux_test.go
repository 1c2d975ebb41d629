package kernel

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"umroute/tun/netns/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

// ip runs the tool of that name in the namespace of the tests.
func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// follower keeps what Follow has told.
type follower struct {
	t      *testing.T
	states chan []Route
}

func startFollower(t *testing.T) *follower {
	f := &follower{t: t, states: make(chan []Route, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- Follow(ctx, func(routes []Route) { f.states <- routes }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return f
}

// await waits until the routes to the prefix are these, sorted.
func (f *follower) await(prefix string, want ...string) {
	f.t.Helper()
	deadline := time.After(30 * time.Second)
	var got []string
	for {
		select {
		case routes := <-f.states:
			got = nil
			for _, r := range routes {
				if r.Prefix.String() == prefix {
					got = append(got, fmt.Sprintf("%v %d", r.Via, r.Metric))
				}
			}
			if slices.Equal(got, want) {
				return
			}
		case <-deadline:
			f.t.Fatalf("routes to %s are %v, want %v", prefix, got, want)
		}
	}
}

func TestFollow(t *testing.T) {
	netnstest.Require(t)
	ip(t, "link add name d0 type veth peer name d1")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", "d0").Run() }) // the test does it
	for _, device := range []string{"d0", "d1"} {
		ip(t, "link set "+device+" up")
	}
	f := startFollower(t)
	ip(t, "addr add 10.0.1.1/24 dev d0")
	f.await("10.0.1.0/24", "invalid IP 0")
	ip(t, "route add 10.9.0.0/16 via 10.0.1.7 metric 20")
	f.await("10.9.0.0/16", "10.0.1.7 20")
	ip(t, "route add 10.9.0.0/16 via 10.0.1.8 metric 10")
	f.await("10.9.0.0/16", "10.0.1.8 10", "10.0.1.7 20")
	ip(t, "route del 10.9.0.0/16 via 10.0.1.7")
	f.await("10.9.0.0/16", "10.0.1.8 10")
	ip(t, "route add default nexthop via 10.0.1.3 nexthop via 10.0.1.2")
	f.await("0.0.0.0/0", "10.0.1.2 0", "10.0.1.3 0")
	ip(t, "route add blackhole 10.10.0.0/16")
	ip(t, "route add 10.11.0.0/16 via 10.0.1.9")
	f.await("10.11.0.0/16", "10.0.1.9 0")
	ip(t, "-6 addr add fd00:1::1/64 dev d0 nodad")
	ip(t, "-6 route add fd00:9::/64 via fd00:1::7")
	f.await("fd00:9::/64", "fd00:1::7 1024")
	list, err := List()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.Prefix.String() == "10.10.0.0/16" || r.Prefix.Addr().IsMulticast() {
			t.Errorf("a route that leads nowhere: %+v", r)
		}
	}
	// IPv4 routes go with their device, and nobody says so.
	ip(t, "link set d0 down")
	f.await("10.9.0.0/16")
	ip(t, "link del d0")
}
