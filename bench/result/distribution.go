package result

import (
	"encoding/base64"
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Distribution is how times scatter, in nanoseconds.
type Distribution struct {
	Count int64 `json:"count"`
	Min   int64 `json:"min"`
	Mean  int64 `json:"mean"`
	P50   int64 `json:"p50"`
	P90   int64 `json:"p90"`
	P99   int64 `json:"p99"`
	P999  int64 `json:"p99.9"`
	Max   int64 `json:"max"`
	// HDR is the whole histogram as HdrHistogram's tools exchange it: form V2,
	// compressed, base64. Empty where nothing was recorded.
	HDR string `json:"hdr,omitempty"`
}

// LongestTime is what longer times are taken for, in nanoseconds.
const LongestTime = 60_000_000_000

// NewHistogram makes one for times from 1 ns to LongestTime, good to a
// thousandth.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, LongestTime, 3) }

// Distribute sums a histogram up. One without values has nothing to say: nil.
func Distribute(h *hdrhistogram.Histogram) (*Distribution, error) {
	if h == nil || h.TotalCount() == 0 {
		return nil, nil
	}
	encoded, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode a histogram: %w", err)
	}
	return &Distribution{
		Count: h.TotalCount(), Min: h.Min(), Mean: int64(h.Mean()), Max: h.Max(),
		P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90),
		P99: h.ValueAtQuantile(99), P999: h.ValueAtQuantile(99.9),
		HDR: string(encoded),
	}, nil
}

// p50 is 0 where there is nothing.
func (d *Distribution) p50() float64 {
	if d == nil {
		return 0
	}
	return float64(d.P50)
}

// Histogram gives the whole of it back, to be merged with others or drawn.
func (d Distribution) Histogram() (*hdrhistogram.Histogram, error) {
	if d.HDR == "" {
		return NewHistogram(), nil
	}
	// The library panics on some inputs that are no base64 at all.
	if _, err := base64.StdEncoding.DecodeString(d.HDR); err != nil {
		return nil, fmt.Errorf("decode a histogram: %w", err)
	}
	h, err := hdrhistogram.Decode([]byte(d.HDR))
	if err != nil {
		return nil, fmt.Errorf("decode a histogram: %w", err)
	}
	return h, nil
}
