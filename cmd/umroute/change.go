package main

import (
	"context"
	"net/netip"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/control"
)

// membershipCommand is "umroute join" or "umroute leave".
func membershipCommand(verb string) *cli.Command {
	usage := "add a static membership to a running router"
	if verb == "leave" {
		usage = "remove a static membership from a running router"
	}
	return &cli.Command{
		Name: verb, Usage: usage, ArgsUsage: "GROUP",
		Flags: routerFlags(
			&cli.StringFlag{Name: "interface", Usage: "the interface's `NAME` (needed)"},
			&cli.StringFlag{Name: "source", Usage: "only from this `ADDRESS`"},
		),
		Action: func(c *cli.Context) error { return changeMembership(c, verb) },
	}
}

func changeMembership(c *cli.Context, verb string) error {
	if err := needed(c, "interface"); err != nil {
		return err
	}
	if c.NArg() != 1 {
		return usagef("%s: give one GROUP, behind the flags", verb)
	}
	group, err := netip.ParseAddr(c.Args().First())
	if err != nil || !group.IsMulticast() {
		return usagef("%s: %q is no multicast group", verb, c.Args().First())
	}
	change := control.MembershipChange{Interface: c.String("interface"), Group: group.String()}
	if text := c.String("source"); text != "" {
		source, err := netip.ParseAddr(text)
		if err != nil || source.IsMulticast() || source.Is4() != group.Is4() {
			return usagef("%s: %q is no source for %s", verb, text, group)
		}
		change.Source = source.String()
	}
	client, err := dial(c)
	if err != nil {
		return err
	}
	apply := map[string]func(context.Context, control.MembershipChange) error{
		"join": client.Join, "leave": client.Leave}[verb]
	return apply(c.Context, change)
}

func clearCommand() *cli.Command {
	command := &cli.Command{
		Name: "clear", Usage: "make a running router forget what it has learnt",
		Flags: routerFlags(), Action: rejectUnknown("umroute clear"),
	}
	for _, document := range []string{"groups", "routes", "stats"} {
		command.Subcommands = append(command.Subcommands, &cli.Command{
			Name: document, Usage: "forget the " + document, Flags: routerFlags(),
			Action: func(c *cli.Context) error {
				if err := noArguments(c); err != nil {
					return err
				}
				client, err := dial(c)
				if err != nil {
					return err
				}
				return client.Clear(c.Context, document)
			},
		})
	}
	return command
}
