package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"umroute/bench/result"
)

const repeats = 10

// measured makes up what a run could have given: umroute at speed times what
// the kernel does at 1.
func measured(t *testing.T, speed float64) Run {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(speed*100)))
	run := Run{File: "made-up.jsonl", End: &result.End{},
		Machine: result.Machine{Date: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
			Version: "0.1.0", Commit: "0123456789ab", CPU: "Some <Processor>", Cores: 2,
			Kernel: "6.18.44", Queues: map[string]int64{"tun.txqueuelen": 2048}},
		Missing: []result.Missing{{What: "umroute/uring", Why: "not permitted"}}}
	for round := range repeats {
		for _, e := range []struct {
			name, io, link string
			speed          float64
		}{{"kernel", "mfc", "veth", 1}, {"umroute", "vectored", "tun", speed},
			{"naive", "single", "tun", .45}} {
			base := result.Measured{Round: round + 1, Engine: e.name, IO: e.io, Link: e.link,
				Family: 4, Flows: 1, Groups: 1, Load: "plain", Receiver: "plain"}
			for _, size := range []int{64, 512} {
				for _, oifs := range []int{1, 2, 4, 8} {
					m := base
					m.Test, m.Rate, m.Size, m.Oifs = "aggregated", "closed", size, oifs
					m.Delivered = e.speed * (3e5 + 5e4*float64(oifs)) *
						(1 + .05*rng.NormFloat64())
					m.CPUPerSent = 10 / e.speed * float64(oifs) * (1 + .02*rng.NormFloat64())
					run.Samples = append(run.Samples, m)
				}
			}
			m := base
			m.Test, m.Rate, m.Size, m.Oifs, m.Wanted = "latency", "fixed", 512, 4, 20_000
			m.Latency = distribution(t, rng, 25e3/e.speed)
			m.Skew = distribution(t, rng, 4e3/e.speed)
			run.Samples = append(run.Samples, m)
			m = base
			m.Test, m.Rate, m.Protocol, m.Oifs, m.Size = "join-delay", "fixed", "igmpv3", 1, 512
			m.Join = distribution(t, rng, 300e3/e.speed)
			run.Samples = append(run.Samples, m)
			m = base
			m.Test, m.Rate, m.Oifs, m.Capacity = "capacity", "fixed", 1, 10_000
			run.Samples = append(run.Samples, m)
		}
	}
	return run
}

func distribution(t *testing.T, rng *rand.Rand, scale float64) *result.Distribution {
	t.Helper()
	h := result.NewHistogram()
	for range 2000 {
		if err := h.RecordValue(int64(scale * (1 + rng.ExpFloat64()))); err != nil {
			t.Fatal(err)
		}
	}
	d, err := result.Distribute(h)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func build(t *testing.T, runs ...Run) Page {
	t.Helper()
	p, err := Build(runs)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func section(t *testing.T, p Page, heading string) Section {
	t.Helper()
	for _, s := range p.Sections {
		if s.Heading == heading {
			return s
		}
	}
	t.Fatalf("no section %q", heading)
	return Section{}
}

func TestThroughput(t *testing.T) {
	s := section(t, build(t, measured(t, 1.5)), "Throughput: aggregated, closed loop")
	if len(s.Figures) != 4 { // two sizes, throughput and processor time
		t.Errorf("%d figures", len(s.Figures))
	}
	for _, f := range s.Figures {
		if len(f.Chart.Series) != 3 || len(f.Chart.Series[0].Points) != 4 {
			t.Errorf("%s: %d lines, %d points", f.Name, len(f.Chart.Series),
				len(f.Chart.Series[0].Points))
		}
		if f.Chart.Series[0].Name != "umroute" || f.Chart.Series[1].Name != "kernel" {
			t.Errorf("%s: %s, then %s", f.Name, f.Chart.Series[0].Name, f.Chart.Series[1].Name)
		}
	}
	if len(s.Tables) != 2 || len(s.Tables[0].Rows) != 8 {
		t.Fatalf("tables: %+v", s.Tables)
	}
	for _, kinds := range []struct {
		table         Table
		router, naive string
	}{{s.Tables[0], "better", "worse"}, {s.Tables[1], "better", "worse"}} {
		for _, row := range kinds.table.Rows {
			// what, umroute, of kernel, kernel, naive, of kernel
			if row[2].Kind != kinds.router || row[5].Kind != kinds.naive {
				t.Errorf("%s: %s: %+v", kinds.table.Caption, row[0].Text, row)
			}
		}
	}
	if got := s.Tables[0].Rows[0][2].Text; got < "1.40×" || got > "1.60×" {
		t.Errorf("ratio %s, made up as 1.5", got)
	}
}

// TestAxis holds that a few rows of another kind do not choose the axis.
func TestAxis(t *testing.T) {
	var rows []row
	for _, oifs := range []int{1, 2, 4, 8} {
		rows = append(rows, row{oifs: oifs, size: 64, groups: 1, flows: 1},
			row{oifs: oifs, size: 512, groups: 1, flows: 1})
	}
	rows = append(rows, row{oifs: 4, size: 512, groups: 8, flows: 8})
	groups := byAxis(rows)
	if len(groups) != 2 || groups[0].along.name != "outputs" || len(groups[0].rows) != 4 {
		t.Errorf("%d charts: %+v", len(groups), groups)
	}
	if groups := byAxis(rows[:1]); len(groups) != 0 {
		t.Errorf("a chart of one row: %+v", groups)
	}
}

func TestTimes(t *testing.T) {
	p := build(t, measured(t, 2))
	for heading, counts := range map[string]string{"Latency": "20000", "Group join delay": "20000",
		"Skew between outputs": "20000"} {
		s := section(t, p, heading)
		if len(s.Figures) != 1 || len(s.Figures[0].Chart.Series) != 3 {
			t.Errorf("%s: %d figures", heading, len(s.Figures))
			continue
		}
		for _, row := range s.Tables[0].Rows {
			if got := row[len(row)-1].Text; got != counts {
				t.Errorf("%s: %s values of all repeats, want %s", heading, got, counts)
			}
		}
	}
	points := section(t, p, "Group join delay").Figures[0].Chart.Series[0].Points
	for i, point := range points[1:] {
		if point.X < points[i].X || point.Y < points[i].Y {
			t.Fatalf("the part served goes down at %+v", point)
		}
	}
	if last := points[len(points)-1]; last.Y != 100 {
		t.Errorf("the curve ends at %g %%", last.Y)
	}
}

func TestSummary(t *testing.T) {
	run := measured(t, 1)
	run.Samples[0].Noisy = true
	run.End = nil
	text := strings.Join(build(t, run).Summary, "\n")
	for _, want := range []string{"at least 10 of each", "1 of the samples",
		"did not come to its end"} {
		if !strings.Contains(text, want) {
			t.Errorf("not in the summary: %q\n%s", want, text)
		}
	}
	if strings.Contains(text, "Fewer than ten") {
		t.Error("ten samples are taken for fewer")
	}
}

// TestNoisySamples holds that a sample taken in noise does not count where
// others are left.
func TestNoisySamples(t *testing.T) {
	samples := []result.Measured{{Delivered: 1}, {Delivered: 2}, {Delivered: 3},
		{Delivered: 1e9, Noisy: true}}
	for i := range samples {
		samples[i].Engine = "kernel"
	}
	table := newTable(samples)
	if got := table.spread(table.rows[0], "kernel", delivered().value); got.median != 2 {
		t.Errorf("median %g", got.median)
	}
	table = newTable(samples[2:])
	if got := table.spread(table.rows[0], "kernel", delivered().value); len(got.values) != 2 {
		t.Errorf("%d values: of two, both count", len(got.values))
	}
}

// TestSelfContained holds that a page is well-formed, shows what others named
// as they named it, and fetches nothing.
func TestSelfContained(t *testing.T) {
	run := measured(t, 1.5)
	run.Missing[0].Why = `<script>alert("x")</script>`
	var b bytes.Buffer
	if err := build(t, run).WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, bad := range []string{"<script", "src=", "href=", "@import", "url("} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	for _, want := range []string{"Some &lt;Processor&gt;", "umroute", "kernel", "naive",
		"prefers-color-scheme", "not permitted", "width=device-width"} {
		if want == "not permitted" {
			want = "&lt;script&gt;"
		}
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestCompare(t *testing.T) {
	before, after := measured(t, 1), measured(t, 1.3)
	p, err := Compare([]Run{before}, []Run{after})
	if err != nil {
		t.Fatal(err)
	}
	s := section(t, p, delivered().name)
	if len(s.Tables[0].Rows) != 24 {
		t.Fatalf("%d rows", len(s.Tables[0].Rows))
	}
	chances := 0
	for _, row := range s.Tables[0].Rows {
		switch change := row[4]; {
		case row[1].Text == "umroute":
			if change.Kind != "better" || !strings.HasPrefix(change.Text, "+") {
				t.Errorf("30 %% more: %+v", row)
			}
		case change.Text != "~":
			chances++
		}
	}
	if chances > 4 { // of 16 that did not change, at 5 %
		t.Errorf("%d changes that are none", chances)
	}
	for _, row := range section(t, p, cost().name).Tables[0].Rows {
		if row[1].Text == "umroute" && row[4].Kind != "better" {
			t.Errorf("less processor time: %+v", row)
		}
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := write("text", "goos: linux\ncpu: Some\nBenchmarkOther 1 5 ns/op\n"+
		"BenchmarkForward/engine=umroute/io=vectored/link=tun/oifs=4/size=512/flows=1"+
		"/sender=plain/receiver=plain 1 720000 dgrams/s 9.9 cpu-s/Mpkt 0.5 %loss\n"+
		"BenchmarkForward/engine=kernel/io=mfc/link=veth/oifs=1/size=512/flows=8"+
		"/sender=plain/receiver=gro/rate=20000/ip=6 1 20000 dgrams/s 31000 p50-ns 90000 p99-ns\n")
	runs, err := Load(text)
	if err != nil {
		t.Fatal(err)
	}
	samples := runs[0].Samples
	if len(samples) != 2 || samples[0].Delivered != 720_000 || samples[0].CPUPerSent != 9.9 ||
		samples[0].Loss != .005 || samples[1].Family != 6 || samples[1].Wanted != 20_000 ||
		samples[1].Latency.P50 != 31_000 || samples[1].Receiver != "gro" {
		t.Errorf("%+v", samples)
	}
	if got := runs[0].Machine.CPU; got != "Some" {
		t.Errorf("processor %q", got)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":   {"", ErrNothing.Error()},
		"foreign": {"hello\n", ErrNothing.Error()},
		"number":  {"BenchmarkForward/engine=a/oifs=x 1 1 dgrams/s\n", "line 1: oifs"},
		"nobody":  {"BenchmarkForward/oifs=1 1 1 dgrams/s\n", "no engine"},
		"json":    {"{\"schema\":1}\n{\n", "line 2"},
		"later":   {"{\"schema\":99}\n", "99"},
	} {
		_, err := Load(write(name, tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if _, err := Load(filepath.Join(folder, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestWriteSVG(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "plots")
	p := build(t, measured(t, 1.5))
	names, err := p.WriteSVG(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != len(p.Figures()) || len(names) < 7 {
		t.Errorf("%d files of %d figures", len(names), len(p.Figures()))
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		decoder := xml.NewDecoder(bytes.NewReader(data))
		for {
			if _, err := decoder.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if err := p.WriteFile(filepath.Join(folder, "absent", "page.html")); err == nil {
		t.Error("wrote into a folder that is not there")
	}
	if left, _ := filepath.Glob(filepath.Join(folder, ".umroute-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNothing(t *testing.T) {
	if _, err := Build(nil); !errors.Is(err, ErrNothing) {
		t.Error(err)
	}
	if _, err := Compare([]Run{measured(t, 1)}, nil); !errors.Is(err, ErrNothing) {
		t.Error(err)
	}
}
