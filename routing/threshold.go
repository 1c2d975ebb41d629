package routing

// An output whose flow has a TTL threshold of its own carries it in the upper
// bits of its slot.
const (
	thresholdShift = 24
	slotMask       = 1<<thresholdShift - 1
)

// restrict gives the output with this slot a threshold; 0 and 1 restrict nothing.
func restrict(slot uint32, threshold uint8) uint32 {
	if threshold > 1 {
		slot |= uint32(threshold) << thresholdShift
	}
	return slot
}

// portSlot is the slot of an output's port.
func portSlot(slot uint32) uint32 { return slot & slotMask }

// thresholdOf is what a TTL must be above for the flow, 0 where nothing is said.
func thresholdOf(slot uint32) uint8 { return uint8(slot >> thresholdShift) }
