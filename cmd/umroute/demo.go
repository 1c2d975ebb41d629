package main

import (
	"os"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/demo"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "watch a router at work: no root, no configuration, ends by itself",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "seconds", Value: 15, Usage: "how long it takes"},
			&cli.BoolFlag{Name: "in-memory", Usage: "simulate the hosts in this process, " +
				"where user namespaces or /dev/net/tun are missing"},
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			length := time.Duration(c.Int("seconds")) * time.Second
			if length < demo.MinLength || length > time.Hour {
				return usagef("--seconds: %d is not from %.0f to 3600", c.Int("seconds"),
					demo.MinLength.Seconds())
			}
			return demo.Run(c.Context, demo.Options{Length: length, InMemory: c.Bool("in-memory"),
				Terminal: isTerminal(c.App.Writer), Output: c.App.Writer, Version: version()})
		},
	}
}

// isTerminal says whether something writes to a terminal.
func isTerminal(writer any) bool {
	file, ok := writer.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
