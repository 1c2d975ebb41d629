package routing

import (
	"testing"

	"umroute/mgm"
	"umroute/tun"
)

// TestFlowThreshold has a flow ask for more than its interfaces do.
func TestFlowThreshold(t *testing.T) {
	r := newRouter(t, Config{Threshold: func(f mgm.Flow, index uint32) uint8 {
		if f == flow4 && index != 3 {
			return 8
		}
		return 0
	}})
	for index := range uint32(4) {
		config := InterfaceConfig{Index: index + 1}
		if index+1 == 4 {
			config.TTLThreshold = 20
		}
		r.add(config, tun.KindTUN)
	}
	r.set(mfe(flow4, 1, 2, 3, 4))
	r.deliver(1, data(9, "a"), data(8, "b"), data(21, "c"), data(30, "d"), data(30, "e"))
	r.wantSent(2, "acde")
	r.wantSent(3, "abcde")
	r.wantSent(4, "cde")
	r.wantDrops(2, DropThreshold, 1)
	r.wantDrops(4, DropThreshold, 2)
	s, _ := r.Plane(false).Stats(flow4)
	if s.OIFs[0].TTLTooLow != 1 || s.OIFs[0].OutPackets != 4 {
		t.Errorf("statistics: %+v", s.OIFs)
	}

	t.Log("# the incoming interface is no output, whatever the threshold")
	r.set(mfe(flow4, 2, 1, 2, 3))
	r.deliver(2, data(9, "f"))
	r.wantSent(2, "")
	r.wantSent(1, "f")

	t.Log("# another flow of the same interfaces")
	r.set(mfe(flowOf("10.0.1.2", "239.9.9.9"), 1, 2))
	r.deliver(1, ipv4{source: "10.0.1.2", group: "239.9.9.9", ttl: 3, payload: []byte("g")}.bytes())
	r.wantSent(2, "g")
}
