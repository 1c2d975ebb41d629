package membership

import (
	"encoding/binary"
	"flag"
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
	const fileHeader, packetHeader = 24, 16
	capture, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var first time.Duration
	for c := capture[fileHeader:]; len(c) > 0; {
		at := time.Duration(binary.LittleEndian.Uint32(c))*time.Second +
			time.Duration(binary.LittleEndian.Uint32(c[4:]))*time.Microsecond
		size := int(binary.LittleEndian.Uint32(c[8:]))
		packet := c[packetHeader : packetHeader+size]
		c = c[packetHeader+size:]
		if first == 0 {
			first = at
		}
		kind := b.messageType(packet)
		if kind == 0x11 || kind == 130 || kind == 0 {
			continue
		}
		b.advance(start.Add((at - first).Round(time.Millisecond)))
		b.router.Handle(b.now, 1, packet)
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
