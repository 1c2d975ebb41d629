package bench

import (
	"time"

	"umroute/bench/plan"
	"umroute/bench/result"
	"umroute/bench/search"
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
	// Interfaces is how many the router has at least, most of them idle.
	Interfaces int `json:"interfaces"`
}

// measurement is one sample of one row by an engine that is prepared.
type measurement struct {
	Engine   plan.Engine   `json:"engine"`
	Row      plan.Row      `json:"row"`
	Warmup   time.Duration `json:"warmup"`
	Duration time.Duration `json:"duration"`
	Width    float64       `json:"width"`  // of a search
	Trials   int           `json:"trials"` // likewise
}

// goals are those of a search: the partial drop rate first, whose trials say
// where the other may be.
func (m measurement) goals() []search.Goal {
	return []search.Goal{
		{Loss: partialLoss, Width: m.Width, Trials: m.Trials},
		{Loss: 0, Width: m.Width, Trials: m.Trials},
	}
}

// partialLoss is what a partial drop rate allows.
const partialLoss = 0.005

// answer is what the lab says to each. Samples that were taken come with an
// error as well.
type answer struct {
	Error   string          `json:"error,omitempty"`
	Ended   bool            `json:"ended,omitempty"` // the engine: it can do no more
	Samples []result.Sample `json:"samples,omitempty"`
	// Link is that of the sender of an engine that is prepared.
	Link result.LinkFacts `json:"link"`
}
