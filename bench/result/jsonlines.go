package result

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrSchema says that a file is from a version that knows more than this one.
var ErrSchema = errors.New("result: unknown schema")

// longestLine bounds a record: some hundred histograms.
const longestLine = 16 << 20

// Write appends a record to w as a line of JSON. Each line is one call, so what
// was written before a crash can be read.
func Write(w io.Writer, r Record) error {
	r.Schema = Schema
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("encode a record: %w", err)
	}
	_, err := w.Write(line.Bytes())
	return err
}

// Read reads all records of a file of JSON lines. A last line that has no end
// was cut off with its run, and is left out; empty lines count as nothing. An
// error names the line.
func Read(r io.Reader) ([]Record, error) {
	var all []Record
	lines := bufio.NewReaderSize(r, 1<<16)
	for number := 1; ; number++ {
		line, err := readLine(lines)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("line %d: %w", number, err)
		}
		if len(line) == 0 {
			continue
		}
		var record Record
		if err := json.Unmarshal(line, &record); err != nil {
			return all, fmt.Errorf("line %d: %w", number, err)
		}
		if record.Schema < 1 || record.Schema > Schema {
			return all, fmt.Errorf("line %d: %w %d: this program knows 1 to %d", number,
				ErrSchema, record.Schema, Schema)
		}
		all = append(all, record)
	}
}

// readLine returns a whole line without its end, io.EOF where there is none.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > longestLine:
			return nil, errors.New("longer than any record")
		case err == nil:
			return bytes.TrimSpace(line), nil
		case err != bufio.ErrBufferFull:
			return nil, err // io.EOF in the middle of a line as well
		}
	}
}
