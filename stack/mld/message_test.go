package mld

import (
	"encoding"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	groupA  = netip.MustParseAddr("ff1e::1:1")
	groupB  = netip.MustParseAddr("ff3e::8000:1")
	sourceA = netip.MustParseAddr("2001:db8::1")
	sourceB = netip.MustParseAddr("2001:db8::2")
	hostA   = netip.MustParseAddr("fe80::2")
	zero    = netip.IPv6Unspecified()
)

var ignoreMemory = []cmp.Option{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmpopts.IgnoreUnexported(Report{}), cmpopts.EquateEmpty(),
}

// The checksum of a message alone is zero: AppendPacket writes it.
var messages = []struct {
	name    string
	message message
	wire    []byte
}{
	{
		name:    "v1 general query",
		message: &Query{Version: 1, MaxResponse: 10 * time.Second},
		wire:    wire([]byte{130, 0, 0, 0, 0x27, 0x10, 0, 0}, zero),
	},
	{
		name:    "v1 address-specific query",
		message: &Query{Version: 1, Group: groupA, MaxResponse: time.Second},
		wire:    wire([]byte{130, 0, 0, 0, 0x03, 0xe8, 0, 0}, groupA),
	},
	{
		name: "v2 general query",
		message: &Query{Version: 2, MaxResponse: 10 * time.Second, Robustness: 2,
			Interval: 125 * time.Second},
		wire: append(wire([]byte{130, 0, 0, 0, 0x27, 0x10, 0, 0}, zero), 2, 125, 0, 0),
	},
	{
		name: "v2 address-and-source-specific query",
		message: &Query{Version: 2, Group: groupB, MaxResponse: time.Second, Suppress: true,
			Robustness: 2, Interval: 128 * time.Second,
			Sources: []netip.Addr{sourceA, sourceB}},
		wire: wire(append(wire([]byte{130, 0, 0, 0, 0x03, 0xe8, 0, 0}, groupB),
			0x0a, 0x80, 0, 2), sourceA, sourceB),
	},
	{
		name:    "v2 query with a floating-point response delay",
		message: &Query{Version: 2, MaxResponse: 32_776 * time.Millisecond},
		wire:    append(wire([]byte{130, 0, 0, 0, 0x80, 0x01, 0, 0}, zero), 0, 0, 0, 0),
	},
	{
		name:    "v1 report",
		message: &GroupReport{Group: groupA},
		wire:    wire([]byte{131, 0, 0, 0, 0, 0, 0, 0}, groupA),
	},
	{
		name:    "done",
		message: &Done{Group: groupA},
		wire:    wire([]byte{132, 0, 0, 0, 0, 0, 0, 0}, groupA),
	},
	{
		name:    "v2 report without records",
		message: &Report{},
		wire:    []byte{143, 0, 0, 0, 0, 0, 0, 0},
	},
	{
		name: "v2 report",
		message: &Report{Records: []Record{
			{Type: ToExclude, Group: groupA},
			{Type: Allow, Group: groupB, Sources: []netip.Addr{sourceA, sourceB}},
		}},
		wire: wire(append(wire([]byte{143, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0}, groupA),
			5, 0, 0, 2), groupB, sourceA, sourceB),
	},
}

// wire appends addresses to octets.
func wire(octets []byte, addresses ...netip.Addr) []byte {
	for _, a := range addresses {
		octets = append(octets, a.AsSlice()...)
	}
	return octets
}

func TestMessages(t *testing.T) {
	for _, tt := range messages {
		t.Run(tt.name, func(t *testing.T) {
			wire := tt.wire
			got, err := tt.message.AppendBinary([]byte("kept"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(append([]byte("kept"), wire...), got); diff != "" {
				t.Errorf("octets (-want +got)\n%s", diff)
			}
			m := newMessage(wire)
			if err := m.UnmarshalBinary(wire); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.message, m, ignoreMemory...); diff != "" {
				t.Errorf("message (-want +got)\n%s", diff)
			}
			for n := range wire {
				if err := newMessage(wire).UnmarshalBinary(wire[:n]); err == nil {
					// RFC 9777 section 8.1: a v2 query cut to 24 octets is one of v1.
					if _, query := m.(*Query); !query || n != shortSize {
						t.Errorf("first %d octets: no error", n)
					}
				}
			}
		})
	}
}

// RFC 9777 section 5.2: auxiliary data, additional data.
func TestReportSkipsAuxiliaryData(t *testing.T) {
	b := wire([]byte{143, 0, 0, 0, 0, 0, 0, 2, 1, 2, 0, 1}, groupA, sourceA)
	b = append(b, "auxiliar"...)
	b = wire(append(b, 6, 0, 0, 0), groupB)
	b = append(b, "more"...)
	want := &Report{Records: []Record{
		{Type: IsInclude, Group: groupA, Sources: []netip.Addr{sourceA}},
		{Type: Block, Group: groupB},
	}}
	got := &Report{}
	if err := got.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, ignoreMemory...); diff != "" {
		t.Errorf("report (-want +got)\n%s", diff)
	}
	if err := got.UnmarshalBinary(b[:48]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut in the auxiliary data: %v", err)
	}
	if diff := cmp.Diff(want, got, ignoreMemory...); diff != "" {
		t.Errorf("an error changed the report (-want +got)\n%s", diff)
	}
}

// RFC 9777 section 8.1.
func TestQueryLengths(t *testing.T) {
	for n, tt := range map[int]struct {
		version uint8
		err     error
	}{
		23: {0, io.ErrUnexpectedEOF}, 24: {1, nil}, 25: {0, ErrLength}, 27: {0, ErrLength},
		28: {2, nil}, 44: {2, nil},
	} {
		b := make([]byte, n)
		b[0] = byte(TypeQuery)
		var q Query
		if err := q.UnmarshalBinary(b); !errors.Is(err, tt.err) || q.Version != tt.version {
			t.Errorf("%d octets: version %d, error %v", n, q.Version, err)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	four := netip.MustParseAddr("239.1.1.1")
	many := make([]netip.Addr, 0x10000)
	for i := range many {
		many[i] = sourceA
	}
	for _, tt := range []struct {
		name string
		m    encoding.BinaryAppender
		want error
	}{
		{"version 3", &Query{Version: 3}, ErrRange},
		{"version 0", &Query{}, ErrRange},
		{"v1 delay too long", &Query{Version: 1, MaxResponse: 66 * time.Second}, ErrRange},
		{"delay negative", &Query{Version: 2, MaxResponse: -1}, ErrRange},
		{"delay too long", &Query{Version: 2, MaxResponse: MaxResponse + 1}, ErrRange},
		{"interval too long", &Query{Version: 2, Interval: MaxInterval + 1}, ErrRange},
		{"robustness 8", &Query{Version: 2, Robustness: 8}, ErrRange},
		{"IPv4 group in a v2 query", &Query{Version: 2, Group: four}, ErrAddress},
		{"IPv4 group in a v1 query", &Query{Version: 1, Group: four}, ErrAddress},
		{"IPv4 source", &Query{Version: 2, Sources: []netip.Addr{four}}, ErrAddress},
		{"65,536 sources", &Query{Version: 2, Sources: many}, ErrRange},
		{"IPv4 group in a v1 report", &GroupReport{Group: four}, ErrAddress},
		{"IPv4 group in a done", &Done{Group: four}, ErrAddress},
		{"IPv4 group in a record", &Report{Records: []Record{{Group: four}}}, ErrAddress},
		{"IPv4 source in a record",
			&Report{Records: []Record{{Group: groupA, Sources: []netip.Addr{four}}}}, ErrAddress},
		{"65,536 sources in a record",
			&Report{Records: []Record{{Group: groupA, Sources: many}}}, ErrRange},
		{"65,536 records", &Report{Records: make([]Record, 0x10000)}, ErrRange},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := tt.m.AppendBinary([]byte("kept"))
			if !errors.Is(err, tt.want) || string(b) != "kept" {
				t.Errorf("%q, error %v, want %v", b, err, tt.want)
			}
		})
	}
}

func TestUnmarshalOtherType(t *testing.T) {
	other := make([]byte, 64)
	for _, m := range []message{new(Query), new(GroupReport), new(Done), new(Report)} {
		if err := m.UnmarshalBinary(other); !errors.Is(err, ErrType) {
			t.Errorf("%T: %v", m, err)
		}
	}
}

// RFC 9777 section 5.1: the value of every code, and the code of every value.
func TestResponseCodes(t *testing.T) {
	last := time.Duration(-1)
	for code := range 0x10000 {
		value := decodeResponse(uint16(code))
		if value <= last {
			t.Fatalf("code %d: %s is not above that of the code before", code, value)
		}
		last = value
		units := uint32(value / responseUnit)
		if got := encodeResponse(units); int(got) != code {
			t.Fatalf("value %s: code %d, want %d", value, got, code)
		}
		if got := encodeResponse(units + 1); code < 0x8000 && int(got) != code+1 {
			t.Fatalf("value %s and one more: code %d, want %d", value, got, code+1)
		}
	}
	if last != MaxResponse {
		t.Errorf("largest value %s, want %s", last, time.Duration(MaxResponse))
	}
}

// RFC 9777 section 5.1.
func TestIntervalCodes(t *testing.T) {
	for value := uint32(0); value <= maxIntervalValue; value++ {
		code := encodeInterval(value)
		want := time.Duration(value) * intervalUnit
		if low := decodeInterval(code); low > want {
			t.Fatalf("value %d: code %d says %s, more than was asked", value, code, low)
		}
		if code < 255 && decodeInterval(code+1) <= want {
			t.Fatalf("value %d: code %d, though the next one is not above it", value, code)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	report := largeReport()
	wire, err := AppendPacket(nil, hostA, AllV2Routers, report)
	if err != nil {
		t.Fatal(err)
	}
	query := &Query{Version: 2, Group: groupA, Sources: report.Records[0].Sources}
	asked, err := query.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	var decoded Report
	var decodedQuery Query
	buffer := make([]byte, 0, 2048)
	for _, tt := range []struct {
		name string
		f    func() error
	}{
		{"append packet", func() error {
			_, err := AppendPacket(buffer, hostA, AllV2Routers, report)
			return err
		}},
		{"parse report", func() error {
			p, err := ParsePacket(wire)
			return errors.Join(err, decoded.UnmarshalBinary(p.Message))
		}},
		{"append query", func() error {
			_, err := query.AppendBinary(buffer)
			return err
		}},
		{"parse query", func() error { return decodedQuery.UnmarshalBinary(asked) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			allocs := testing.AllocsPerRun(100, func() {
				if err := tt.f(); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations", allocs)
			}
		})
	}
}

// largeReport has 16 records with 4 sources each.
func largeReport() *Report {
	r := new(Report)
	for i := range 16 {
		record := Record{Type: Allow, Group: netip.AddrFrom16([16]byte{0: 0xff, 1: 0x3e, 15: byte(i)})}
		for j := range 4 {
			record.Sources = append(record.Sources, netip.AddrFrom16([16]byte{0: 0x20, 15: byte(j)}))
		}
		r.Records = append(r.Records, record)
	}
	return r
}

func BenchmarkReport(b *testing.B) {
	report := largeReport()
	wire, err := report.AppendBinary(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("op=append/records=16/sources=4", func(b *testing.B) {
		b.ReportAllocs()
		buffer := make([]byte, 0, 2048)
		for b.Loop() {
			if _, err := report.AppendBinary(buffer); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=unmarshal/records=16/sources=4", func(b *testing.B) {
		b.ReportAllocs()
		var decoded Report
		for b.Loop() {
			if err := decoded.UnmarshalBinary(wire); err != nil {
				b.Fatal(err)
			}
		}
	})
}
