package router_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"umroute/tun/netns/netnstest"
)

// requireTool skips a test where a program is missing, unless namespaces are
// demanded.
func requireTool(t testing.TB, name string) {
	t.Helper()
	netnstest.Require(t)
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("UMROUTE_REQUIRE_NETNS") == "1" {
			t.Fatalf("UMROUTE_REQUIRE_NETNS=1: %v; install the package", err)
		}
		t.Skip(err)
	}
}

// tool starts a program in a host, which writes to a file.
func (s *station) tool(name string, args ...string) (output string) {
	s.t.Helper()
	file, err := os.Create(filepath.Join(s.t.TempDir(), name))
	if err != nil {
		s.t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.Start(cmd)
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("%s said:\n%s", name, read(s.t, file.Name()))
		}
	})
	return file.Name()
}

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// awaitJoined waits until the host's kernel has joined an IPv4 group.
func (s *station) awaitJoined(group netip.Addr) {
	s.t.Helper()
	eventually(s.t, "the host to join "+group.String(), func() bool {
		return strings.Contains(s.Run("ip", "-4", "maddr", "show", "dev", device), group.String())
	})
}

// TestProxyIperf has iperf 2 send through a proxy, both ways, without loss.
func TestProxyIperf(t *testing.T) { checkIperf(t, newProxyLab) }

func checkIperf(t *testing.T, lab func(t testing.TB, more string) *proxyLab) {
	t.Helper()
	requireTool(t, "iperf")
	l := lab(t, "")
	for _, tt := range []struct {
		name           string
		sender, sink   *station
		group          netip.Addr
		joinedUpstream bool
	}{
		{"down", l.far, l.red, netip.MustParseAddr("239.1.1.1"), true},
		{"up", l.red, l.far, netip.MustParseAddr("239.1.1.2"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			output := tt.sink.tool("iperf", "-s", "-u", "-B", tt.group.String()+"%"+device)
			tt.sink.awaitJoined(tt.group)
			if tt.joinedUpstream {
				l.awaitAsked(tt.group, "exclude")
			}
			tt.sender.Run("iperf", "-c", tt.group.String(), "-u", "-T", "8", "-b", "2M", "-t", "1")
			lost := regexp.MustCompile(`(\d+)/ *(\d+) \(`)
			eventually(t, "the report of iperf", func() bool {
				return lost.MatchString(read(t, output))
			})
			got := lost.FindStringSubmatch(read(t, output))
			missed, _ := strconv.Atoi(got[1])
			all, _ := strconv.Atoi(got[2])
			if missed > all/100 || all == 0 { // what a loaded machine may do
				t.Errorf("%d of %d datagrams lost", missed, all)
			}
		})
	}
}

// TestProxyMedia has ffmpeg send a film by RTP and MPEG-TS through a proxy. What
// another ffmpeg receives has each packet of sound and picture bit for bit.
func TestProxyMedia(t *testing.T) { checkMedia(t, newProxyLab) }

func checkMedia(t *testing.T, lab func(t testing.TB, more string) *proxyLab) {
	t.Helper()
	requireTool(t, "ffmpeg")
	l := lab(t, "")
	dir := t.TempDir()
	film, want, got := filepath.Join(dir, "film.ts"), filepath.Join(dir, "want"),
		filepath.Join(dir, "got")
	quiet := []string{"-v", "error", "-nostdin", "-y"}
	l.far.Run("ffmpeg", append(quiet, "-f", "lavfi", "-i", "testsrc=duration=3:size=320x240:rate=25",
		"-f", "lavfi", "-i", "sine=duration=3", "-c:v", "mpeg2video", "-c:a", "mp2", film)...)
	l.far.Run("ffmpeg", append(quiet, "-i", film, "-c", "copy", "-f", "framemd5", want)...)
	group := netip.MustParseAddr("239.1.1.1")
	description := filepath.Join(dir, "film.sdp")
	err := os.WriteFile(description, []byte("v=0\no=- 0 0 IN IP4 0.0.0.0\ns=film\nc=IN IP4 "+
		group.String()+"/8\nt=0 0\nm=video 5004 RTP/AVP 33\n"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	l.red.tool("ffmpeg", append(quiet, "-protocol_whitelist", "file,udp,rtp", "-localaddr",
		l.red.v4.String(), "-i", description, "-c", "copy", "-flush_packets", "1",
		"-f", "framemd5", got)...)
	l.red.awaitJoined(group)
	l.awaitAsked(group, "exclude")
	// The film begins with a burst, of which an unknown flow keeps four packets.
	first := l.far.stream(l.far.v4, netip.AddrPortFrom(group, 9))
	eventually(t, "the flow to be known", func() bool {
		return slices.Contains(l.outputs(l.far.v4, group), "red")
	})
	first.stop()
	l.far.Run("ffmpeg", append(quiet, "-re", "-i", film, "-c", "copy", "-f", "rtp_mpegts",
		"rtp://"+group.String()+":5004?ttl=8&pkt_size=1328&localaddr="+l.far.v4.String())...)
	sent := packetsOf(t, want)
	for stream, packets := range sent {
		// ffmpeg knows where the last PES packet of a stream ends when another one
		// begins, so what was in it is not told: up to a few packets of sound.
		eventually(t, "the packets of stream "+stream, func() bool {
			return len(packetsOf(t, got)[stream]) >= len(packets)-4
		})
		received := packetsOf(t, got)[stream]
		if !slices.Equal(received, packets[:len(received)]) {
			t.Errorf("stream %s: %d packets differ from the %d sent", stream, len(received),
				len(packets))
		}
		t.Logf("stream %s: %d of %d packets", stream, len(received), len(packets))
	}
	if len(sent) != 2 {
		t.Errorf("%d streams", len(sent))
	}
}

// packetsOf reads the size and hash of each packet by stream.
func packetsOf(t testing.TB, file string) map[string][]string {
	t.Helper()
	packets := make(map[string][]string)
	if _, err := os.Stat(file); err != nil {
		return packets
	}
	for line := range strings.Lines(read(t, file)) {
		columns := strings.Split(strings.TrimSpace(line), ",")
		if len(columns) < 6 || strings.HasPrefix(line, "#") {
			continue
		}
		stream := strings.TrimSpace(columns[0])
		packets[stream] = append(packets[stream],
			strings.TrimSpace(columns[4])+" "+strings.TrimSpace(columns[5]))
	}
	return packets
}
