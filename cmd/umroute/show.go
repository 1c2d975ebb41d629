package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/control"
)

// routerFlags choose the router that a command talks to.
func routerFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "the `NAME` of the router (default: the only one)"},
		&cli.StringFlag{Name: "socket", Usage: "the control socket's `PATH`, instead of a name"},
	}, more...)
}

// dial finds the router that the flags name.
func dial(c *cli.Context) (*control.Client, error) {
	if path := stringFlag(c, "socket"); path != "" {
		return control.Dial(path), nil
	}
	if name := stringFlag(c, "name"); name != "" {
		return control.Dial(control.SocketPath(name)), nil
	}
	path, err := control.Find()
	if err != nil {
		return nil, err
	}
	return control.Dial(path), nil
}

// stringFlag and boolFlag read a flag that may stand before or behind the
// name of a subcommand.
func stringFlag(c *cli.Context, name string) string {
	for _, level := range c.Lineage() {
		if level.IsSet(name) {
			return level.String(name)
		}
	}
	return ""
}

func boolFlag(c *cli.Context, name string) bool {
	for _, level := range c.Lineage() {
		if level.Bool(name) {
			return true
		}
	}
	return false
}

func showFlags() []cli.Flag {
	return routerFlags(
		&cli.BoolFlag{Name: "json", Usage: "print one JSON document"},
		&cli.BoolFlag{Name: "watch", Usage: "print again whenever something changes"},
	)
}

func showCommand() *cli.Command {
	show := &cli.Command{
		Name:   "show",
		Usage:  "print the state of a running router",
		Flags:  showFlags(),
		Action: rejectUnknown("umroute show"),
	}
	for _, view := range views {
		show.Subcommands = append(show.Subcommands, &cli.Command{
			Name: view.document, Usage: view.usage, Flags: showFlags(), Action: view.action,
		})
	}
	return show
}

// view is one document of "umroute show" and how people read it.
type view struct {
	document string
	usage    string
	print    func(w io.Writer, document []byte) error
}

func (v view) action(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	client, err := dial(c)
	if err != nil {
		return err
	}
	asJSON := boolFlag(c, "json")
	if !boolFlag(c, "watch") {
		document, err := v.fetch(c.Context, client)
		if err != nil {
			return err
		}
		return v.write(c.App.Writer, document, asJSON, false)
	}
	return v.watch(c.Context, client, c.App.Writer, asJSON)
}

// watch prints the document whenever it changes, until ctx ends or the router
// does.
func (v view) watch(ctx context.Context, client *control.Client, w io.Writer,
	asJSON bool) error {
	return client.Watch(ctx, v.document, func(document json.RawMessage) error {
		return v.write(w, document, asJSON, true)
	})
}

func (v view) fetch(ctx context.Context, client *control.Client) ([]byte, error) {
	var document json.RawMessage
	if err := client.Show(ctx, v.document, &document); err != nil {
		return nil, fmt.Errorf("show %s: %w", v.document, err)
	}
	return document, nil
}

// write prints one document: as JSON on one line where several follow.
func (v view) write(w io.Writer, document []byte, asJSON, several bool) error {
	if !asJSON {
		return v.print(w, document)
	}
	var shaped bytes.Buffer
	shape := func() error { return json.Indent(&shaped, document, "", "  ") }
	if several {
		shape = func() error { return json.Compact(&shaped, document) }
	}
	if err := shape(); err != nil {
		return fmt.Errorf("read the router's answer: %w", err)
	}
	shaped.WriteByte('\n')
	_, err := shaped.WriteTo(w)
	return err
}
