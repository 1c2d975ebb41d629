package explain

import "fmt"

// Cause names in one word why a flow is forwarded or not. Scripts compare it.
type Cause string

// The causes, in the order in which they are looked for.
const (
	LinkLocalGroup   Cause = "link-local-group"
	BadSource        Cause = "bad-source"
	NoInterface      Cause = "no-interface"
	InterfaceDown    Cause = "interface-down"
	NoRoute          Cause = "no-route"
	IncomingSide     Cause = "incoming-interface"
	SourceValidation Cause = "source-validation"
	WrongInterface   Cause = "wrong-interface"
	Domain           Cause = "domain"
	Boundary         Cause = "boundary"
	MembershipOff    Cause = "membership-off"
	NotAllowed       Cause = "not-allowed"
	Limit            Cause = "limit"
	OlderVersion     Cause = "older-version"
	SourceFilter     Cause = "source-filter"
	NoQuerier        Cause = "no-querier"
	NoMulticastFlag  Cause = "no-multicast-flag"
	NoMembers        Cause = "no-members"
	TTL              Cause = "ttl"
	Threshold        Cause = "threshold"
	TooLong          Cause = "too-long"
	DeviceRefuses    Cause = "device"
	NegativeEntry    Cause = "negative-entry"
	NotJoined        Cause = "not-joined"
	NoTraffic        Cause = "no-traffic"
	Forwarded        Cause = "forwarded"
)

// Verdict is the answer.
type Verdict struct {
	Forwarded bool
	Cause     Cause
	Text      string // one sentence that names interface and numbers
	Rule      string // the RFC section, or the key of the configuration
	Remedy    string // what to do, "" where there is nothing to do
}

// Open says whether packets of the flow, seen for a moment, could change the
// verdict: nothing that is known keeps the flow from being forwarded.
func (v Verdict) Open() bool { return v.Cause == NoTraffic }

// Decide gives the verdict on f. The first rule that applies names the cause.
func Decide(f *Facts) Verdict {
	for _, rule := range rules {
		if v := rule(f); v != nil {
			v.Forwarded = v.Cause == Forwarded
			return *v
		}
	}
	return f.noTraffic()
}

// rules, each of which has no answer where it does not apply. What can be said
// about any packet of the flow stands before what only some packets show.
var rules = []func(*Facts) *Verdict{
	linkLocalGroup, badSource, noInterface, interfaceDown, noRoute, incomingSide,
	otherDomain, boundary,
	membershipOff, notAllowed, groupLimit, olderVersion, sourceFilter, noMembers,
	sourceValidation, wrongInterface, lowTTL, threshold, tooLong, deviceRefuses, flowLimit,
	negativeEntry, notJoined, forwarded,
}

// because builds a verdict.
func because(cause Cause, rule, remedy, text string, args ...any) *Verdict {
	return &Verdict{Cause: cause, Rule: rule, Remedy: remedy, Text: fmt.Sprintf(text, args...)}
}
