package umroute_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "umroute"

// allowed lists, for each folder, which packages of this module it may import,
// as path prefixes below the module. A folder may always import what lies in
// its own internal/ tree.
var allowed = map[string][]string{
	"tun":              {"tun/netns"},
	"tun/netns":        {"tun/netns"},
	"stack":            {"tun"},
	"stack/igmp":       {},
	"stack/mld":        {},
	"stack/membership": {"mgm", "stack/igmp", "stack/mld"},
	"mgm":              {},
	"routing":          {"mgm", "tun"},
	"routing/kernel":   {},
	"routing/static":   {"mgm", "routing"},
	"routing/proxy":    {"mgm", "routing", "stack/igmp", "stack/mld"},
	"routing/relay":    {"mgm", "routing", "tun"},
	"tun/host":         {"tun", "tun/netns"},
	"stack/multicast":  {"tun"},
	"bench":            {"bench", "tun", "stack", "mgm", "routing"},
	"cmd/umroute":      {""},
}

// restricted names the third-party modules that belong to one folder alone.
var restricted = map[string]string{
	"gvisor.dev/gvisor":          "stack",
	"github.com/songgao/water":   "tun",
	"github.com/urfave/cli":      "cmd",
	"github.com/gaissmai/bart":   "routing stack",
	"github.com/goccy/go-yaml":   "cmd",
	"github.com/google/go-cmp":   "", // tests only, nowhere in the product
	"github.com/rogpeppe":        "",
	"github.com/stretchr":        "",
	"github.com/getkin":          "",
	"github.com/HdrHistogram":    "bench",
	"golang.org/x/perf":          "bench",
	"github.com/vishvananda":     "tun cmd bench routing",
	"github.com/prometheus":      "cmd",
	"github.com/charmbracelet":   "cmd",
	"charm.land":                 "cmd",
	"github.com/coreos":          "cmd",
	"github.com/elastic":         "cmd",
	"kernel.org/pub":             "cmd",
	"golang.org/x/sync/errgroup": "cmd bench",
}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Standard     bool
}

// TestImportDirections holds which package may import which, so that a
// library user of mgm gets no gVisor and no protocol knows another.
func TestImportDirections(t *testing.T) {
	for _, pkg := range modulePackages(t) {
		folder := strings.TrimPrefix(strings.TrimPrefix(pkg.ImportPath, module), "/")
		for _, imported := range pkg.Imports {
			checkOwn(t, folder, imported)
			checkThirdParty(t, folder, imported)
		}
	}
}

// TestMGMIsStandardLibraryOnly holds that mgm can be embedded alone.
func TestMGMIsStandardLibraryOnly(t *testing.T) {
	for _, pkg := range modulePackages(t) {
		if pkg.ImportPath != module+"/mgm" {
			continue
		}
		for _, imported := range pkg.Imports {
			if strings.Contains(strings.Split(imported, "/")[0], ".") {
				t.Errorf("mgm imports %s: it is to need the standard library alone", imported)
			}
		}
		return
	}
	t.Fatal("package mgm not found")
}

func checkOwn(t *testing.T, folder, imported string) {
	t.Helper()
	target, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return
	}
	rule, prefixes := ruleFor(folder)
	if rule == "" {
		t.Errorf("%s: no import rule covers this folder", folder)
		return
	}
	for _, prefix := range append(prefixes, rule+"/internal") {
		if prefix == "" || target == prefix || strings.HasPrefix(target, prefix+"/internal/") ||
			(rule == "bench" || prefix == rule+"/internal") && strings.HasPrefix(target, prefix+"/") {
			return
		}
	}
	t.Errorf("%s imports %s, which the rules do not allow", folder, imported)
}

// ruleFor finds the rule of the closest folder above.
func ruleFor(folder string) (rule string, prefixes []string) {
	for path := folder; ; {
		if prefixes, ok := allowed[path]; ok {
			return path, prefixes
		}
		slash := strings.LastIndex(path, "/")
		if slash < 0 {
			return "", nil
		}
		path = path[:slash]
	}
}

func checkThirdParty(t *testing.T, folder, imported string) {
	t.Helper()
	for prefix, folders := range restricted {
		if !strings.HasPrefix(imported, prefix) {
			continue
		}
		top, _, _ := strings.Cut(folder, "/")
		if !strings.Contains(" "+folders+" ", " "+top+" ") {
			t.Errorf("%s imports %s, which belongs to [%s]", folder, imported, folders)
		}
	}
}

func modulePackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg goPackage
		if err := decoder.Decode(&pkg); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("read the output of go list: %v", err)
		}
		packages = append(packages, pkg)
	}
	if len(packages) < 5 {
		t.Fatalf("go list named only %d packages", len(packages))
	}
	return packages
}
