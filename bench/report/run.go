package report

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"umroute/bench/result"
)

// Run is one measurement: a machine and what was measured on it.
type Run struct {
	File    string
	Machine result.Machine
	Samples []result.Measured
	Missing []result.Missing
	End     *result.End // nil where the run did not come to its end
}

// ErrNothing says that a file holds no sample.
var ErrNothing = errors.New("report: no samples")

// Load reads runs from files of "umroute bench run", as JSON lines or in the Go
// benchmark format: the former has all that a report can show, the latter
// medians only.
func Load(files ...string) ([]Run, error) {
	var runs []Run
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found, err := load(file, data)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		samples := 0
		for _, run := range found {
			samples += len(run.Samples)
		}
		if samples == 0 {
			return nil, fmt.Errorf("read %s: %w", file, ErrNothing)
		}
		runs = append(runs, found...)
	}
	return runs, nil
}

func load(file string, data []byte) ([]Run, error) {
	if text := bytes.TrimSpace(data); len(text) == 0 || text[0] != '{' {
		run, err := readBenchmark(file, data)
		return []Run{run}, err
	}
	records, err := result.Read(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return split(file, records), nil
}

// split puts the records of a file to the runs that they belong to.
func split(file string, records []result.Record) []Run {
	var runs []Run
	for _, r := range records {
		if r.Machine != nil || len(runs) == 0 {
			runs = append(runs, Run{File: file})
		}
		run := &runs[len(runs)-1]
		switch {
		case r.Machine != nil:
			run.Machine = *r.Machine
		case r.Sample != nil:
			run.Samples = append(run.Samples, *r.Sample)
		case r.Missing != nil:
			run.Missing = append(run.Missing, *r.Missing)
		case r.End != nil:
			run.End = r.End
		}
	}
	return runs
}
