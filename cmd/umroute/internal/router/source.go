package router

import (
	"net/netip"

	"umroute/cmd/umroute/internal/config"
	"umroute/routing"
	"umroute/stack"
)

// validSource says whether a source of multicast may send from an interface,
// by the route that its packets would be expected from (RFC 3704 section 2). The
// forwarder's workers ask.
func (r *Router) validSource(index uint32, source netip.Addr) bool {
	i := r.byIndex(index)
	if i == nil || i.config.SourceValidation == config.SourceAny {
		return true
	}
	route, ok := r.rib.Lookup(source)
	return ok && (i.config.SourceValidation == config.SourceLoose || route.Iface.Index == index)
}

// setSourceValidation has the stack judge the sources of unicast packets alike.
func (r *Router) setSourceValidation(i *iface) error {
	if i.host != nil {
		return nil
	}
	return r.stack.SetSourceValidation(i.index, map[config.SourceValidation]stack.SourceValidation{
		config.SourceLoose: stack.SourceLoose, config.SourceStrict: stack.SourceStrict,
	}[i.config.SourceValidation])
}

// domainRules are the configured ways from domain to domain.
func domainRules(settings *config.Config) []routing.DomainRule {
	var rules []routing.DomainRule
	for _, rule := range settings.Domains {
		rules = append(rules, routing.DomainRule(rule))
	}
	return rules
}
