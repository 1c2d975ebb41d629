package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Each reader leaves its target alone where the value is wrong, so that the
// default stands in for it while the rest is judged.

// text reads a string. Numbers and truth values are refused, since YAML gives
// 0x10, 1_0 or no a meaning that whoever wrote a name did not think of.
func (d *decoder) text(e entry, target *string) bool {
	switch n := e.value.(type) {
	case *ast.StringNode:
		*target = n.Value
		return true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		d.mismatch(n, e.key, "text", "put it in quotes")
	default:
		d.mismatch(n, e.key, "text", "")
	}
	return false
}

// boolean reads true or false; yes and on, of YAML 1.1, are text by now.
func (d *decoder) boolean(e entry, target *bool) bool {
	n, ok := e.value.(*ast.BoolNode)
	if !ok {
		d.mismatch(e.value, e.key, "true or false", "")
		return false
	}
	*target = n.Value
	return true
}

// number reads a decimal number within a range, both ends included.
func (d *decoder) number(e entry, target *int, lowest, highest int) bool {
	n, ok := e.value.(*ast.IntegerNode)
	if !ok {
		d.mismatch(e.value, e.key, "a whole number", rangeHint(lowest, highest))
		return false
	}
	digits := n.GetToken().Value
	if strings.HasPrefix(digits, "0") && digits != "0" {
		// YAML 1.1 reads 010 as 8, YAML 1.2 as 10.
		d.mismatch(n, e.key, "a plain decimal number", "leave out the leading zero")
		return false
	}
	v, err := strconv.Atoi(strings.ReplaceAll(digits, "_", ""))
	if err != nil || v < lowest || v > highest {
		d.problem(position(n), rangeHint(lowest, highest), "%s: %s is out of range", e.key, digits)
		return false
	}
	*target = v
	return true
}

func rangeHint(lowest, highest int) string {
	return strconv.Itoa(lowest) + " to " + strconv.Itoa(highest)
}

// duration reads a duration in Go's notation. A bare number is refused, for
// its unit would be a guess: routers elsewhere take seconds, tenths or
// milliseconds. Its range is the caller's to check.
func (d *decoder) duration(e entry, target *time.Duration) bool {
	s, ok := e.value.(*ast.StringNode)
	if !ok {
		hint := "as in 125s or 1m30s"
		if n, ok := e.value.(*ast.IntegerNode); ok {
			hint = "as in " + n.GetToken().Value + "s"
		}
		d.mismatch(e.value, e.key, "a duration", hint)
		return false
	}
	v, err := time.ParseDuration(s.Value)
	switch {
	case err != nil:
		d.mismatch(s, e.key, "a duration", "as in 125s or 1m30s")
	case v <= 0:
		d.problem(position(s), "", "%s: %s is not above zero", e.key, quote(s.Value))
	default:
		*target = v
		return true
	}
	return false
}

// choice reads one of some words. The later ones are refused until then.
func (d *decoder) choice(e entry, target *string, words []string, later ...string) {
	var s string
	switch {
	case !d.text(e, &s):
	case slices.Contains(words, s):
		*target = s
	case slices.Contains(later, s):
		d.unsupported(e.valueAt(), e.key+": "+s)
	default:
		d.problem(e.valueAt(), suggest(s, words), "%s: unknown value %s", e.key, quote(s))
	}
}

// valueAt returns where the value stands, as opposed to the key.
func (e entry) valueAt() Position { return position(e.value) }

// address reads an address without zone: a zone names a device of the machine
// on which it is written, not an interface of the router. IPv4 addresses in
// IPv6 form would slip past every comparison with their plain form.
func (d *decoder) address(e entry, target *netip.Addr) bool {
	var s string
	if !d.text(e, &s) {
		return false
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		d.mismatch(e.value, e.key, "an IPv4 or IPv6 address", "as in 10.0.1.7 or fd00::7")
		return false
	}
	*target = a
	return true
}

// prefix reads an address with a prefix length, host bits included.
func (d *decoder) prefix(e entry, target *netip.Prefix) bool {
	var s string
	if !d.text(e, &s) {
		return false
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		hint := "as in 10.0.1.0/24 or fd00:1::/64"
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			hint = "its length is missing, as in " + a.String() + "/" + usualLength(a)
		}
		d.mismatch(e.value, e.key, "an address with a prefix length", hint)
		return false
	}
	*target = p
	return true
}

// usualLength guesses the prefix length that someone forgot, for a hint.
func usualLength(a netip.Addr) string {
	switch {
	case a.IsMulticast():
		return strconv.Itoa(a.BitLen())
	case a.Is4():
		return "24"
	}
	return "64"
}

// network reads a prefix that has no host bits. To drop them silently would
// widen what a slip of a digit covers.
func (d *decoder) network(e entry, target *netip.Prefix) bool {
	var p netip.Prefix
	if !d.prefix(e, &p) {
		return false
	}
	if p != p.Masked() {
		d.problem(e.valueAt(), "did you mean "+p.Masked().String()+"?",
			"%s: %s has bits behind its prefix length", e.key, p)
		return false
	}
	*target = p
	return true
}

// sourceNetwork reads a prefix of unicast addresses.
func (d *decoder) sourceNetwork(e entry, target *netip.Prefix) bool {
	var p netip.Prefix
	if !d.network(e, &p) {
		return false
	}
	if p.Addr().IsMulticast() {
		d.problem(e.valueAt(), "routes lead to sources", "%s: %s is multicast", e.key, p)
		return false
	}
	*target = p
	return true
}

// groupNetwork reads a prefix of multicast groups.
func (d *decoder) groupNetwork(e entry, target *netip.Prefix) bool {
	var p netip.Prefix
	if !d.network(e, &p) {
		return false
	}
	// 224.0.0.0/4 and ff00::/8 are the largest (RFC 5771, RFC 4291 section 2.7).
	whole := 8
	if p.Addr().Is4() {
		whole = 4
	}
	if !p.Addr().IsMulticast() || p.Bits() < whole {
		d.problem(e.valueAt(), "groups are in 224.0.0.0/4 and ff00::/8",
			"%s: %s is not a prefix of multicast groups", e.key, p)
		return false
	}
	*target = p
	return true
}
