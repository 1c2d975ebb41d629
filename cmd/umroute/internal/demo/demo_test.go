package demo

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"

	"umroute/tun/netns/netnstest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == HostsCommand {
		os.Exit(RunHosts())
	}
	netnstest.Main(m)
}

// good is a session as it should be: seven seconds long.
func good() session {
	return session{Host: receiver1, Stream: asm4, SentAtJoin: 100, SentAtLeave: 1500,
		Received: 1390, First: 105, Last: 1494}
}

func TestFault(t *testing.T) {
	tests := []struct {
		name   string
		change func(*session)
		want   string // "" for none
	}{
		{"good", func(*session) {}, ""},
		{"open", func(s *session) { s.Open = true }, "did not leave"},
		{"nothing", func(s *session) { s.Received = 0 }, "received nothing"},
		{"lost", func(s *session) { s.Lost = 1 }, "lost 1 of 1391"},
		{"twice", func(s *session) { s.Duplicates = 2 }, "twice"},
		{"corrupt", func(s *session) { s.Corrupt = 1 }, "corrupt"},
		{"late", func(s *session) { s.First = 100 + datagrams(joinTime) + 1 }, "after the join"},
		{"early", func(s *session) { s.Last = 1499 - datagrams(leaveTime) }, "before the leave"},
		{"absent", func(s *session) { s.Absent = true }, "had not joined"},
		{"absent, nothing", func(s *session) { s.Absent, s.Received = true, 0 }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := good()
			tt.change(&s)
			got := s.fault()
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("fault() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	fine := tally{Sent: []uint64{1, 1, 1, 1}, Sessions: []session{good()},
		Unwanted: map[string][]uint64{receiver1: {0, 0, 0, 0}}}
	if faults := judge(fine); faults != nil {
		t.Errorf("judge of what is right: %q", faults)
	}
	unwanted := fine
	unwanted.Unwanted = map[string][]uint64{receiver1: {0, 3, 0, 0}}
	if faults := judge(unwanted); len(faults) != 1 || !strings.Contains(faults[0], "not asked for") {
		t.Errorf("judge of unwanted datagrams: %q", faults)
	}
	mute := fine
	mute.Sent = []uint64{1, 1, 0, 1}
	if faults := judge(mute); len(faults) != 1 || !strings.Contains(faults[0], "nothing was sent") {
		t.Errorf("judge of a mute sender: %q", faults)
	}
}

// TestScheduleIsComplete holds that each join has its leave, in order.
func TestScheduleIsComplete(t *testing.T) {
	member := make(map[place]step)
	last := 0.0
	for _, s := range schedule() {
		if s.At <= last || s.At >= 1 {
			t.Errorf("%s: at %v, after %v", s, s.At, last)
		}
		last = s.At
		at := place{s.Host, s.Stream}
		joined, known := member[at]
		if known != s.Leave || known && joined.source() != s.source() {
			t.Errorf("%s: does not fit what was before", s)
		}
		if s.Leave {
			delete(member, at)
		} else {
			member[at] = s
		}
	}
	if len(member) != 0 {
		t.Errorf("never left: %v", member)
	}
}

// TestDatagram holds that simulated hosts send what streamOf and openDatagram
// read, with checksums that a receiver accepts.
func TestDatagram(t *testing.T) {
	for i, of := range streams() {
		source := netip.MustParseAddr("10.99.1.2")
		if of.Group.Addr().Is6() {
			source = netip.MustParseAddr("fd99:1::2")
		}
		packet := datagram(source, of.Group, []byte("odd"))
		if got := streamOf(packet); got != i {
			t.Errorf("streamOf(%s) = %d, want %d", of.Group, got, i)
		}
		from, payload := openDatagram(packet)
		if from != source || string(payload) != "odd" {
			t.Errorf("openDatagram(%s) = %s, %q", of.Group, from, payload)
		}
		segment := packet[len(packet)-udpHeader-len(payload):]
		pseudo := sum(udp+uint32(len(segment)), source.AsSlice(), of.Group.Addr().AsSlice())
		if got := sum(uint32(pseudo), segment); got != 0xffff {
			t.Errorf("checksum of %s: sums up to %#x", of.Group, got)
		}
	}
	for _, packet := range [][]byte{nil, {0x45}, {0x60}, make([]byte, 60)} {
		if got := streamOf(packet); got != -1 {
			t.Errorf("streamOf(%x) = %d, want -1", packet, got)
		}
	}
}

func TestRunInMemory(t *testing.T) {
	var output bytes.Buffer
	err := Run(t.Context(), Options{Length: MinLength, InMemory: true, Output: &output})
	if err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	if !strings.Contains(output.String(), "OK: all that should have arrived") {
		t.Errorf("no verdict in:\n%s", &output)
	}
}

func TestRunInNamespaces(t *testing.T) {
	netnstest.Require(t)
	var output bytes.Buffer
	err := Run(t.Context(), Options{Length: 2 * MinLength, Output: &output})
	if err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	if !strings.Contains(output.String(), "OK: all that should have arrived") {
		t.Errorf("no verdict in:\n%s", &output)
	}
}

// TestPictureFitsTerminal draws in the middle of a demonstration, as for a
// terminal of 24 lines of 80 columns.
func TestPictureFitsTerminal(t *testing.T) {
	var output bytes.Buffer
	p := newPicture(Options{Terminal: true, Output: &output, Length: MinLength}, "user 1000")
	counted := tally{Sent: make([]uint64, len(streams())), Unwanted: map[string][]uint64{
		receiver1: make([]uint64, len(streams()))}}
	for _, s := range schedule() {
		p.event(0, s.String())
		counted.Sessions = append(counted.Sessions,
			session{Host: s.Host, Stream: s.Stream, Absent: s.Absent, Open: true})
	}
	output.Reset()
	p.draw(0, counted, nil)
	lines := strings.Split(strings.ReplaceAll(output.String(), clearLine, ""), "\n")
	if entries := len(streams()); len(lines)+entries > 24 {
		t.Errorf("%d lines and %d entries do not fit 24 lines", len(lines), entries)
	}
	for _, line := range lines {
		if len(line) > 80+len(home) {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
}
