package bench

import (
	"strings"
	"testing"

	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/tun/netns/netnstest"
)

// measured runs rows, and fails where any of them or any engine is missing.
func measured(t *testing.T, engines []plan.Engine, rows ...plan.Row) []result.Sample {
	t.Helper()
	netnstest.Require(t)
	o := brief(rows...)
	o.Engines = engines
	outcome, err := Run(t.Context(), o)
	if err != nil || len(outcome.Missing) > 0 {
		t.Fatalf("%v, missing %v", err, outcome.Missing)
	}
	return outcome.Samples
}

func selected(t *testing.T, names ...string) []plan.Engine {
	t.Helper()
	engines, err := plan.SelectEngines(names...)
	if err != nil {
		t.Fatal(err)
	}
	return engines
}

// TestSearch finds rates. Whatever they are, they stand in an order.
func TestSearch(t *testing.T) {
	row := plain
	row.Test, row.Find = plan.Aggregated, plan.Search
	samples := measured(t, selected(t, plan.Kernel, "umroute/plain"), row)
	if len(samples) != 6 {
		t.Fatalf("%d samples", len(samples))
	}
	for i := 0; i < len(samples); i += 3 {
		mrr, pdr, ndr := samples[i], samples[i+1], samples[i+2]
		if mrr.Rate() != result.MRR || pdr.Rate() != result.PDR || ndr.Rate() != result.NDR {
			t.Fatalf("%s, %s, %s", mrr.Rate(), pdr.Rate(), ndr.Rate())
		}
		if ndr.Search.Found > pdr.Search.Found || pdr.Search.Found > mrr.Search.Found ||
			ndr.Search.Found > 0 && ndr.Traffic.Lost > 0 {
			t.Errorf("%s: %+v, %+v, %+v, lost %d", mrr.Engine, mrr.Search, pdr.Search, ndr.Search,
				ndr.Traffic.Lost)
		}
		if m := ndr.Measured(); m.Rate != "ndr" || m.Found != ndr.Search.Found {
			t.Errorf("record: %+v", m)
		}
	}
}

// TestLatencies looks for all times of a paced row.
func TestLatencies(t *testing.T) {
	row := plain
	row.Test, row.Rate, row.Burst, row.Oifs = plan.Latency, 5000, true, 3
	for _, s := range measured(t, selected(t, plan.Kernel, "umroute/vectored"), row) {
		if s.Latency == nil || s.Skew == nil || len(s.ByOutput) != 3 || s.Delay != nil {
			t.Fatalf("%s: %+v", s.Engine, s)
		}
		var sum int64
		for _, d := range s.ByOutput {
			sum += d.Count
		}
		if s.Traffic.Lost == 0 && (sum != s.Latency.Count || s.Skew.Count*3 != sum) {
			t.Errorf("%s: latencies %d, by output %d, skews %d", s.Engine, s.Latency.Count, sum,
				s.Skew.Count)
		}
		if s.Skew.Max > s.Latency.Max {
			t.Errorf("%s: skew up to %d, latency up to %d", s.Engine, s.Skew.Max, s.Latency.Max)
		}
	}
}

// TestMixes sends IMIX, unicast beside multicast, and one datagram a call.
func TestMixes(t *testing.T) {
	imix, mixed, single, burdened := plain, plain, plain, plain
	imix.Size, single.Sender, single.Receiver = 0, plan.Single, plan.Single
	mixed.Test, mixed.Unicast, mixed.Oifs = plan.MixedClass, 4, 3
	burdened.Test, burdened.Rate, burdened.Burden = plan.BurdenedLatency, 1000, 1000
	samples := measured(t, selected(t, plan.Kernel, plan.Netstack), imix, mixed, single, burdened)
	for _, s := range samples {
		if s.Faults() != 0 || s.Traffic.Sent == 0 || s.Traffic.Lost != 0 && s.Row.Burden == 0 {
			t.Errorf("%s, %s: %+v", s.Engine, describe(s.Row), s.Traffic)
		}
		// Of ten datagrams, four go to one of the receivers.
		if sent := s.Traffic.Sent / 10 * 10; s.Row.Unicast == 4 &&
			s.Traffic.Expected/10 < sent/10*(6*3+4)/10 {
			t.Errorf("%s: %d sent, %d expected", s.Engine, sent, s.Traffic.Expected)
		}
	}
}

// TestUselessEngine has a router that says it is ready and forwards nothing,
// which is found out before anything is measured.
func TestUselessEngine(t *testing.T) {
	netnstest.Require(t)
	e, err := plan.ExternalEngine("useless", `while read -r verb rest; do
			case $verb in start|commit) echo ready;; esac
		done`)
	if err != nil {
		t.Fatal(err)
	}
	o := brief(plain)
	o.Engines = []plan.Engine{e}
	outcome, err := Run(t.Context(), o)
	if err == nil || len(outcome.Missing) != 1 ||
		!strings.Contains(outcome.Missing[0].Why, "were lost") {
		t.Errorf("missing %v, %v", outcome.Missing, err)
	}
}

// TestExternalFaults has commands that do not do what they should.
func TestExternalFaults(t *testing.T) {
	netnstest.Require(t)
	for command, want := range map[string]string{
		"echo no such thing >&2; exit 3": "the router ended: no such thing",
		"read -r line; exit 0":           "the router ended",
	} {
		e, err := plan.ExternalEngine("faulty", command)
		if err != nil {
			t.Fatal(err)
		}
		o := brief(plain)
		o.Engines = []plan.Engine{e}
		outcome, err := Run(t.Context(), o)
		if err == nil || len(outcome.Missing) != 1 ||
			!strings.HasPrefix(outcome.Missing[0].Why, want) {
			t.Errorf("%s: missing %v, %v", command, outcome.Missing, err)
		}
	}
}
