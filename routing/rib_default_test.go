package routing

import (
	"net/netip"
	"testing"
)

func TestDefaults(t *testing.T) {
	var changed []netip.Prefix
	r := NewRIB(func(p netip.Prefix) { changed = append(changed, p) })
	far := netip.MustParseAddr("192.0.2.1")
	want := func(what string, index uint32) {
		t.Helper()
		if route, _ := r.Lookup(far); route.Iface.Index != index {
			t.Errorf("%s: interface %d, want %d", what, route.Iface.Index, index)
		}
	}
	r.SetDefaults(false, []uint32{2, 1})
	want("no interface is there", 0)
	if err := r.SetConnected(1, []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")}); err != nil {
		t.Fatal(err)
	}
	want("the second choice", 1)
	if err := r.SetConnected(2, nil); err != nil {
		t.Fatal(err)
	}
	want("the first choice", 2)
	if _, ok := r.Lookup(netip.MustParseAddr("2001:db8::1")); ok {
		t.Error("the other family has a route")
	}
	r.SetDefaults(true, []uint32{1})
	if route, ok := r.Lookup(netip.MustParseAddr("2001:db8::1")); !ok || route.Iface.Index != 1 {
		t.Errorf("the other family: %+v, %v", route, ok)
	}
	static := UnicastRoute{Prefix: netip.MustParsePrefix("0.0.0.0/0"),
		Via: netip.MustParseAddr("10.0.1.9")}
	if err := r.SetStatic([]UnicastRoute{static}); err != nil {
		t.Fatal(err)
	}
	want("a default route that was configured", 1)
	if err := r.SetStatic(nil); err != nil {
		t.Fatal(err)
	}
	r.RemoveInterface(2)
	want("the first choice is lost", 1)
	changed = nil
	r.SetDefaults(false, nil)
	want("none", 0)
	if len(changed) != 1 || changed[0] != netip.MustParsePrefix("0.0.0.0/0") {
		t.Errorf("changed %v", changed)
	}
}
