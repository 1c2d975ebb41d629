package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSelectEngines(t *testing.T) {
	tests := []struct {
		names []string
		want  string
	}{
		{[]string{"kernel"}, "kernel"},
		{[]string{"umroute", "kernel"}, "kernel umroute/vectored umroute/uring umroute/plain"},
		{[]string{"umroute/plain", "umroute/plain"}, "umroute/plain"},
		{[]string{"memory", "naive"}, "naive memory"},
	}
	for _, tt := range tests {
		engines, err := SelectEngines(tt.names...)
		if err != nil {
			t.Errorf("%v: %v", tt.names, err)
		}
		var got []string
		for _, e := range engines {
			got = append(got, e.String())
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.names, got, tt.want)
		}
	}
	if _, err := SelectEngines("kernel", "smcroute"); err == nil ||
		!strings.Contains(err.Error(), `no engine "smcroute": there are kernel, umroute/`) {
		t.Errorf("unknown engine: %v", err)
	}
	if engines := DefaultEngines(); engines[0].Name != Kernel || len(engines) != 3 {
		t.Errorf("default engines %v", engines)
	}
}

func TestRowsAreValid(t *testing.T) {
	all := map[string][]Row{"smoke": Smoke()}
	for _, test := range Tests() {
		all[test.Name] = test.Rows()
	}
	for name, rows := range all {
		for i, r := range rows {
			if r.Test != name && name != "smoke" {
				t.Errorf("%s: %+v is of another test", name, r)
			}
			if err := r.Validate(); err != nil {
				t.Errorf("%s: %+v: %v", name, r, err)
			}
			if slices.Contains(rows[:i], r) {
				t.Errorf("%s: %+v is there twice", name, r)
			}
			known := r.Test == Forward && r.Rate == 0 && (r.Sender == Plain || r.Receiver == Plain)
			if (r.Target > 0) != known {
				t.Errorf("%s: %+v: target", name, r)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	good := Row{Oifs: 1, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain}
	for name, spoil := range map[string]func(*Row){
		"oifs 0":           func(r *Row) { r.Oifs = 0 },
		"oifs 65":          func(r *Row) { r.Oifs = 65 },
		"flows 0":          func(r *Row) { r.Flows = 0 },
		"size 31":          func(r *Row) { r.Size = 31 },
		"size 1473":        func(r *Row) { r.Size = 1473 },
		"size 1453":        func(r *Row) { r.Size, r.IPv6 = 1453, true },
		"size imix":        func(r *Row) { r.Size, r.Sender = 0, Segment },
		`find "ndr"`:       func(r *Row) { r.Find = "ndr" },
		"rate 5 and find":  func(r *Row) { r.Rate, r.Find = 5, Search },
		"unicast 10":       func(r *Row) { r.Unicast = 10 },
		"burden -1":        func(r *Row) { r.Burden = -1 },
		`protocol "mldv2"`: func(r *Row) { r.Protocol = MLDv2 },
		`protocol "pim"`:   func(r *Row) { r.Protocol = "pim" },
		`sender "gro"`:     func(r *Row) { r.Sender = GRO },
		`receiver "water"`: func(r *Row) { r.Receiver = "water" },
		"rate -1":          func(r *Row) { r.Rate = -1 },
	} {
		r := good
		spoil(&r)
		if err := r.Validate(); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestFits(t *testing.T) {
	at := func(oifs int, rate float64, sender string) Row {
		return Row{Oifs: oifs, Size: 64, Flows: 1, Sender: sender, Receiver: Plain, Rate: rate}
	}
	kernel, router, memory := Engine{Name: Kernel}, Engine{Name: Umroute}, Engine{Name: Memory}
	tests := []struct {
		row    Row
		engine Engine
		fits   bool
	}{
		{at(31, 0, Plain), kernel, true},
		{at(32, 0, Plain), kernel, false},
		{at(64, 5, Segment), router, true},
		{at(64, 0, Plain), memory, true},
		{at(1, 5, Plain), memory, false},
		{at(1, 0, Segment), memory, false},
		{Row{Test: Capacity, Oifs: 1, Size: 64}, memory, false},
		{Row{Test: JoinDelay, Oifs: 1, Protocol: IGMPv2}, kernel, false},
		{Row{Test: JoinDelay, Oifs: 1, Protocol: IGMPv2}, Engine{Name: Router}, true},
		{Row{Test: JoinDelay, Oifs: 1, Protocol: IGMPv2}, Engine{Name: "x", Command: "x"}, true},
		{Row{Test: MixedClass, Oifs: 1, Unicast: 2}, kernel, true},
		{Row{Test: MixedClass, Oifs: 1, Unicast: 2}, router, false},
		{Row{Test: BurdenedLatency, Oifs: 1, Burden: 2}, router, false},
	}
	for _, tt := range tests {
		if err := tt.row.Fits(tt.engine); (err == nil) != tt.fits {
			t.Errorf("%+v by %s: %v", tt.row, tt.engine, err)
		}
	}
}

func TestCombine(t *testing.T) {
	got := Choice{Oifs: []int{1, 3}, Sizes: []int{512},
		Senders: []string{Plain, Segment, Plain}}.Combine()
	want := []Row{
		{Oifs: 1, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain, Target: 1.4},
		{Oifs: 3, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain},
		{Oifs: 1, Size: 512, Flows: 1, Sender: Segment, Receiver: Plain, Target: .7},
		{Oifs: 3, Size: 512, Flows: 1, Sender: Segment, Receiver: Plain},
	}
	for i := range want {
		want[i].Test = Forward
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	got = Choice{IPv6: true, Rate: 100}.Combine()
	want = []Row{{Oifs: 4, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain, IPv6: true,
		Rate: 100, Test: Forward}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paced rows (-want +got):\n%s", diff)
	}
}

func TestAmong(t *testing.T) {
	if diff := cmp.Diff(Quick(), Choice{}.Among(Quick())); diff != "" {
		t.Errorf("open choice (-want +got):\n%s", diff)
	}
	got := Choice{Oifs: []int{8, 3}, Sizes: []int{512}, Flows: []int{1}}.Among(Quick())
	want := []Row{
		{Oifs: 8, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain, Target: 1.7},
		{Oifs: 8, Size: 512, Flows: 1, Sender: Plain, Receiver: GRO, Target: 5},
		{Oifs: 8, Size: 512, Flows: 1, Sender: Segment, Receiver: Plain, Target: .8},
	}
	for i := range want {
		want[i].Test = Forward
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if rows := (Choice{Oifs: []int{3}}).Among(Quick()); len(rows) != 0 {
		t.Errorf("rows %v", rows)
	}
}

func TestVary(t *testing.T) {
	got := Choice{Oifs: []int{2}, Sizes: []int{64, 0}, Find: Closed}.Vary(aggregated())
	want := []Row{base(Aggregated), base(Aggregated)}
	want[0].Oifs, want[0].Size = 2, 64
	want[1].Oifs, want[1].Size = 2, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	// The rate of a join is how often it is looked at, its family the protocol's.
	got = Choice{IPv6: true, Rate: 7}.Vary(joinDelay())
	if diff := cmp.Diff(joinDelay(), got); diff != "" {
		t.Errorf("joins (-want +got):\n%s", diff)
	}
}

func TestSelectTests(t *testing.T) {
	tests, err := SelectTests(Capacity, Aggregated)
	if err != nil || len(tests) != 2 || tests[0].Name != Aggregated || tests[1].Name != Capacity {
		t.Errorf("%v, %v", tests, err)
	}
	if _, err := SelectTests("nonsense"); err == nil ||
		!strings.HasPrefix(err.Error(), `no test "nonsense": there are forward, aggregated,`) {
		t.Errorf("unknown test: %v", err)
	}
}

// TestIMIX holds the parts of the mix, 7:4:1, and that each frame is as large as
// it should be.
func TestIMIX(t *testing.T) {
	for v6, want := range map[bool]map[int]int{
		false: {32: 7, 548: 4, 1472: 1}, true: {32: 7, 528: 4, 1452: 1},
	} {
		got := make(map[int]int)
		for _, size := range IMIX(v6) {
			got[size]++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("IPv6 %v (-want +got):\n%s", v6, diff)
		}
	}
	if f := (Row{Size: 1472}).Frame(); f != LargestFrame {
		t.Errorf("1472 B make a frame of %d", f)
	}
	if f := (Row{Size: 32}).Frame(); f != SmallestFrame {
		t.Errorf("32 B make a frame of %d", f)
	}
}

func TestExternalEngine(t *testing.T) {
	e, err := ExternalEngine("smcroute", "bench/external/smcroute.sh")
	if err != nil || !e.External() || e.String() != "smcroute" {
		t.Errorf("%+v, %v", e, err)
	}
	for _, pair := range [][2]string{{"", "x"}, {"x", ""}, {"kernel", "x"}, {"a/b", "x"}} {
		if _, err := ExternalEngine(pair[0], pair[1]); err == nil {
			t.Errorf("%v: no error", pair)
		}
	}
}
