package stack

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestDecrement compares the incremental checksum with a whole one.
func TestDecrement(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 100000 {
		b := make([]byte, 20)
		for k := range b {
			b[k] = byte(random.Uint32())
		}
		b[0], b[8] = 0x45, b[8]|1
		repair(b)
		want := hop(b)
		decrement(b)
		if !bytes.Equal(b, want) {
			t.Fatalf("%x, want %x", b, want)
		}
	}
}

// TestForgetOptions holds RFC 791 §3.1: later fragments have the copied options.
func TestForgetOptions(t *testing.T) {
	for name, tt := range map[string]struct{ options, want []byte }{
		"copied":      {[]byte{148, 4, 0, 0}, []byte{148, 4, 0, 0}},
		"not copied":  {[]byte{7, 3, 4, 148, 4, 0, 0, 0}, []byte{1, 1, 1, 148, 4, 0, 0, 0}},
		"behind NOP":  {[]byte{1, 7, 3, 4}, []byte{1, 1, 1, 1}},
		"behind end":  {[]byte{0, 7, 3, 4}, []byte{0, 7, 3, 4}},
		"no length":   {[]byte{1, 1, 1, 7}, []byte{1, 1, 1, 7}},
		"length 0":    {[]byte{7, 0, 0, 0}, []byte{7, 0, 0, 0}},
		"beyond end":  {[]byte{7, 5, 0, 0}, []byte{7, 5, 0, 0}},
		"nothing":     {nil, nil},
		"to the edge": {[]byte{7, 4, 0, 0}, []byte{1, 1, 1, 1}},
	} {
		got := append([]byte(nil), tt.options...)
		forgetOptions(got)
		if !bytes.Equal(got, tt.want) {
			t.Errorf("%s: %x, want %x", name, got, tt.want)
		}
	}
}

// TestForwardAllocates holds that forwarding and refusing cost no memory.
func TestForwardAllocates(t *testing.T) {
	s := quiet(t, 2)
	for name, packet := range map[string][]byte{
		"forwarded":       udp4("10.0.1.2", "10.0.2.2", 64, make([]byte, 100)),
		"forwarded, IPv6": udp6("fd00:1::2", "fd00:2::2", 64, make([]byte, 100)),
		"martian":         udp4("127.0.0.1", "10.0.2.2", 64, nil),
	} {
		if n := testing.AllocsPerRun(1000, func() { s.Deliver(1, packet) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
