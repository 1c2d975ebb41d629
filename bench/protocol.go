package bench

import (
	"time"

	"umroute/bench/plan"
	"umroute/bench/result"
)

// request is what the lab is asked, one line of JSON each.
type request struct {
	Prepare *preparation `json:"prepare,omitempty"`
	Measure *measurement `json:"measure,omitempty"`
}

// preparation starts an engine with receivers, and proves that it works.
type preparation struct {
	Engine    plan.Engine `json:"engine"`
	Receivers int         `json:"receivers"`
	IPv6      bool        `json:"ipv6"` // prove that too
}

// measurement is one sample of one row by an engine that is prepared.
type measurement struct {
	Engine   plan.Engine   `json:"engine"`
	Row      plan.Row      `json:"row"`
	Warmup   time.Duration `json:"warmup"`
	Duration time.Duration `json:"duration"`
}

// answer is what the lab says to each.
type answer struct {
	Error  string         `json:"error,omitempty"`
	Sample *result.Sample `json:"sample,omitempty"`
}
