package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Test is one kind of measurement.
type Test struct {
	Name  string
	From  string // where it is defined
	About string
	Rows  func() []Row // that it measures unless told otherwise
}

// The tests.
const (
	Forward         = "forward"
	Aggregated      = "aggregated"
	GroupMatrix     = "group-matrix"
	MixedClass      = "mixed-class"
	Latency         = "latency"
	JoinDelay       = "join-delay"
	LeaveDelay      = "leave-delay"
	Capacity        = "capacity"
	BurdenedLatency = "burdened-latency"
	BurdenedJoin    = "burdened-join"
)

// Tests returns all tests there are.
func Tests() []Test {
	return []Test{
		{Forward, "", "the rows of --quick: closed loop, and latency at some rates", Quick},
		{Aggregated, "RFC 3918, 4.3", "throughput by fan-out and frame size", aggregated},
		{GroupMatrix, "RFC 3918, 4.2", "throughput by the number of groups", groupMatrix},
		{MixedClass, "RFC 3918, 4.1", "throughput of multicast mixed with unicast", mixedClass},
		{Latency, "RFC 3918, 5.1, 5.2", "latency, and skew between the outputs", latency},
		{JoinDelay, "RFC 3918, 6.1", "from a report to the first datagram", joinDelay},
		{LeaveDelay, "RFC 3918, 6.2", "from a leave to the last datagram", leaveDelay},
		{Capacity, "RFC 3918, 7.1", "how many groups are forwarded without fault", capacity},
		{BurdenedLatency, "RFC 3918, 8.1", "latency beside unicast", burdenedLatency},
		{BurdenedJoin, "RFC 3918, 8.2", "join delay beside unicast", burdenedJoin},
	}
}

// SelectTests returns the tests of these names, in the order of Tests.
func SelectTests(names ...string) ([]Test, error) {
	var known []string
	for _, t := range Tests() {
		known = append(known, t.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no test %q: there are %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(Tests(), func(t Test) bool {
		return !slices.Contains(names, t.Name)
	}), nil
}

// base is what the rows of the tests of RFC 3918 have in common.
func base(test string) Row {
	return Row{Test: test, Oifs: 4, Size: PayloadOf(512, false), Flows: 1,
		Sender: Plain, Receiver: Plain}
}

// aggregated measures each fan-out with one frame size, and each frame size
// with one fan-out.
func aggregated() (rows []Row) {
	r := base(Aggregated)
	r.Find = Search
	for oifs := 1; oifs <= MaxOifs; oifs *= 2 {
		wide := r
		wide.Oifs = oifs
		rows = append(rows, wide)
	}
	for _, frame := range Frames() {
		if frame != r.Frame() {
			sized := r
			sized.Size = PayloadOf(frame, false)
			rows = append(rows, sized)
		}
	}
	r.Size = 0
	return append(rows, r)
}

func groupMatrix() (rows []Row) {
	r := base(GroupMatrix)
	r.Find = Search
	for groups := 1; groups <= MaxFlows; groups *= 10 {
		r.Flows = groups
		rows = append(rows, r)
	}
	return rows
}

func mixedClass() (rows []Row) {
	r := base(MixedClass)
	r.Find = Search
	for _, tenths := range []int{0, 2, 5, 8} {
		r.Unicast = tenths
		rows = append(rows, r)
	}
	return rows
}

func latency() (rows []Row) {
	r := base(Latency)
	for _, oifs := range []int{1, 4, 16} {
		for _, rate := range []float64{2000, 20_000} {
			r.Oifs, r.Rate = oifs, rate
			rows = append(rows, r)
		}
	}
	r.Oifs, r.Burst = 4, true
	return append(rows, r)
}

// delayRate is how often a join or leave is looked at: every 0.2 ms.
const delayRate = 5000

func joinDelay() (rows []Row) {
	for _, protocol := range []string{IGMPv2, IGMPv3, MLDv1, MLDv2} {
		r := base(JoinDelay)
		r.Oifs, r.Rate = 1, delayRate
		r.Protocol, r.IPv6, r.FastLeave = protocol, protocols[protocol], true
		rows = append(rows, r)
	}
	return rows
}

func leaveDelay() (rows []Row) {
	for _, fast := range []bool{true, false} {
		for _, r := range joinDelay() {
			r.Test, r.FastLeave = LeaveDelay, fast
			rows = append(rows, r)
		}
	}
	return rows
}

func capacity() []Row {
	r := base(Capacity)
	r.Oifs, r.Size = 1, 64
	return []Row{r}
}

func burdenedLatency() (rows []Row) {
	r := base(BurdenedLatency)
	r.Rate = 5000
	for _, burden := range []float64{0, 2000, 10_000} {
		r.Burden = burden
		rows = append(rows, r)
	}
	return rows
}

func burdenedJoin() (rows []Row) {
	for _, burden := range []float64{0, 2000, 10_000} {
		r := joinDelay()[1]
		r.Test, r.Burden = BurdenedJoin, burden
		rows = append(rows, r)
	}
	return rows
}
