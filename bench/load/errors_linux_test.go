package load

import (
	"encoding/json"
	"math"
	"net/netip"
	"strings"
	"testing"

	"umroute/tun/netns/netnstest"
)

func TestReceiverErrors(t *testing.T) {
	h := netnstest.NewHost(t)
	addr := netip.MustParseAddr
	var eleven []netip.Addr // net.ipv4.igmp_max_msf is 10
	for a := addr("10.0.0.1"); len(eleven) < 11; a = a.Next() {
		eleven = append(eleven, a)
	}
	tests := []struct {
		config ReceiverConfig
		want   string
	}{
		{ReceiverConfig{}, "group invalid AddrPort is not a multicast group with a port"},
		{ReceiverConfig{Group: netip.MustParseAddrPort("10.0.0.1:5000")},
			"group 10.0.0.1:5000 is not a multicast group with a port"},
		{ReceiverConfig{Group: netip.MustParseAddrPort("239.1.1.1:0")},
			"group 239.1.1.1:0 is not a multicast group with a port"},
		{ReceiverConfig{Group: group4, Interface: "mc0"},
			"receive 239.1.1.1 on mc0: no such device"},
		{ReceiverConfig{Group: group4, Interface: "a-very-long-device"},
			`receive 239.1.1.1 on a-very-long-device: device name "a-very-long-device" is too long`},
		{ReceiverConfig{Group: group4}, "join 239.1.1.1: no such device (no route to 239.1.1.1: " +
			"name a device with --interface, or add a route for 224.0.0.0/4)"},
		{ReceiverConfig{Group: netip.MustParseAddrPort("[ff02::1:1]:5000")},
			"group ff02::1:1 is different on each link: name a device with --interface"},
		{ReceiverConfig{Group: group4, Sources: eleven[:1], Exclude: eleven[:1]},
			"a membership includes sources or excludes them, not both"},
		{ReceiverConfig{Group: group4, Sources: []netip.Addr{addr("fd00::1")}},
			"source fd00::1 is not a unicast address of the family of 239.1.1.1"},
		{ReceiverConfig{Group: group4, Exclude: []netip.Addr{addr("239.1.1.1")}},
			"source 239.1.1.1 is not a unicast address of the family of 239.1.1.1"},
		{ReceiverConfig{Group: group4, Interface: "lo", Sources: eleven},
			"join source 10.0.0.11 of 239.1.1.1 on lo: no buffer space available " +
				"(raise net.ipv4.igmp_max_memberships for more groups, " +
				"net.ipv4.igmp_max_msf for more sources)"},
		{ReceiverConfig{Group: group4, Interface: "lo", Exclude: eleven},
			"join without source 10.0.0.11 of 239.1.1.1 on lo: no buffer space available " +
				"(raise net.ipv4.igmp_max_memberships for more groups, " +
				"net.ipv4.igmp_max_msf for more sources)"},
	}
	for _, tt := range tests {
		var err error
		h.Do(func() error {
			_, err = NewReceiver(tt.config)
			return nil
		})
		if err == nil || err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
	// A failed Join leaves no membership, though the socket lives.
	r := newReceiver(t, h, ReceiverConfig{
		Group: group4, Interface: "lo", Sources: eleven, Unjoined: true,
	})
	if err := r.Join(); err == nil {
		t.Error("joined with too many sources")
	}
	// The kernel prints 239.1.1.1 as a number in host order.
	if groups := h.Run("cat", "/proc/net/igmp"); strings.Contains(groups, "010101EF") {
		t.Errorf("still a member:\n%s", groups)
	}
}

func TestSenderErrors(t *testing.T) {
	h := netnstest.NewHost(t)
	addr := netip.MustParseAddr
	tests := []struct {
		config SenderConfig
		want   string
	}{
		{SenderConfig{Group: group4, Size: 31}, "size 31 is not in 32 to 65507"},
		{SenderConfig{Group: group4, Size: 65508}, "size 65508 is not in 32 to 65507"},
		{SenderConfig{Group: group4, TTL: 256}, "ttl 256 is not in 1 to 255"},
		{SenderConfig{Group: group4, Rate: -1}, "rate -1 is not a number of datagrams per second"},
		{SenderConfig{Group: group4, Rate: math.NaN()},
			"rate NaN is not a number of datagrams per second"},
		{SenderConfig{Group: group4, Source: addr("fd00::1")},
			"source fd00::1 is not a unicast address of the family of 239.1.1.1"},
		{SenderConfig{Group: group4, Interface: "mc0"}, "send to 239.1.1.1 on mc0: no such device"},
		{SenderConfig{Group: group4, Interface: "lo", Source: addr("10.9.9.9")},
			"send from 10.9.9.9 to 239.1.1.1 on lo: cannot assign requested address " +
				"(no device here has this address)"},
		{SenderConfig{Group: group4}, "send to 239.1.1.1: network is unreachable (no route to " +
			"239.1.1.1: name a device with --interface, or add a route for 224.0.0.0/4)"},
	}
	for _, tt := range tests {
		var err error
		h.Do(func() error {
			_, err = NewSender(tt.config)
			return nil
		})
		if err == nil || err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}

func TestReportJSON(t *testing.T) {
	sent, err := json.Marshal(SendReport{Group: group4, Stream: 1, Errors: map[string]uint64{}})
	if err != nil {
		t.Fatal(err)
	}
	received, err := json.Marshal(ReceiveReport{Group: group4, Streams: []StreamReport{{
		Source: netip.MustParseAddr("10.0.0.1"), Stream: 2, Latency: Latency{P99: 1500},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	const wantSent = `{"group":"239.1.1.1:5000","stream":"0000000000000001","sent":0,"bytes":0,` +
		`"errors":{},"seconds":0,"rate_pps":0,"skipped":0}`
	const wantReceived = `{"group":"239.1.1.1:5000","interface":"","joined":false,"seconds":0,` +
		`"received":0,"bytes":0,"lost":0,"reordered":0,"duplicates":0,"late":0,"corrupt":0,` +
		`"foreign":0,"overflows":0,"untracked":0,"streams":[{"source":"10.0.0.1",` +
		`"stream":"0000000000000002","interface_index":0,"received":0,"bytes":0,` +
		`"first_sequence":0,"last_sequence":0,"lost":0,"reordered":0,"duplicates":0,"late":0,` +
		`"corrupt":0,"ttl_min":0,"ttl_max":0,"latency":{"min_ns":0,"mean_ns":0,"p50_ns":0,` +
		`"p99_ns":1500,"max_ns":0,"negative":0}}]}`
	if string(sent) != wantSent {
		t.Errorf("got  %s\nwant %s", sent, wantSent)
	}
	if string(received) != wantReceived {
		t.Errorf("got  %s\nwant %s", received, wantReceived)
	}
}
