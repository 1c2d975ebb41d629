package routing

// An output whose flow has a TTL threshold of its own carries it in the upper
// bits of its slot. No lane has such a number, which takes it the longer way,
// and costs all others nothing.
const (
	thresholdShift = 24
	slotMask       = 1<<thresholdShift - 1
)

// restrict gives the output a threshold; 0 and 1 restrict nothing.
func (o *output) restrict(threshold uint8) {
	if threshold > 1 {
		o.slot |= uint32(threshold) << thresholdShift
	}
}

// portSlot is the slot of the output's port.
func (o *output) portSlot() uint32 { return o.slot & slotMask }

// threshold is what a TTL must be above for the flow, 0 where nothing is said.
func (o *output) threshold() uint8 { return uint8(o.slot >> thresholdShift) }
