package proxyfile

import "strconv"

// LoadIgmpproxy reads an igmpproxy.conf. The error is Problems where it could be
// read at all. "quickleave" changes nothing: a leave goes upstream as soon as
// nobody is left downstream.
func LoadIgmpproxy(path string) (Proxy, error) {
	list, err := tokens(path, nil)
	if err != nil {
		return Proxy{}, err
	}
	r := igmpproxy{reader: newReader(path, list)}
	for len(r.list) > 0 {
		switch word := r.next(); word.text {
		case "quickleave":
		case "phyint":
			r.phyint(word)
		default:
			r.problem(word, "unknown statement %q: there are phyint and quickleave", word.text)
			r.skip()
		}
	}
	r.check()
	if len(r.problems) > 0 {
		return Proxy{}, r.problems
	}
	return r.proxy, nil
}

type igmpproxy struct {
	reader
	proxy Proxy
}

// skip goes to the next statement.
func (r *igmpproxy) skip() {
	for len(r.list) > 0 && r.peek().text != "phyint" && r.peek().text != "quickleave" {
		r.next()
	}
}

// phyint reads: phyint INTERFACE ROLE [ratelimit N] [threshold N] [altnet NET]...
// [whitelist NET]...
func (r *igmpproxy) phyint(verb token) {
	name, role := r.next(), r.next()
	if role.text == "" {
		r.problem(verb, "phyint: the interface or its role is missing")
		return
	}
	i := Interface{Name: name.text, Pos: name.pos}
	r.options(&i)
	switch role.text {
	case "upstream":
		if len(r.proxy.Upstream) > 0 {
			r.problem(role, "phyint %s: %s is upstream already, in line %d", i.Name,
				r.proxy.Upstream[0].Name, r.proxy.Upstream[0].Pos.Line)
			return
		}
		r.proxy.Upstream = append(r.proxy.Upstream, i)
	case "downstream":
		r.proxy.Downstream = append(r.proxy.Downstream, i)
	case "disabled":
	default:
		r.problem(role, "phyint %s: unknown role %q: there are upstream, downstream and disabled",
			i.Name, role.text)
	}
}

// options reads what follows the role of an interface.
func (r *igmpproxy) options(i *Interface) {
	for {
		switch r.peek().text {
		case "ratelimit":
			r.next()
			if value := r.next(); value.text != "0" {
				r.problem(value, "ratelimit %s: not supported yet", value.text)
			}
		case "threshold":
			r.next()
			value := r.next()
			ttl, err := strconv.ParseUint(value.text, 10, 8)
			if err != nil || ttl == 0 {
				r.problem(value, "threshold: %q is not a TTL, 1 to 255", value.text)
			}
			i.Threshold = uint8(ttl)
		case "altnet":
			r.next()
			if p, ok := r.prefix(r.next()); ok {
				i.Sources = append(i.Sources, p)
			}
		case "whitelist":
			r.next()
			if p, ok := r.groups(r.next()); ok {
				i.Groups = append(i.Groups, p)
			}
		case "", "phyint", "quickleave":
			return
		default:
			word := r.next()
			r.problem(word, "phyint %s: unknown option %q: there are ratelimit, threshold, "+
				"altnet and whitelist", i.Name, word.text)
			r.skip()
		}
	}
}

// check judges the file as a whole, and has the upstream interface asked for
// the groups of its whitelist alone.
func (r *igmpproxy) check() {
	if len(r.proxy.Upstream) == 0 {
		r.problem(r.end, "no phyint is upstream")
		return
	}
	if len(r.proxy.Downstream) == 0 {
		r.problem(r.end, "no phyint is downstream")
	}
	up := r.proxy.Upstream[0]
	if len(up.Groups) > 0 {
		r.proxy.Rules = []Rule{{Upstream: up.Name, Groups: up.Groups}, {}}
	}
}
