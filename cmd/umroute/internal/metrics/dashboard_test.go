package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// dashboard is what a test needs of the file for Grafana.
type dashboard struct {
	Templating struct {
		List []struct{ Query string }
	}
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
}

// queries are the expressions of the dashboard that is shipped.
func queries(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("../../grafana/umroute.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, variable := range d.Templating.List {
		all = append(all, variable.Query)
	}
	for _, panel := range d.Panels {
		if len(panel.Targets) == 0 {
			t.Errorf("panel %q has no query", panel.Title)
		}
		for _, target := range panel.Targets {
			all = append(all, target.Expr)
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d queries", len(all))
	}
	return all
}

// TestDashboardMetrics holds that every metric of the dashboard is there, with
// the labels that its queries use.
func TestDashboardMetrics(t *testing.T) {
	_, text := gather(t, rich(), true)
	names := regexp.MustCompile(`\b(?:umroute|go|process)_[a-z_]+`)
	grouped := regexp.MustCompile(`by \(([a-z, ]+)\) \(.*?(umroute_[a-z_]+)`)
	for _, query := range queries(t) {
		for _, name := range names.FindAllString(query, -1) {
			if !strings.Contains(text, "\n"+name+"{") && !strings.Contains(text, "\n"+name+" ") {
				t.Errorf("%s: there is no metric %s", query, name)
			}
		}
		for _, match := range grouped.FindAllStringSubmatch(query, -1) {
			for label := range strings.SplitSeq(match[1], ", ") {
				series := regexp.MustCompile(`\n` + match[2] + `\{[^}]*\b` + label + `="`)
				if !series.MatchString(text) {
					t.Errorf("%s: %s has no label %s", query, match[2], label)
				}
			}
		}
	}
}

// TestDashboardSyntax has promtool read each query as a recording rule.
func TestDashboardSyntax(t *testing.T) {
	promtool := needPromtool(t)
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	fill := strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$interface", ".*")
	for n, query := range queries(t) {
		if query == "prometheus" || strings.HasPrefix(query, "label_values") {
			continue
		}
		fmt.Fprintf(&rules, "  - {record: 'query:%d', expr: '%s'}\n", n, fill.Replace(query))
	}
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s", err, out, rules.String())
	}
}

// TestPromtool has promtool judge names, types and help of all metrics.
func TestPromtool(t *testing.T) {
	promtool := needPromtool(t)
	_, text := gather(t, rich(), true)
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func needPromtool(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (package prometheus)")
	}
	return path
}
