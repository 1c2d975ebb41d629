package proxyfile

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var compare = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty(),
	cmpopts.IgnoreTypes(Position{}),
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func TestIgmpproxy(t *testing.T) {
	got, err := LoadIgmpproxy(write(t, `# a comment
quickleave
phyint eth0 upstream  ratelimit 0  threshold 3
        altnet 10.0.0.0/8   # another
        altnet 192.168.0.1/24
        whitelist 239.1.0.0/16
phyint eth1 downstream  ratelimit 0  threshold 1 altnet 10.9.0.0/16
phyint eth2 disabled
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Proxy{
		Upstream: []Interface{{Name: "eth0", Threshold: 3,
			Sources: prefixes("10.0.0.0/8", "192.168.0.0/24"), Groups: prefixes("239.1.0.0/16")}},
		Downstream: []Interface{{Name: "eth1", Threshold: 1, Sources: prefixes("10.9.0.0/16")}},
		Rules:      []Rule{{Upstream: "eth0", Groups: prefixes("239.1.0.0/16")}, {}},
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("proxy (-want +got)\n%s", diff)
	}
}

func TestMcproxy(t *testing.T) {
	got, err := LoadMcproxy(write(t, `protocol IGMPv2; # a comment
pinstance one: "eth-0" eth1 ==> eth2 eth3;
pinstance two(10): eth4 eth5 eth6 ==> eth7;
pinstance quiet: ==> eth8;
table some { (239.99.99.99 | *) (table other) };
table other {
  (239.0.0.0 - 239.0.2.255 | 10.0.0.0/8)
};
pinstance two upstream * in rulematching first;
pinstance two upstream * out rulematching first;
table all {(* | *)};
table mine {(table other) (ff0e::/16 | *)};
pinstance two upstream eth4 in blacklist table all;
pinstance two upstream eth5 in whitelist table mine;
`))
	want := "table other is not there"
	if err == nil || !strings.Contains(err.Error(), ":5:40: "+want) {
		t.Errorf("got %v, %v, want %q", got, err, want)
	}
	got, err = LoadMcproxy(write(t, `protocol IGMPv2;
pinstance one: "eth-0" eth1 ==> eth2 eth3;
pinstance two(10): eth4 eth5 eth6 ==> eth7;
pinstance quiet: ==> eth8;
table other {
  (239.0.0.0 - 239.0.2.255 | 10.0.0.0/8)
};
pinstance two upstream * out rulematching first;
pinstance two upstream eth4 in blacklist table {(* | *)};
pinstance two upstream eth5 in whitelist table {(table other) (* | 10.1.1.1)};
`))
	if err != nil {
		t.Fatal(err)
	}
	list := []Proxy{
		{Upstream: []Interface{{Name: "eth-0"}, {Name: "eth1"}},
			Downstream: []Interface{{Name: "eth2"}, {Name: "eth3"}}, Version: 2, SendToAll: true},
		{Upstream: []Interface{{Name: "eth4"}, {Name: "eth5"}, {Name: "eth6"}},
			Downstream: []Interface{{Name: "eth7"}}, Version: 2, Rules: []Rule{
				{Upstream: "eth5", Groups: prefixes("239.0.0.0/23", "239.0.2.0/24"),
					Sources: prefixes("10.0.0.0/8")},
				{Upstream: "eth5", Sources: prefixes("10.1.1.1/32")}, {Upstream: "eth6"}}},
	}
	if diff := cmp.Diff(list, got, compare); diff != "" {
		t.Errorf("proxies (-want +got)\n%s", diff)
	}
}

func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		mcproxy    bool
		want       []string
	}{
		{"igmpproxy", `quickleaf
phyint eth0 upstream ratelimit 100
phyint eth1 upstream
phyint eth2 sideways
phyint eth3 downstream threshold 0 altnet 10.0.0.0/33 whitelist 10.0.0.0/8
phyint eth4 downstream colour red
phyint eth5`, false, []string{
			`1:1: unknown statement "quickleaf": there are phyint and quickleave`,
			`2:32: ratelimit 100: not supported yet`,
			`3:13: phyint eth1: eth0 is upstream already, in line 2`,
			`4:13: phyint eth2: unknown role "sideways": there are upstream, downstream and disabled`,
			`5:34: threshold: "0" is not a TTL, 1 to 255`,
			`5:43: "10.0.0.0/33" is not a network, as in 10.0.0.0/8`,
			`5:65: 10.0.0.0/8 is not a network of multicast groups`,
			`6:24: phyint eth4: unknown option "colour": there are ratelimit, threshold, altnet ` +
				`and whitelist`,
			`7:1: phyint: the interface or its role is missing`,
		}},
		{"no upstream", "phyint eth0 downstream\n", false, []string{"1:13: no phyint is upstream"}},
		{"mcproxy", `protocol IGMPv4;
disable;
pinstance a: eth0 eth1;
pinstance a: eth0 ==> eth1;
pinstance b upstream eth0 in whitelist table {(*|*)};
pinstance a upstream eth9 in whitelist table {(*|*)};
pinstance a upstream eth0 out whitelist table {(*|*)};
pinstance a upstream eth0 in blacklist table {(239.1.1.1|*)};
pinstance a upstream * in rulematching mutex 1000;
table t {(10.0.0.1|*) (239.2.2.2 - 239.1.1.1|*) 7};
what;
pinstance a upstream eth0 in whitelist table t`, true, []string{
			`1:10: unknown protocol "IGMPv4"`,
			`2:1: the file disables mcproxy`,
			`3:23: pinstance a: ==> is missing`,
			`4:11: pinstance a is there already`,
			`5:11: pinstance b is not there`,
			`5:22: eth0 is no upstream interface of the instance`,
			`6:22: eth9 is no upstream interface of the instance`,
			`7:13: upstream eth0 out whitelist: only what is taken from upstream can have rules`,
			`8:30: upstream eth0 in blacklist: not supported yet, apart from (* | *)`,
			`9:40: in rulematching mutex: not supported yet`,
			`10:11: 10.0.0.1 is not a network of multicast groups`,
			`10:24: 239.2.2.2 - 239.1.1.1 is not a range`,
			`10:49: "7" in a table: (GROUP | SOURCE) is expected`,
			`11:1: unknown statement "what": there are protocol, pinstance and table`,
			`12:46: "" instead of a semicolon`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.text)
			var err error
			if tt.mcproxy {
				_, err = LoadMcproxy(path)
			} else {
				_, err = LoadIgmpproxy(path)
			}
			if err == nil {
				t.Fatal("no problem")
			}
			got := strings.Split(strings.ReplaceAll(err.Error(), path+":", ""), "\n")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("phyint eth0 upstream altnet 10.0.0.0/8\nphyint eth1 downstream")
	f.Add("pinstance a(1): \"x\" ==> y;\n" +
		"pinstance a upstream x in whitelist table {(* | 10.0.0.1 - 10.0.0.9)};")
	f.Fuzz(func(t *testing.T, text string) {
		path := write(t, text)
		_, _ = LoadIgmpproxy(path)
		_, _ = LoadMcproxy(path)
	})
}
