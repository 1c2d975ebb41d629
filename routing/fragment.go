package routing

import "encoding/binary"

const (
	flagDontFragment  = 0x4000
	flagMoreFragments = 0x2000
	fragmentOffset    = 0x1fff // in units of 8 bytes

	optionEnd    = 0
	optionNop    = 1
	optionCopied = 0x80 // the option goes into every fragment

	fragmentsPerWrite = 32
)

// fragmenter splits an IPv4 packet for a link with a smaller MTU (RFC 791
// section 3.2). Its buffers are used again for the next packet.
type fragmenter struct {
	packet  []byte
	mtu     int
	first   []byte // the packet's header
	others  []byte // the header of all fragments but the first
	done    int    // payload bytes that are in fragments already
	buffers [][]byte
	frames  [][]byte
}

// start begins with a packet whose header is sound. It says no where the packet
// must not be fragmented, or cannot be: into pieces of less than 8 bytes, or
// into pieces that would lie beyond what an offset can say.
func (f *fragmenter) start(packet []byte, mtu int) bool {
	field := binary.BigEndian.Uint16(packet[6:])
	headerLen := int(packet[0]&0x0f) * 4
	end := int(field&fragmentOffset) + (len(packet)-headerLen)/8
	if field&flagDontFragment != 0 || mtu < headerLen+8 || end > fragmentOffset {
		return false
	}
	f.packet, f.mtu, f.done = packet, mtu, 0
	f.first = packet[:headerLen]
	f.others = appendCopiedHeader(f.others[:0], f.first)
	return true
}

// next gives the next fragments, as many as one write takes, with head bytes
// free in front of each; none when the packet is done. They are valid until
// the next call.
func (f *fragmenter) next(head int) [][]byte {
	f.frames = f.frames[:0]
	for len(f.frames) < fragmentsPerWrite && len(f.first)+f.done < len(f.packet) {
		if len(f.buffers) == len(f.frames) {
			f.buffers = append(f.buffers, nil)
		}
		i := len(f.frames)
		room := f.buffers[i][:0]
		room = append(room, make([]byte, head)...)
		f.buffers[i] = f.appendFragment(room)
		f.frames = append(f.frames, f.buffers[i])
	}
	return f.frames
}

// appendFragment appends the next fragment to b.
func (f *fragmenter) appendFragment(b []byte) []byte {
	header := f.first
	if f.done > 0 {
		header = f.others
	}
	rest := f.packet[len(f.first)+f.done:]
	field := binary.BigEndian.Uint16(f.packet[6:])
	// The offset of a fragment's fragment adds to the fragment's own, and the
	// last one has more behind it if the fragment had.
	field += uint16(f.done / 8)
	if size := (f.mtu - len(header)) &^ 7; len(rest) > f.mtu-len(header) {
		rest = rest[:size]
		field |= flagMoreFragments
	}
	f.done += len(rest)

	at := len(b)
	b = append(append(b, header...), rest...)
	ip := b[at:]
	ip[0] = 0x40 | byte(len(header)/4)
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[6:], field)
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], ^sum(ip[:len(header)]))
	return b
}

// appendCopiedHeader appends an IPv4 header with only those options that RFC
// 791 section 3.1 wants in every fragment, padded to whole words.
func appendCopiedHeader(b, header []byte) []byte {
	at := len(b)
	b = append(b, header[:ipv4HeaderLen]...)
	for options := header[ipv4HeaderLen:]; len(options) > 0 && options[0] != optionEnd; {
		length := 1
		if options[0] != optionNop {
			if len(options) < 2 || int(options[1]) < 2 || int(options[1]) > len(options) {
				break // what follows makes no sense
			}
			length = int(options[1])
		}
		if options[0]&optionCopied != 0 {
			b = append(b, options[:length]...)
		}
		options = options[length:]
	}
	for (len(b)-at)%4 != 0 {
		b = append(b, optionEnd)
	}
	return b
}
