package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"github.com/urfave/cli/v2"

	"umroute/bench/load"
)

// The highest values of flags: what no machine sends in a second, and a year.
const (
	maxRate    = 1e9
	maxSeconds = 365 * 24 * 3600.0
)

// groupFlags name the traffic of "umroute send" and "umroute recv".
func groupFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "group", Usage: "the multicast `GROUP` (needed)"},
		&cli.UintFlag{Name: "port", Usage: "the UDP `PORT` (needed)"},
		&cli.StringFlag{Name: "interface", Usage: "the `DEVICE` (default: by route)"},
		&cli.BoolFlag{Name: "json", Usage: "print the report as JSON"},
	}, more...)
}

// groupAndPort reads the flags that both commands share.
func groupAndPort(c *cli.Context) (netip.AddrPort, error) {
	if err := needed(c, "group", "port"); err != nil {
		return netip.AddrPort{}, err
	}
	group, err := netip.ParseAddr(c.String("group"))
	if err != nil || !group.IsMulticast() {
		return netip.AddrPort{}, usagef("--group: %q is no multicast group", c.String("group"))
	}
	port := c.Uint("port")
	if port == 0 || port > 65535 {
		return netip.AddrPort{}, usagef("--port: %d is not from 1 to 65535", port)
	}
	return netip.AddrPortFrom(group, uint16(port)), noArguments(c)
}

func sendCommand() *cli.Command {
	return &cli.Command{
		Name:  "send",
		Usage: "send numbered test traffic to a group, from this namespace",
		Flags: groupFlags(
			&cli.Float64Flag{Name: "rate", Value: 100,
				Usage: "datagrams per second; 0 is as fast as possible"},
			&cli.Uint64Flag{Name: "count", Usage: "datagrams to send (default: until stopped)"},
			&cli.IntFlag{Name: "size", Value: load.DefaultSize, Usage: "bytes of UDP payload"},
			&cli.IntFlag{Name: "ttl", Value: load.DefaultTTL, Usage: "TTL or hop limit"},
		),
		Action: send,
	}
}

func send(c *cli.Context) error {
	group, err := groupAndPort(c)
	if err != nil {
		return err
	}
	switch {
	case !(c.Float64("rate") >= 0 && c.Float64("rate") <= maxRate): // NaN is neither
		return usagef("--rate: %v is not from 0 to %v", c.Float64("rate"), float64(maxRate))
	case c.Int("size") < load.MinSize || c.Int("size") > load.MaxSize:
		return usagef("--size: %d is not from %d to %d", c.Int("size"), load.MinSize, load.MaxSize)
	case c.Int("ttl") < 1 || c.Int("ttl") > 255:
		return usagef("--ttl: %d is not from 1 to 255", c.Int("ttl"))
	}
	sender, err := load.NewSender(load.SenderConfig{
		Group: group, Interface: c.String("interface"), Rate: c.Float64("rate"),
		Count: c.Uint64("count"), Size: c.Int("size"), TTL: c.Int("ttl"),
	})
	if err != nil {
		return err
	}
	defer sender.Close()
	report, err := sender.Run(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return writeJSON(c.App.Writer, report)
	}
	fmt.Fprintf(c.App.Writer, "%s: sent %d datagrams of stream %s in %.1f s (%.0f/s)\n",
		group, report.Sent, report.Stream, report.Seconds, report.Rate)
	for kind, count := range report.Errors {
		fmt.Fprintf(c.App.Writer, "  not sent: %d (%s)\n", count, kind)
	}
	if report.Skipped > 0 {
		fmt.Fprintf(c.App.Writer, "  skipped: %d, since this machine fell behind\n",
			report.Skipped)
	}
	return nil
}

func recvCommand() *cli.Command {
	return &cli.Command{
		Name:  "recv",
		Usage: "join a group and account for the test traffic that comes",
		Flags: groupFlags(
			&cli.StringSliceFlag{Name: "source", Usage: "only from this `ADDRESS`; repeatable"},
			&cli.StringSliceFlag{Name: "exclude", Usage: "not from this `ADDRESS`; repeatable"},
			&cli.Uint64Flag{Name: "count", Usage: "stop after this many datagrams"},
			&cli.Float64Flag{Name: "seconds", Usage: "stop after this many seconds"},
		),
		Action: recv,
	}
}

func recv(c *cli.Context) error {
	group, err := groupAndPort(c)
	if err != nil {
		return err
	}
	sources, err := addresses(c, "source", group.Addr())
	if err != nil {
		return err
	}
	excluded, err := addresses(c, "exclude", group.Addr())
	if err != nil {
		return err
	}
	if len(sources) > 0 && len(excluded) > 0 {
		return usagef("give --source or --exclude, not both: a socket has one filter mode")
	}
	if seconds := c.Float64("seconds"); !(seconds >= 0 && seconds <= maxSeconds) {
		return usagef("--seconds: %v is not from 0 to %v", seconds, maxSeconds)
	}
	receiver, err := load.NewReceiver(load.ReceiverConfig{
		Group: group, Interface: c.String("interface"), Sources: sources, Exclude: excluded,
		Count: c.Uint64("count"),
	})
	if err != nil {
		return err
	}
	defer receiver.Close()
	ctx, cancel := within(c.Context, c.Float64("seconds"))
	defer cancel()
	report, err := receiver.Run(ctx)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return writeJSON(c.App.Writer, report)
	}
	printReceived(c.App.Writer, report)
	return nil
}

// addresses reads a repeatable flag of sources of a group.
func addresses(c *cli.Context, flag string, group netip.Addr) ([]netip.Addr, error) {
	var list []netip.Addr
	for _, text := range c.StringSlice(flag) {
		address, err := netip.ParseAddr(text)
		if err != nil || address.IsMulticast() || address.Is4() != group.Is4() {
			return nil, usagef("--%s: %q is no source for %s", flag, text, group)
		}
		list = append(list, address)
	}
	return list, nil
}

func printReceived(w io.Writer, report load.ReceiveReport) {
	fmt.Fprintf(w, "%s: received %d, lost %d, reordered %d, duplicates %d in %.1f s\n",
		report.Group, report.Received, report.Lost, report.Reordered, report.Duplicates,
		report.Seconds)
	for _, s := range report.Streams {
		fmt.Fprintf(w, "  from %s, stream %s: %d to %d, received %d, lost %d, TTL %d to %d, "+
			"latency min %v p50 %v p99 %v max %v\n", s.Source, s.Stream, s.First, s.Last,
			s.Received, s.Lost, s.TTLMin, s.TTLMax, s.Latency.Min, s.Latency.P50,
			s.Latency.P99, s.Latency.Max)
	}
	for _, odd := range []struct {
		what  string
		count uint64
	}{
		{"corrupt", report.Corrupt}, {"no test traffic", report.Foreign},
		{"dropped, as the receiver was too slow", report.Overflows},
	} {
		if odd.count > 0 {
			fmt.Fprintf(w, "  %s: %d\n", odd.what, odd.count)
		}
	}
}

func writeJSON(w io.Writer, document any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

// within bounds ctx by seconds; 0 is no bound.
func within(ctx context.Context, seconds float64) (context.Context, context.CancelFunc) {
	if seconds == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, asDuration(seconds))
}
