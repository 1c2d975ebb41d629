package result

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// spread is a distribution of some thousand times around a median.
func spread(t testing.TB, median int64, seed uint64) *Distribution {
	t.Helper()
	h, rng := NewHistogram(), rand.New(rand.NewPCG(seed, 1))
	for range 3000 {
		v := median/2 + int64(rng.ExpFloat64()*float64(median)*0.72)
		if err := h.RecordValue(v); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Distribute(h)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// records is a run with a sample of each kind.
func records(t testing.TB) []Record {
	t.Helper()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	allocs := 1.5
	all := []Record{{Machine: &Machine{
		Date: at, Command: []string{"umroute", "bench", "run"}, Version: "0.1.0",
		Commit: "0123456789ab", Go: "go1.26.0", GOOS: "linux", GOARCH: "amd64",
		CPU: "Some Processor", Cores: 2, Virtualization: "hypervisor", Memory: 8 << 30,
		Kernel: "6.18.44", Mitigations: map[string]string{"spectre_v2": "Mitigation: IBRS"},
		Offloads: map[string]string{"tun": "vnet_hdr csum uso", "veth": "gso"},
		Queues:   map[string]int64{"tun.txqueuelen": 2048, "net.core.rmem_max": 212992},
		Versions: map[string]string{"gvisor.dev/gvisor": "v0.0.0"}, LoadAvg: "0.10 0.20 0.30",
		Repeats: 10, Duration: 1,
	}}}
	add := func(m Measured) { all = append(all, Record{Sample: &m}) }
	for i, engine := range []Measured{
		{Engine: "kernel", IO: "mfc", Link: "veth"},
		{Engine: "umroute", IO: "vectored", Link: "tun", CPURouter: .6, Allocs: &allocs},
	} {
		s := engine
		s.Test, s.Round, s.At, s.Family, s.Oifs = "aggregated", 1, at, 4, 4
		s.Size, s.Frame, s.Flows, s.Groups = 512, 558, 1, 1
		s.Load, s.Receiver, s.Rate, s.Elapsed = "plain", "plain", "closed", 1
		s.Offered, s.Delivered = 90_000*float64(i+1), 360_000*float64(i+1)
		s.Sent, s.Expected, s.Received = 100_000, 400_000, 400_000
		s.CPUPerCopies, s.CPUPerSent, s.Target = 4.4, 17.6, 2
		add(s)
		s.Rate, s.Wanted, s.Found, s.Goal, s.Width = "pdr", 70_000, 70_000, .005, .02
		s.Lost, s.Received, s.Loss = 400, 399_600, .001
		s.LostAt = map[string]uint64{"in receivers' buffers": 400}
		add(s)
		s.Test, s.Rate, s.Wanted, s.Pattern = "latency", "fixed", 20_000, "paced"
		s.Latency, s.Skew = spread(t, 40_000, uint64(i)), spread(t, 9000, uint64(i))
		s.Found, s.Goal, s.Width, s.Lost, s.Loss, s.LostAt = 0, 0, 0, 0, 0, nil
		add(s)
	}
	join := Measured{Test: "leave-delay", Round: 1, At: at, Engine: "router", IO: "vectored",
		Link: "tun", Family: 4, Oifs: 1, Size: 512, Frame: 558, Flows: 1, Groups: 1, Load: "plain",
		Receiver: "plain", Rate: "fixed", Wanted: 1000, Protocol: "igmpv3", FastLeave: true,
		Elapsed: 3, Sent: 3000, Expected: 1500, Received: 1500, Leave: spread(t, 12_000_000, 7),
		Foreign: 1.2, Stolen: .1, Noisy: true}
	add(join)
	capacity := Measured{Test: "capacity", Round: 1, At: at, Engine: "netstack", IO: "plain",
		Link: "tun", Family: 6, Oifs: 1, Size: 64, Frame: 130, Flows: 1000, Groups: 1000,
		Load: "plain", Receiver: "plain", Rate: "fixed", Elapsed: 2, Capacity: 1000,
		CapacityLimited: "loss at 2000 groups"}
	add(capacity)
	return append(all, Record{Missing: &Missing{"umroute/uring", "not permitted"}},
		Record{End: &End{Elapsed: 12.5, Samples: 8, Interrupted: true,
			Warnings: []string{"1 of 8 samples are noisy"}}})
}

// TestRecords holds the form: what is written is what was, is read as it was,
// and older files can be read.
func TestRecords(t *testing.T) {
	all := records(t)
	var b bytes.Buffer
	for i := range all {
		if err := Write(&b, all[i]); err != nil {
			t.Fatal(err)
		}
		all[i].Schema = Schema
	}
	path := filepath.Join("testdata", "records.golden")
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("the golden file (-want +got):\n%s", diff)
	}
	if got, err = Read(&b); err != nil || !cmp.Equal(all, got) {
		t.Errorf("what was written: %v\n%s", err, cmp.Diff(all, got))
	}
}

func TestReadFaults(t *testing.T) {
	good := `{"schema":1,"missing":{"what":"a","why":"b"}}` + "\n"
	for name, tt := range map[string]struct {
		text, want string
		records    int
	}{
		"nothing":         {"", "", 0},
		"empty lines":     {"\n" + good + "\n", "", 1},
		"cut off":         {good + good[:20], "", 1},
		"no JSON":         {good + "x\n", "line 2: invalid character", 1},
		"no schema":       {"{}\n", "line 1: result: unknown schema 0", 0},
		"a later version": {`{"schema":99}` + "\n", "line 1: result: unknown schema 99", 0},
		"too long":        {strings.Repeat("x", longestLine+1), "line 1: longer than", 0},
	} {
		got, err := Read(strings.NewReader(tt.text))
		if len(got) != tt.records || (err == nil) != (tt.want == "") ||
			err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %d records, %v", name, len(got), err)
		}
	}
	if _, err := Read(strings.NewReader(`{"schema":2}` + "\n")); !errors.Is(err, ErrSchema) {
		t.Errorf("schema 2: %v", err)
	}
}

func TestDistribution(t *testing.T) {
	d := spread(t, 50_000, 1)
	h, err := d.Histogram()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Distribute(h)
	if err != nil || !cmp.Equal(d, again) {
		t.Errorf("%v, %s", err, cmp.Diff(d, again))
	}
	if d, err := Distribute(NewHistogram()); d != nil || err != nil {
		t.Errorf("nothing recorded: %v, %v", d, err)
	}
	for _, text := range []string{"?", "AAAA", d.HDR[:len(d.HDR)/2]} {
		if _, err := (Distribution{HDR: text}).Histogram(); err == nil {
			t.Errorf("%.10s: no error", text)
		}
	}
}
