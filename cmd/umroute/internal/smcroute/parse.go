package smcroute

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// parser reads one file and those that it includes.
type parser struct {
	file     File
	problems Problems
	path     string // of the file that is being read
	line     int
	depth    int // of includes
	lines    int // read in all
}

// word is a word of a line with its column.
type word struct {
	text   string
	column int
}

// words splits a line at blanks; a comment begins at '#'.
func words(line string) []word {
	line, _, _ = strings.Cut(line, "#")
	var list []word
	for at := 0; at < len(line); {
		if strings.ContainsRune(" \t\r", rune(line[at])) {
			at++
			continue
		}
		end := len(line)
		if n := strings.IndexAny(line[at:], " \t\r"); n >= 0 {
			end = at + n
		}
		list = append(list, word{line[at:end], at + 1})
		at = end
	}
	return list
}

// problem notes a fault at a word.
func (p *parser) problem(at word, format string, args ...any) {
	p.problems = append(p.problems, Problem{p.position(at), fmt.Sprintf(format, args...)})
}

func (p *parser) position(at word) Position { return Position{p.path, p.line, at.column} }

// statement reads one line.
func (p *parser) statement(list []word) {
	verb, rest := list[0], list[1:]
	switch verb.text {
	case "phyint":
		p.phyint(verb, rest)
	case "mgroup":
		p.mgroup(verb, rest)
	case "mroute":
		p.mroute(verb, rest)
	case "include":
		p.include(verb, rest)
	default:
		p.problem(verb, "unknown statement %q: there are phyint, mgroup, mroute and include",
			verb.text)
	}
}

// phyint reads: phyint IFNAME [enable|disable] [mrdisc] [ttl-threshold TTL]
func (p *parser) phyint(verb word, rest []word) {
	if len(rest) == 0 {
		p.problem(verb, "phyint: the interface is missing")
		return
	}
	i := Interface{Name: rest[0].text, Pos: p.position(verb)}
	for at := 1; at < len(rest); at++ {
		switch option := rest[at]; option.text {
		case "enable":
			i.Disabled = false
		case "disable":
			i.Disabled = true
		case "mrdisc":
			i.Discovery = true
		case "ttl-threshold", "threshold":
			at++
			if at == len(rest) {
				p.problem(option, "phyint: the TTL is missing behind %s", option.text)
				return
			}
			ttl, err := strconv.ParseUint(rest[at].text, 10, 8)
			if err != nil || ttl == 0 {
				p.problem(rest[at], "phyint: %q is no TTL from 1 to 255", rest[at].text)
				return
			}
			i.Threshold = uint8(ttl)
		default:
			p.problem(option, "phyint: unknown option %q", option.text)
			return
		}
	}
	p.file.Interfaces = append(p.file.Interfaces, i)
}

// clauses are what stands behind the keywords of an mgroup or mroute.
type clauses map[string][]word

// clauses reads KEYWORD VALUE... for the keywords that a statement knows. Each
// has one value, but for "to".
func (p *parser) clauses(verb word, rest []word, known ...string) (clauses, bool) {
	found := make(clauses)
	for at := 0; at < len(rest); {
		keyword := rest[at]
		if !slices.Contains(known, keyword.text) {
			p.problem(keyword, "%s: %q where one of %s belongs", verb.text, keyword.text,
				strings.Join(known, ", "))
			return nil, false
		}
		if found[keyword.text] != nil {
			p.problem(keyword, "%s: %s is given twice", verb.text, keyword.text)
			return nil, false
		}
		end := at + 2
		if keyword.text == "to" {
			end = len(rest)
		}
		if at+1 >= len(rest) {
			p.problem(keyword, "%s: nothing behind %s", verb.text, keyword.text)
			return nil, false
		}
		found[keyword.text] = rest[at+1 : end]
		at = end
	}
	for _, keyword := range known {
		if keyword != "source" && found[keyword] == nil {
			p.problem(verb, "%s: %s is missing", verb.text, keyword)
			return nil, false
		}
	}
	return found, true
}

// pair reads the source and the group.
func (p *parser) pair(verb word, c clauses) (source, group netip.Prefix, ok bool) {
	ok = true
	var err error
	if list := c["source"]; list != nil {
		if source, err = ParseSource(list[0].text); err != nil {
			p.problem(list[0], "%s: %v", verb.text, err)
			ok = false
		}
	}
	at := c["group"][0]
	if group, err = ParseGroup(at.text); err != nil {
		p.problem(at, "%s: %v", verb.text, err)
		return source, group, false
	}
	if ok && source.IsValid() && source.Addr().Is4() != group.Addr().Is4() {
		p.problem(at, "%s: source and group are of two families", verb.text)
		ok = false
	}
	return source, group, ok
}

// mgroup reads: mgroup from IIF [source SOURCE[/LEN]] group GROUP[/LEN]
func (p *parser) mgroup(verb word, rest []word) {
	c, ok := p.clauses(verb, rest, "from", "source", "group")
	if !ok {
		return
	}
	source, group, ok := p.pair(verb, c)
	if ok {
		p.file.Groups = append(p.file.Groups, Group{In: c["from"][0].text, Source: source,
			Group: group, Pos: p.position(verb)})
	}
}

// mroute reads: mroute from IIF [source SOURCE[/LEN]] group GROUP[/LEN] to OIF...
func (p *parser) mroute(verb word, rest []word) {
	c, ok := p.clauses(verb, rest, "from", "source", "group", "to")
	if !ok {
		return
	}
	source, group, ok := p.pair(verb, c)
	r := Route{In: c["from"][0].text, Source: source, Group: group, Pos: p.position(verb)}
	for _, out := range c["to"] {
		if out.text == r.In && !IsPattern(out.text) {
			p.problem(out, "mroute: %s is the incoming interface, too", out.text)
			ok = false
		}
		r.Out = append(r.Out, out.text)
	}
	if ok {
		p.file.Routes = append(p.file.Routes, r)
	}
}
