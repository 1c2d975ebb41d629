package config

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var compareConfig = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}),
}

func prefixes(ss ...string) (ps []netip.Prefix) {
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func TestDefaults(t *testing.T) {
	const file = "interfaces:\n  red: {addresses: [10.0.1.1/24]}\n  blue: {device: b}\n"
	got, err := Parse("f", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	membership := func(enabled bool, version int) Membership {
		return Membership{
			Enabled: enabled, Version: version,
			QueryInterval:           125 * time.Second,
			QueryResponseInterval:   10 * time.Second,
			LastMemberQueryInterval: time.Second,
			Robustness:              2, StartupQueryCount: 2,
			FastLeave: FastLeaveAuto, MaxGroups: 1024, MaxSources: 256, PacketRate: 5000,
		}
	}
	iface := func(name, device string, line int, igmp bool) Interface {
		return Interface{
			Name: name, Pos: Position{line, 3}, Link: LinkTUN, Device: device, IO: IOAuto,
			Domain: "default", MTU: 1500, Coalesce: true, PeerRoutes: true, TTLThreshold: 1,
			IGMP: membership(igmp, 3), MLD: membership(true, 2),
		}
	}
	want := &Config{
		Name:       "umroute",
		Log:        Log{slog.LevelInfo, LogText},
		Interfaces: []Interface{iface("red", "mc0", 2, true), iface("blue", "b", 3, false)},
		Unicast:    Unicast{Forward: true, Kernel: true},
	}
	want.Interfaces[0].Addresses = prefixes("10.0.1.1/24")
	if diff := cmp.Diff(want, got, compareConfig); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	alone := DefaultInterface("red", prefixes("10.0.1.1/24")...)
	if !alone.Equal(got.Interfaces[0]) {
		t.Errorf("default interface is %+v", alone)
	}
}

// TestValues sets every key to something else than its default.
func TestValues(t *testing.T) {
	got, err := Load("testdata/values_set.yaml")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr
	want := &Config{
		Name: "edge-1",
		Log:  Log{slog.LevelDebug, LogJSON},
		Interfaces: []Interface{{
			Name: "z", Pos: Position{4, 3}, Link: LinkTAP, Netns: Netns{PID: 12}, Device: "t0",
			IO: IOPlain, Domain: "lab", MTU: 9000, Coalesce: true, TTLThreshold: 255,
			Addresses:     prefixes("10.0.1.1/24", "fd00:1::1/64"),
			PeerAddresses: prefixes("10.0.1.2/24", "fd00:1::2/64"),
			Boundary:      prefixes("239.255.0.0/16", "ff05::/16"),
			IGMP: Membership{
				Version:       2,
				QueryInterval: time.Minute, QueryResponseInterval: 25500 * time.Millisecond,
				LastMemberQueryInterval: 500 * time.Millisecond,
				Robustness:              3, StartupQueryCount: 3,
				FastLeave: FastLeaveOff, MaxGroups: 0, MaxSources: 1 << 20, PacketRate: 5000,
				Static: []StaticGroup{
					{Group: addr("239.1.1.1")},
					{Group: addr("232.1.1.1"), Source: addr("10.0.9.9")},
				},
				Allow: prefixes("239.0.0.0/8"),
			},
			MLD: Membership{
				Version:       1,
				QueryInterval: 31744 * time.Second, QueryResponseInterval: 65535 * time.Millisecond,
				LastMemberQueryInterval: time.Millisecond,
				Robustness:              7, StartupQueryCount: 1,
				FastLeave: FastLeaveOn, MaxGroups: 1, MaxSources: 0, PacketRate: 5000,
				Static: []StaticGroup{{Group: addr("ff3e::1"), Source: addr("fd00::9")}},
				Allow:  prefixes("ff00::/8"),
			},
		}, DefaultInterface("a", prefixes("10.0.2.1/24")...)},
		Unicast: Unicast{
			Kernel: true,
			Routes: []UnicastRoute{{netip.MustParsePrefix("10.9.0.0/16"), addr("10.0.1.7")}},
		},
		RPF: RPF{Routes: []RPFRoute{{netip.MustParsePrefix("10.9.0.0/16"), "a"}}},
	}
	want.Interfaces[1].Pos = Position{38, 3}
	want.Interfaces[1].FD, want.Interfaces[1].Device = 3, ""
	if diff := cmp.Diff(want, got, compareConfig); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

// TestReference holds that the reference is a configuration, and that it
// explains each key that there is.
func TestReference(t *testing.T) {
	data, err := os.ReadFile("reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("reference.yaml", data); err != nil {
		t.Error(err)
	}
	// A key that is near to none makes the hint list them all.
	const wrong = "zzzzzzzzzzzzzzzzzzzzzzzzz: 0"
	sections := []string{
		"{%}", "{log: {%}}", "{metrics: {%}}", "{control: {%}}",
		"{interfaces: {r: {%}}}", "{interfaces: {r: {igmp: {%}}}}",
		"{interfaces: {r: {mld: {%}}}}", "{interfaces: {r: {igmp: {static: [{%}]}}}}",
		"{unicast: {%}}", "{unicast: {routes: [{%}]}}", "{rpf: {%}}", "{rpf: {routes: [{%}]}}",
		"{protocols: {static: {%}}}", "{protocols: {static: {routes: [{%}]}}}",
		"{protocols: {proxy: {%}}}", "{protocols: {proxy: {rules: [{%}]}}}",
		"{protocols: {relay: {%}}}", "{protocols: {relay: {rules: [{%}]}}}",
	}
	for _, s := range sections {
		_, err := Parse("f", []byte(strings.Replace(s, "%", wrong, 1)))
		_, list, ok := strings.Cut(err.Error(), "(known: ")
		if !ok {
			t.Fatalf("%s: no list of keys in %q", s, err)
		}
		list, _, _ = strings.Cut(list, ")")
		for key := range strings.SplitSeq(list, ", ") {
			if key == "protocols" {
				continue // not supported yet
			}
			if !bytes.Contains(data, []byte(key+":")) {
				t.Errorf("reference.yaml lacks %s", key)
			}
		}
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "absent.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v, want not exist", err)
	}
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, bytes.Repeat([]byte("#\n"), maxFileSize), 0o600); err != nil {
		t.Fatal(err)
	}
	want := large + ":1:1: larger than 1048576 bytes"
	if _, err := Load(large); err == nil || err.Error() != want {
		t.Errorf("large file: %v, want %s", err, want)
	}
}

// TestAliasesEnd holds that aliases of aliases can't blow a small file up.
func TestAliasesEnd(t *testing.T) {
	var b strings.Builder
	b.WriteString("interfaces:\n  i0: &a0 {mtu: 1500}\n")
	for n := range 9 {
		b.WriteString("  i" + string(rune('1'+n)) + ": &a" + string(rune('1'+n)) + " {<<: [")
		b.WriteString(strings.Repeat("*a"+string(rune('0'+n))+", ", 20) + "]}\n")
	}
	_, err := Parse("f", []byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "more than 200000 values") {
		t.Errorf("error is %v", err)
	}
}

func TestNetns(t *testing.T) {
	tests := []struct {
		netns        Netns
		text, file   string
		sameAs       Netns
		isSameAsSelf bool
	}{
		{Netns{}, "self", "", Netns{}, true},
		{Netns{Name: "red"}, "red", "/run/netns/red", Netns{Path: "/var/run/netns/red"}, false},
		{Netns{Path: "/run/netns/red"}, "/run/netns/red", "/run/netns/red", Netns{Name: "red"}, false},
		{Netns{Path: "/x/red"}, "/x/red", "/x/red", Netns{Path: "/x/red"}, false},
		{Netns{PID: 7}, "pid:7", "/proc/7/ns/net", Netns{Path: "/proc/7/ns/net"}, false},
		{Netns{Path: "/proc/self/ns/net"}, "/proc/self/ns/net", "/proc/self/ns/net", Netns{}, true},
		{Netns{Path: "/proc/7"}, "/proc/7", "/proc/7", Netns{Path: "/proc/7"}, false},
	}
	for _, tt := range tests {
		if got := tt.netns.String(); got != tt.text {
			t.Errorf("%+v: text %q, want %q", tt.netns, got, tt.text)
		}
		if got := tt.netns.File(); got != tt.file {
			t.Errorf("%+v: file %q, want %q", tt.netns, got, tt.file)
		}
		if got, want := tt.netns.canonical(), tt.sameAs.canonical(); got != want {
			t.Errorf("%+v: canonical %+v, want %+v", tt.netns, got, want)
		}
		if got := tt.netns.canonical() == (Netns{}); got != tt.isSameAsSelf {
			t.Errorf("%+v: is self %v, want %v", tt.netns, got, tt.isSameAsSelf)
		}
	}
}

func TestFastLeave(t *testing.T) {
	tests := []struct {
		value    FastLeave
		tun, tap bool
	}{
		{FastLeaveAuto, true, false},
		{FastLeaveOn, true, true},
		{FastLeaveOff, false, false},
	}
	for _, tt := range tests {
		if tun, tap := tt.value.On(LinkTUN), tt.value.On(LinkTAP); tun != tt.tun || tap != tt.tap {
			t.Errorf("%s: tun %v, tap %v", tt.value, tun, tap)
		}
	}
}

func TestEqual(t *testing.T) {
	a := DefaultInterface("red", prefixes("10.0.1.1/24")...)
	b := DefaultInterface("red", prefixes("10.0.1.1/24")...)
	b.Pos = Position{7, 7}
	if !a.Equal(b) {
		t.Error("another place in the file makes another interface")
	}
	b.MLD.MaxGroups++
	if a.Equal(b) {
		t.Error("another limit makes no other interface")
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"mtu", "mtu", 0}, {"mut", "mtu", 1},
		{"adresses", "addresses", 1}, {"max-group", "max-groups", 1}, {"nmae", "name", 1},
		{"kitten", "sitting", 3}, {"ca", "abc", 3},
	}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance of %q and %q is %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "reference.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		var problems Problems
		switch {
		case err == nil && c == nil:
			t.Fatal("neither a configuration nor an error")
		case err != nil && (c != nil || !errors.As(err, &problems) || len(problems) == 0):
			t.Fatalf("error is %#v, configuration %v", err, c)
		}
		lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 1
		for _, p := range problems {
			if p.Pos.Line < 1 || p.Pos.Line > lines || p.Pos.Column < 1 {
				t.Errorf("no such place in %d lines: %v", lines, p)
			}
			if strings.ContainsAny(p.Message, "\n\x00") {
				t.Errorf("message is not one line: %q", p.Message)
			}
		}
	})
}
