package routing

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func kernelRoute(prefix, via string, index uint32, metric int) KernelRoute {
	k := KernelRoute{UnicastRoute: UnicastRoute{Prefix: netip.MustParsePrefix(prefix), Index: index},
		Metric: metric, Protocol: 13}
	if via != "" {
		k.Via = netip.MustParseAddr(via)
	}
	return k
}

// TestKernelRoutes chooses among routes of the kernel, and between them and the
// router's own.
func TestKernelRoutes(t *testing.T) {
	var n notes
	r := NewRIB(n.add)
	for index := range uint32(3) {
		if err := r.SetConnected(index+1, nil); err != nil {
			t.Fatal(err)
		}
	}
	set := func(routes ...KernelRoute) {
		t.Helper()
		rand.Shuffle(len(routes), func(i, j int) { routes[i], routes[j] = routes[j], routes[i] })
		if err := r.SetKernel(routes); err != nil {
			t.Fatal(err)
		}
	}
	by := func(want uint32, via string) {
		t.Helper()
		route, ok := r.Lookup(netip.MustParseAddr("10.9.1.1"))
		got := ""
		if route.NextHop.IsValid() {
			got = route.NextHop.String()
		}
		if ok != (want != 0) || route.Iface.Index != want || got != via {
			t.Errorf("10.9.1.1 by %d via %q, want %d via %q", route.Iface.Index, got, want, via)
		}
	}
	set(kernelRoute("10.9.0.0/16", "10.0.1.9", 1, 20), kernelRoute("10.9.0.0/16", "10.0.2.2", 2, 10))
	by(2, "10.0.2.2")
	n.want(t, "10.9.0.0/16")
	set(kernelRoute("10.9.0.0/16", "10.0.1.9", 1, 10), kernelRoute("10.9.0.0/16", "10.0.1.8", 1, 10),
		kernelRoute("10.9.0.0/16", "10.0.2.2", 2, 10))
	by(1, "10.0.1.8") // the lowest interface, then the lowest gateway
	n.want(t, "10.9.0.0/16")
	for range 20 { // in whatever order they come
		set(kernelRoute("10.9.0.0/16", "10.0.1.9", 1, 10),
			kernelRoute("10.9.0.0/16", "10.0.1.8", 1, 10), kernelRoute("0.0.0.0/0", "", 3, 0))
		by(1, "10.0.1.8")
	}
	n.want(t, "0.0.0.0/0")
	r.RemoveInterface(1)
	by(3, "")
	n.want(t, "10.9.0.0/16")
	if err := r.SetConnected(1, nil); err != nil {
		t.Fatal(err)
	}
	by(1, "10.0.1.8")
	n.want(t, "10.9.0.0/16")
	err := r.SetStatic([]UnicastRoute{{Prefix: netip.MustParsePrefix("10.9.0.0/16"), Index: 2}})
	if err != nil {
		t.Fatal(err)
	}
	by(2, "")
	n.want(t, "10.9.0.0/16")
	set()
	by(2, "")
	n.want(t, "0.0.0.0/0")
	for _, wrong := range []KernelRoute{kernelRoute("10.9.0.0/16", "", 0, 1), {}} {
		if err := r.SetKernel([]KernelRoute{wrong}); err == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
}

// TestPaths has static multicast routes say where sources are expected.
func TestPaths(t *testing.T) {
	var n notes
	r := NewRIB(n.add)
	for index := range uint32(3) {
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(index + 1), 0}), 24)
		if err := r.SetConnected(index+1, []netip.Prefix{subnet}); err != nil {
			t.Fatal(err)
		}
	}
	n = nil
	set := func(routes ...RPFRoute) {
		t.Helper()
		if err := r.SetPaths(false, routes); err != nil {
			t.Fatal(err)
		}
	}
	path := func(prefix string, index uint32) RPFRoute {
		return RPFRoute{Prefix: netip.MustParsePrefix(prefix), Index: index}
	}
	by := func(source string, want uint32) {
		t.Helper()
		if route, _ := r.Lookup(netip.MustParseAddr(source)); route.Iface.Index != want {
			t.Errorf("%s by %d, want %d", source, route.Iface.Index, want)
		}
	}
	set(path("10.0.1.7/32", 2), path("10.0.3.0/24", 1), path("0.0.0.0/0", 3), path("0.0.0.0/0", 2))
	n.want(t, "0.0.0.0/0", "10.0.1.7/32", "10.0.3.0/24")
	by("10.0.1.7", 2)
	by("10.0.1.8", 1)
	by("10.0.3.8", 1) // before the connected one
	by("10.7.7.7", 2) // the lowest
	r.RemoveInterface(2)
	by("10.0.1.7", 1)
	by("10.7.7.7", 3)
	n = nil
	if err := r.SetKernel([]KernelRoute{kernelRoute("0.0.0.0/0", "", 1, 0)}); err != nil {
		t.Fatal(err)
	}
	by("10.7.7.7", 1) // any other default route comes first
	set()
	by("10.0.3.8", 3)
	if err := r.SetPaths(true, []RPFRoute{path("10.0.0.0/8", 1)}); err == nil {
		t.Error("a path of the other family was taken")
	}
}
