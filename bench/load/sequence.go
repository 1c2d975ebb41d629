package load

// window is how far behind the highest sequence number arrivals are told
// apart. At a million packets per second it spans 4 ms.
const window = 4096

// Sequence accounts for the sequence numbers of one stream in constant space.
// The zero value is ready. It is exact for all that arrives less than 4096
// behind the highest; what is older is counted as Late, since it can be
// either reordered or duplicate.
type Sequence struct {
	Received   uint64 // different ones, the Reordered included
	Reordered  uint64 // after a higher one (RFC 4737 section 3.3)
	Duplicates uint64
	Late       uint64 // too old to tell

	First, Highest uint64 // of the Received; meaningless before the first

	seen [window / 64]uint64 // bit n%window: n arrived, for the last window numbers
}

// Lost returns how many numbers between First and Highest have not arrived.
// What is still under way counts as lost until it arrives.
func (s *Sequence) Lost() uint64 {
	if s.Received == 0 {
		return 0
	}
	// Not Highest-First+1-Received, which overflows for the whole range.
	return s.Highest - s.First - (s.Received - 1)
}

// Record accounts for the arrival of number n.
func (s *Sequence) Record(n uint64) {
	switch {
	case s.Received == 0:
		s.First, s.Highest = n, n
	case n > s.Highest:
		s.advance(n)
	case s.Highest-n >= window:
		s.Late++
		return
	case s.seen[n%window/64]&(1<<(n%64)) != 0:
		s.Duplicates++
		return
	default:
		s.Reordered++
		s.First = min(s.First, n)
	}
	s.Received++
	s.seen[n%window/64] |= 1 << (n % 64)
}

// advance moves the window up to n and forgets what leaves it.
func (s *Sequence) advance(n uint64) {
	if n-s.Highest >= window {
		s.seen = [window / 64]uint64{}
	} else {
		for m := s.Highest + 1; m != n; m++ {
			s.seen[m%window/64] &^= 1 << (m % 64)
		}
		s.seen[n%window/64] &^= 1 << (n % 64)
	}
	s.Highest = n
}
