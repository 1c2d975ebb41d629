package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/doctor"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "look whether this machine has what a router needs, and say what to do",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print one JSON document"}},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			findings := doctor.Examine(doctor.System{Root: os.DirFS("/"),
				Probe: doctor.Try(c.Context), Installed: installed})
			if err := printFindings(c.App.Writer, findings, c.Bool("json")); err != nil {
				return err
			}
			if !doctor.Healthy(findings) {
				return errors.New("something essential is missing: see above")
			}
			return nil
		},
	}
}

func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func printFindings(w io.Writer, findings []doctor.Finding, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(findings)
	}
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(aligned, "%s\t%s\t%s\n", f.Status, f.Check, f.Found)
		if f.Remedy != "" {
			fmt.Fprintf(aligned, "\t\t=> %s\n", f.Remedy)
		}
	}
	return aligned.Flush()
}
