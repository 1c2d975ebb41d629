package proxy

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

var (
	groupA  = netip.MustParseAddr("239.1.1.1")
	groupB  = netip.MustParseAddr("239.1.1.2")
	sourceA = netip.MustParseAddr("10.0.0.1")
	sourceB = netip.MustParseAddr("10.0.0.2")
	sourceC = netip.MustParseAddr("10.0.0.3")
)

func include(sources ...netip.Addr) Filter { return Filter{Include, sources} }
func exclude(sources ...netip.Addr) Filter { return Filter{Exclude, sources} }

// RFC 3376 section 3.2 has these examples.
func TestUnion(t *testing.T) {
	a, b, c := sourceA, sourceB, sourceC
	d := netip.MustParseAddr("10.0.0.4")
	e := netip.MustParseAddr("10.0.0.5")
	f := netip.MustParseAddr("10.0.0.6")
	for _, tt := range []struct {
		name  string
		all   []Filter
		union Filter
	}{
		{"nothing", nil, include()},
		{"excludes and an include", []Filter{exclude(a, b, c, d), exclude(b, c, d, e),
			include(d, e, f)}, exclude(b, c)},
		{"includes", []Filter{include(a, b, c), include(b, c, d), include(e, f)},
			include(a, b, c, d, e, f)},
		{"an include of what the exclude lacks", []Filter{exclude(a), include(b)}, exclude(a)},
		{"everything", []Filter{exclude(), include(b), exclude(a)}, exclude()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got Filter
			for _, each := range tt.all {
				got = got.Union(each)
			}
			if !got.Equal(tt.union) {
				t.Errorf("%v, want %v", got, tt.union)
			}
		})
	}
}

// fill says what an interface wants as the Multicast Group Manager does.
func fill(d *Database, index uint32, group netip.Addr, f Filter) {
	kind := includes
	if f.Mode == Exclude {
		kind = excludes
		d.set(index, group, netip.Addr{}, wantsAny, true)
	}
	for _, s := range f.Sources {
		d.set(index, group, s, kind, true)
	}
}

func TestDatabaseMerges(t *testing.T) {
	d := NewDatabase()
	fill(d, 1, groupA, exclude(sourceA, sourceB))
	fill(d, 2, groupA, include(sourceB))
	fill(d, 3, groupA, exclude(sourceA, sourceC))
	fill(d, 3, groupB, include(sourceC))
	if got, want := d.Filter(groupA), exclude(sourceA); !got.Equal(want) {
		t.Errorf("%v, want %v", got, want)
	}
	d.drop(3)
	if got, want := d.Filter(groupA), exclude(sourceA); !got.Equal(want) {
		t.Errorf("without interface 3: %v, want %v", got, want)
	}
	if got := d.Filter(groupB); !got.IsZero() {
		t.Errorf("without interface 3: %v, want nothing", got)
	}
	d.set(1, groupA, netip.Addr{}, wantsAny, false)
	if got, want := d.Filter(groupA), include(sourceB); !got.Equal(want) {
		t.Errorf("without the exclude mode: %v, want %v", got, want)
	}
}

// reference keeps facts as they are, and merges by the letter of RFC 3376
// section 3.2.
type reference map[uint32]map[fact]map[netip.Addr]bool

func (r reference) set(index uint32, source netip.Addr, f fact, holds bool) {
	if r[index] == nil {
		r[index] = map[fact]map[netip.Addr]bool{wantsAny: {}, includes: {}, excludes: {}}
	}
	if holds {
		r[index][f][source] = true
		return
	}
	delete(r[index][f], source)
}

// accepts says whether some interface wants a source.
func (r reference) accepts(source netip.Addr) bool {
	for _, said := range r {
		if said[includes][source] || len(said[wantsAny]) > 0 && !said[excludes][source] {
			return true
		}
	}
	return false
}

func (r reference) mode() Mode {
	for _, said := range r {
		if len(said[wantsAny]) > 0 {
			return Exclude
		}
	}
	return Include
}

func TestDatabaseAgainstReference(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		d, plain := NewDatabase(), make(reference)
		sources := make([]netip.Addr, 6)
		for i := range sources {
			sources[i] = netip.AddrFrom4([4]byte{10, 0, byte(round), byte(i)})
		}
		for range 300 {
			index, f, holds := uint32(random.IntN(4)), fact(random.IntN(3)), random.IntN(2) == 0
			var source netip.Addr
			if f != wantsAny {
				source = sources[random.IntN(len(sources)-1)]
			}
			if random.IntN(50) == 0 {
				d.drop(index)
				delete(plain, index)
				continue
			}
			d.set(index, groupA, source, f, holds)
			plain.set(index, source, f, holds)
			got := d.Filter(groupA)
			if got.Mode != plain.mode() || !slices.IsSortedFunc(got.Sources, netip.Addr.Compare) {
				t.Fatalf("%v, want mode %v, sorted", got, plain.mode())
			}
			for _, s := range sources {
				if got.Accepts(s) != plain.accepts(s) {
					t.Fatalf("%v accepts %v: %v, want %v", got, s, got.Accepts(s),
						plain.accepts(s))
				}
			}
		}
	}
}

// BenchmarkMerge is one report merged into what 10,000 groups on 8 interfaces
// want.
func BenchmarkMerge(b *testing.B) {
	for _, sources := range []int{0, 4, 256} {
		b.Run("groups=10000/sources="+itoa(sources), func(b *testing.B) {
			b.ReportAllocs()
			d := NewDatabase()
			var list []netip.Addr
			for i := range sources {
				list = append(list, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
			}
			for g := range 10_000 {
				for index := uint32(1); index <= 8; index++ {
					fill(d, index, manyGroups(g), exclude(list...))
				}
			}
			for _, g := range d.changed() {
				g.told = g.filter()
			}
			i := 0
			for b.Loop() {
				i++
				d.set(uint32(i%8+1), manyGroups(i/2%10_000), sourceA, excludes, i%2 == 0)
				for _, g := range d.changed() {
					if f := g.filter(); !f.Equal(g.told) {
						g.told = f
					}
				}
			}
		})
	}
}

func manyGroups(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{239, 2, byte(i >> 8), byte(i)})
}
