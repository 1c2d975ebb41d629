package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sample(size int) Datagram {
	return Datagram{
		Stream: 0x0123456789abcdef, Sequence: 0xfedcba9876543210,
		Sent: time.Unix(1_700_000_000, 123456789), Size: size,
	}
}

func encode(t testing.TB, d Datagram) []byte {
	t.Helper()
	b, err := d.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDatagramLayout(t *testing.T) {
	got, err := sample(36).AppendBinary([]byte("head"))
	if err != nil {
		t.Fatal(err)
	}
	pieces := [][]byte{
		[]byte("head"),
		[]byte("umrt"), {1, 0}, {0, 36},
		{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef},
		{0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10},
		{0x17, 0x97, 0x9c, 0xfe, 0x3d, 0x85, 0xcd, 0x15},
	}
	want := bytes.Join(pieces, nil)
	var pad byte
	for _, c := range want[4:] {
		pad ^= c
	}
	want = append(want, pad, pad+1, pad+2, pad+3)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("datagram (-want +got):\n%s", diff)
	}
}

func TestDatagramRoundTrip(t *testing.T) {
	for _, size := range []int{MinSize, MinSize + 1, 512, 1472, MaxSize} {
		want := sample(size)
		got, err := ParseDatagram(encode(t, want))
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("size %d (-want +got):\n%s", size, diff)
		}
	}
	for _, size := range []int{-1, 0, MinSize - 1, MaxSize + 1, 1 << 20} {
		before := []byte("head")
		if b, err := sample(size).AppendBinary(before); err == nil || !bytes.Equal(b, before) {
			t.Errorf("size %d: %q and error %v", size, b, err)
		}
	}
}

func TestDatagramPrefixes(t *testing.T) {
	whole := encode(t, sample(100))
	for n := range whole {
		want := ErrCorrupt
		if n < 4 {
			want = ErrForeign
		}
		if d, err := ParseDatagram(whole[:n]); !errors.Is(err, want) || d != (Datagram{}) {
			t.Errorf("%d bytes: %+v and error %v, want %v", n, d, err, want)
		}
	}
	if _, err := ParseDatagram(append(whole, 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one byte more: %v", err)
	}
}

// TestDatagramDamage holds that no single wrong byte goes unseen.
func TestDatagramDamage(t *testing.T) {
	whole := encode(t, sample(100))
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x20
		if d, err := ParseDatagram(damaged); err == nil {
			t.Errorf("byte %d: parsed as %+v", i, d)
		}
	}
}

func TestStreamIDText(t *testing.T) {
	for _, want := range []StreamID{0, 1, 0x0123456789abcdef, 1<<64 - 1} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got StreamID
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s: %v and error %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1", "0123456789abcdeg", "0123456789abcdef0"} {
		if err := new(StreamID).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestDatagramAllocations(t *testing.T) {
	b := make([]byte, 0, 512)
	d := sample(512)
	n := testing.AllocsPerRun(100, func() {
		b, _ = d.AppendBinary(b[:0])
		d, _ = ParseDatagram(b)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseDatagram(f *testing.F) {
	for _, size := range []int{MinSize, MinSize + 1, 100} {
		f.Add(encode(f, sample(size)))
	}
	f.Add([]byte("umrt"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDatagram(b)
		if err != nil {
			if !errors.Is(err, ErrForeign) && !errors.Is(err, ErrCorrupt) {
				t.Errorf("unknown error %v", err)
			}
			return
		}
		if again := encode(t, d); !bytes.Equal(again, b) {
			t.Errorf("%x encodes as %x", b, again)
		}
	})
}
