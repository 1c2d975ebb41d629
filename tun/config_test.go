package tun

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigDefaults(t *testing.T) {
	got, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if got.Logger == nil {
		t.Error("no logger")
	}
	got.Logger = nil
	want := Config{Name: "mc0", Kind: KindTUN, MTU: 1500, TxQueueLen: 1000}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestConfigErrors(t *testing.T) {
	peer := func(text string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(text)} }
	tests := []struct {
		name   string
		config Config
		want   string // "" for none
	}{
		{"longest name", Config{Name: "abcdefghijklmno"}, ""},
		{"long name", Config{Name: "abcdefghijklmnop"}, "longer than 15"},
		{"slash", Config{Name: "a/b"}, "no slash"},
		{"pattern", Config{Name: "tun%d"}, "percent"},
		{"dots", Config{Name: ".."}, ".."},
		{"pipe", Config{Kind: KindPipe}, "neither TUN nor TAP"},
		{"plain", Config{IO: "plain"}, ""},
		{"auto", Config{IO: "auto"}, ""},
		{"uring", Config{IO: "uring"}, ""},
		{"io", Config{IO: "fast"}, `io "fast"`},
		{"smallest mtu", Config{MTU: 68}, ""},
		{"small mtu", Config{MTU: 67}, "mtu 67"},
		{"large mtu", Config{MTU: 65536}, "mtu 65536"},
		{"negative queue", Config{TxQueueLen: -1}, "negative"},
		{"IPv4 on small mtu", Config{MTU: 1279, PeerAddresses: peer("10.0.0.1/24")}, ""},
		{"IPv6 on small mtu", Config{MTU: 1279, PeerAddresses: peer("fd00::1/64")}, "needs 1280"},
		{"IPv6", Config{MTU: 1280, PeerAddresses: peer("fd00::1/64")}, ""},
		{"longest owner", Config{Owner: strings.Repeat("x", 246)}, ""},
		{"long owner", Config{Owner: strings.Repeat("x", 247)}, "at most 246"},
		{"line in owner", Config{Owner: "a\nb"}, "control"},
		{"multicast", Config{PeerAddresses: peer("239.1.1.1/32")}, "not a host's address"},
		{"unspecified", Config{PeerAddresses: peer("0.0.0.0/0")}, "not a host's address"},
		{"zero prefix", Config{PeerAddresses: make([]netip.Prefix, 1)}, "not a host's address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.config.withDefaults()
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v does not say %q", err, test.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	kinds := []string{KindTUN.String(), KindTAP.String(), KindPipe.String(), Kind(9).String()}
	if diff := cmp.Diff([]string{"tun", "tap", "pipe", "kind 9"}, kinds); diff != "" {
		t.Errorf("kinds: -want +got\n%s", diff)
	}
	var events []string
	for e := EventType(0); e <= EventRemoved; e++ {
		events = append(events, e.String())
	}
	want := []string{"unknown", "up", "down", "mtu changed", "removed"}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events: -want +got\n%s", diff)
	}
}
