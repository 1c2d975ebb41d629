package membership

import (
	"encoding/binary"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestCapturedHosts replays what Linux hosts sent, at its own pace, and compares
// what the manager was told and which queries for groups followed.
func TestCapturedHosts(t *testing.T) {
	for _, tt := range []struct {
		path   string
		family Family
	}{
		{"../igmp/testdata/linux-tun-igmpv3.pcap", IGMP},
		{"../igmp/testdata/linux-tun-igmpv2-v1-modes.pcap", IGMP},
		{"../igmp/testdata/linux-tun-force-igmpv1.pcap", IGMP},
		{"../mld/testdata/linux-tun-mld.pcap", MLD},
		{"../mld/testdata/linux-tun-mldv1.pcap", MLD},
	} {
		name := strings.TrimSuffix(filepath.Base(tt.path), ".pcap")
		t.Run(name, func(t *testing.T) {
			b := newBench(t, tt.family, defaults(tt.family))
			quiet(&b.config)
			b.config.Prefixes = nil
			if tt.family == IGMP {
				b.config.Address = addr("10.9.0.254")
			}
			b.do([]string{"add"})
			replay(t, b, tt.path)
			b.advance(b.now.Add(10 * time.Second))
			golden := filepath.Join("testdata", name+".golden")
			got := strings.Join(b.lines, "\n") + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if n := b.status().Counters.Ignored[Malformed]; n != 0 {
				t.Errorf("%d packets malformed", n)
			}
		})
	}
}

// replay hands the hosts' packets of a capture without link headers to the
// router, queries left out.
func replay(t *testing.T, b *bench, path string) {
	t.Helper()
	for _, c := range readCapture(t, path) {
		kind := b.messageType(c.packet)
		if kind == 0x11 || kind == 130 || kind == 0 {
			continue
		}
		b.advance(start.Add(c.at))
		b.router.Handle(b.now, 1, c.packet)
	}
}

// captured is an IP packet and when it passed, since the first one.
type captured struct {
	at     time.Duration
	packet []byte
}

func readCapture(t *testing.T, path string) []captured {
	t.Helper()
	const fileHeader, packetHeader, linkEthernet, ethernetHeader = 24, 16, 1, 14
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	skip := 0
	if binary.LittleEndian.Uint32(file[20:]) == linkEthernet {
		skip = ethernetHeader
	}
	var all []captured
	var first time.Duration
	for c := file[fileHeader:]; len(c) > 0; {
		at := time.Duration(binary.LittleEndian.Uint32(c))*time.Second +
			time.Duration(binary.LittleEndian.Uint32(c[4:]))*time.Microsecond
		end := packetHeader + int(binary.LittleEndian.Uint32(c[8:]))
		if all == nil {
			first = at
		}
		all = append(all, captured{(at - first).Round(time.Millisecond), c[packetHeader+skip : end]})
		c = c[end:]
	}
	return all
}

// TestCapturedElection listens to two FRR routers: 10.2.0.2 queries, 10.2.0.1
// starts and wins, stops, and 10.2.0.2 takes over. A third router with the
// highest address sees them as each other did.
func TestCapturedElection(t *testing.T) {
	config := defaults(IGMP)
	config.Address, config.Prefixes = addr("10.2.0.3"), nil
	config.QueryResponseInterval = 2 * time.Second // as theirs is
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	var got []string
	querier := netip.Addr{}
	note := func() {
		if s := b.status(); s.Querier != querier {
			querier = s.Querier
			got = append(got, fmt.Sprintf("%s %s robustness %d interval %s",
				b.now.Sub(start), querier, s.Robustness, s.QueryInterval))
		}
	}
	note()
	for _, c := range readCapture(t, "../igmp/testdata/frr-igmpv3-querier-election.pcap") {
		b.advance(start.Add(c.at))
		note()
		b.router.Handle(b.now, 1, c.packet)
		note()
	}
	// The last of them is missed 2 x 5 s + 2 s / 2 after its last query.
	for range 15 {
		b.advance(b.now.Truncate(time.Second).Add(time.Second))
		note()
	}
	want := []string{
		"0s 10.2.0.3 robustness 2 interval 2m5s",
		"999ms 10.2.0.2 robustness 2 interval 5s",
		"5.726s 10.2.0.1 robustness 2 interval 5s",
		"27.732s 10.2.0.3 robustness 2 interval 2m5s", // all take over at once
		"27.732s 10.2.0.2 robustness 2 interval 5s",
		"44s 10.2.0.3 robustness 2 interval 2m5s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("queriers (-want +got)\n%s", diff)
	}
}

// messageType returns the first octet of an IGMP or MLD message, 0 for others.
func (b *bench) messageType(packet []byte) byte {
	if b.family == IGMP && packet[0]>>4 == 4 && packet[9] == 2 {
		return packet[int(packet[0]&0x0f)*4]
	}
	if b.family == MLD && packet[0]>>4 == 6 && packet[6] == 0 && packet[40] == 58 {
		return packet[48]
	}
	return 0
}
