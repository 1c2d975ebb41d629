package relay

import (
	"net/netip"
	"time"
)

const (
	// silence is how long who said something first has to be silent before
	// somebody else may say it.
	silence = 5 * time.Second
	// maxSayings is how many different datagrams are remembered at a time.
	maxSayings = 4096
)

// speaker is who sent a datagram, as one link sees it.
type speaker struct {
	link   uint32
	source netip.Addr
}

// saying is what a link-local source has said.
type saying struct {
	first speaker
	last  time.Time // that the first one said it
}

// memory knows who was the first to say what.
type memory struct {
	sayings map[uint64]saying
	sweep   time.Time // when the old ones are looked for
}

// hear notes that somebody has said something, known by its digest. Only what the
// first one says is to be relayed.
func (m *memory) hear(now time.Time, digest uint64, who speaker) Drop {
	s, known := m.sayings[digest]
	switch {
	case known && s.first != who && now.Sub(s.last) < silence:
		return DropRepeated
	case !known && len(m.sayings) >= maxSayings:
		return DropBusy
	}
	if m.sayings == nil {
		m.sayings = make(map[uint64]saying)
	}
	if len(m.sayings) == 0 {
		m.sweep = now.Add(silence)
	}
	m.sayings[digest] = saying{first: who, last: now}
	return none
}

// advance forgets what nobody says any more.
func (m *memory) advance(now time.Time) {
	if len(m.sayings) == 0 || now.Before(m.sweep) {
		return
	}
	for digest, s := range m.sayings {
		if now.Sub(s.last) >= silence {
			delete(m.sayings, digest)
		}
	}
	m.sweep = now.Add(silence)
}

// deadline says when advance is due.
func (m *memory) deadline() (time.Time, bool) { return m.sweep, len(m.sayings) > 0 }
