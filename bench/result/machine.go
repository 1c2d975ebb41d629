package result

import (
	"fmt"
	"time"
)

// LinkFacts is what is known of the link of a host.
type LinkFacts struct {
	Offloads string `json:"offloads"` // those that are on
	QueueLen int64  `json:"queue_len"`
}

// Note adds what is known of the links of a kind.
func (m *Machine) Note(link string, facts LinkFacts) {
	if facts.QueueLen > 0 {
		m.Queues[link+".txqueuelen"] = facts.QueueLen
	}
	if facts.Offloads != "" {
		m.Offloads[link] = facts.Offloads
	}
}

// Facts are the lines that stand above results in the Go benchmark format. The
// keys goos, goarch, pkg and cpu are those that "go test" writes.
func (m Machine) Facts() []Fact {
	return []Fact{
		{"goos", m.GOOS}, {"goarch", m.GOARCH}, {"pkg", "umroute/bench"}, {"cpu", m.CPU},
		{"cores", fmt.Sprint(m.Cores)}, {"kernel", m.Kernel}, {"go", m.Go}, {"commit", m.Commit},
		{"date", m.Date.Format(time.RFC3339)},
		{"rmem_max", fmt.Sprint(m.Queues["net.core.rmem_max"])}, {"loadavg", m.LoadAvg},
	}
}

// MemoryFor is about how many bytes a number of receivers takes: their sockets'
// buffers and those of this program.
func MemoryFor(receivers int) uint64 { return 128<<20 + uint64(receivers)*8<<20 }
