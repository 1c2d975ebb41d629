package tun

// Kind says what a device carries.
type Kind uint8

const (
	KindTUN    Kind = iota // IP packets
	KindTAP                // Ethernet frames
	KindPipe               // IP packets, in memory
	KindPacket             // Ethernet frames of a device that was there already
	KindHost               // UDP datagrams, by ordinary sockets of the host
)

// Device is one queue of one link: whole packets in, whole packets out. A TUN
// carries IP packets, a TAP or packet link Ethernet frames. The caller owns
// every buffer. One that is an [Offloader] may have a header in front of each
// packet.
//
// Read is for one goroutine at a time; Write and the other methods are for
// any number of them.
type Device interface {
	// Read waits for at least one packet, then takes as many as are at hand:
	// packet i is bufs[i][:sizes[i]], for i < n. After Close it returns
	// os.ErrClosed; any other error says that the device is gone.
	Read(bufs [][]byte, sizes []int) (n int, err error)
	// Write sends each buffer as one packet. It tries all of them, never waits,
	// and returns how many the device took with the first error met.
	Write(bufs [][]byte) (n int, err error)
	// Close is idempotent and ends a Read that waits.
	Close() error

	Name() string // the device's name in its namespace, "" where unknown
	Kind() Kind
	MTU() int   // of IP packets, without any Ethernet header
	IO() string // "plain", "vectored" or "uring"
}

// Packet is one packet on its way to a device.
type Packet struct {
	To   Device
	Data []byte
	Err  error // why To did not take it; nil where it did
}

// BatchWriter is a [Device] whose reader can write to many devices at once.
type BatchWriter interface {
	Device
	// WriteBatch writes each packet as its device's Write would, and sets its Err.
	// It is for the goroutine that calls Read.
	WriteBatch(packets []Packet)
}
