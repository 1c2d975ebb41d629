package host

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/tun"
)

// arrivals are datagrams as the kernel tells of them.
var arrivals = []arrival{
	{source: netip.MustParseAddrPort("192.168.7.2:4711"),
		group: netip.MustParseAddrPort("239.1.1.1:5004"), ttl: 9, tos: 0x48},
	{source: netip.MustParseAddrPort("[fd00:7::2]:4711"),
		group: netip.MustParseAddrPort("[ff05::1:1]:5004"), ttl: 255, tos: 0xff},
	{source: netip.MustParseAddrPort("192.168.7.2:1"),
		group: netip.MustParseAddrPort("239.1.1.1:65535"), ttl: 1, segment: 100},
	{source: netip.MustParseAddrPort("[fd00:7::2]:1"),
		group: netip.MustParseAddrPort("[ff05::1:1]:1"), ttl: 1, segment: 100},
}

func (a *arrival) frame(payload []byte) []byte {
	head := headerLen(a.group.Addr().Is6())
	frame := append(make([]byte, head), payload...)
	a.putHeaders(frame, len(payload), 0x1234)
	return frame
}

// TestParseUndoesPutHeaders takes every packet that can be received for one to
// send, and every prefix of it for none.
func TestParseUndoesPutHeaders(t *testing.T) {
	for _, a := range arrivals {
		payload := bytes.Repeat([]byte("payload"), 50)
		frame := a.frame(payload)
		var got datagram
		if why, ok := got.parse(frame); !ok {
			t.Fatalf("%v: %v", a, why)
		}
		want := datagram{port: a.source.Port(), group: a.group, ttl: a.ttl, tos: a.tos,
			segment: a.segment, payload: payload}
		same := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(datagram{}), same); diff != "" {
			t.Error("-want +got\n", diff)
		}
		for n := range frame {
			if why, ok := got.parse(frame[:n]); ok || why != DropBadHeader {
				t.Errorf("prefix of %d: %v, %v", n, why, ok)
			}
		}
		// What trails a packet is no part of it.
		if _, ok := got.parse(append(frame, 1, 2, 3)); !ok || !bytes.Equal(got.payload, payload) {
			t.Errorf("with a trailer: %v, payload of %d", ok, len(got.payload))
		}
	}
}

// TestSum compares with two bytes at a time.
func TestSum(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		b := make([]byte, random.IntN(200))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		var want uint64
		for i, each := range b {
			want += uint64(each) << (8 * (1 - i%2))
		}
		if got := fold(sum(b)); got != fold(want) {
			t.Fatalf("%x: %#x, want %#x", b, got, fold(want))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, a := range arrivals {
		f.Add(a.frame([]byte("payload")))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var d datagram
		if _, ok := d.parse(frame); !ok {
			return
		}
		if !d.group.Addr().IsMulticast() || len(d.payload)+udpHeaderLen+ipv4HeaderLen+
			tun.VirtioHeaderLen > len(frame) {
			t.Errorf("%x was parsed as %v", frame, d)
		}
	})
}
