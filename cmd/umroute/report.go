package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"umroute/bench/report"
)

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "make a page with plots of what was measured",
		ArgsUsage: "FILE...",
		Description: "FILEs are what \"umroute bench run\" wrote: JSON lines, or the Go benchmark\n" +
			"format. The page is one HTML file that needs no network.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "o", Value: "umroute-bench.html", Usage: "write the page to `FILE`"},
			&cli.StringFlag{Name: "svg", Usage: "also write each plot to `FOLDER`"},
			&cli.BoolFlag{Name: "compare", Usage: "show what changed from one FILE to the other"},
		},
		Action: benchReport,
	}
}

func benchReport(c *cli.Context) error {
	page, err := reportPage(c)
	if err != nil {
		return err
	}
	if err := page.WriteFile(c.String("o")); err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, c.String("o"))
	if folder := c.String("svg"); folder != "" {
		names, err := page.WriteSVG(folder)
		for _, name := range names {
			fmt.Fprintln(c.App.Writer, name)
		}
		return err
	}
	return nil
}

func reportPage(c *cli.Context) (report.Page, error) {
	files := c.Args().Slice()
	if !c.Bool("compare") {
		if len(files) == 0 {
			return report.Page{}, usagef("name the files that \"umroute bench run\" wrote")
		}
		runs, err := report.Load(files...)
		if err != nil {
			return report.Page{}, err
		}
		return report.Build(runs)
	}
	if len(files) != 2 {
		return report.Page{}, usagef("--compare takes two files, the old one and the new one")
	}
	before, err := report.Load(files[0])
	if err != nil {
		return report.Page{}, err
	}
	after, err := report.Load(files[1])
	if err != nil {
		return report.Page{}, err
	}
	return report.Compare(before, after)
}
