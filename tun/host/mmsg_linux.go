package host

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxMessages is the most that one system call takes or gives.
const maxMessages = 64

// controlLen has room for all that the kernel tells of a datagram: packet info,
// TTL, type of service, segment and overflow.
const controlLen = 192

// message is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// messages are the arguments of one system call, in memory of their own: the
// kernel gets pointers to it.
type messages struct {
	headers  [maxMessages]message
	vectors  [maxMessages]unix.Iovec
	names    [maxMessages]unix.RawSockaddrInet6 // or the shorter one of IPv4
	controls [maxMessages][controlLen]byte
}

// set makes message i one of this payload, with room for a name and control
// messages of the given lengths.
func (m *messages) set(i int, payload []byte, name, control int) {
	v := &m.vectors[i]
	v.Base = unsafe.SliceData(payload)
	v.SetLen(len(payload))
	h := &m.headers[i].header
	h.Name = (*byte)(unsafe.Pointer(&m.names[i]))
	h.Namelen = uint32(name)
	h.Iov = v
	h.SetIovlen(1)
	h.Control = &m.controls[i][0]
	h.SetControllen(control)
	h.Flags = 0
}

// forget drops what belongs to the caller.
func (m *messages) forget(n int) {
	for i := range n {
		m.vectors[i].Base = nil
	}
}

// receive receives up to n datagrams without waiting.
func (m *messages) receive(fd, n int) (int, error) {
	return m.call(unix.SYS_RECVMMSG, fd, 0, n)
}

// send sends messages from one to another without waiting, up to the first that
// the kernel does not take.
func (m *messages) send(fd, from, to int) (int, error) {
	return m.call(unix.SYS_SENDMMSG, fd, from, to)
}

func (m *messages) call(trap uintptr, fd, from, to int) (int, error) {
	for {
		n, _, errno := unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&m.headers[from])),
			uintptr(to-from), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// source reads the address that datagram i came from.
func (m *messages) source(i int, v6 bool) netip.AddrPort {
	b := (*[unix.SizeofSockaddrInet6]byte)(unsafe.Pointer(&m.names[i]))
	port := binary.BigEndian.Uint16(b[2:])
	if v6 {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port)
}

// setTarget writes the address that message i goes to and returns its length.
func (m *messages) setTarget(i int, to netip.AddrPort, index int) (length int) {
	b := (*[unix.SizeofSockaddrInet6]byte)(unsafe.Pointer(&m.names[i]))
	clear(b[:])
	binary.BigEndian.PutUint16(b[2:], to.Port())
	if to.Addr().Is4() {
		address := to.Addr().As4()
		binary.NativeEndian.PutUint16(b[:], unix.AF_INET)
		copy(b[4:], address[:])
		return unix.SizeofSockaddrInet4
	}
	address := to.Addr().As16()
	binary.NativeEndian.PutUint16(b[:], unix.AF_INET6)
	copy(b[8:], address[:])
	binary.NativeEndian.PutUint32(b[24:], uint32(index))
	return unix.SizeofSockaddrInet6
}

const controlHeaderLen = unix.SizeofCmsghdr

// nextControl cuts the first control message off b. Nothing is left of b where
// there is none.
func nextControl(b []byte) (level, kind int, data, rest []byte) {
	if len(b) < controlHeaderLen {
		return 0, 0, nil, nil
	}
	length := int(binary.NativeEndian.Uint64(b))
	if length < controlHeaderLen || length > len(b) {
		return 0, 0, nil, nil
	}
	level = int(int32(binary.NativeEndian.Uint32(b[8:])))
	kind = int(int32(binary.NativeEndian.Uint32(b[12:])))
	return level, kind, b[controlHeaderLen:length], b[min(aligned(length), len(b)):]
}

func aligned(n int) int { return (n + 7) &^ 7 }

// putControl appends a control message with an integer of 4 bytes, or of 2, to
// what stands in b, and returns the new length.
func putControl(b []byte, at, level, kind, value, size int) int {
	binary.NativeEndian.PutUint64(b[at:], uint64(controlHeaderLen+size))
	binary.NativeEndian.PutUint32(b[at+8:], uint32(level))
	binary.NativeEndian.PutUint32(b[at+12:], uint32(kind))
	clear(b[at+controlHeaderLen : at+controlHeaderLen+8])
	if size == 2 {
		binary.NativeEndian.PutUint16(b[at+controlHeaderLen:], uint16(value))
	} else {
		binary.NativeEndian.PutUint32(b[at+controlHeaderLen:], uint32(value))
	}
	return at + controlHeaderLen + aligned(size)
}
