package report

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"

	"umroute/bench/result"
)

// readBenchmark reads the Go benchmark format as "umroute bench run" writes it.
// Lines of other benchmarks are left out.
func readBenchmark(file string, data []byte) (Run, error) {
	run := Run{File: file, End: &result.End{}}
	reader := benchfmt.NewReader(bytes.NewReader(data), file)
	for reader.Scan() {
		switch line := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return run, fmt.Errorf("line %d: %s", line.Line, line.Msg)
		case *benchfmt.Result:
			base, parts := line.Name.Parts()
			if string(base) != "Forward" {
				continue
			}
			sample, err := sampleOf(line, parts)
			if err != nil {
				return run, err
			}
			run.Samples = append(run.Samples, sample)
			run.Machine.CPU = line.GetConfig("cpu")
			run.Machine.Kernel = line.GetConfig("kernel")
			run.Machine.Commit = line.GetConfig("commit")
		}
	}
	return run, reader.Err()
}

// sampleOf turns a line's name and values into a sample.
func sampleOf(line *benchfmt.Result, parts [][]byte) (result.Measured, error) {
	_, number := line.Pos()
	m := result.Measured{Test: "forward", Family: 4, Flows: 1, Rate: "closed"}
	for _, part := range parts {
		key, value, ok := strings.Cut(strings.TrimPrefix(string(part), "/"), "=")
		if !ok {
			continue // the number of processors
		}
		if err := setKey(&m, key, value); err != nil {
			return m, fmt.Errorf("line %d: %s: %w", number, key, err)
		}
	}
	if m.Engine == "" {
		return m, fmt.Errorf("line %d: %w", number, errors.New("no engine in the name"))
	}
	for _, v := range line.Values {
		if v.OrigUnit != "" { // the reader makes seconds of nanoseconds
			v.Value, v.Unit = v.OrigValue, v.OrigUnit
		}
		switch v.Unit {
		case "dgrams/s":
			m.Delivered = v.Value
		case "cpu-s/Mpkt":
			m.CPUPerSent = v.Value
		case "%loss":
			m.Loss = v.Value / 100
		case "p50-ns":
			latencyOf(&m).P50 = int64(v.Value)
		case "p99-ns":
			latencyOf(&m).P99 = int64(v.Value)
		}
	}
	return m, nil
}

func latencyOf(m *result.Measured) *result.Distribution {
	if m.Latency == nil {
		m.Latency = &result.Distribution{}
	}
	return m.Latency
}

func setKey(m *result.Measured, key, value string) (err error) {
	switch key {
	case "engine":
		m.Engine = value
	case "io":
		m.IO = value
	case "link":
		m.Link = value
	case "test":
		m.Test = value
	case "oifs":
		m.Oifs, err = strconv.Atoi(value)
	case "size":
		m.Size, err = strconv.Atoi(value)
	case "flows":
		m.Flows, err = strconv.Atoi(value)
	case "groups":
		m.Groups, err = strconv.Atoi(value)
	case "ip":
		m.Family, err = strconv.Atoi(value)
	case "sender":
		m.Load = value
	case "receiver":
		m.Receiver = value
	case "rate":
		m.Rate = "fixed"
		if m.Wanted, err = strconv.ParseFloat(value, 64); err != nil {
			m.Rate, err = value, nil // "ndr", "pdr", "mrr"
		}
	}
	return err
}
