package config

import "net/netip"

// DomainRule lets some groups cross from one domain into another. Without a
// rule nothing does.
type DomainRule struct {
	From, To string
	Groups   []netip.Prefix
}

func (d *decoder) domains(e entry) (rules []DomainRule) {
	d.list(e, func(e entry) {
		var rule DomainRule
		at := d.section(e.value, "domain rule", fields{
			"from":   func(e entry) { d.name(e, &rule.From) },
			"to":     func(e entry) { d.name(e, &rule.To) },
			"groups": func(e entry) { rule.Groups = d.groupNetworks(e) },
		})
		d.require(e, "domain rule", at, "from", "to", "groups")
		if rule.From != "" && rule.From == rule.To {
			d.problem(at["to"], "inside a domain everything is forwarded",
				"domain rule: from and to are both %s", rule.To)
		}
		rules = append(rules, rule)
	})
	return rules
}

// SourceValidation is what the source of a packet must be (RFC 3704).
type SourceValidation string

// The values of SourceValidation.
const (
	SourceAny    SourceValidation = ""       // "off"
	SourceLoose  SourceValidation = "loose"  // a route leads to it
	SourceStrict SourceValidation = "strict" // a route leads to it by the interface
)

func (d *decoder) sourceValidation(e entry, target *SourceValidation) {
	s := "off"
	d.choice(e, &s, []string{"strict", "loose", "off"})
	if *target = SourceValidation(s); s == "off" {
		*target = SourceAny
	}
}
