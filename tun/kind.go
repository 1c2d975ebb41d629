package tun

import "fmt"

// Ethernet reports whether devices of this kind carry Ethernet frames.
func (k Kind) Ethernet() bool { return k == KindTAP || k == KindPacket }

// String is the kind as configurations write it.
func (k Kind) String() string {
	switch k {
	case KindTUN:
		return "tun"
	case KindTAP:
		return "tap"
	case KindPipe:
		return "pipe"
	case KindHost:
		return "host"
	case KindPacket:
		return "packet"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}
