package smcroute

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// files writes files into a directory of the test and gives the first's path.
func files(t testing.TB, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "smcroute.conf")
}

func TestLoad(t *testing.T) {
	path := files(t, map[string]string{
		"smcroute.conf": `# a comment
phyint eth0 enable ttl-threshold 11
phyint eth1 disable
	phyint virbr0 mrdisc   # announced
mgroup from eth0 group 225.1.2.3
mgroup from eth0 source 192.168.1.42 group ff3e::1

mroute from eth0 source 192.168.1.42 group 225.1.2.3 to eth1 eth2
include conf.d/*.conf
include none.d/*.conf
mroute from eth+ group 225.0.0.9/24 source 0.0.0.0 to virbr0
`,
		"conf.d/b.conf": "mroute from b group ff0e::/16 to c\n",
		"conf.d/a.conf": "mroute from a source 10.0.0.0/8 group 239.1.1.1 to c",
		"conf.d/other":  "nonsense",
	})
	path = strings.ReplaceAll(path, "\\", "/")
	// The families differ in line 6.
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), ":6:44: ") {
		t.Fatalf("two families: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	right := strings.Replace(string(text), "ff3e::1", "232.1.1.1", 1)
	if err := os.WriteFile(path, []byte(right), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	host := netip.MustParsePrefix("192.168.1.42/32")
	want := &File{
		Interfaces: []Interface{
			{Name: "eth0", Threshold: 11}, {Name: "eth1", Disabled: true},
			{Name: "virbr0", Discovery: true},
		},
		Groups: []Group{
			{In: "eth0", Group: netip.MustParsePrefix("225.1.2.3/32")},
			{In: "eth0", Source: host, Group: netip.MustParsePrefix("232.1.1.1/32")},
		},
		Routes: []Route{
			{In: "eth0", Source: host, Group: netip.MustParsePrefix("225.1.2.3/32"),
				Out: []string{"eth1", "eth2"}},
			{In: "a", Source: netip.MustParsePrefix("10.0.0.0/8"),
				Group: netip.MustParsePrefix("239.1.1.1/32"), Out: []string{"c"}},
			{In: "b", Group: netip.MustParsePrefix("ff0e::/16"), Out: []string{"c"}},
			{In: "eth+", Group: netip.MustParsePrefix("225.0.0.0/24"), Out: []string{"virbr0"}},
		},
	}
	prefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if d := cmp.Diff(want, got, prefixes, cmpopts.IgnoreTypes(Position{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if at := got.Routes[2].Pos; filepath.Base(at.File) != "b.conf" || at.Line != 1 {
		t.Errorf("the third route is at %v", at)
	}
}

func TestProblems(t *testing.T) {
	tests := []struct{ text, want string }{
		{"foo bar", `1:1: unknown statement "foo"`},
		{"\n  phyint", "2:3: phyint: the interface is missing"},
		{"phyint a ttl-threshold", "1:10: phyint: the TTL is missing"},
		{"phyint a ttl-threshold 256", `1:24: phyint: "256" is no TTL`},
		{"phyint a ttl-threshold 0", `1:24: phyint: "0" is no TTL`},
		{"phyint a sideways", `1:10: phyint: unknown option "sideways"`},
		{"mgroup", "1:1: mgroup: from is missing"},
		{"mgroup from a", "1:1: mgroup: group is missing"},
		{"mgroup from a group", "1:15: mgroup: nothing behind group"},
		{"mgroup from a group 10.1.1.1", "1:21: mgroup: 10.1.1.1 is no multicast group"},
		{"mgroup from a group 192.0.0.0/1", "1:21: mgroup: 192.0.0.0/1 is no multicast group"},
		{"mgroup from a group x", `1:21: mgroup: "x" is no address`},
		{"mgroup from a group 239.1.1.1 to b", `1:31: mgroup: "to" where one of`},
		{"mroute from a group 239.1.1.1", "1:1: mroute: to is missing"},
		{"mroute from a group 239.1.1.1 to", "1:31: mroute: nothing behind to"},
		{"mroute from a from b group 239.1.1.1 to c", "1:15: mroute: from is given twice"},
		{"mroute from a group 239.1.1.1 to b a", "1:36: mroute: a is the incoming interface"},
		{"mroute from a source 239.1.1.1 group 239.1.1.1 to b",
			"1:22: mroute: source 239.1.1.1 is multicast"},
		{"mroute from a source fd00::1 group 239.1.1.1 to b",
			"1:36: mroute: source and group are of two families"},
		{"include", "1:1: include: one path"},
		{"include nothing.conf", "1:9: include: nothing.conf: no such file"},
		{"include [", "1:9: include: "},
		{"include smcroute.conf", "include: nested deeper than 8 files"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			_, err := Load(files(t, map[string]string{"smcroute.conf": test.text}))
			if _, ok := errors.AsType[Problems](err); !ok ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// FuzzLoad reads any text: there is a problem, or something that was meant.
func FuzzLoad(f *testing.F) {
	f.Add("phyint eth0 enable ttl-threshold 11\nmgroup from eth0 group 225.1.2.3 # x\n")
	f.Add("mroute from eth+ source 10.0.0.0/8 group ff0e::/16 to a b+\r\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		p := new(parser)
		p.depth = maxDepth // no files
		p.read("fuzz", []byte(text))
		for _, r := range p.file.Routes {
			if !r.Group.Addr().IsMulticast() || r.In == "" || len(r.Out) == 0 {
				t.Errorf("a route that cannot be: %+v", r)
			}
		}
		for _, problem := range p.problems {
			if problem.Pos.Line < 1 || problem.Pos.Column < 1 || problem.Message == "" {
				t.Errorf("a problem nowhere: %+v", problem)
			}
		}
	})
}
