package main

import (
	"cmp"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/control"
)

// routeCommand is "umroute route add" and "umroute route del".
func routeCommand() *cli.Command {
	key := []cli.Flag{
		&cli.StringFlag{Name: "source", Usage: "only from this `ADDRESS` or prefix"},
		&cli.StringFlag{Name: "in", Usage: "the incoming `INTERFACE`"},
	}
	outputs := []cli.Flag{
		&cli.StringSliceFlag{Name: "out", Usage: "an outgoing `INTERFACE`; may be repeated"},
		&cli.IntFlag{Name: "ttl-threshold", Usage: "what a `TTL` must be above"},
	}
	return &cli.Command{
		Name: "route", Usage: "change the static multicast routes of a running router",
		Action: rejectUnknown("umroute route"),
		Subcommands: []*cli.Command{
			{
				Name: "add", Usage: "add a route, or replace one", ArgsUsage: "GROUP[/LENGTH]",
				Flags: routerFlags(append(key, outputs...)...), Action: addRoute,
			},
			{
				Name: "del", Usage: "remove a route", ArgsUsage: "GROUP[/LENGTH]",
				Flags: routerFlags(key...), Action: deleteRoute,
			},
		},
	}
}

// routeArgument is the route that the command line names.
func routeArgument(c *cli.Context) (control.StaticRoute, error) {
	if c.NArg() != 1 {
		return control.StaticRoute{}, usagef("%s: give one GROUP, behind the flags",
			c.Command.Name)
	}
	threshold := c.Int("ttl-threshold")
	if threshold < 0 || threshold > 255 {
		return control.StaticRoute{}, usagef("--ttl-threshold: %d is not from 0 to 255", threshold)
	}
	return control.StaticRoute{
		Group: c.Args().First(), Source: c.String("source"), In: c.String("in"),
		Out: c.StringSlice("out"), Threshold: uint8(threshold),
	}, nil
}

func addRoute(c *cli.Context) error {
	route, err := routeArgument(c)
	if err := cmp.Or(err, needed(c, "out")); err != nil {
		return err
	}
	client, err := dial(c)
	if err != nil {
		return err
	}
	return client.AddRoute(c.Context, route)
}

func deleteRoute(c *cli.Context) error {
	route, err := routeArgument(c)
	if err != nil {
		return err
	}
	client, err := dial(c)
	if err != nil {
		return err
	}
	return client.DeleteRoute(c.Context, route)
}
