package load

import (
	"errors"
	"net/netip"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	maxStreams = 1024 // each has a histogram of some 200 kB
	maxLatency = time.Minute
)

// arrival is one UDP datagram with what the kernel tells about it.
type arrival struct {
	payload []byte
	source  netip.Addr
	iface   int // index
	ttl     int // or hop limit
}

// account adds up arrivals. The zero value is ready.
type account struct {
	streams   map[streamKey]*stream
	order     []*stream
	received  uint64 // intact test traffic, duplicates included
	corrupt   uint64
	foreign   uint64
	untracked uint64
}

type streamKey struct {
	source netip.Addr
	id     StreamID
}

// stream is the account of one stream from one source.
type stream struct {
	streamKey
	sequence       Sequence
	bytes, corrupt uint64
	iface          int
	ttlMin, ttlMax int
	negative       uint64
	latencyMin     time.Duration
	latencyMax     time.Duration
	latency        *hdrhistogram.Histogram // nanoseconds
}

// record accounts for one arrival.
func (a *account) record(now time.Time, p arrival) {
	d, err := ParseDatagram(p.payload)
	switch {
	case errors.Is(err, ErrForeign):
		a.foreign++
		return
	case err != nil:
		a.recordCorrupt(p)
		return
	}
	a.received++
	s := a.stream(streamKey{p.source, d.Stream})
	if s == nil {
		a.untracked++
		return
	}
	s.record(now, d, p)
}

// recordCorrupt blames the stream that the datagram names, if there is one: a
// damaged name must not make a stream.
func (a *account) recordCorrupt(p arrival) {
	a.corrupt++
	if len(p.payload) < MinSize {
		return
	}
	if s := a.streams[streamKey{p.source, streamID(p.payload)}]; s != nil {
		s.corrupt++
	}
}

// stream finds or makes the account of a stream, nil beyond the limit.
func (a *account) stream(key streamKey) *stream {
	if s := a.streams[key]; s != nil {
		return s
	}
	if len(a.streams) >= maxStreams {
		return nil
	}
	if a.streams == nil {
		a.streams = make(map[streamKey]*stream)
	}
	s := &stream{streamKey: key, latency: hdrhistogram.New(1, int64(maxLatency), 3)}
	a.streams[key] = s
	a.order = append(a.order, s)
	return s
}

func (s *stream) record(now time.Time, d Datagram, p arrival) {
	first := s.latency.TotalCount() == 0
	latency := now.Sub(d.Sent)
	if latency < 0 {
		s.negative++
		latency = 0
	}
	if first || latency < s.latencyMin {
		s.latencyMin = latency
	}
	if first || p.ttl < s.ttlMin {
		s.ttlMin = p.ttl
	}
	s.latencyMax = max(s.latencyMax, latency)
	s.ttlMax = max(s.ttlMax, p.ttl)
	// In the range, so there is no error.
	_ = s.latency.RecordValue(int64(min(latency, maxLatency)))
	s.sequence.Record(d.Sequence)
	s.bytes += uint64(d.Size)
	s.iface = p.iface
}

// report sums up; what belongs to the socket is the caller's to fill in.
func (a *account) report() ReceiveReport {
	r := ReceiveReport{
		Corrupt: a.corrupt, Foreign: a.foreign, Untracked: a.untracked,
		Streams: make([]StreamReport, 0, len(a.order)),
	}
	for _, s := range a.order {
		sr := s.report()
		r.Received += sr.Received
		r.Bytes += sr.Bytes
		r.Lost += sr.Lost
		r.Reordered += sr.Reordered
		r.Duplicates += sr.Duplicates
		r.Late += sr.Late
		r.Streams = append(r.Streams, sr)
	}
	return r
}

func (s *stream) report() StreamReport {
	q := &s.sequence
	return StreamReport{
		Source: s.source, Stream: s.id, Interface: s.iface,
		Received: q.Received, Bytes: s.bytes,
		First: q.First, Last: q.Highest,
		Lost: q.Lost(), Reordered: q.Reordered, Duplicates: q.Duplicates, Late: q.Late,
		Corrupt: s.corrupt, TTLMin: s.ttlMin, TTLMax: s.ttlMax,
		Latency: Latency{
			Min:  s.latencyMin,
			Mean: time.Duration(s.latency.Mean()),
			P50:  s.quantile(50),
			P99:  s.quantile(99),
			Max:  s.latencyMax, Negative: s.negative,
		},
	}
}

// quantile returns a latency; the histogram rounds to three digits, upwards.
func (s *stream) quantile(percent float64) time.Duration {
	v := time.Duration(s.latency.ValueAtQuantile(percent))
	return max(s.latencyMin, min(v, s.latencyMax))
}
