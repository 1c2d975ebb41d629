package load

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch holds the buffers of one sendmmsg or recvmmsg call. All pointers
// between them are set once.
type batch struct {
	headers  [batchSize]unix.Mmsghdr
	vectors  [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet6 // as large as either family needs
	controls [batchSize][controlSize]byte
	buffers  [batchSize][]byte
}

// controlSize is room for the control messages of a datagram: TTL, packet
// information and overflow count.
const controlSize = 128

// newBatch makes a batch whose buffers hold size bytes each.
func newBatch(size int) *batch {
	b := new(batch)
	backing := make([]byte, batchSize*size)
	for i := range b.headers {
		b.buffers[i] = backing[i*size : (i+1)*size : (i+1)*size]
		b.vectors[i].Base = &b.buffers[i][0]
		b.vectors[i].SetLen(size)
		b.headers[i].Hdr.Iov = &b.vectors[i]
		b.headers[i].Hdr.SetIovlen(1)
	}
	return b
}

// send sends the first n buffers to where the socket is connected. It returns
// how many the kernel took; the error is that of the first it didn't take,
// and comes only where that is the first of all.
func (b *batch) send(fd, n int) (int, unix.Errno) {
	return mmsg(unix.SYS_SENDMMSG, fd, b.headers[:n])
}

// receive takes what is at hand, at most limit datagrams.
func (b *batch) receive(fd, limit int) (int, unix.Errno) {
	for i := range limit {
		h := &b.headers[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Namelen = unix.SizeofSockaddrInet6
		h.Control = &b.controls[i][0]
		h.SetControllen(controlSize)
	}
	return mmsg(unix.SYS_RECVMMSG, fd, b.headers[:limit])
}

// mmsg makes a call that never waits: the runtime's poller does that.
func mmsg(trap uintptr, fd int, headers []unix.Mmsghdr) (int, unix.Errno) {
	for {
		n, _, errno := unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&headers[0])),
			uintptr(len(headers)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// arrival returns datagram i of the last receive, and how many the kernel had
// dropped before it since the socket was made (SO_RXQ_OVFL counts in 32 bits;
// ok says whether it was told).
func (b *batch) arrival(i int) (a arrival, overflows uint32, ok bool) {
	h := &b.headers[i]
	a.payload = b.buffers[i][:h.Len]
	a.source = b.source(i)
	rest := b.controls[i][:h.Hdr.Controllen]
	for len(rest) >= unix.SizeofCmsghdr {
		header, data, after, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			break
		}
		rest = after
		switch kind := [2]int32{header.Level, header.Type}; {
		case kind == [2]int32{unix.IPPROTO_IP, unix.IP_TTL} && len(data) >= 4,
			kind == [2]int32{unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT} && len(data) >= 4:
			a.ttl = int(*(*int32)(unsafe.Pointer(&data[0])))
		case kind == [2]int32{unix.IPPROTO_IP, unix.IP_PKTINFO} && len(data) >= 4:
			a.iface = int(*(*int32)(unsafe.Pointer(&data[0])))
		case kind == [2]int32{unix.IPPROTO_IPV6, unix.IPV6_PKTINFO} && len(data) >= 20:
			a.iface = int(*(*uint32)(unsafe.Pointer(&data[16])))
		case kind == [2]int32{unix.SOL_SOCKET, unix.SO_RXQ_OVFL} && len(data) >= 4:
			overflows, ok = *(*uint32)(unsafe.Pointer(&data[0])), true
		}
	}
	return a, overflows, ok
}

// source returns who sent datagram i.
func (b *batch) source(i int) netip.Addr {
	if b.names[i].Family == unix.AF_INET6 {
		return netip.AddrFrom16(b.names[i].Addr)
	}
	v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i]))
	return netip.AddrFrom4(v4.Addr)
}
