package smcroute

import (
	"fmt"
	"net/netip"
	"strings"
)

// File is what a smcroute.conf and the files that it includes say, in their
// order.
type File struct {
	Interfaces []Interface // phyint
	Groups     []Group     // mgroup
	Routes     []Route     // mroute
}

// Interface is a phyint.
type Interface struct {
	Name      string // a name, or a pattern: eth+ is all that begin with eth
	Disabled  bool
	Discovery bool  // mrdisc, RFC 4286
	Threshold uint8 // 1 to 255; 0 where none is given
	Pos       Position
}

// Group is an mgroup: the router joins it on an interface, as a host does.
type Group struct {
	In     string // a name or a pattern
	Source netip.Prefix
	Group  netip.Prefix
	Pos    Position
}

// Route is an mroute. Source is the zero Prefix for any.
type Route struct {
	In     string // a name or a pattern
	Source netip.Prefix
	Group  netip.Prefix
	Out    []string // names or patterns
	Pos    Position
}

// Position is a place in a file. Lines and columns count from 1.
type Position struct {
	File         string
	Line, Column int
}

// Problem is one fault of a file.
type Problem struct {
	Pos     Position
	Message string
}

// Error returns FILE:LINE:COLUMN: message.
func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.Pos.File, p.Pos.Line, p.Pos.Column, p.Message)
}

// Problems are all faults, in the order in which they were met.
type Problems []Problem

// Error returns one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Matches says whether an interface's name fits a name or a pattern.
func Matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "+"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

// IsPattern says whether a name stands for several.
func IsPattern(name string) bool { return strings.HasSuffix(name, "+") }
