package tun

import "fmt"

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
	}
	return fmt.Sprintf("kind %d", uint8(k))
}
