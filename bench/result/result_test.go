package result

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"umroute/bench/flood"
	"umroute/bench/meter"
	"umroute/bench/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

func engines(t *testing.T) (kernel, router, memory plan.Engine) {
	t.Helper()
	all, err := plan.SelectEngines("kernel", "umroute/vectored", "memory")
	if err != nil {
		t.Fatal(err)
	}
	return all[0], all[1], all[2]
}

// sample is one of 100 ms; the unit of thousands is 1000 datagrams sent.
func sample(e plan.Engine, r plan.Row, thousands int, total, foreign time.Duration) Sample {
	sent := uint64(thousands) * 1000
	s := Sample{
		Engine: e, Row: r,
		Interval: flood.Counters{Sent: sent, Delivered: sent * uint64(r.Oifs)},
		Usage:    meter.Usage{Elapsed: 100 * time.Millisecond, Total: total, Foreign: foreign},
		Traffic: flood.Report{Sent: sent, Expected: sent * uint64(r.Oifs),
			Delivered: sent * uint64(r.Oifs), Window: 1024},
	}
	if e.Name == plan.Umroute {
		s.Usage.Router = total / 2
	}
	return s
}

func samples(t *testing.T) []Sample {
	const ms = time.Millisecond
	kernel, router, memory := engines(t)
	wide := plan.Row{Oifs: 4, Size: 512, Flows: 1, Sender: plan.Plain, Receiver: plan.Plain,
		Target: 2}
	paced := plan.Row{Oifs: 1, Size: 64, Flows: 8, Sender: plan.Segment, Receiver: plan.GRO,
		Rate: 20_000, IPv6: true}
	lossy := sample(router, wide, 18, 90*ms, 0)
	lossy.Dropped = map[string]uint64{"in a receiver's buffer": 30, "by the router: ttl": 6}
	lossy.Traffic.Lost, lossy.Traffic.Reordered, lossy.Traffic.WrongTTL = 36, 2, 3
	slow := sample(router, paced, 2, 10*ms, 0)
	slow.Traffic.Latency = flood.Latency{P50: 45_678, P99: 12_345_678}
	return []Sample{
		sample(kernel, wide, 10, 160*ms, 0),
		lossy,
		sample(memory, wide, 900, 99*ms, 0),
		sample(kernel, paced, 2, 8*ms, 0),
		slow,
		sample(kernel, wide, 8, 160*ms, 10*ms),
		sample(router, wide, 20, 100*ms, 10*ms),
		sample(router, wide, 2, 190*ms, 80*ms), // while others used the machine
	}
}

func TestSummarize(t *testing.T) {
	got := Summarize(samples(t))
	if len(got) != 5 {
		t.Fatalf("%d summaries", len(got))
	}
	kernel, router, memory := got[0], got[1], got[2]
	near := func(what string, got, want float64) {
		t.Helper()
		if diff := got - want; diff > 1e-9 || diff < -1e-9 {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	near("kernel, median", kernel.Throughput.Median, 360_000)
	near("kernel, cost", kernel.Cost.Median, 18)
	near("router, median", router.Throughput.Median, 760_000)
	near("router, least", router.Throughput.Low, 720_000)
	near("router, most", router.Throughput.High, 800_000)
	near("router, of the kernel", router.OfKernel, 76./36)
	near("router, cost", router.Cost.Median, 5)
	near("router, its part", router.RouterCost.Median, 2.5)
	near("router, cost of the kernel's", router.CostOfKernel, 5./18)
	near("router, loss", router.Loss, 36./18_000/4)
	near("memory, of the kernel", memory.OfKernel, 0)
	near("paced, of the kernel", got[4].OfKernel, 0)
	near("paced, cost of the kernel's", got[4].CostOfKernel, 1.25)
	if router.Samples != 2 || router.Noisy != 1 || router.Faults != 5 {
		t.Errorf("router: %+v", router)
	}
}

func TestQuietKeepsEnough(t *testing.T) {
	_, router, _ := engines(t)
	noise := func(foreign ...int) (samples []Sample) {
		for _, ms := range foreign {
			samples = append(samples, sample(router, plan.Row{Oifs: 1}, 1, time.Millisecond,
				time.Duration(ms)*time.Millisecond))
		}
		return samples
	}
	for _, tt := range []struct{ foreign, want []int }{
		{[]int{0, 61, 60, 200}, []int{0, 60}},
		{[]int{0, 61, 200}, []int{0, 61, 200}},
		{[]int{90}, []int{90}},
	} {
		if diff := cmp.Diff(noise(tt.want...), quiet(noise(tt.foreign...))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.foreign, diff)
		}
	}
}

// TestMedianOf compares with the tables of the sign test.
func TestMedianOf(t *testing.T) {
	ten := []float64{9, 1, 8, 2, 7, 3, 6, 4, 5, 10}
	for _, tt := range []struct {
		values []float64
		want   Interval
	}{
		{nil, Interval{}},
		{[]float64{3}, Interval{3, 3, 3, 0}},
		{[]float64{9, 1}, Interval{5, 1, 9, .5}},
		{[]float64{7, 1, 2}, Interval{2, 1, 7, .75}},
		{ten[:5], Interval{7, 1, 9, .9375}},
		{ten[:6], Interval{5, 1, 9, .96875}},
		{ten, Interval{5.5, 2, 9, .978515625}},
		{slices.Concat(ten, ten), Interval{5.5, 3, 8, .958610534667968}},
	} {
		got := medianOf(tt.values)
		if diff := got.Confidence - tt.want.Confidence; diff < 1e-9 && diff > -1e-9 {
			got.Confidence = tt.want.Confidence
		}
		if got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.values, got, tt.want)
		}
	}
}

// TestWarnings holds that what makes figures unsafe is said.
func TestWarnings(t *testing.T) {
	all := samples(t)
	all[0].Usage.Stolen = all[0].Usage.Elapsed / 10
	got := strings.Join(Warnings(all), "\n")
	for _, want := range []string{"during 1 of 8 samples others used", "during 1 of 8 samples the" +
		" host", "5 medians are of fewer than 10"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	if w := Warnings(nil); w != nil {
		t.Errorf("nothing measured: %v", w)
	}
}

// TestNothingMeasured holds that empty samples give zeros.
func TestNothingMeasured(t *testing.T) {
	var s Sample
	for what, got := range map[string]float64{
		"throughput": s.Throughput(), "cost": s.Cost(), "loss": s.Loss(), "foreign": s.Foreign(),
	} {
		if got != 0 {
			t.Errorf("%s: %v", what, got)
		}
	}
}

func TestGolden(t *testing.T) {
	facts := []Fact{{"goos", "linux"}, {"cpu", "some  processor\nwith two lines"}}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"table": func(b *bytes.Buffer) error { return WriteTable(b, Summarize(samples(t))) },
		"benchmark": func(b *bytes.Buffer) error {
			return WriteBenchmark(b, facts, samples(t))
		},
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestCount(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 950: "950", 9500: "9.50k", 20_000: "20.0k", 123_456: "123k", 2_530_000: "2.53M",
		42_700_000: "42.7M",
	} {
		if got := count(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
