package stack

import (
	"bytes"
	"testing"

	"umroute/tun"
)

// headed is a device that wants a header before each packet.
type headed struct{ *device }

func (headed) Offload() tun.Offload { return tun.OffloadSegmentation }

// TestHeaders holds that everything that the stack sends, by any way, has the
// header of a complete packet where the device wants one, and is not counted
// with it.
func TestHeaders(t *testing.T) {
	for _, kind := range []tun.Kind{tun.KindTUN, tun.KindTAP} {
		r := newRouter(t, Config{})
		plain, device := &device{kind: kind}, headed{&device{kind: kind}}
		mac := []byte{2, 0, 0, 0, 0, 9}
		add(t, r.Stack, InterfaceConfig{Index: 3, Name: "plain", Device: plain,
			HardwareAddr: mac, Addresses: prefixes("10.0.3.1/24")})
		add(t, r.Stack, InterfaceConfig{Index: 4, Name: "headed", Device: device,
			HardwareAddr: mac, Addresses: prefixes("10.0.4.1/24")})
		report := udp4("10.0.4.1", "224.0.0.9", 1, []byte("to a group"))
		for _, index := range []uint32{3, 4} {
			if err := r.Send(index, report); err != nil {
				t.Fatal(err)
			}
		}
		want := append(make([]byte, tun.VirtioHeaderLen), plain.one(t)...)
		if got := device.one(t); !bytes.Equal(got, want) {
			t.Errorf("%v: sent % x, want % x", kind, got, want)
		}
		counts := make(map[uint32]uint64)
		for _, i := range r.Stats().Interfaces {
			counts[i.Index] = i.SentBytes
		}
		if counts[3] != counts[4] || counts[3] == 0 {
			t.Errorf("%v: %d bytes counted, want %d", kind, counts[4], counts[3])
		}
		if kind == tun.KindTAP {
			continue // hosts there are asked for their address first
		}
		r.Deliver(redIndex, udp4("10.0.1.2", "10.0.4.2", 64, []byte("forwarded")))
		got := device.one(t)
		if len(got) < 30 || !bytes.Equal(got[:10], make([]byte, 10)) || got[10] != 0x45 {
			t.Errorf("forwarded % x", got)
		}
		r.Deliver(4, echo4("10.0.4.2", "10.0.4.1", 64, "echo"))
		got = device.one(t)
		if len(got) < 30 || !bytes.Equal(got[:10], make([]byte, 10)) || got[10] != 0x45 {
			t.Errorf("answered % x", got)
		}
	}
}
