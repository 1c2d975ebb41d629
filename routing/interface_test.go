package routing

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/mgm"
	"umroute/tun"
)

func TestInterfaceErrors(t *testing.T) {
	r := threeLinks(t, Config{})
	l := newLink(tun.KindTAP, 1500)
	short := newLink(tun.KindTUN, 60)
	tests := []struct {
		name   string
		config InterfaceConfig
		want   string
	}{
		{"index 0", InterfaceConfig{Device: l}, "index 0"},
		{"no device", InterfaceConfig{Index: 9}, "no device"},
		{"no address", InterfaceConfig{Index: 9, Device: l}, "no hardware address"},
		{"MTU", InterfaceConfig{Index: 9, Device: short}, "MTU 60 is not from 68 to 65535"},
		{
			"boundary",
			InterfaceConfig{Index: 9, Device: newLink(0, 1500), Boundary: prefixes("10.0.0.0/8")},
			"boundary 10.0.0.0/8 is no range of groups",
		},
		{"in use", InterfaceConfig{Index: 3, Device: newLink(0, 1500)}, "index 3 is in use"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := r.AddInterface(tt.config)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if err := r.UpdateInterface(InterfaceConfig{Index: 9}); err == nil {
		t.Error("an interface that is not there was updated")
	}
	if err := r.RemoveInterface(9); err == nil {
		t.Error("an interface that is not there was removed")
	}
}

func TestSetErrors(t *testing.T) {
	r := threeLinks(t, Config{})
	for name, m := range map[string]mgm.MFE{
		"other family": mfe(flowOf("fd00::1", "ff0e::1"), 1, 2),
		"mixed":        mfe(flowOf("10.0.0.1", "ff0e::1"), 1, 2),
		"mapped":       mfe(flowOf("::ffff:10.0.0.1", "239.1.1.1"), 1, 2),
		"no group":     mfe(flowOf("10.0.0.1", "10.0.0.2"), 1, 2),
		"no input":     mfe(flow4, 0, 2),
		"nothing":      {},
	} {
		t.Run(name, func(t *testing.T) {
			if err := r.Plane(false).Set(m); err == nil {
				t.Error("no error")
			}
			r.Plane(false).Delete(m.Flow)
			if _, ok := r.Plane(false).Stats(m.Flow); ok {
				t.Error("statistics")
			}
		})
	}
	if s := r.Forwarder.Stats(); s.Flows != 0 {
		t.Errorf("%d flows", s.Flows)
	}
}

// TestRemoveInterface takes links away and puts others there under entries
// that stay.
func TestRemoveInterface(t *testing.T) {
	r := threeLinks(t, Config{})
	r.set(mfe(flow4, 1, 2, 3))
	r.deliver(1, data(9, "a"))
	r.wantSent(2, "a")
	if err := r.RemoveInterface(2); err != nil {
		t.Fatal(err)
	}
	r.deliver(1, data(9, "b"))
	r.wantSent(2, "")
	r.wantSent(3, "ab")
	if _, ok := r.InterfaceStats(2); ok {
		t.Error("statistics of an interface that is gone")
	}

	t.Log("# the next interface there counts from zero")
	r.add(InterfaceConfig{Index: 2, Name: "again"}, tun.KindTUN)
	r.wantDrops(2)
	r.deliver(1, data(9, "c"))
	r.wantSent(2, "c")
	s, _ := r.InterfaceStats(2)
	want := InterfaceStats{Index: 2, Name: "again", TxPackets: 1, TxBytes: 21,
		Drops: map[string]uint64{}}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("interface 2 (-want +got):\n%s", diff)
	}
	if dropped := r.Forwarder.Stats().Dropped; dropped["no_interface"] != 1 {
		t.Errorf("dropped: %v", dropped)
	}
}
