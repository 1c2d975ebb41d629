package stack

import (
	"encoding/binary"
	"errors"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEcho(t *testing.T) {
	r := newRouter(t, Config{})
	for _, tt := range []struct {
		name, from, to string
		hops           uint8
	}{
		{"own address", "10.0.1.2", "10.0.1.1", 64},
		{"own address, TTL 1", "10.0.1.2", "10.0.1.1", 1},
		{"address of the other link", "10.0.1.2", "10.0.2.1", 64},
		{"address of the other link, TTL 1", "10.0.1.2", "10.0.2.1", 1},
		{"IPv6", "fd00:1::2", "fd00:1::1", 64},
		{"IPv6, other link", "fd00:1::2", "fd00:2::1", 64},
		{"IPv6, other link, hop limit 1", "fd00:1::2", "fd00:2::1", 1},
		{"IPv6 link-local", "fe80::2", r.LinkLocal(redIndex).String(), 255},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var request, reply []byte
			if addr(tt.to).Is4() {
				request = echo4(tt.from, tt.to, tt.hops, "ping")
				reply = v4{from: tt.to, to: tt.from, proto: 1,
					payload: icmp4(0, 0, request[24:]...)}.bytes()
			} else {
				request = echo6(tt.from, tt.to, tt.hops, "ping")
				reply = v6{from: tt.to, to: tt.from, next: 58,
					payload: icmp6(tt.to, tt.from, 129, 0, request[44:]...)}.bytes()
			}
			r.Deliver(redIndex, request)
			if diff := cmp.Diff(reply, r.red.one(t)); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			r.blue.none(t)
		})
	}
	wantDrop(t, r.Stack, redIndex, "", 0)
}

func TestForward(t *testing.T) {
	zero := udp4("10.0.1.2", "10.0.2.2", 64, []byte("no checksum"))
	zero[26], zero[27] = 0, 0
	broken := udp4("10.0.1.2", "10.0.2.2", 64, []byte("broken"))
	broken[26] ^= 0xff
	for _, tt := range []struct {
		name   string
		packet []byte
	}{
		{"UDP", udp4("10.0.1.2", "10.0.2.2", 64, []byte("hello"))},
		{"UDP, odd length", udp4("10.0.1.2", "10.0.2.2", 2, []byte("odd"))},
		{"zero UDP checksum", zero},
		{"wrong UDP checksum is the receiver's affair", broken},
		{"echo", echo4("10.0.1.2", "10.0.2.2", 64, "x")},
		{"TCP", v4{from: "10.0.1.2", to: "10.0.2.2", proto: 6, payload: make([]byte, 20)}.bytes()},
		{"first fragment", v4{from: "10.0.1.2", to: "10.0.2.2", proto: 17, id: 9,
			flags:   moreFragments,
			payload: datagram("10.0.1.2", "10.0.2.2", 9, make([]byte, 100))[:64]}.bytes()},
		{"later fragment", v4{from: "10.0.1.2", to: "10.0.2.2", proto: 17, id: 9, flags: 8,
			payload: []byte("abcdefghijklmnop")}.bytes()},
		{"unknown option", v4{from: "10.0.1.2", to: "10.0.2.2", proto: 17,
			options: []byte{0x9e, 4, 1, 2}, payload: []byte("abcdefgh")}.bytes()},
		{"router alert", v4{from: "10.0.1.2", to: "10.0.2.2", proto: 46,
			options: []byte{148, 4, 0, 0}, payload: []byte("abcdefgh")}.bytes()},
		{"IPv6 UDP", udp6("fd00:1::2", "fd00:2::2", 64, []byte("hello"))},
		{"IPv6 hop limit 2", udp6("fd00:1::2", "fd00:2::2", 2, []byte("hello"))},
		{"IPv6 echo", echo6("fd00:1::2", "fd00:2::2", 64, "x")},
		{"IPv6 later fragment", v6{from: "fd00:1::2", to: "fd00:2::2", next: 44,
			extensions: []byte{17, 0, 0, 16, 0, 0, 0, 7},
			payload:    []byte("abcdefghijklmnop")}.bytes()},
		{"IPv6 hop-by-hop options", v6{from: "fd00:1::2", to: "fd00:2::2", next: 0,
			extensions: []byte{17, 0, 1, 4, 0, 0, 0, 0},
			payload:    datagram("fd00:1::2", "fd00:2::2", 9, []byte("x"))}.bytes()},
		{"IPv6 destination options", v6{from: "fd00:1::2", to: "fd00:2::2", next: 60,
			extensions: []byte{17, 0, 1, 4, 0, 0, 0, 0},
			payload:    datagram("fd00:1::2", "fd00:2::2", 9, []byte("x"))}.bytes()},
		{"IPv6 no next header", v6{from: "fd00:1::2", to: "fd00:2::2", next: 59,
			payload: []byte("ignored")}.bytes()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRouter(t, Config{})
			r.Deliver(redIndex, append(tt.packet, 0, 0, 0)) // padding is cut off
			if diff := cmp.Diff(hop(tt.packet), r.blue.one(t)); diff != "" {
				t.Errorf("forwarded (-want +got):\n%s", diff)
			}
			r.red.none(t)
			wantDrop(t, r.Stack, redIndex, "", 0)
		})
	}
}

func TestForwardOff(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	red, blue := &device{}, &device{}
	add(t, s, InterfaceConfig{Index: 1, Name: "red", Device: red,
		Addresses: prefixes("10.0.1.1/24", "fd00:1::1/64")})
	add(t, s, InterfaceConfig{Index: 2, Name: "blue", Device: blue,
		Addresses: prefixes("10.0.2.1/24", "fd00:2::1/64")})
	s.Deliver(1, udp4("10.0.1.2", "10.0.2.2", 1, nil))
	s.Deliver(1, udp6("fd00:1::2", "fd00:2::2", 1, nil))
	red.none(t)
	blue.none(t)
	wantDrop(t, s, 1, "not-for-us", 2)
}

// TestFragmentation sends packets to a link with a smaller MTU, and puts the
// pieces together again.
func TestFragmentation(t *testing.T) {
	data := make([]byte, 1480)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for _, tt := range []struct {
		name    string
		flags   uint16
		options []byte
	}{
		{"whole", 0, nil},
		{"first fragment", moreFragments, nil},
		{"middle fragment", moreFragments | 185, nil},
		{"last fragment", 185, nil},
		{"last fragment with options", 370, []byte{148, 4, 0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRouter(t, Config{})
			small := &device{}
			add(t, r.Stack, InterfaceConfig{Index: 3, Name: "small", Device: small, MTU: 600,
				Addresses: prefixes("10.0.3.1/24")})
			payload := data[:1480-len(tt.options)]
			r.Deliver(redIndex, v4{from: "10.0.1.2", to: "10.0.3.2", proto: 17, id: 77,
				flags: tt.flags, options: tt.options, payload: payload}.bytes())
			pieces := small.take()
			at, header := int(tt.flags&0x1fff)*8, 20+len(tt.options)
			var whole []byte
			for k, p := range pieces {
				word := binary.BigEndian.Uint16(p[6:])
				more := k < len(pieces)-1 || tt.flags&moreFragments != 0
				if int(word&0x1fff)*8 != at || word&moreFragments != 0 != more ||
					len(p) > 600 || p[8] != 63 || !sound(p) {
					t.Errorf("piece %d: %x", k, p[:header])
				}
				at += len(p) - header
				whole = append(whole, p[header:]...)
			}
			if len(pieces) < 3 {
				t.Errorf("%d pieces", len(pieces))
			}
			if diff := cmp.Diff(payload, whole); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScreen(t *testing.T) {
	long := v6{from: "fd00:1::2", to: "fd00:2::2", next: 60,
		extensions: append([]byte{59, 160}, make([]byte, 160*8+6)...)}.bytes()
	noNext := v6{from: "fd00:1::2", to: "fd00:2::2", next: 59, payload: make([]byte, 1400)}.bytes()
	for _, tt := range []struct {
		name   string
		packet []byte
		reason string
	}{
		{"nothing", nil, "short"},
		{"no IP", []byte{0x50, 1, 2}, "version"},
		{"19 bytes", udp4("10.0.1.2", "10.0.2.2", 9, nil)[:19], "short"},
		{"39 bytes", udp6("fd00:1::2", "fd00:2::2", 9, nil)[:39], "short"},
		{"truncated", udp4("10.0.1.2", "10.0.2.2", 9, nil)[:24], "length"},
		{"truncated IPv6", udp6("fd00:1::2", "fd00:2::2", 9, nil)[:44], "length"},
		{"header checksum", append([]byte{0x45, 1}, udp4("10.0.1.2", "10.0.2.2", 9, nil)[2:]...),
			"malformed"},
		{"source loopback", udp4("127.0.0.1", "10.0.2.2", 9, nil), "martian-source"},
		{"source group", udp4("224.1.1.1", "239.1.1.1", 9, nil), "martian-source"},
		{"source broadcast", udp4("255.255.255.255", "10.0.2.2", 9, nil), "martian-source"},
		{"source this network", udp4("0.1.2.3", "10.0.2.2", 9, nil), "martian-source"},
		{"source unspecified", udp4("0.0.0.0", "10.0.2.2", 9, nil), "martian-source"},
		{"destination loopback", udp4("10.0.1.2", "127.0.0.1", 9, nil), "martian-destination"},
		{"destination 0", udp4("10.0.1.2", "0.0.0.0", 9, nil), "martian-destination"},
		{"IPv6 source loopback", udp6("::1", "fd00:2::2", 9, nil), "martian-source"},
		{"IPv6 source group", udp6("ff05::1", "fd00:2::2", 9, nil), "martian-source"},
		{"IPv6 source mapped", udp6("::ffff:10.0.1.2", "fd00:2::2", 9, nil), "martian-source"},
		{"IPv6 destination loopback", udp6("fd00:1::2", "::1", 9, nil), "martian-destination"},
		{"IPv6 destination mapped", udp6("fd00:1::2", "::ffff:10.0.2.2", 9, nil),
			"martian-destination"},
		{"IPv6 unspecified", udp6("fd00:1::2", "::", 9, nil), "martian-destination"},
		{"own source", udp4("10.0.1.1", "10.0.2.2", 9, nil), "own-source"},
		{"own source of the other link", udp4("10.0.2.1", "10.0.2.2", 9, nil), "own-source"},
		{"IPv6 own source", udp6("fd00:2::1", "fd00:2::2", 9, nil), "own-source"},
		{"link-local source", udp4("169.254.1.1", "10.0.2.2", 9, nil), "link-local"},
		{"link-local destination", udp4("10.0.1.2", "169.254.1.1", 9, nil), "link-local"},
		{"IPv6 link-local source", udp6("fe80::2", "fd00:2::2", 9, nil), "link-local"},
		{"IPv6 link-local destination", udp6("fd00:1::2", "fe80::9", 9, nil), "link-local"},
		{"header chain that no link need carry", long, "header-chain"},
		{"no next header before it all", noNext, "header-chain"},
		{"group not joined", udp4("10.0.1.2", "239.1.1.1", 9, nil), "not-for-us"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRouter(t, Config{})
			r.Deliver(redIndex, tt.packet)
			r.red.none(t)
			r.blue.none(t)
			wantDrop(t, r.Stack, redIndex, tt.reason, 1)
		})
	}
}

func TestLinkErrors(t *testing.T) {
	for _, fault := range []error{syscall.EIO, syscall.EAGAIN, syscall.ENOBUFS, errors.New("gone")} {
		t.Run(fault.Error(), func(t *testing.T) {
			r := newRouter(t, Config{})
			r.red.fail(fault)
			r.blue.fail(fault)
			r.Deliver(redIndex, udp4("10.0.1.2", "10.0.2.2", 64, nil))
			r.Deliver(redIndex, udp6("fd00:1::2", "fd00:2::2", 64, nil))
			r.Deliver(redIndex, echo4("10.0.1.2", "10.0.1.1", 64, ""))
			r.Deliver(redIndex, udp4("10.0.1.2", "10.0.2.2", 1, nil))
			err := r.Send(blueIndex, udp4("10.0.2.1", "224.0.0.1", 1, nil))
			if !errors.Is(err, fault) {
				t.Errorf("Send: %v, want %v", err, fault)
			}
			wantDrop(t, r.Stack, blueIndex, "device", 3)
			if got := drops(t, r.Stack, redIndex)["fault"]; got != 0 {
				t.Errorf("%d panics", got)
			}
		})
	}
}

// TestRemove removes and adds an interface while packets come in on all. The
// bubble fails the test if a goroutine is left at its end.
func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(t, Config{})
		stop := r.flood()
		for range 50 {
			if err := r.RemoveInterface(blueIndex); err != nil {
				t.Fatal(err)
			}
			add(t, r.Stack, InterfaceConfig{Index: blueIndex, Name: "blue", Device: r.blue,
				Addresses: prefixes("10.0.2.1/24")})
		}
		stop()
		if err := r.RemoveInterface(blueIndex); err != nil {
			t.Fatal(err)
		}
		r.blue.take()
		r.Deliver(redIndex, udp4("10.0.1.2", "10.0.2.2", 64, nil))
		r.Deliver(blueIndex, udp4("10.0.2.2", "10.0.1.2", 64, nil))
		r.blue.none(t)
		if got := r.Stats().UnknownInterface; got == 0 {
			t.Error("a frame for an unknown interface was not counted")
		}
		if got := drops(t, r.Stack, redIndex)["fault"]; got != 0 {
			t.Errorf("%d panics", got)
		}
		r.Close()
		r.Close()
	})
}

// flood delivers on both links until the function it returns is called.
func (r router) flood() (stop func()) {
	var workers sync.WaitGroup
	done := make(chan struct{})
	for index := range uint32(2) {
		from := []string{"10.0.1.2", "10.0.2.2"}
		packets := [][]byte{
			udp4(from[index], from[1-index], 64, nil),
			udp4(from[index], from[1-index], 1, nil),
			echo4(from[index], "10.0.2.1", 64, ""),
		}
		workers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				for _, p := range packets {
					r.Deliver(index+1, p)
				}
			}
		})
	}
	return func() {
		close(done)
		workers.Wait()
	}
}

// TestTimersExclude holds that gVisor's timers and packets exclude each other.
func TestTimersExclude(t *testing.T) {
	r := newRouter(t, Config{})
	shared := make(chan bool)
	r.net.Clock().AfterFunc(0, func() {
		free := r.mu.TryRLock()
		if free {
			r.mu.RUnlock()
		}
		shared <- free
	})
	if <-shared {
		t.Error("a timer ran without the lock")
	}
}

// TestRemoveWaiting removes a link that packets wait for: nothing more is written.
func TestRemoveWaiting(t *testing.T) {
	for name, remove := range map[string]func(router){
		"RemoveInterface": func(r router) {
			if err := r.RemoveInterface(lanIndex); err != nil {
				t.Error(err)
			}
		},
		"Close":       func(r router) { r.Close() },
		"SetUp false": func(r router) { r.SetUp(lanIndex, false) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRouter(t, Config{})
				l := newLAN(t, r.Stack)
				r.Deliver(redIndex, udp4("10.0.1.2", "10.0.3.9", 64, nil))
				r.Deliver(redIndex, udp6("fd00:1::2", "fd00:3::9", 64, nil))
				synctest.Wait()
				if got := len(l.device.take()); got != 2 {
					t.Fatalf("%d questions, want 2", got)
				}
				remove(r)
				time.Sleep(time.Minute)
				l.device.none(t)
			})
		})
	}
}
