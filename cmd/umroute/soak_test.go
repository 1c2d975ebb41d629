package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// soakVar is how long TestSoak runs, as in "10m"; without it, soakTime.
const (
	soakVar  = "UMROUTE_SOAK"
	soakTime = 15 * time.Second
)

// vitals are what must not grow with time.
type vitals struct {
	descriptors, goroutines int
	memory                  uint64
}

// TestSoak has interfaces come and go, hosts join and leave, devices flap, and a
// host flood, again and again, while a stream runs between two others. The
// stream is whole, and the router is no bigger in the end than after a while.
//
//	red    ──mc0──┐       ┌──mc0── blue
//	streams       router ─┤        receives
//	green  ──mc0──┘       └──mcN── yellow
//	floods, flaps                  comes and goes, joins and leaves
func TestSoak(t *testing.T) {
	length := soakTime
	if text := os.Getenv(soakVar); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", soakVar, err)
		}
	}
	stations := newStations(t, "red", "blue", "green", "yellow")
	red, blue, green, yellow := stations[0], stations[1], stations[2], stations[3]
	green.more = "max-flows: 500, igmp: {max-groups: 100}"
	p := startRouter(t, configure(red, blue, green))
	group := netip.MustParseAddrPort("239.9.9.9:5009")
	receiver := blue.receive(group)
	p.awaitJoined("blue", group.Addr())
	st := red.startStream(group)

	s := soak{process: p, green: green, yellow: yellow, random: rand.New(rand.NewPCG(1, 2))}
	var early vitals
	begin, cycles := time.Now(), 0
	for ; cycles < 6 || time.Since(begin) < length; cycles++ {
		s.cycle(cycles)
		if cycles == 2 || cycles > 2 && time.Since(begin) < length/4 {
			early = s.vitals()
		}
	}
	late := s.vitals()
	t.Logf("%d cycles in %v: first %+v, then %+v", cycles, time.Since(begin).Round(time.Second),
		early, late)
	if late.descriptors > early.descriptors+4 || late.goroutines > early.goroutines+8 {
		t.Errorf("the router grows from %+v to %+v", early, late)
	}
	// The collector lets the heap double before it looks.
	if late.memory > 2*early.memory+32<<20 {
		t.Errorf("memory grows from %d MiB to %d MiB", early.memory>>20, late.memory>>20)
	}
	if sent := st.end(); !raceDetector { // with which a queue may overflow
		checkWhole(t, receiver, sent)
	}
	if took := p.stop(); took > stopTime {
		t.Errorf("stopping took %v", took)
	}
}

// soak is the churn.
type soak struct {
	*process
	green, yellow *station
	random        *rand.Rand
}

// cycle does everything once.
func (s *soak) cycle(n int) {
	s.t.Helper()
	name := fmt.Sprint("mc", n%5)
	_, stderr, status := run(s.t, "attach", "--socket", s.socket, "--netns", s.yellow.netns,
		"--device", name, "yellow")
	if status != statusDone {
		s.t.Fatalf("attach: status %d, %s", status, stderr)
	}
	s.join(name)
	for range 3 {
		var packets [][]byte
		for range 100 {
			packets = append(packets, randomFlow(s.random), randomReport(s.random))
		}
		s.green.sendRaw(packets...)
	}
	switch n % 3 {
	case 0:
		s.yellow.Run("ip", "link", "del", name) // which also ends the interface
	case 1:
		_, stderr, status = run(s.t, "detach", "--socket", s.socket, "yellow")
		if status != statusDone {
			s.t.Fatalf("detach: status %d, %s", status, stderr)
		}
	case 2:
		s.yellow.Run("ip", "link", "set", name, "down")
		s.yellow.Run("ip", "link", "set", name, "up")
		s.yellow.Run("ip", "link", "del", name)
		s.clear("stats")
	}
	s.awaitGone("yellow")
}

// join has yellow join some groups and leave them.
func (s *soak) join(device string) {
	s.t.Helper()
	conn := s.yellow.ListenUDP("udp4", ":5010")
	defer conn.Close()
	for k := range 10 { // igmp_max_memberships is 20
		group := netip.AddrFrom4([4]byte{239, 1, 1, byte(k)})
		s.yellow.Join(conn, device, group)
		if k == 9 {
			s.awaitJoined("yellow", group)
		}
	}
}

// vitals looks at the router when it has nothing to do.
func (s *soak) vitals() (v vitals) {
	s.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	v.descriptors, v.memory = len(entries), s.process.memory()
	for line := range strings.Lines(s.metrics()) {
		if value, found := strings.CutPrefix(line, "go_goroutines "); found {
			if _, err := fmt.Sscan(value, &v.goroutines); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return v
}

// metrics are what Prometheus would get.
func (p *process) metrics() string {
	p.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", p.socket)
		}}}
	response, err := client.Get("http://umroute/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := io.Copy(&text, response.Body); err != nil {
		p.t.Fatal(err)
	}
	return text.String()
}
