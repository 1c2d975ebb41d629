package proxyfile

import (
	"net/netip"
	"slices"
	"strings"
)

// LoadMcproxy reads a mcproxy.conf of the form with semicolons. The error is
// Problems where it could be read at all.
//
// An instance without upstream interfaces is a querier alone, which IGMP and
// MLD are by themselves, so it gives no Proxy.
func LoadMcproxy(path string) ([]Proxy, error) {
	list, err := tokens(path, []string{"==>", ";", "{", "}", "(", ")", "|", "*"})
	if err != nil {
		return nil, err
	}
	r := mcproxy{reader: newReader(path, list), version: 3,
		instances: make(map[string]*instance), tables: make(map[string][]Rule)}
	for len(r.list) > 0 {
		r.statement()
	}
	proxies := r.proxies()
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return proxies, nil
}

type mcproxy struct {
	reader
	v6        bool
	version   int
	instances map[string]*instance
	order     []*instance
	tables    map[string][]Rule
}

// instance is a proxy instance with the tables of its upstream interfaces.
type instance struct {
	proxy Proxy
	// lists has what is taken from an upstream interface; one that is not in it
	// is for everything.
	lists map[string][]Rule
}

// statement reads up to a semicolon.
func (r *mcproxy) statement() {
	switch word := r.next(); word.text {
	case ";":
	case "disable":
		r.problem(word, "the file disables mcproxy")
		r.skip()
	case "protocol":
		r.protocol(r.next())
		r.finish()
	case "table":
		if name := r.next(); r.peek().text == "{" {
			r.tables[name.text] = r.table()
		} else {
			r.problem(name, "table: a name and { are expected")
		}
		r.finish()
	case "pinstance":
		r.pinstance()
		r.finish()
	default:
		r.problem(word, "unknown statement %q: there are protocol, pinstance and table", word.text)
		r.skip()
	}
}

// finish wants the semicolon, and goes behind it.
func (r *mcproxy) finish() {
	if t := r.peek(); t.text != ";" {
		r.problem(t, "%q instead of a semicolon", t.text)
	}
	r.skip()
}

func (r *mcproxy) skip() {
	for len(r.list) > 0 && r.next().text != ";" {
	}
}

func (r *mcproxy) protocol(t token) {
	versions := map[string]struct {
		v6      bool
		version int
	}{
		"IGMPv1": {false, 1}, "IGMPv2": {false, 2}, "IGMPv3": {false, 3},
		"MLDv1": {true, 1}, "MLDv2": {true, 2},
	}
	v, ok := versions[t.text]
	if !ok {
		r.problem(t, "unknown protocol %q", t.text)
	}
	r.v6, r.version = v.v6, v.version
}

// pinstance reads the interfaces of an instance: NAME: UP... ==> DOWN...
// or a rule for one: NAME upstream|downstream IF in|out ...
func (r *mcproxy) pinstance() {
	name := r.next()
	if plain, ok := strings.CutSuffix(name.text, ":"); ok {
		r.interfaces(name, plain)
		return
	}
	switch r.peek().text {
	case "(": // NAME(TABLE): the number of the kernel's routing table
		r.next()
		r.next()
		r.next()
		if colon := r.next(); colon.text != ":" {
			r.problem(colon, "%q instead of a colon", colon.text)
			return
		}
		r.interfaces(name, name.text)
	case ":":
		r.next()
		r.interfaces(name, name.text)
	default:
		r.rule(name)
	}
}

func (r *mcproxy) interfaces(at token, name string) {
	if r.instances[name] != nil {
		r.problem(at, "pinstance %s is there already", name)
	}
	i := &instance{lists: make(map[string][]Rule)}
	i.proxy.SendToAll = true
	r.instances[name] = i
	r.order = append(r.order, i)
	side := &i.proxy.Upstream
	for {
		switch t := r.peek(); t.text {
		case "", ";":
			if side == &i.proxy.Upstream {
				r.problem(t, "pinstance %s: ==> is missing", name)
			}
			return
		case "==>":
			side = &i.proxy.Downstream
		default:
			*side = append(*side, Interface{Name: strings.Trim(t.text, `"`), Pos: t.pos})
		}
		r.next()
	}
}

// rule reads what follows the name of an instance: upstream IF in whitelist
// TABLE, or upstream * in|out rulematching KIND. Others have no counterpart.
func (r *mcproxy) rule(name token) {
	i := r.instances[name.text]
	if i == nil {
		r.problem(name, "pinstance %s is not there", name.text)
		i = &instance{lists: make(map[string][]Rule)}
	}
	side, iface, direction, verb := r.next(), r.next(), r.next(), r.next()
	where := strings.Join([]string{side.text, iface.text, direction.text, verb.text}, " ")
	switch {
	case verb.text == "rulematching":
		r.matching(i, direction, r.next())
	case side.text != "upstream" || direction.text != "in":
		r.problem(side, "%s: only what is taken from upstream can have rules", where)
		r.skipTable()
	case !i.has(iface.text):
		r.problem(iface, "%s is no upstream interface of the instance", iface.text)
		r.skipTable()
	case verb.text == "whitelist":
		i.lists[strings.Trim(iface.text, `"`)] = r.tableAfter()
	case verb.text == "blacklist":
		if list := r.tableAfter(); len(list) != 1 || len(list[0].Groups)+len(list[0].Sources) > 0 {
			r.problem(verb, "%s: not supported yet, apart from (* | *)", where)
		}
		i.lists[strings.Trim(iface.text, `"`)] = nil
	default:
		r.problem(verb, "%s: whitelist, blacklist or rulematching is expected", where)
		r.skipTable()
	}
}

// has reports whether an upstream interface has this name.
func (i *instance) has(name string) bool {
	return slices.ContainsFunc(i.proxy.Upstream, func(up Interface) bool {
		return up.Name == strings.Trim(name, `"`)
	})
}

func (r *mcproxy) matching(i *instance, direction, kind token) {
	switch direction.text + " " + kind.text {
	case "in first":
	case "out first":
		i.proxy.SendToAll = false
	case "out all":
		i.proxy.SendToAll = true
	default:
		r.problem(kind, "%s rulematching %s: not supported yet", direction.text, kind.text)
		r.skipTable()
	}
}

// skipTable goes to the end of the statement, which finish wants.
func (r *mcproxy) skipTable() {
	for len(r.list) > 0 && r.peek().text != ";" {
		r.next()
	}
}

// tableAfter reads "table NAME" or "table {...}".
func (r *mcproxy) tableAfter() []Rule {
	if word := r.next(); word.text != "table" {
		r.problem(word, "%q instead of a table", word.text)
		return nil
	}
	if r.peek().text == "{" {
		return r.table()
	}
	name := r.next()
	list, ok := r.tables[name.text]
	if !ok {
		r.problem(name, "table %s is not there", name.text)
	}
	return list
}

// table reads {(GROUPS | SOURCES) (table NAME) ...}.
func (r *mcproxy) table() (list []Rule) {
	r.next()
	for {
		switch t := r.next(); {
		case t.text == "}":
			return list
		case t.text == "(" && r.peek().text == "table":
			list = append(list, r.tableAfter()...)
			r.expect(")")
		case t.text == "(":
			rule := Rule{Groups: r.networks("|", true), Sources: r.networks(")", false)}
			list = append(list, rule)
		default:
			r.problem(t, "%q in a table: (GROUP | SOURCE) is expected", t.text)
			for len(r.list) > 0 && r.peek().text != "}" && r.peek().text != ";" {
				r.next()
			}
			if r.peek().text != "}" {
				return list
			}
		}
	}
}

func (r *mcproxy) expect(text string) {
	if t := r.peek(); t.text == text {
		r.next()
	} else {
		r.problem(t, "%q instead of %q", t.text, text)
	}
}

// networks reads one half of a table's row, and the sign behind it: a network,
// an address, two of them with '-' between, or '*' for all.
func (r *mcproxy) networks(end string, groups bool) (list []netip.Prefix) {
	defer r.expect(end)
	first := r.next()
	if first.text == "*" {
		return nil
	}
	read := r.prefix
	if groups {
		read = r.groups
	}
	low, ok := read(first)
	if r.peek().text != "-" {
		if ok {
			list = append(list, low)
		}
		return list
	}
	r.next()
	last := r.next()
	high, okHigh := read(last)
	if !ok || !okHigh {
		return nil
	}
	if !low.IsSingleIP() || !high.IsSingleIP() || high.Addr().Less(low.Addr()) ||
		low.Addr().BitLen() != high.Addr().BitLen() {
		r.problem(first, "%s - %s is not a range", first.text, last.text)
		return nil
	}
	return between(low.Addr(), high.Addr())
}

// between returns the networks that make up the addresses from low to high.
func between(low, high netip.Addr) (list []netip.Prefix) {
	for {
		p := netip.PrefixFrom(low, low.BitLen())
		for p.Bits() > 0 {
			wider := netip.PrefixFrom(low, p.Bits()-1)
			if wider.Masked().Addr() != low || high.Less(lastOf(wider)) {
				break
			}
			p = wider
		}
		list = append(list, p)
		end := lastOf(p)
		if !end.Less(high) {
			return list
		}
		low = end.Next()
	}
}

// lastOf is the highest address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// proxies gives the instances their rules.
func (r *mcproxy) proxies() (list []Proxy) {
	for _, i := range r.order {
		if len(i.proxy.Upstream) == 0 {
			continue
		}
		i.proxy.IPv6, i.proxy.Version = r.v6, r.version
		i.proxy.SendToAll = i.proxy.SendToAll && len(i.proxy.Upstream) > 1
		if len(i.lists) > 0 {
			i.proxy.Rules = i.rules()
		}
		list = append(list, i.proxy)
	}
	return list
}

// rules puts the tables of the upstream interfaces in order: the first one that
// takes a flow has it.
func (i *instance) rules() (rules []Rule) {
	for _, up := range i.proxy.Upstream {
		list, limited := i.lists[up.Name]
		if !limited {
			return append(rules, Rule{Upstream: up.Name})
		}
		for _, rule := range list {
			rule.Upstream = up.Name
			rules = append(rules, rule)
		}
	}
	return append(rules, Rule{})
}
