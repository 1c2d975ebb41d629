package topology

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/bench/plan"
	"umroute/tun/netns/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

// TestVeth looks at what a host and the router have got.
func TestVeth(t *testing.T) {
	netnstest.Require(t)
	top, err := NewVeth(3)
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	if len(top.Receivers()) != 3 || top.Sender().Address(false).String() != "10.200.0.2" {
		t.Errorf("%d receivers, sender %v", len(top.Receivers()), top.Sender().Addresses)
	}
	addresses := func(device string) (list []string) {
		found, err := net.InterfaceByName(device)
		if err != nil {
			t.Error(err)
			return nil
		}
		addrs, err := found.Addrs()
		if err != nil {
			t.Error(err)
		}
		for _, a := range addrs {
			// A link-local one comes when the carrier is noticed.
			if !strings.HasPrefix(a.String(), "fe80:") {
				list = append(list, a.String())
			}
		}
		return list
	}
	top.Receivers()[1].Namespace.Do(func() error {
		want := []string{"10.200.2.2/24", "fd00:c8:2::2/64"}
		if diff := cmp.Diff(want, addresses(Device)); diff != "" {
			t.Errorf("host 2 (-want +got):\n%s", diff)
		}
		return nil
	})
	top.Router.Do(func() error {
		want := []string{"10.200.2.1/24", "fd00:c8:2::1/64"}
		if diff := cmp.Diff(want, addresses(Port(2))); diff != "" {
			t.Errorf("router (-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestSize(t *testing.T) {
	for _, n := range []int{0, plan.MaxOifs + 1} {
		if _, err := New(n); err == nil {
			t.Errorf("%d receivers: no error", n)
		}
	}
}
