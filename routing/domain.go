package routing

import (
	"fmt"
	"net/netip"
)

// DomainRule lets some groups cross from one domain into another, in this
// direction alone (RFC 2365 section 5 has the same for scopes).
type DomainRule struct {
	From, To string
	Groups   []netip.Prefix
}

// domainRules are the ranges that may cross, by both domains.
type domainRules map[[2]string]*[2][]groupRange // IPv4, IPv6

// SetDomainRules makes rules the only ways from domain to domain, in place of
// all earlier ones. A wrong rule is an error that changes nothing.
func (f *Forwarder) SetDomainRules(rules []DomainRule) error {
	compiled := make(domainRules, len(rules))
	for _, rule := range rules {
		way := [2]string{rule.From, rule.To}
		if compiled[way] == nil {
			compiled[way] = new([2][]groupRange)
		}
		for _, p := range rule.Groups {
			if !p.IsValid() || !p.Addr().IsMulticast() || p.Addr().Is4In6() {
				return fmt.Errorf("domain rule from %s to %s: %v is no range of groups",
					rule.From, rule.To, p)
			}
			family := 0
			if p.Addr().Is6() {
				family = 1
			}
			compiled[way][family] = append(compiled[way][family], rangeOf(p))
		}
	}
	f.domains.Store(&compiled)
	return nil
}

// MayCross says whether packets to a group leave a domain for another one.
// Inside a domain all do.
func (f *Forwarder) MayCross(from, to string, group netip.Addr) bool {
	if from == to {
		return true
	}
	family, key := 0, addressOf(group)
	if group.Is6() {
		family = 1
	}
	return f.crosses(from, to, family, &key)
}

// crosses is MayCross for two domains that differ.
func (f *Forwarder) crosses(from, to string, family int, group *address) bool {
	rules := f.domains.Load()
	if rules == nil {
		return false
	}
	ranges := (*rules)[[2]string{from, to}]
	return ranges != nil && inside(ranges[family], group)
}
