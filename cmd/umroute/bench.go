package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"umroute/bench"
	"umroute/bench/plan"
	"umroute/bench/result"
)

func benchCommand() *cli.Command {
	return &cli.Command{
		Name:   "bench",
		Usage:  "measure throughput and latency, against the kernel and others",
		Action: rejectUnknown("umroute bench"),
		Subcommands: []*cli.Command{
			{
				Name:  "run",
				Usage: "measure, without root, in namespaces of its own; print a table",
				Description: "--test takes the rows of a test of RFC 3918, and the flags that take " +
					"lists then stand in\nthe place of these rows' own values. Without --test they " +
					"choose among the rows of --quick\nor --smoke; without either, each combination " +
					"of what they name is a row. Without any of\nthese, the rows are those of " +
					"--quick, with longer samples. \"umroute bench list\" shows all.",
				Flags:  benchFlags(),
				Action: benchRun,
			},
			{
				Name:   "list",
				Usage:  "list engines, tests and rows, and what cannot run here",
				Action: benchList,
			},
			reportCommand(),
		},
	}
}

func benchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "quick", Usage: "end within 60 s"},
		&cli.BoolFlag{Name: "smoke", Usage: "end within 10 s: few rows, short samples"},
		&cli.StringSliceFlag{Name: "test", Usage: "`NAME`s as \"umroute bench list\" has them"},
		&cli.StringFlag{Name: "o", Usage: "write all samples to `FILE`, for benchstat"},
		&cli.StringFlag{Name: "json", Usage: "write each sample to `FILE` when it is taken, as a " +
			"line of JSON, for \"umroute bench report\""},
		&cli.StringSliceFlag{Name: "engines", Usage: "`NAME`s as \"umroute bench list\" has them"},
		&cli.StringSliceFlag{Name: "engine-command", Usage: "run an engine from outside too: " +
			"`NAME=COMMAND`"},
		&cli.StringFlag{Name: "engine-check", Usage: "have an outside `WITNESS` measure two rows " +
			"besides: iperf"},
		&cli.IntSliceFlag{Name: "oifs", Usage: "fan-outs, 1 to 64, as `N,N...`"},
		&cli.IntFlag{Name: "interfaces", Usage: "let routers have `N` interfaces, most of them idle",
			DefaultText: "those that the rows need"},
		&cli.IntSliceFlag{Name: "sizes", Usage: "`BYTES` of UDP payload; 0 is IMIX"},
		&cli.IntSliceFlag{Name: "flows", Usage: "numbers of flows, as `N,N...`"},
		&cli.StringSliceFlag{Name: "sender", Usage: "`KIND`s: plain, segment, single"},
		&cli.StringSliceFlag{Name: "receiver", Usage: "`KIND`s: plain, gro, single"},
		&cli.Float64Flag{Name: "rate", Usage: "`DATAGRAMS` per second, to see the latency",
			DefaultText: "a closed loop"},
		&cli.BoolFlag{Name: "burst", Usage: "send at --rate in bursts of 32"},
		&cli.StringFlag{Name: "find", Usage: "which rate `HOW`: closed (a loop), search (NDR, PDR " +
			"and MRR), unlimited (MRR)"},
		&cli.Float64Flag{Name: "width", Usage: "end a search when its bounds are this `PART` of the " +
			"upper one apart", DefaultText: "0.05"},
		&cli.IntFlag{Name: "trials", Usage: "that decide on a rate by majority: `N`",
			DefaultText: "3"},
		&cli.BoolFlag{Name: "ipv6", Usage: "IPv6 in the place of IPv4"},
		&cli.DurationFlag{Name: "duration", Usage: "`TIME` that each sample measures",
			DefaultText: "1s; 150ms with --quick, 100ms with --smoke"},
		&cli.IntFlag{Name: "repeats", Usage: "`N` samples of each row by each engine",
			DefaultText: "10; 3 with --quick, 2 with --smoke"},
	}
}

// benchOptions puts together what the flags ask for.
func benchOptions(c *cli.Context) (bench.Options, error) {
	o := bench.Options{Engines: plan.DefaultEngines(), Rows: plan.Quick(), Repeats: 10,
		Duration: time.Second, Warmup: 100 * time.Millisecond,
		Width: c.Float64("width"), Trials: c.Int("trials"), Interfaces: c.Int("interfaces"),
		Progress: c.App.ErrWriter, Live: isTerminal(c.App.ErrWriter),
		Version: version(), Command: os.Args}
	switch {
	case c.Bool("quick") && c.Bool("smoke"):
		return o, usagef("give --quick or --smoke, not both")
	case c.Bool("quick"):
		o.Repeats, o.Duration, o.Warmup = 3, 150*time.Millisecond, 30*time.Millisecond
		o.Limit = 58 * time.Second
	case c.Bool("smoke"):
		o.Rows, o.Repeats = plan.Smoke(), 2
		o.Duration, o.Warmup = 100*time.Millisecond, 30*time.Millisecond
		o.Limit = 9 * time.Second
	}
	if c.IsSet("duration") {
		o.Duration = c.Duration("duration")
	}
	if c.IsSet("repeats") {
		o.Repeats = c.Int("repeats")
	}
	var err error
	if o.Engines, err = benchEngines(c); err != nil {
		return o, err
	}
	if o.Rows, err = benchRows(c, o.Rows); err != nil {
		return o, err
	}
	switch witness := c.String("engine-check"); witness {
	case "":
	case plan.Iperf:
		if _, err := exec.LookPath("iperf"); err != nil {
			return o, usagef("--engine-check iperf: iperf 2 is needed: %w", err)
		}
		o.Rows = append(o.Rows, plan.Witnessed()...)
		o.Limit = 0 // it takes seconds where rows take fractions
	default:
		return o, usagef("--engine-check %q: only iperf is known", witness)
	}
	if len(o.Rows) == 0 {
		return o, usagef("no row has all that is asked for; without --quick and --smoke, " +
			"each combination is one")
	}
	if err := o.Validate(); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// benchRows are the rows that the flags choose: those of --test with other
// values, among those of --quick or --smoke, or else each combination.
func benchRows(c *cli.Context, rows []plan.Row) ([]plan.Row, error) {
	choice := plan.Choice{
		Oifs: c.IntSlice("oifs"), Sizes: c.IntSlice("sizes"), Flows: c.IntSlice("flows"),
		Senders: c.StringSlice("sender"), Receivers: c.StringSlice("receiver"),
		IPv6: c.Bool("ipv6"), Rate: c.Float64("rate"), Find: c.String("find"),
		Burst: c.Bool("burst"),
	}
	short := c.Bool("quick") || c.Bool("smoke")
	if c.IsSet("test") {
		if short {
			return nil, usagef("give --test, or one of --quick and --smoke")
		}
		tests, err := plan.SelectTests(c.StringSlice("test")...)
		if err != nil {
			return nil, usagef("--test: %w", err)
		}
		rows = nil
		for _, test := range tests {
			rows = append(rows, choice.Vary(test.Rows())...)
		}
		return rows, nil
	}
	chosen := false
	for _, flag := range []string{"rate", "find", "oifs", "sizes", "flows", "sender", "receiver"} {
		chosen = chosen || c.IsSet(flag)
	}
	if chosen && !short {
		return choice.Combine(), nil
	}
	return choice.Among(rows), nil
}

// benchEngines are those that are named, or else those that fit the tests.
func benchEngines(c *cli.Context) (engines []plan.Engine, err error) {
	switch {
	case c.IsSet("engines"):
		engines, err = plan.SelectEngines(c.StringSlice("engines")...)
		if err != nil {
			return nil, usagef("--engines: %w", err)
		}
	case c.IsSet("test"):
		engines = plan.EnginesFor(c.StringSlice("test")...)
	default:
		engines = plan.DefaultEngines()
	}
	for _, text := range c.StringSlice("engine-command") {
		name, command, _ := strings.Cut(text, "=")
		engine, err := plan.ExternalEngine(name, command)
		if err != nil {
			return nil, usagef("--engine-command %q: %w", text, err)
		}
		engines = append(engines, engine)
	}
	return engines, nil
}

func benchRun(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	options, err := benchOptions(c)
	if err != nil {
		return err
	}
	// Before the run: it would be a pity to fail after it.
	file, err := createFor(c, "o")
	if err != nil {
		return err
	}
	records, err := createFor(c, "json")
	if err != nil {
		return err
	}
	if records != nil {
		options.Records = records
	}
	outcome, err := bench.Run(c.Context, options)
	if records != nil {
		err = errors.Join(err, records.Close())
	}
	if len(outcome.Samples) == 0 {
		return err
	}
	err = errors.Join(err, result.WriteTable(c.App.Writer, result.Summarize(outcome.Samples)))
	for _, warning := range outcome.End.Warnings {
		fmt.Fprintln(c.App.ErrWriter, "warning:", warning)
	}
	if file != nil {
		err = errors.Join(err, result.WriteBenchmark(file, outcome.Machine.Facts(),
			outcome.Samples), file.Close())
	}
	return err
}

// createFor makes the file that a flag names, if it does.
func createFor(c *cli.Context, flag string) (*os.File, error) {
	path := c.String(flag)
	if path == "" {
		return nil, nil
	}
	return os.Create(path)
}

func benchList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	engines, err := bench.Probe(c.Context, plan.Engines())
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENGINE\tIO\tLINK\tHERE")
	for _, e := range engines {
		here := "yes"
		if e.Err != nil {
			here = "no: " + e.Err.Error()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.Engine, e.Engine.IO, e.Engine.Link, here)
	}
	fmt.Fprintln(t, "\nTEST\tFROM\tWHAT")
	for _, test := range plan.Tests() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", test.Name, test.From, test.About)
	}
	fmt.Fprintln(t, "\nSENDER\tRECEIVER\tFLOWS\tSIZE\tOIFS\tTARGET x KERNEL")
	for _, r := range plan.Quick() {
		target, sender := "", r.Sender
		if r.Target > 0 {
			target = fmt.Sprintf("%.1f", r.Target)
		}
		if r.Rate > 0 {
			sender += fmt.Sprintf(" %g/s", r.Rate)
		}
		fmt.Fprintln(t, strings.Join([]string{sender, r.Receiver, fmt.Sprint(r.Flows),
			fmt.Sprint(r.Size), fmt.Sprint(r.Oifs), target}, "\t"))
	}
	return t.Flush()
}
