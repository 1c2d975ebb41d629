package proxyfile

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Proxy is a proxy as a file describes it.
type Proxy struct {
	Upstream, Downstream []Interface
	Rules                []Rule // the first that matches decides; without one, the first upstream
	IPv6                 bool   // for IPv6, else for IPv4
	Version              int    // of IGMP or MLD; 0 where the file does not say
	SendToAll            bool   // what downstream sources send goes to all upstream interfaces
}

// Interface is a part that an interface has in a Proxy.
type Interface struct {
	Name      string
	Pos       Position
	Threshold uint8          // TTL; 0 where the file does not say
	Sources   []netip.Prefix // further networks whose sources are on the interface
	Groups    []netip.Prefix // that may be asked for there; none: all
}

// Rule gives a part of all multicast to an upstream interface.
type Rule struct {
	Upstream string         // "": nobody has it
	Groups   []netip.Prefix // none: all
	Sources  []netip.Prefix // none: all
}

// Position is a place in a file, counted from 1.
type Position struct {
	File         string
	Line, Column int
}

// Problem is one fault of a file.
type Problem struct {
	Pos     Position
	Message string
}

// Problems is everything that is wrong with a file, in its order.
type Problems []Problem

// Error returns one problem a line: FILE:LINE:COLUMN: message.
func (ps Problems) Error() string {
	var lines []string
	for _, p := range ps {
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", p.Pos.File, p.Pos.Line, p.Pos.Column,
			p.Message))
	}
	return strings.Join(lines, "\n")
}

// token is a word or a sign of a file.
type token struct {
	text string
	pos  Position
}

// maxFile bounds what is read of a file, in octets.
const maxFile = 1 << 20

// tokens reads a file. Comments begin at '#'. Each of signs is a token of its
// own wherever it stands.
func tokens(path string, signs []string) ([]token, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d octets", path, maxFile)
	}
	var list []token
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		list = appendTokens(list, line, Position{File: path, Line: number}, signs)
	}
	return list, nil
}

func appendTokens(list []token, line string, pos Position, signs []string) []token {
	for at := 0; at < len(line); {
		rest := line[at:]
		if strings.ContainsRune(" \t\r\n", rune(rest[0])) {
			at++
			continue
		}
		size := wordSize(rest, signs)
		pos.Column = at + 1
		list = append(list, token{rest[:size], pos})
		at += size
	}
	return list
}

// wordSize is how long the token at the start of a text is. A text in quotes is
// one, quotes included.
func wordSize(text string, signs []string) int {
	if text[0] == '"' {
		if end := strings.IndexByte(text[1:], '"'); end >= 0 {
			return end + 2
		}
	}
	isSign := func(at int) int {
		i := slices.IndexFunc(signs, func(s string) bool { return strings.HasPrefix(text[at:], s) })
		if i < 0 {
			return 0
		}
		return len(signs[i])
	}
	if n := isSign(0); n > 0 {
		return n
	}
	for at := 1; at < len(text); at++ {
		if strings.ContainsRune(" \t\r\n", rune(text[at])) || isSign(at) > 0 {
			return at
		}
	}
	return len(text)
}

// reader goes through the tokens of a file and notes what is wrong.
type reader struct {
	list     []token
	end      token // what stands behind the last one
	problems Problems
}

func newReader(path string, list []token) reader {
	end := token{pos: Position{File: path, Line: 1, Column: 1}}
	if len(list) > 0 {
		end.pos = list[len(list)-1].pos
	}
	return reader{list: list, end: end}
}

// peek returns the next token, one without text at the end.
func (r *reader) peek() token {
	if len(r.list) == 0 {
		return r.end
	}
	return r.list[0]
}

func (r *reader) next() token {
	t := r.peek()
	if len(r.list) > 0 {
		r.list = r.list[1:]
	}
	return t
}

func (r *reader) problem(at token, format string, args ...any) {
	r.problems = append(r.problems, Problem{at.pos, fmt.Sprintf(format, args...)})
}

// prefix reads a network or an address. Host bits are dropped, as the proxies
// do.
func (r *reader) prefix(t token) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(t.text); err == nil {
		return p.Masked(), true
	}
	if a, err := netip.ParseAddr(t.text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	r.problem(t, "%q is not a network, as in 10.0.0.0/8", t.text)
	return netip.Prefix{}, false
}

// groups reads a network of groups.
func (r *reader) groups(t token) (netip.Prefix, bool) {
	p, ok := r.prefix(t)
	if ok && !p.Addr().IsMulticast() {
		r.problem(t, "%s is not a network of multicast groups", t.text)
		return p, false
	}
	return p, ok
}
