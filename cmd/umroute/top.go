package main

import (
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/top"
)

func topCommand() *cli.Command {
	return &cli.Command{
		Name:  "top",
		Usage: "watch a running router: interfaces, groups, flows, events",
		Flags: routerFlags(
			&cli.BoolFlag{Name: "plain", Usage: "print lines, as where there is no terminal"},
			&cli.IntFlag{Name: "seconds", Usage: "end after `N` seconds (default: never)"},
		),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if c.Int("seconds") < 0 {
				return usagef("--seconds: %d is below zero", c.Int("seconds"))
			}
			client, err := dial(c)
			if err != nil {
				return err
			}
			return top.Run(c.Context, top.Options{Client: client, Output: c.App.Writer,
				Terminal: !c.Bool("plain") && isTerminal(c.App.Writer) && isTerminal(os.Stdin),
				Length:   time.Duration(c.Int("seconds")) * time.Second})
		},
	}
}
