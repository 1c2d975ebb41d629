package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Load reads the configuration in a file of at most 1 MiB. The error is an
// *fs.PathError where the file can't be read, else Problems.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads a configuration. The name stands for the file in the error,
// which is of type Problems and tells everything that is wrong.
func Parse(name string, data []byte) (*Config, error) {
	d := &decoder{file: name, budget: maxNodes}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if root, ok := d.document(data); ok {
		c := d.config(root)
		if len(d.problems) == 0 {
			return c, nil
		}
	}
	return nil, d.problems.sorted()
}

// document returns the only document of a file, nil where it is empty. It is
// not ok where the file is no such YAML, so that there is nothing to judge.
func (d *decoder) document(data []byte) (root ast.Node, ok bool) {
	if len(data) > maxFileSize {
		d.problem(fileStart, "", "larger than %d bytes", maxFileSize)
		return nil, false
	}
	if d.checkText(data); len(d.problems) > 0 {
		return nil, false
	}
	tokens := lexer.Tokenize(string(data))
	if d.checkNesting(tokens); len(d.problems) > 0 {
		return nil, false
	}
	file, err := parseTokens(tokens)
	if err != nil {
		d.syntax(err)
		return nil, false
	}
	root = d.onlyDocument(file)
	if len(d.problems) > 0 {
		return nil, false
	}
	d.anchors = make(map[string]ast.Node)
	if root != nil {
		ast.Walk(anchorVisitor{d}, root)
	}
	return root, true
}

// parseTokens turns a panic of the parser, which is not ours, into an error:
// what a file holds must not end the router that reloads it.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			file, err = nil, fmt.Errorf("not YAML: %v", fault)
		}
	}()
	// Duplicate keys are found in section, all of them.
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// syntax tells where the parser gave up. It stops at its first error, so that
// is the only problem.
func (d *decoder) syntax(err error) {
	var fault *yaml.SyntaxError
	if errors.As(err, &fault) && fault.Token != nil && fault.Token.Position != nil {
		at := fault.Token.Position
		d.problem(Position{at.Line, at.Column}, "", "%s", fault.Message)
		return
	}
	d.problem(fileStart, "", "%v", err)
}

// onlyDocument returns the document of a file that may have an empty one
// before or after it, as "---" at the start makes.
func (d *decoder) onlyDocument(file *ast.File) ast.Node {
	var root ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case doc.Body.Type() == ast.DirectiveType:
			d.problem(position(doc.Body), "", "YAML directives are not allowed here")
		case root != nil:
			d.problem(position(doc.Body), "one file holds one router", "second document")
			return nil
		default:
			root = doc.Body
		}
	}
	return root
}

// anchorVisitor collects the anchors of a document beforehand, so that one in
// a part that is refused is still known. YAML lets an anchor be redefined; in
// a file that people read, that is a mistake.
type anchorVisitor struct{ d *decoder }

// Visit implements ast.Visitor.
func (v anchorVisitor) Visit(n ast.Node) ast.Visitor {
	anchor, ok := n.(*ast.AnchorNode)
	if !ok || anchor.Name == nil {
		return v
	}
	name := anchor.Name.GetToken().Value
	if _, again := v.d.anchors[name]; again {
		v.d.problem(position(anchor.Name), "", "anchor %q is defined twice", name)
	}
	v.d.anchors[name] = anchor
	return v
}

// checkText finds what no parser needs to see: bytes that are not text, and
// tabs as indentation, which YAML 1.2 section 6.1 forbids.
func (d *decoder) checkText(data []byte) {
	at, indent := fileStart, true
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			d.problem(at, "a configuration is UTF-8", "byte 0x%02x is not text", data[0])
			return
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f:
			d.problem(at, "a configuration is UTF-8", "byte 0x%02x is not text", r)
			return
		case r == '\t' && indent:
			d.problem(at, "YAML takes spaces only", "a tab in the indentation")
			indent = false
		case r != ' ':
			indent = r == '\n'
		}
		at.Column++
		if r == '\n' {
			at = Position{at.Line + 1, 1}
		}
		data = data[size:]
	}
}

// checkNesting refuses depths on which the parser, which recurses, would
// spend minutes and its stack.
func (d *decoder) checkNesting(tokens token.Tokens) {
	// Blocks nest by their indentation, at a cost in bytes that bounds them;
	// brackets, and "- - -" in one row, cost almost nothing.
	flow, row, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			row, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(0, flow-1)
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType,
			token.MappingValueType:
			row++
		case token.CollectEntryType:
			row = 0
		}
		if flow > maxNesting || row > maxNesting {
			at := Position{t.Position.Line, t.Position.Column}
			d.problem(at, "", "nested deeper than %d levels", maxNesting)
			return
		}
	}
}
