package smcroute

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxFile  = 1 << 20 // bytes of one file
	maxDepth = 8       // includes inside of includes
	maxLines = 100_000 // of all files
)

// Load reads a smcroute.conf and what it includes. The error is Problems, all of
// them, or that of reading the first file.
func Load(path string) (*File, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	p := new(parser)
	p.read(path, data)
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return &p.file, nil
}

// readFile reads no more than it takes to see that a file is too large.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// read reads one file's text.
func (p *parser) read(path string, data []byte) {
	outer, line := p.path, p.line
	defer func() { p.path, p.line = outer, line }()
	p.path, p.line = path, 0
	if len(data) > maxFile {
		p.problem(word{column: 1}, "larger than %d bytes", maxFile)
		return
	}
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, maxFile+1)
	for scanner.Scan() {
		p.line++
		p.lines++
		if p.lines > maxLines {
			p.problem(word{column: 1}, "more than %d lines in all", maxLines)
			return
		}
		if list := words(scanner.Text()); len(list) > 0 {
			p.statement(list)
		}
	}
}

// include reads: include PATH, where PATH may be a pattern and is relative to
// the file that it stands in. A pattern may fit nothing.
func (p *parser) include(verb word, rest []word) {
	switch {
	case len(rest) != 1:
		p.problem(verb, "include: one path belongs behind it")
		return
	case p.depth == maxDepth:
		p.problem(verb, "include: nested deeper than %d files", maxDepth)
		return
	}
	at := rest[0]
	pattern := at.text
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(p.path), pattern)
	}
	paths, err := filepath.Glob(pattern) // sorted
	if err != nil {
		p.problem(at, "include: %v", err)
		return
	}
	if len(paths) == 0 && !strings.ContainsAny(pattern, "*?[") {
		p.problem(at, "include: %s: no such file", at.text)
	}
	p.depth++
	defer func() { p.depth-- }()
	for _, path := range paths {
		data, err := readFile(path)
		if err != nil {
			var reason *fs.PathError
			if errors.As(err, &reason) {
				err = reason.Err
			}
			p.problem(at, "include: %s: %v", path, err)
			continue
		}
		p.read(path, data)
	}
}
