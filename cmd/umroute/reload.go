package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/control"
)

func reloadCommand() *cli.Command {
	return &cli.Command{
		Name:  "reload",
		Usage: "have a running router read its configuration again, and apply what differs",
		Flags: routerFlags(
			&cli.BoolFlag{Name: "json", Usage: "print one JSON document"}),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			client, err := dial(c)
			if err != nil {
				return err
			}
			document, err := client.Reload(c.Context)
			if _, wrong := errors.AsType[*control.WrongConfiguration](err); wrong {
				// It begins with the file and the line, as editors expect it.
				fmt.Fprintln(c.App.ErrWriter, err)
				return usageError{silentError{err}}
			}
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return json.NewEncoder(c.App.Writer).Encode(document)
			}
			return printReload(c.App.Writer, document)
		},
	}
}

func printReload(w io.Writer, document control.Reload) error {
	lists := []struct {
		what  string
		names []string
	}{
		{"added", document.Added}, {"removed", document.Removed},
		{"opened anew", document.Replaced}, {"modified", document.Modified},
	}
	var parts []string
	for _, l := range lists {
		if len(l.names) > 0 {
			parts = append(parts, l.what+" "+strings.Join(l.names, ", "))
		}
	}
	if len(parts) == 0 {
		parts = []string{"no interface differs"}
	}
	_, err := fmt.Fprintln(w, strings.Join(parts, "; "))
	return err
}
