package main

import (
	"errors"
	"fmt"
	"os"
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
				Description: "Flags that take lists choose among the rows of --quick or --smoke. " +
					"Without either,\neach combination of what they name is a row; " +
					"without any, the rows are those of --quick,\nwith longer samples. " +
					"\"umroute bench list\" shows them.",
				Flags:  benchFlags(),
				Action: benchRun,
			},
			{
				Name:   "list",
				Usage:  "list engines and rows, and what cannot run here",
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
		&cli.StringFlag{Name: "o", Usage: "write all samples to `FILE`, for benchstat"},
		&cli.StringSliceFlag{Name: "engines", Usage: "`NAME`s as \"umroute bench list\" has them"},
		&cli.IntSliceFlag{Name: "oifs", Usage: "fan-outs, 1 to 64, as `N,N...`"},
		&cli.IntSliceFlag{Name: "sizes", Usage: "`BYTES` of UDP payload"},
		&cli.IntSliceFlag{Name: "flows", Usage: "numbers of flows, as `N,N...`"},
		&cli.StringSliceFlag{Name: "sender", Usage: "`KIND`s: plain, segment"},
		&cli.StringSliceFlag{Name: "receiver", Usage: "`KIND`s: plain, gro"},
		&cli.Float64Flag{Name: "rate", Usage: "`DATAGRAMS` per second, to see the latency",
			DefaultText: "a closed loop"},
		&cli.BoolFlag{Name: "ipv6", Usage: "IPv6 in the place of IPv4"},
		&cli.DurationFlag{Name: "duration", Usage: "`TIME` that each sample measures",
			DefaultText: "1s; 180ms with --quick, 100ms with --smoke"},
		&cli.IntFlag{Name: "repeats", Usage: "`N` samples of each row by each engine",
			DefaultText: "5; 3 with --quick, 2 with --smoke"},
	}
}

// benchOptions puts together what the flags ask for.
func benchOptions(c *cli.Context) (bench.Options, error) {
	o := bench.Options{Engines: plan.DefaultEngines(), Rows: plan.Quick(), Repeats: 5,
		Duration: time.Second, Warmup: 100 * time.Millisecond, Progress: c.App.ErrWriter}
	switch {
	case c.Bool("quick") && c.Bool("smoke"):
		return o, usagef("give --quick or --smoke, not both")
	case c.Bool("quick"):
		o.Repeats, o.Duration, o.Warmup = 3, 180*time.Millisecond, 40*time.Millisecond
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
	if c.IsSet("engines") {
		engines, err := plan.SelectEngines(c.StringSlice("engines")...)
		if err != nil {
			return o, usagef("--engines: %w", err)
		}
		o.Engines = engines
	}
	if o.Rows = benchRows(c, o.Rows); len(o.Rows) == 0 {
		return o, usagef("no row has all that is asked for; without --quick and --smoke, " +
			"each combination is one")
	}
	if err := o.Validate(); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// benchRows are the rows that the flags choose: among those of --quick or
// --smoke, and without these each combination.
func benchRows(c *cli.Context, rows []plan.Row) []plan.Row {
	choice := plan.Choice{
		Oifs: c.IntSlice("oifs"), Sizes: c.IntSlice("sizes"), Flows: c.IntSlice("flows"),
		Senders: c.StringSlice("sender"), Receivers: c.StringSlice("receiver"),
		IPv6: c.Bool("ipv6"), Rate: c.Float64("rate"),
	}
	chosen := c.IsSet("rate")
	for _, flag := range []string{"oifs", "sizes", "flows", "sender", "receiver"} {
		chosen = chosen || c.IsSet(flag)
	}
	if chosen && !c.Bool("quick") && !c.Bool("smoke") {
		return choice.Combine()
	}
	return choice.Among(rows)
}

func benchRun(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	options, err := benchOptions(c)
	if err != nil {
		return err
	}
	var file *os.File
	if path := c.String("o"); path != "" {
		// Before the run: it would be a pity to fail after it.
		if file, err = os.Create(path); err != nil {
			return err
		}
		defer file.Close()
	}
	outcome, err := bench.Run(c.Context, options)
	if len(outcome.Samples) == 0 {
		return err
	}
	err = errors.Join(err, result.WriteTable(c.App.Writer, result.Summarize(outcome.Samples)))
	if file != nil {
		err = errors.Join(err,
			result.WriteBenchmark(file, outcome.Facts, outcome.Samples), file.Close())
	}
	return err
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
