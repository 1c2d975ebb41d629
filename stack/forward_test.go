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

// TestFragmentOptions cuts a packet whose options are not all for each piece.
func TestFragmentOptions(t *testing.T) {
	options := []byte{7, 7, 4, 0, 0, 0, 0, 1, 148, 4, 0, 0}
	later := []byte{1, 1, 1, 1, 1, 1, 1, 1, 148, 4, 0, 0}
	packet := v4{from: "10.0.1.2", to: "10.0.3.2", proto: 17, options: options,
		payload: make([]byte, 1000)}.bytes()
	for k, piece := range fragment(packet, 576) {
		want := options
		if k > 0 {
			want = later
		}
		if got := piece[20:32]; !bytes.Equal(got, want) || !sound(piece) {
			t.Errorf("piece %d: options %x, want %x", k, got, want)
		}
	}
}

// TestOptions holds that a router does what options ask of it.
func TestOptions(t *testing.T) {
	r := newRouter(t, Config{})
	// Record Route (RFC 791 §3.1): the router's address goes into the free slot.
	r.Deliver(redIndex, v4{from: "10.0.1.2", to: "10.0.2.2", proto: 17,
		options: []byte{7, 7, 4, 0, 0, 0, 0, 0}}.bytes())
	want := []byte{7, 7, 8, 10, 0, 1, 1, 0}
	if got := r.blue.one(t); !bytes.Equal(got[20:28], want) || !sound(got) {
		t.Errorf("options %x, want %x", got[20:28], want)
	}
	// A Hop-by-Hop option of a kind that must be known (RFC 8200 §4.2): Parameter
	// Problem, code 2, pointing at the option.
	r.Deliver(redIndex, v6{from: "fd00:1::2", to: "fd00:2::2", next: 0,
		extensions: []byte{59, 0, 0x9e, 4, 0, 0, 0, 0}}.bytes())
	if got := r.red.one(t); got[40] != 4 || got[41] != 2 || got[47] != 42 || !sound(got) {
		t.Errorf("error %x", got)
	}
	r.blue.none(t)
}

// TestSharedPrefix has two links with one subnet: the first one that is up wins.
func TestSharedPrefix(t *testing.T) {
	for range 20 { // the interfaces are in no order inside
		r := newRouter(t, Config{})
		twin := &device{}
		add(t, r.Stack, InterfaceConfig{Index: 9, Name: "twin", Device: twin,
			Addresses: prefixes("10.0.2.9/24")})
		packet := udp4("10.0.1.2", "10.0.2.2", 64, nil)
		r.Deliver(redIndex, packet)
		r.blue.one(t)
		r.SetUp(blueIndex, false)
		r.Deliver(redIndex, packet)
		twin.one(t)
	}
}

// TestRemovedLink writes to a link that the stack has let go of.
func TestRemovedLink(t *testing.T) {
	d := &device{}
	l, err := newLink(InterfaceConfig{Index: 1, Name: "red", Device: d})
	if err != nil {
		t.Fatal(err)
	}
	l.counters = new(counters)
	if err := l.send([]byte("x"), "", 0); err == nil {
		t.Error("sent")
	}
	d.none(t)
	if got := l.counters.drops[dropRemoved].Load(); got != 1 {
		t.Errorf("%d drops counted", got)
	}
}
