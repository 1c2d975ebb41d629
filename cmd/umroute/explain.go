package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/control"
)

func explainCommand() *cli.Command {
	return &cli.Command{
		Name:  "explain",
		Usage: "say why a flow is forwarded to an interface or not, and what to do",
		Flags: routerFlags(
			&cli.StringFlag{Name: "source", Usage: "the sender's `ADDRESS` (needed)"},
			&cli.StringFlag{Name: "group", Usage: "the multicast `GROUP` (needed)"},
			&cli.StringFlag{Name: "interface",
				Usage: "the receivers' interface, by the router's `NAME` for it (needed)"},
			&cli.DurationFlag{Name: "wait", Value: time.Second,
				Usage: "how long to look for packets where only they can tell, 0s to 10s"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON document"},
		),
		Action: explainFlow,
	}
}

func explainFlow(c *cli.Context) error {
	if err := needed(c, "source", "group", "interface"); err != nil {
		return err
	}
	if err := noArguments(c); err != nil {
		return err
	}
	q := control.Question{Interface: c.String("interface"), Wait: c.Duration("wait")}
	var err error
	if q.Group, err = netip.ParseAddr(c.String("group")); err != nil || !q.Group.IsMulticast() {
		return usagef("explain: %q is no multicast group", c.String("group"))
	}
	q.Source, err = netip.ParseAddr(c.String("source"))
	if err != nil || q.Source.Is4() != q.Group.Is4() {
		return usagef("explain: %q is no source for %s", c.String("source"), q.Group)
	}
	if q.Wait < 0 || q.Wait > control.MaxWait {
		return usagef("explain: --wait %s is not between 0s and %s", q.Wait, control.MaxWait)
	}
	client, err := dial(c)
	if err != nil {
		return err
	}
	answer, err := client.Explain(c.Context, q)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		encoder := json.NewEncoder(c.App.Writer)
		encoder.SetIndent("", "  ")
		return encoder.Encode(answer)
	}
	return printExplanation(c.App.Writer, answer)
}

func printExplanation(w io.Writer, e control.Explanation) error {
	word := "not forwarded"
	if e.Forwarded {
		word = "forwarded"
	}
	fmt.Fprintf(w, "%s: (%s, %s) to %s\n", word, e.Source, e.Group, e.Interface)
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(aligned, "cause\t%s\n", e.Cause)
	fmt.Fprintf(aligned, "why\t%s\n", e.Text)
	fmt.Fprintf(aligned, "rule\t%s\n", e.Rule)
	if e.RIB != nil {
		fmt.Fprintf(aligned, "RIB\t%s\n", ribText(*e.RIB))
	}
	for _, s := range e.Seen {
		fmt.Fprintf(aligned, "seen\t%d packets on %s, dropped: %s\n", s.Packets, s.Interface,
			s.Reason)
	}
	if e.Remedy != "" {
		fmt.Fprintf(aligned, "do\t%s\n", e.Remedy)
	}
	return aligned.Flush()
}

func ribText(r control.RIBRoute) string {
	text := r.Prefix + " on " + r.Interface
	if r.Via != "" {
		text += " via " + r.Via
	}
	return text + " (" + r.Kind + ")"
}
