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
	for name, rows := range map[string][]Row{"quick": Quick(), "smoke": Smoke()} {
		for i, r := range rows {
			if err := r.Validate(); err != nil {
				t.Errorf("%s: %+v: %v", name, r, err)
			}
			if slices.Contains(rows[:i], r) {
				t.Errorf("%s: %+v is there twice", name, r)
			}
			if (r.Target > 0) != (r.Rate == 0 && (r.Sender == Plain || r.Receiver == Plain)) {
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
		"size 1453":        func(r *Row) { r.Size = 1453 },
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
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	got = Choice{IPv6: true, Rate: 100}.Combine()
	want = []Row{{Oifs: 4, Size: 512, Flows: 1, Sender: Plain, Receiver: Plain, IPv6: true,
		Rate: 100}}
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
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if rows := (Choice{Oifs: []int{3}}).Among(Quick()); len(rows) != 0 {
		t.Errorf("rows %v", rows)
	}
}
