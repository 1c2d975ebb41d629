package stack

import "fmt"

// SourceValidation is what the source of a unicast packet must be, for the
// packet to be forwarded (RFC 3704 sections 2.2 and 2.4).
type SourceValidation uint8

const (
	SourceAny    SourceValidation = iota // nothing
	SourceLoose                          // an address that a route leads to
	SourceStrict                         // one that a route leads to by the arrival interface
)

// SetSourceValidation says what is asked of sources on an interface; SourceAny
// at first.
func (s *Stack) SetSourceValidation(index uint32, validation SourceValidation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.interfaces[index]
	if !ok {
		return fmt.Errorf("set source validation of interface %d: %w", index, ErrUnknownInterface)
	}
	i.validation = validation
	return nil
}

// validSource says whether a packet may be forwarded from i by its source.
func (s *Stack) validSource(i *iface, p *punt) bool {
	if i.validation == SourceAny {
		return true
	}
	hop, ok := s.table.Lookup(p.source)
	return ok && (i.validation == SourceLoose || hop.out == i)
}
