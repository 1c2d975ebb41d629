package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

const (
	maxNodes   = 200_000 // that one file may lead to, aliases followed
	maxNesting = 32
	maxQuoted  = 60 // characters of a value in a message
)

var fileStart = Position{1, 1}

// decoder walks a document and collects what is wrong with it. Nothing stops
// it: who has ten mistakes in a file wants to hear of ten, not of the first.
//
// It works on the syntax tree, not through struct tags, since each value's
// place is needed until the last check that involves it is done.
type decoder struct {
	file     string
	problems Problems
	anchors  map[string]ast.Node
	budget   int // nodes left, so that aliases of aliases end

	// addressFault says that an address was refused, so what depends on the
	// connected prefixes can't be judged.
	addressFault bool

	drafts  []draft                // once they all are read
	sources []RPFRoute             // that files of other proxies name
	claims  []claim                // of protocols
	checks  []func(names []string) // that need the interfaces
	relays  []relayDraft
}

// problem notes one fault. The hint says what to do, "" where unknown.
func (d *decoder) problem(at Position, hint, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: d.file, Pos: at, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// unsupported refuses what the configuration names but the router lacks. To
// ignore it would leave an operator with a router that does not do as told.
func (d *decoder) unsupported(at Position, what string) {
	d.problem(at, "", "%s: not supported yet", what)
}

// mismatch says that a value is not what its key wants.
func (d *decoder) mismatch(n ast.Node, key, want, hint string) {
	d.problem(position(n), hint, "%s: %s is not %s", key, describe(n), want)
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	at    Position // of the key
	value ast.Node // anchors and aliases followed
}

// fields has a reader for each key that a section may have.
type fields map[string]func(entry)

// marks holds where the value of each key stands. A key that is not in it has
// its default, which no problem can be blamed on.
type marks map[string]Position

// section reads a mapping. A key without value is an empty mapping.
func (d *decoder) section(n ast.Node, what string, known fields) marks {
	found := make(marks)
	for _, e := range d.entries(n, what) {
		read, ok := known[e.key]
		if !ok {
			keys := slices.Sorted(maps.Keys(known))
			d.problem(e.at, suggest(e.key, keys), "unknown key %s in %s", quote(e.key), what)
			continue
		}
		found[e.key] = position(e.value)
		read(e)
	}
	return found
}

// entries returns what a mapping holds, in the order of the file. Keys that
// it merges from others come last and don't replace its own.
func (d *decoder) entries(n ast.Node, what string) []entry {
	return d.merged(n, what, maxNesting)
}

// merged is entries with the depth of merges left, so that a mapping that
// merges itself, directly or not, comes to an end.
func (d *decoder) merged(n ast.Node, what string, depth int) []entry {
	mapping, ok := n.(*ast.MappingNode)
	switch {
	case n == nil || n.Type() == ast.NullType:
		return nil
	case !ok:
		d.mismatch(n, what, "a mapping", "as in KEY: VALUE")
		return nil
	}
	var own, merges []entry
	seen := make(map[string]Position)
	for _, pair := range mapping.Values {
		e, ok := d.entry(pair)
		if !ok {
			continue
		}
		if first, again := seen[e.key]; again {
			d.problem(e.at, fmt.Sprintf("first in line %d", first.Line),
				"duplicate key %s in %s", quote(e.key), what)
			continue
		}
		seen[e.key] = e.at
		if pair.Key.IsMergeKey() {
			merges = append(merges, e)
		} else {
			own = append(own, e)
		}
	}
	for _, m := range merges {
		own = d.merge(own, m, what, depth)
	}
	return own
}

// entry reads a key. Whether the value has the right type is for the reader
// of the key to say.
func (d *decoder) entry(pair *ast.MappingValueNode) (entry, bool) {
	at := position(pair.Key)
	value, ok := d.value(pair.Value)
	if !ok {
		return entry{}, false
	}
	switch key := pair.Key.(type) {
	case *ast.StringNode:
		return entry{key.Value, at, value}, true
	case *ast.MergeKeyNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		// YAML reads 7 and true as no text, yet both are fair names.
		return entry{key.GetToken().Value, at, value}, true
	}
	d.problem(at, "", "a key must be plain text")
	return entry{}, false
}

// merge adds the keys of the mappings behind a merge key ("<<").
func (d *decoder) merge(own []entry, m entry, what string, depth int) []entry {
	if depth == 0 {
		d.problem(m.at, "", "%s: merges itself", what)
		return own
	}
	sources := []ast.Node{m.value}
	if list, ok := m.value.(*ast.SequenceNode); ok {
		sources = list.Values
	}
	for _, source := range sources {
		source, ok := d.value(source)
		if !ok {
			continue
		}
		for _, e := range d.merged(source, what, depth-1) {
			same := func(o entry) bool { return o.key == e.key }
			if !slices.ContainsFunc(own, same) {
				own = append(own, e)
			}
		}
	}
	return own
}

// value follows anchors and aliases to what they stand for.
func (d *decoder) value(n ast.Node) (ast.Node, bool) {
	for range maxNesting {
		if !d.spend(n) {
			return nil, false
		}
		switch t := n.(type) {
		case *ast.AnchorNode:
			n = t.Value
		case *ast.AliasNode:
			target, ok := d.alias(t)
			if !ok {
				return nil, false
			}
			n = target
		case *ast.TagNode:
			d.problem(position(n), "write the value alone", "YAML tags are not allowed here")
			return nil, false
		default:
			return n, true
		}
	}
	d.problem(position(n), "", "an alias of itself")
	return nil, false
}

// spend takes one node from the budget. A few lines of aliases can stand for
// more values than memory holds; depth alone does not bound them.
func (d *decoder) spend(n ast.Node) bool {
	d.budget--
	if d.budget == 0 {
		d.problem(position(n), "", "more than %d values, aliases included", maxNodes)
	}
	return d.budget > 0
}

// alias finds the anchor of an alias. One of a parent is found too: it ends in
// a wrong type or in the limits of value and merged.
func (d *decoder) alias(n *ast.AliasNode) (ast.Node, bool) {
	name := n.Value.GetToken().Value
	target, ok := d.anchors[name]
	if ok && before(position(n), position(target)) {
		ok = false // YAML 1.2 section 7.1: an alias follows its anchor.
	}
	if !ok {
		d.problem(position(n), "", "alias of an unknown anchor %s", quote(name))
	}
	return target, ok
}

// list reads each value of a sequence.
func (d *decoder) list(e entry, read func(entry)) {
	sequence, ok := e.value.(*ast.SequenceNode)
	if !ok {
		d.mismatch(e.value, e.key, "a list", "as in [A, B]")
		return
	}
	for _, n := range sequence.Values {
		if n, ok := d.value(n); ok {
			read(entry{e.key, position(n), n})
		}
	}
}

// position returns where a node begins.
func position(n ast.Node) Position {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		// The token of a block mapping is the colon behind its first key.
		return position(m.Values[0].Key)
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return fileStart
	}
	p := n.GetToken().Position
	return Position{p.Line, p.Column}
}

// before says whether a stands before b in the file.
func before(a, b Position) bool {
	return a.Line < b.Line || a.Line == b.Line && a.Column < b.Column
}

// describe names a value in a message.
func describe(n ast.Node) string {
	switch t := n.(type) {
	case *ast.MappingNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case nil, *ast.NullNode:
		return "an empty value"
	case *ast.StringNode:
		return quote(t.Value)
	case *ast.LiteralNode:
		return "a block of text"
	}
	return n.GetToken().Value
}

// quote makes any text safe for one line of a terminal, and short.
func quote(s string) string {
	if runes := []rune(s); len(runes) > maxQuoted {
		s = strings.TrimSpace(string(runes[:maxQuoted])) + "…"
	}
	return fmt.Sprintf("%q", s)
}
