package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

// manSection is that of commands for everybody.
const manSection = 1

func manCommand() *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "print the man page; read it with: umroute man | man -l -",
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			page, err := c.App.ToManWithSection(manSection)
			if err != nil {
				return fmt.Errorf("make the man page: %w", err)
			}
			_, err = fmt.Fprint(c.App.Writer, page)
			return err
		},
	}
}
