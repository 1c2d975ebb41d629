package stack

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/tun"
)

// device keeps the frames written to it, or fails with err.
type device struct {
	kind tun.Kind
	mtu  int

	mu     sync.Mutex
	frames [][]byte
	err    error
}

func (d *device) Read([][]byte, []int) (int, error) { select {} }

func (d *device) Write(frames [][]byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return 0, d.err
	}
	for _, f := range frames {
		d.frames = append(d.frames, append([]byte(nil), f...))
	}
	return len(frames), nil
}

func (d *device) Close() error { return nil }

func (d *device) Name() string { return "" }

func (d *device) Kind() tun.Kind { return d.kind }

func (d *device) IO() string { return "plain" }

func (d *device) MTU() int {
	if d.mtu == 0 {
		return 1500
	}
	return d.mtu
}

func (d *device) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// take returns what was written since the last call.
func (d *device) take() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	frames := d.frames
	d.frames = nil
	return frames
}

// one returns the only packet written since the last call.
func (d *device) one(t *testing.T) []byte {
	t.Helper()
	frames := d.take()
	if len(frames) != 1 {
		t.Fatalf("%d frames written, want 1: %x", len(frames), frames)
	}
	return frames[0]
}

func (d *device) none(t *testing.T) {
	t.Helper()
	if frames := d.take(); len(frames) != 0 {
		t.Errorf("written, want nothing: %x", frames)
	}
}

func prefixes(s ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

const (
	redIndex  = 1
	blueIndex = 2
)

// router is a stack between two TUN links, red (10.0.1.0/24, fd00:1::/64) and
// blue (10.0.2.0/24, fd00:2::/64); it has ::1 and .1, the hosts .2 and ::2.
type router struct {
	*Stack
	red, blue *device
}

func newRouter(t testing.TB, config Config) router {
	t.Helper()
	r := router{red: &device{}, blue: &device{}}
	config.Forward = true
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	r.Stack = s
	add(t, s, InterfaceConfig{Index: redIndex, Name: "red", Device: r.red,
		Addresses: prefixes("10.0.1.1/24", "fd00:1::1/64")})
	add(t, s, InterfaceConfig{Index: blueIndex, Name: "blue", Device: r.blue,
		Addresses: prefixes("10.0.2.1/24", "fd00:2::1/64")})
	return r
}

func add(t testing.TB, s *Stack, config InterfaceConfig) {
	t.Helper()
	if err := s.AddInterface(config); err != nil {
		t.Fatal(err)
	}
}

// drops returns an interface's drop counters.
func drops(t testing.TB, s *Stack, index uint32) map[string]uint64 {
	t.Helper()
	for _, i := range s.Stats().Interfaces {
		if i.Index == index {
			return i.Drops
		}
	}
	t.Fatalf("no statistics of interface %d", index)
	return nil
}

func wantDrop(t testing.TB, s *Stack, index uint32, reason string, n uint64) {
	t.Helper()
	want := map[string]uint64{}
	if reason != "" {
		want[reason] = n
	}
	if diff := cmp.Diff(want, drops(t, s, index)); diff != "" {
		t.Errorf("drops of interface %d (-want +got):\n%s", index, diff)
	}
}
