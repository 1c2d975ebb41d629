package tun_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/internal/uring"
	"umroute/tun/netns/netnstest"
)

// buffers are for a batch of n packets.
func buffers(n, size int) (bufs [][]byte, sizes []int) {
	bufs, sizes = make([][]byte, n), make([]int, n)
	for i := range bufs {
		bufs[i] = make([]byte, size)
	}
	return bufs, sizes
}

// quiet is a host that sends nothing unasked.
func quiet(t testing.TB) *netnstest.Host {
	host := netnstest.NewHost(t)
	host.Do(func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	})
	return host
}

// ioModes are all ways to move packets.
var ioModes = []string{tun.IOVectored, tun.IOUring, tun.IOPlain}

// needIO skips a test of io_uring where there is none.
func needIO(t testing.TB, io string) {
	if io != tun.IOUring {
		return
	}
	ring, err := uring.New(1)
	if err != nil {
		t.Skip(err)
	}
	ring.Close()
}

func quietConfig(host *netnstest.Host, io string) tun.Config {
	return tun.Config{
		Netns: host.Netns(), IO: io, PeerAddresses: prefixes("10.0.1.2/24"), PeerRoutes: true,
	}
}

// TestReadTakesWhatIsThere has more packets waiting than a batch.
func TestReadTakesWhatIsThere(t *testing.T) {
	for io, batches := range map[string][]int{
		tun.IOVectored: {4, 4, 2},
		tun.IOUring:    {4, 4, 2},
		tun.IOPlain:    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	} {
		t.Run(io, func(t *testing.T) {
			needIO(t, io)
			host := quiet(t)
			link := open(t, quietConfig(host, io))
			for i := range 10 {
				send(t, host, "udp4", "239.1.1.1:5000", fmt.Sprintf("number %d", i))
			}
			bufs, sizes := buffers(4, 2048)
			read := 0
			for _, want := range batches {
				n, err := link.Read(bufs, sizes)
				if n != want || err != nil {
					t.Fatalf("Read: %d, %v; want %d", n, err, want)
				}
				for i := range n {
					want := fmt.Sprintf("number %d", read)
					if got := string(bufs[i][28:sizes[i]]); got != want {
						t.Errorf("read %q, want %q", got, want)
					}
					read++
				}
			}
		})
	}
}

// TestReadDropsWhatDoesNotFit has one packet that fills its buffer, one that is
// longer and one that is shorter.
func TestReadDropsWhatDoesNotFit(t *testing.T) {
	for _, io := range ioModes {
		t.Run(io, func(t *testing.T) {
			needIO(t, io)
			host := quiet(t)
			link := open(t, quietConfig(host, io))
			for _, size := range []int{100, 101, 99} {
				send(t, host, "udp4", "239.1.1.1:5000", string(make([]byte, size-28)))
			}
			bufs, sizes := buffers(1, 100)
			for _, want := range []int{100, 99} {
				n, err := link.Read(bufs, sizes)
				if n != 1 || err != nil || sizes[0] != want {
					t.Errorf("Read: %d, %v, %d octets; want %d", n, err, sizes[0], want)
				}
			}
			if got := link.Truncated(); got != 1 {
				t.Errorf("%d truncated, want 1", got)
			}
		})
	}
}

func TestReadWithoutRoom(t *testing.T) {
	link := open(t, quietConfig(quiet(t), ""))
	for _, bufs := range [][][]byte{nil, {nil}, {make([]byte, 10), make([]byte, 10)}} {
		if n, err := link.Read(bufs, make([]int, 1)); n != 0 || err == nil {
			t.Errorf("Read into %d buffers: %d, %v", len(bufs), n, err)
		}
	}
}

func TestCloseEndsRead(t *testing.T) {
	for _, io := range ioModes {
		t.Run(io, func(t *testing.T) {
			needIO(t, io)
			host := quiet(t)
			link := open(t, quietConfig(host, io))
			started, ended := make(chan struct{}), make(chan error, 1)
			go func() {
				bufs, sizes := buffers(1, 2048)
				close(started)
				_, err := link.Read(bufs, sizes)
				ended <- err
			}()
			<-started
			if err := link.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if err := <-ended; err != os.ErrClosed {
				t.Errorf("Read: %v, want %v", err, os.ErrClosed)
			}
			bufs, sizes := buffers(1, 2048)
			if _, err := link.Read(bufs, sizes); err != os.ErrClosed {
				t.Errorf("Read after Close: %v, want %v", err, os.ErrClosed)
			}
			if n, err := link.Write(bufs); n != 0 || err != os.ErrClosed {
				t.Errorf("Write after Close: %d, %v, want %v", n, err, os.ErrClosed)
			}
		})
	}
}

// TestCloseUnderWriters closes while others write, and opens something that
// could get the same descriptor: what they write must never end up there.
func TestCloseUnderWriters(t *testing.T) {
	host := quiet(t)
	packet := packetTo("239.1.1.1:5000")
	for range 20 {
		link := open(t, quietConfig(host, ""))
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				for {
					if _, err := link.Write([][]byte{packet, packet}); err != nil {
						if !errors.Is(err, os.ErrClosed) {
							t.Errorf("Write: %v", err)
						}
						return
					}
				}
			})
		}
		if _, err := link.Write([][]byte{packet}); err != nil {
			t.Fatal(err)
		}
		link.Close()
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		writers.Wait()
		writer.Close()
		if n, _ := reader.Read(make([]byte, 1)); n != 0 {
			t.Error("a packet was written to another file")
		}
		reader.Close()
	}
}

func TestPacketPathAllocatesNothing(t *testing.T) {
	for _, io := range []string{tun.IOVectored, tun.IOUring} {
		t.Run(io, func(t *testing.T) {
			needIO(t, io)
			checkAllocations(t, io)
		})
	}
}

func checkAllocations(t *testing.T, io string) {
	host := quiet(t)
	link := open(t, quietConfig(host, io))
	conn := host.ListenUDP("udp4", "10.0.1.2:0")
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	group := &unix.SockaddrInet4{Port: 5000, Addr: [4]byte{239, 1, 1, 1}}
	sendOne := func(fd uintptr) {
		if err := unix.Sendto(int(fd), []byte("hello"), 0, group); err != nil {
			t.Error(err)
		}
	}
	bufs, sizes := buffers(4, 2048)
	packets := [][]byte{packetTo("239.2.2.2:5000"), packetTo("239.2.2.2:5000")}
	batch := []tun.Packet{{To: link, Data: packets[0]}, {To: link, Data: packets[1]}}
	got := testing.AllocsPerRun(100, func() {
		raw.Control(sendOne)
		if n, err := link.Read(bufs, sizes); n != 1 || err != nil {
			t.Errorf("Read: %d, %v", n, err)
		}
		if n, err := link.Write(packets); n != 2 || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		link.WriteBatch(batch)
	})
	if got != 0 {
		t.Errorf("%v allocations for a packet in and four out", got)
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, io := range ioModes {
		b.Run("io="+io, func(b *testing.B) {
			needIO(b, io)
			link, err := tun.Open(quietConfig(quiet(b), io))
			if err != nil {
				b.Fatal(err)
			}
			defer link.Close()
			batch := make([][]byte, 32)
			for i := range batch {
				batch[i] = packetTo("239.1.1.1:5000")
			}
			b.ReportAllocs()
			for i := 0; i < b.N; i += len(batch) {
				if _, err := link.Write(batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead counts the sender too, which sends what one batch takes.
func BenchmarkRead(b *testing.B) {
	const batch = 32
	for _, io := range ioModes {
		b.Run("io="+io, func(b *testing.B) {
			needIO(b, io)
			host := quiet(b)
			link, err := tun.Open(quietConfig(host, io))
			if err != nil {
				b.Fatal(err)
			}
			defer link.Close()
			raw, err := host.ListenUDP("udp4", "10.0.1.2:0").SyscallConn()
			if err != nil {
				b.Fatal(err)
			}
			group := &unix.SockaddrInet4{Port: 5000, Addr: [4]byte{239, 1, 1, 1}}
			payload := make([]byte, 512)
			bufs, sizes := buffers(batch, 2048)
			sendBatch := func(fd uintptr) {
				for range batch {
					if err := unix.Sendto(int(fd), payload, 0, group); err != nil {
						b.Error(err)
					}
				}
			}
			b.ReportAllocs()
			for i := 0; i < b.N; i += batch {
				b.StopTimer()
				raw.Control(sendBatch)
				b.StartTimer()
				for left := batch; left > 0; {
					n, err := link.Read(bufs, sizes)
					if err != nil {
						b.Fatal(err)
					}
					left -= n
				}
			}
		})
	}
}
