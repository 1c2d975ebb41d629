package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"umroute/bench/chart"
)

// Page is a report in the order in which it is read.
type Page struct {
	Title    string
	Summary  []string // paragraphs: what was found, and what makes it doubtful
	Facts    []Fact   // the machine and the measurement, a line each
	Sections []Section
}

// Fact is one line about the machine or the measurement.
type Fact struct{ Key, Value string }

// Section is one question with its answer.
type Section struct {
	Heading string
	Text    []string // paragraphs: how the figures were taken, in words
	Figures []Figure
	Tables  []Table
}

// Figure is one plot. Name is what its SVG file is called, without the ending.
type Figure struct {
	Name, Caption string
	Chart         chart.Chart
}

// Table is a table whose first column holds names and whose others hold values.
type Table struct {
	Caption string
	Head    []string
	Rows    [][]Cell
}

// Cell is one entry of a table; Kind is "", "better", "worse" or "doubtful",
// and is also said in words or signs within Text, never by colour alone.
type Cell struct{ Text, Kind string }

// cells makes a row of plain entries.
func cells(texts ...string) []Cell {
	row := make([]Cell, len(texts))
	for i, text := range texts {
		row[i].Text = text
	}
	return row
}

//go:embed page.html
var pageHTML string

// WriteHTML writes the page as one HTML document: styles and plots within it,
// no script, nothing fetched.
func (p Page) WriteHTML(w io.Writer) error {
	page, err := template.New("page").Funcs(template.FuncMap{"svg": inline}).Parse(pageHTML)
	if err != nil {
		return err
	}
	if err := page.Execute(w, p); err != nil {
		return fmt.Errorf("write report %q: %w", p.Title, err)
	}
	return nil
}

// inline gives a chart as a part of the page. What is not ours in it, names
// and titles, was escaped by the chart.
func inline(c chart.Chart) (template.HTML, error) {
	var b strings.Builder
	if err := c.WriteSVG(&b); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil
}

// Figures returns all plots of the page in order.
func (p Page) Figures() []Figure {
	var all []Figure
	for _, s := range p.Sections {
		all = append(all, s.Figures...)
	}
	return all
}
