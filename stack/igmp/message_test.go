package igmp

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
	groupA  = netip.MustParseAddr("239.1.1.1")
	groupB  = netip.MustParseAddr("232.1.1.1")
	sourceA = netip.MustParseAddr("10.0.0.1")
	sourceB = netip.MustParseAddr("10.0.0.2")
	hostA   = netip.MustParseAddr("10.9.0.2")
)

var ignoreMemory = []cmp.Option{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmpopts.IgnoreUnexported(Report{}), cmpopts.EquateEmpty(),
}

var messages = []struct {
	name    string
	message message
	wire    []byte
}{
	{
		name:    "v1 general query",
		message: &Query{Version: 1, MaxResponse: 10 * time.Second},
		wire:    []byte{0x11, 0, 0xee, 0xff, 0, 0, 0, 0},
	},
	{
		name:    "v2 general query",
		message: &Query{Version: 2, MaxResponse: 10 * time.Second},
		wire:    []byte{0x11, 100, 0xee, 0x9b, 0, 0, 0, 0},
	},
	{
		name:    "v2 group-specific query",
		message: &Query{Version: 2, Group: groupA, MaxResponse: time.Second},
		wire:    []byte{0x11, 10, 0xfe, 0xf2, 239, 1, 1, 1},
	},
	{
		name: "v3 general query",
		message: &Query{Version: 3, MaxResponse: 10 * time.Second, Robustness: 2,
			Interval: 125 * time.Second},
		wire: []byte{0x11, 100, 0xec, 0x1e, 0, 0, 0, 0, 2, 125, 0, 0},
	},
	{
		name: "v3 group-and-source-specific query",
		message: &Query{Version: 3, Group: groupB, MaxResponse: time.Second, Suppress: true,
			Robustness: 2, Interval: 125 * time.Second,
			Sources: []netip.Addr{sourceA, sourceB}},
		wire: []byte{0x11, 10, 0xe7, 0x70, 232, 1, 1, 1, 0x0a, 125, 0, 2,
			10, 0, 0, 1, 10, 0, 0, 2},
	},
	{
		name:    "v1 report",
		message: &GroupReport{Version: 1, Group: groupA},
		wire:    []byte{0x12, 0, 0xfd, 0xfc, 239, 1, 1, 1},
	},
	{
		name:    "v2 report",
		message: &GroupReport{Version: 2, Group: groupA},
		wire:    []byte{0x16, 0, 0xf9, 0xfc, 239, 1, 1, 1},
	},
	{
		name:    "leave",
		message: &Leave{Group: groupA},
		wire:    []byte{0x17, 0, 0xf8, 0xfc, 239, 1, 1, 1},
	},
	{
		name:    "v3 report without records",
		message: &Report{},
		wire:    []byte{0x22, 0, 0xdd, 0xff, 0, 0, 0, 0},
	},
	{
		name: "v3 report",
		message: &Report{Records: []Record{
			{Type: ToExclude, Group: groupA},
			{Type: Allow, Group: groupB, Sources: []netip.Addr{sourceA, sourceB}},
		}},
		wire: []byte{0x22, 0, 0xe7, 0xf2, 0, 0, 0, 2,
			4, 0, 0, 0, 239, 1, 1, 1,
			5, 0, 0, 2, 232, 1, 1, 1, 10, 0, 0, 1, 10, 0, 0, 2},
	},
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
					// RFC 9776 section 7.1: a v3 query cut to 8 octets is one of v1 or v2.
					if _, query := m.(*Query); !query || n != shortSize {
						t.Errorf("first %d octets: no error", n)
					}
				}
			}
		})
	}
}

// The checksums in the table are those of the RFC's arithmetic, not of ours.
func TestChecksumKnown(t *testing.T) {
	for _, name := range []string{"v1 general query", "v2 report", "leave"} {
		for _, tt := range messages {
			if tt.name == name && !VerifyChecksum(tt.wire) {
				t.Errorf("%s: checksum %x is refused", name, tt.wire[2:4])
			}
		}
	}
	if VerifyChecksum([]byte{0x16, 0, 0xf9, 0xfd, 239, 1, 1, 1}) {
		t.Error("a wrong checksum is taken")
	}
	if odd := []byte{0x16, 0, 0xf9, 0xfc, 239, 1, 1, 1, 0}; !VerifyChecksum(odd) {
		t.Error("a trailing zero octet changes the sum")
	}
}

// RFC 9776 section 4.2: auxiliary data, additional data.
func TestReportSkipsAuxiliaryData(t *testing.T) {
	wire := []byte{0x22, 0, 0, 0, 0, 0, 0, 2,
		1, 2, 0, 1, 239, 1, 1, 1, 10, 0, 0, 1, 'a', 'u', 'x', 'i', 'l', 'i', 'a', 'r',
		6, 0, 0, 0, 232, 1, 1, 1, 'm', 'o', 'r', 'e'}
	want := &Report{Records: []Record{
		{Type: IsInclude, Group: groupA, Sources: []netip.Addr{sourceA}},
		{Type: Block, Group: groupB},
	}}
	got := &Report{}
	if err := got.UnmarshalBinary(wire); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, ignoreMemory...); diff != "" {
		t.Errorf("report (-want +got)\n%s", diff)
	}
	if err := got.UnmarshalBinary(wire[:24]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut in the auxiliary data: %v", err)
	}
	if diff := cmp.Diff(want, got, ignoreMemory...); diff != "" {
		t.Errorf("an error changed the report (-want +got)\n%s", diff)
	}
}

// RFC 9776 section 7.1.
func TestQueryLengths(t *testing.T) {
	for _, tt := range []struct {
		name    string
		wire    []byte
		version uint8
		err     error
	}{
		{"8 octets, code 0", []byte{0x11, 0, 0, 0, 0, 0, 0, 0}, 1, nil},
		{"8 octets, code 1", []byte{0x11, 1, 0, 0, 0, 0, 0, 0}, 2, nil},
		{"9 octets", queryOf(9), 0, ErrLength},
		{"11 octets", queryOf(11), 0, ErrLength},
		{"12 octets", queryOf(12), 3, nil},
		{"16 octets, no source counted", queryOf(16), 3, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var q Query
			if err := q.UnmarshalBinary(tt.wire); !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if q.Version != tt.version {
				t.Errorf("version %d, want %d", q.Version, tt.version)
			}
		})
	}
}

func queryOf(n int) []byte {
	b := make([]byte, n)
	b[0] = byte(TypeQuery)
	return b
}

func TestEncodeErrors(t *testing.T) {
	six := netip.MustParseAddr("ff0e::1")
	many := make([]netip.Addr, 0x10000)
	for i := range many {
		many[i] = sourceA
	}
	for _, tt := range []struct {
		name string
		m    encoding.BinaryAppender
		want error
	}{
		{"version 4", &Query{Version: 4}, ErrRange},
		{"version 0", &Query{}, ErrRange},
		{"v2 response too long", &Query{Version: 2, MaxResponse: 26 * time.Second}, ErrRange},
		{"response negative", &Query{Version: 3, MaxResponse: -1}, ErrRange},
		{"response too long", &Query{Version: 3, MaxResponse: MaxResponse + 1}, ErrRange},
		{"interval too long", &Query{Version: 3, Interval: MaxInterval + 1}, ErrRange},
		{"robustness 8", &Query{Version: 3, Robustness: 8}, ErrRange},
		{"IPv6 group in a v3 query", &Query{Version: 3, Group: six}, ErrAddress},
		{"IPv6 group in a v2 query", &Query{Version: 2, Group: six}, ErrAddress},
		{"IPv6 source", &Query{Version: 3, Sources: []netip.Addr{six}}, ErrAddress},
		{"65,536 sources", &Query{Version: 3, Sources: many}, ErrRange},
		{"report of version 3", &GroupReport{Version: 3, Group: groupA}, ErrRange},
		{"IPv6 group in a leave", &Leave{Group: six}, ErrAddress},
		{"IPv6 group in a record", &Report{Records: []Record{{Group: six}}}, ErrAddress},
		{"IPv6 source in a record",
			&Report{Records: []Record{{Group: groupA, Sources: []netip.Addr{six}}}}, ErrAddress},
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
	other := []byte{0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for _, m := range []message{new(Query), new(GroupReport), new(Leave), new(Report)} {
		if err := m.UnmarshalBinary(other); !errors.Is(err, ErrType) {
			t.Errorf("%T: %v", m, err)
		}
	}
}

// RFC 9776 section 4.1: the value of every code, and the code of every value.
func TestCodes(t *testing.T) {
	last := int64(-1)
	for code := range 256 {
		value := decodeCode(uint8(code))
		if int64(value) <= last {
			t.Errorf("code %d: %d is not above that of the code before", code, value)
		}
		last = int64(value)
		if got := encodeCode(value); int(got) != code {
			t.Errorf("value %d: code %d, want %d", value, got, code)
		}
	}
	if last != maxFloatValue {
		t.Errorf("largest value %d, want %d", last, maxFloatValue)
	}
	for value := uint32(0); value <= maxFloatValue; value++ {
		code := encodeCode(value)
		if low := decodeCode(code); low > value {
			t.Fatalf("value %d: code %d says %d, more than was asked", value, code, low)
		}
		if code < 255 && decodeCode(code+1) <= value {
			t.Fatalf("value %d: code %d, though the next one is not above it", value, code)
		}
	}
}

// A Max Resp Code of zero would make a v1 query of it.
func TestShortResponseIsNotZero(t *testing.T) {
	q := Query{Version: 2, MaxResponse: time.Millisecond}
	b, err := q.AppendBinary(nil)
	if err != nil || b[1] != 1 {
		t.Errorf("code %d (%v), want 1", b[1], err)
	}
}

func TestNoAllocations(t *testing.T) {
	report := largeReport()
	wire, err := AppendPacket(nil, hostA, AllV3Routers, report)
	if err != nil {
		t.Fatal(err)
	}
	query := &Query{Version: 3, Group: groupA, Sources: report.Records[0].Sources}
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
			_, err := AppendPacket(buffer, hostA, AllV3Routers, report)
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
		record := Record{Type: Allow, Group: netip.AddrFrom4([4]byte{232, 1, 0, byte(i)})}
		for j := range 4 {
			record.Sources = append(record.Sources, netip.AddrFrom4([4]byte{10, 0, 0, byte(j)}))
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
