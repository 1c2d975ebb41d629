package tun_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"umroute/tun"
)

func TestPipeCarriesBothWays(t *testing.T) {
	a, b := tun.Pipe(tun.PipeConfig{
		Kind: tun.KindTAP, Names: [2]string{"left", "right"}, MTU: 9000,
	})
	for _, end := range []struct {
		device tun.Device
		name   string
	}{{a, "left"}, {b, "right"}} {
		d := end.device
		if d.Name() != end.name || d.Kind() != tun.KindTAP || d.MTU() != 9000 {
			t.Errorf("%s: name %s, %v, mtu %d", end.name, d.Name(), d.Kind(), d.MTU())
		}
	}
	for _, way := range [][2]tun.Device{{a, b}, {b, a}} {
		if n, err := way[0].Write([][]byte{[]byte("one"), []byte("three")}); n != 2 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
		bufs, sizes := [][]byte{make([]byte, 10), make([]byte, 4), make([]byte, 10)}, make([]int, 3)
		n, err := way[1].Read(bufs, sizes)
		if n != 2 || err != nil {
			t.Fatalf("Read: %d, %v", n, err)
		}
		// The second packet is cut to its buffer, as a kernel's device does.
		if got := fmt.Sprintf("%s %s", bufs[0][:sizes[0]], bufs[1][:sizes[1]]); got != "one thre" {
			t.Errorf("read %q", got)
		}
	}
}

func TestPipeIsBounded(t *testing.T) {
	a, b := tun.Pipe(tun.PipeConfig{Queue: 3})
	packets := [][]byte{{1}, {}, {2}, {3}, {4}, {5}}
	if n, err := a.Write(packets); n != 3 || err == nil {
		t.Errorf("Write: %d, %v; want 3 and the first error", n, err)
	}
	if n, err := a.Write(packets[:1]); n != 0 || !errors.Is(err, tun.ErrPipeFull) {
		t.Errorf("Write to a full pipe: %d, %v", n, err)
	}
	bufs, sizes := [][]byte{make([]byte, 1), make([]byte, 1)}, make([]int, 2)
	for _, want := range [][]byte{{1, 2}, {3}} {
		n, err := b.Read(bufs, sizes)
		if got := bytes.Join(bufs[:n], nil); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %v, %v; want %v", got, err, want)
		}
	}
}

func TestPipeCloses(t *testing.T) {
	a, b := tun.Pipe(tun.PipeConfig{})
	if _, err := a.Write([][]byte{{1}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	bufs, sizes := [][]byte{make([]byte, 1)}, make([]int, 1)
	if n, err := b.Read(bufs, sizes); n != 1 || err != nil {
		t.Errorf("Read of what came before: %d, %v", n, err)
	}
	tests := []struct {
		name string
		call func() (int, error)
		want error
	}{
		{"other end reads", func() (int, error) { return b.Read(bufs, sizes) }, io.EOF},
		{"other end writes", func() (int, error) { return b.Write(bufs) }, io.ErrClosedPipe},
		{"own end reads", func() (int, error) { return a.Read(bufs, sizes) }, os.ErrClosed},
		{"own end writes", func() (int, error) { return a.Write(bufs) }, os.ErrClosed},
		{"no buffer", func() (int, error) { return b.Read(nil, nil) }, nil},
	}
	for _, test := range tests {
		n, err := test.call()
		if n != 0 || err == nil || test.want != nil && err != test.want {
			t.Errorf("%s: %d, %v; want %v", test.name, n, err, test.want)
		}
	}
}

// TestPipeInBubble waits in Read while time, which is not real, goes on.
func TestPipeInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := tun.Pipe(tun.PipeConfig{})
		start := time.Now()
		var waited time.Duration
		var last error
		var reader sync.WaitGroup
		reader.Go(func() {
			bufs, sizes := [][]byte{make([]byte, 1)}, make([]int, 1)
			if _, err := b.Read(bufs, sizes); err == nil {
				waited = time.Since(start)
			}
			_, last = b.Read(bufs, sizes)
		})
		time.Sleep(time.Hour)
		if _, err := a.Write([][]byte{{1}}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		b.Close()
		reader.Wait()
		if waited != time.Hour || last != os.ErrClosed {
			t.Errorf("first packet after %v, then %v", waited, last)
		}
	})
}

// TestPipeUnderLoad has several writers, and the reader must get each one's
// packets once and in order.
func TestPipeUnderLoad(t *testing.T) {
	const writers, each = 4, 500
	a, b := tun.Pipe(tun.PipeConfig{Queue: 16})
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := 0; i < each; {
				n, err := a.Write([][]byte{{byte(w), byte(i >> 8), byte(i)}})
				i += n
				if err != nil {
					runtime.Gosched() // the pipe is full
				}
			}
		})
	}
	go func() {
		writing.Wait()
		a.Close()
	}()
	var next [writers]int
	bufs, sizes := [][]byte{make([]byte, 3), make([]byte, 3), make([]byte, 3)}, make([]int, 3)
	for {
		n, err := b.Read(bufs, sizes)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range bufs[:n] {
			if got := int(p[1])<<8 | int(p[2]); got != next[p[0]] {
				t.Fatalf("writer %d: packet %d, want %d", p[0], got, next[p[0]])
			}
			next[p[0]]++
		}
	}
	for w, n := range next {
		if n != each {
			t.Errorf("writer %d: %d packets, want %d", w, n, each)
		}
	}
}

func TestPipeAllocatesNothing(t *testing.T) {
	a, b := tun.Pipe(tun.PipeConfig{Queue: 4})
	out := [][]byte{make([]byte, 1400), make([]byte, 1400)}
	in, sizes := [][]byte{make([]byte, 1500), make([]byte, 1500)}, make([]int, 2)
	round := func() {
		if n, err := a.Write(out); n != 2 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
		if n, err := b.Read(in, sizes); n != 2 || err != nil {
			t.Fatalf("Read: %d, %v", n, err)
		}
	}
	round()
	round() // every place in the queue has its buffer now
	if got := testing.AllocsPerRun(100, round); got != 0 {
		t.Errorf("%v allocations a round", got)
	}
}
