package uring

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// newRing is a ring, where this machine has any.
func newRing(t testing.TB, operations int) *Ring {
	t.Helper()
	r, err := New(operations)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

// pair is two ends of a connection that keeps messages apart.
func pair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX,
		unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

// TestRandomBatches writes and reads messages in batches of all sizes, through
// a ring whose queues go round many times.
func TestRandomBatches(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	r := newRing(t, 8)
	in, out := pair(t)
	results := make([]int32, r.Room())
	for range 1000 {
		n := 1 + random.IntN(r.Room())
		sent := make([][]byte, n)
		for i := range sent {
			sent[i] = bytes.Repeat([]byte{byte(random.Int())}, 1+random.IntN(100))
			r.Write(in, sent[i])
		}
		if err := r.Do(results[:n]); err != nil {
			t.Fatal(err)
		}
		for i, b := range sent {
			if int(results[i]) != len(b) {
				t.Fatalf("write %d of %d: %d, want %d", i, n, results[i], len(b))
			}
		}
		asked := min(n+random.IntN(4), r.Room())
		got := make([][]byte, asked)
		for i := range got {
			got[i] = make([]byte, 100)
			r.Read(out, got[i])
		}
		if err := r.Do(results[:asked]); err != nil {
			t.Fatal(err)
		}
		for i, size := range results[:asked] {
			switch {
			case i < n && !bytes.Equal(got[i][:max(size, 0)], sent[i]):
				t.Fatalf("read %d of %d: %d octets, want %d", i, n, size, len(sent[i]))
			case i >= n && size != -int32(unix.EAGAIN):
				t.Fatalf("read %d of nothing: %d", i, size)
			}
		}
	}
}

func TestErrorsAreResults(t *testing.T) {
	r := newRing(t, 4)
	in, _ := pair(t)
	r.Write(-1, []byte("to nowhere"))
	r.Write(in, []byte("to the other end"))
	results := make([]int32, 2)
	if err := r.Do(results); err != nil {
		t.Fatal(err)
	}
	if results[0] != -int32(unix.EBADF) || results[1] != 16 {
		t.Errorf("results %d, want EBADF and 16", results)
	}
}

func TestNothingToDo(t *testing.T) {
	if err := newRing(t, 4).Do(nil); err != nil {
		t.Error(err)
	}
}

func TestTooManyOperations(t *testing.T) {
	newRing(t, 4)
	if r, err := New(1 << 20); err == nil {
		r.Close()
		t.Error("a ring of a million operations was made")
	}
}

func BenchmarkBatch(b *testing.B) {
	r := newRing(b, 64)
	_, out := pair(b)
	buf, results := make([]byte, 100), make([]int32, 64)
	b.ReportAllocs()
	for i := 0; i < b.N; i += 64 {
		for range 64 {
			r.Read(out, buf)
		}
		if err := r.Do(results); err != nil {
			b.Fatal(err)
		}
	}
}
