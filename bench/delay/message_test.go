package delay

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// What Linux hosts sent, from IP header on. The checksums do not matter here.
var messages = []struct {
	name  string
	bytes string
	group string
	want  kind
}{
	{"v2 report", "46c00020 00004000 01020000 0a000102 ef070001 94040000 16000000 ef070001",
		"239.7.0.1", joins},
	{"v2 report of another group",
		"46c00020 00004000 01020000 0a000102 ef070002 94040000 16000000 ef070002",
		"239.7.0.1", other},
	{"v2 leave", "46c00020 00004000 01020000 0a000102 e0000002 94040000 17000000 ef070001",
		"239.7.0.1", leaves},
	{"v3 join, second record", "46c00030 00004000 01020000 0a000102 e0000016 94040000 " +
		"22000000 00000002 03000000 ef070009 04000000 ef070001", "239.7.0.1", joins},
	{"v3 leave", "46c00028 00004000 01020000 0a000102 e0000016 94040000 " +
		"22000000 00000001 03000000 ef070001", "239.7.0.1", leaves},
	{"v3 join with a source", "46c0002c 00004000 01020000 0a000102 e0000016 94040000 " +
		"22000000 00000001 03000001 ef070001 0a000001", "239.7.0.1", joins},
	{"v3 answer to a query", "46c00028 00004000 01020000 0a000102 e0000016 94040000 " +
		"22000000 00000001 02000000 ef070001", "239.7.0.1", other},
	{"data", "4500001c 00004000 07110000 0a000102 ef070001 13881388 00080000", "239.7.0.1", data},
	{"unicast", "4500001c 00004000 07110000 0a000102 0a000202 13881388 00080000",
		"239.7.0.1", other},
	{"MLDv1 report", v6("ff1500000000000000000000 00070001") + hopByHop +
		"83000000 00000000 ff150000 00000000 00000000 00070001", "ff15::7:1", joins},
	{"MLDv1 done", v6("ff0200000000000000000000 00000002") + hopByHop +
		"84000000 00000000 ff150000 00000000 00000000 00070001", "ff15::7:1", leaves},
	{"MLDv2 join", v6("ff0200000000000000000000 00000016") + hopByHop +
		"8f000000 00000001 04000000 ff150000 00000000 00000000 00070001", "ff15::7:1", joins},
	{"MLDv2 leave", v6("ff0200000000000000000000 00000016") + hopByHop +
		"8f000000 00000001 03000000 ff150000 00000000 00000000 00070001", "ff15::7:1", leaves},
}

const hopByHop = "3a000502 00000100"

// v6 is an IPv6 header before a hop-by-hop header.
func v6(to string) string {
	return "60000000 00240001 fe800000 00000000 00000000 00000001" + to
}

func packetOf(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestClassify(t *testing.T) {
	for _, m := range messages {
		group := netip.MustParseAddr(m.group)
		b := packetOf(t, m.bytes)
		if got := classify(b, group); got != m.want {
			t.Errorf("%s: kind %d, want %d", m.name, got, m.want)
		}
		for n := range b {
			// Data is told by its IP header alone.
			if k := classify(b[:n], group); k != other && k != data {
				t.Errorf("%s, cut to %d bytes: kind %d", m.name, n, k)
			}
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, m := range messages {
		f.Add(packetOf(f, m.bytes))
	}
	groups := []netip.Addr{netip.MustParseAddr("239.7.0.1"), netip.MustParseAddr("ff15::7:1")}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, g := range groups {
			if k := classify(b, g); k < other || k > leaves {
				t.Errorf("kind %d", k)
			}
		}
	})
}
