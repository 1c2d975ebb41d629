package relay

// Drop is a reason why a datagram was not relayed, or not to one link.
type Drop uint8

const (
	none Drop = iota
	// DropBadPacket: lengths or a header checksum that cannot be.
	DropBadPacket
	// DropFragment: a fragment tells no ports.
	DropFragment
	// DropBadSource: the source is no unicast address.
	DropBadSource
	// DropOwn: the source is an address of this router.
	DropOwn
	// DropWrongInterface: the source is reached by another link.
	DropWrongInterface
	// DropRepeated: somebody else has said the same a moment ago.
	DropRepeated
	// DropRate: more than the rule allows.
	DropRate
	// DropBusy: more is under way than can be told apart.
	DropBusy
	// DropNoAddress: the router has no address of the family on the other link.
	DropNoAddress
	// DropTooBig: longer than the other link's MTU.
	DropTooBig
	// DropDown: the other link is down.
	DropDown
	// DropSend: the other link did not take it.
	DropSend

	drops // how many reasons there are
)

// String gives the name of the reason as statistics show it. Names stay.
func (d Drop) String() string {
	return [drops]string{
		none:               "none",
		DropBadPacket:      "bad_packet",
		DropFragment:       "fragment",
		DropBadSource:      "bad_source",
		DropOwn:            "own",
		DropWrongInterface: "wrong_if",
		DropRepeated:       "repeated",
		DropRate:           "rate",
		DropBusy:           "busy",
		DropNoAddress:      "no_address",
		DropTooBig:         "too_big",
		DropDown:           "down",
		DropSend:           "send",
	}[d]
}
