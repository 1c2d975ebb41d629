package tun

// EventType says what became of a link's device.
type EventType uint8

const (
	EventUp        EventType = iota + 1 // the device is administratively up, its routes restored
	EventDown                           // the device is administratively down
	EventMTU                            // the MTU changed
	EventRemoved                        // the device or its namespace is gone, for good
	EventAddresses                      // a host's device has other addresses
)

// String is the event in a word or two, for logs.
func (t EventType) String() string {
	switch t {
	case EventUp:
		return "up"
	case EventDown:
		return "down"
	case EventMTU:
		return "mtu changed"
	case EventRemoved:
		return "removed"
	case EventAddresses:
		return "addresses changed"
	}
	return "unknown"
}

// Event is a change of a link's device.
type Event struct {
	Type EventType
	// MTU is the device's IP MTU in octets after the change.
	MTU int
}
