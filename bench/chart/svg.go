package chart

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
)

// The picture's own units: it is scaled to the width it is given. The letters
// stay readable on a telephone.
const (
	width, height              = 520, 340
	left, right, top, bottom   = 56, 128, 34, 50
	lineHeight, letter, radius = 15, 6.7, 3.6
)

// Style is what a picture needs for its colours. The eight hues keep apart for
// those who confuse red and green; marks and labels say the same again.
const Style = `.chart{font:12px system-ui,sans-serif;` +
	`--ink:#24292f;--faint:#6a737d;--grid:#e4e7eb;--ground:#fff;` +
	`--c0:#0b62c4;--c1:#c2410c;--c2:#0f7b5f;--c3:#8b3fa8;` +
	`--c4:#8a6400;--c5:#b4236b;--c6:#51606f;--c7:#3d7a12}` +
	`@media(prefers-color-scheme:dark){.chart{--ink:#e6edf3;--faint:#9aa4af;` +
	`--grid:#30363d;--ground:#0d1117;--c0:#6cb0ff;--c1:#ff9a62;--c2:#4bd1a6;` +
	`--c3:#d3a0ea;--c4:#e3b341;--c5:#ff8fbf;--c6:#a9b6c4;--c7:#93d35b}}` +
	`.chart text{fill:var(--ink)}.chart .faint{fill:var(--faint)}` +
	`.chart .grid{stroke:var(--grid)}.chart .line{fill:none;stroke-width:2}` +
	`.chart .mark{stroke:var(--ground);stroke-width:1}.chart .range{stroke-width:1.4}`

// canvas collects one picture.
type canvas struct{ strings.Builder }

func (c *canvas) put(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

func (c *canvas) text(x, y float64, class, anchor, text string) {
	c.put(`<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`,
		x, y, class, anchor, html.EscapeString(text))
}

// WriteSVG writes the chart as an SVG document that stands alone and can also
// be put into a page as it is. It fails if there is nothing to draw, if a value
// is no number, or does not suit its axis.
func (c Chart) WriteSVG(w io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	var out canvas
	out.put(`<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 %d %d" `+
		`role="img" aria-label="%s">`, width, height, html.EscapeString(c.Title))
	out.put("<style>%s</style>", Style)
	low, high := c.extent(c.X, xValues)
	x := newScale(c.X, low, high, left, width-right, 6)
	low, high = c.extent(c.Y, yValues)
	y := newScale(c.Y, low, high, height-bottom, top, 5)
	c.drawAxes(&out, x, y)
	for _, s := range c.Series {
		drawSeries(&out, s, x, y)
	}
	c.drawLabels(&out, x, y)
	out.put("</svg>")
	_, err := io.WriteString(w, out.String())
	return err
}

func (c Chart) drawAxes(out *canvas, x, y scale) {
	for _, v := range y.ticks {
		at := y.at(v)
		out.put(`<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`,
			left, width-right, at, at)
		out.text(left-6, at+4, "faint", "end", y.writeValue(v))
	}
	last := math.Inf(-1)
	for _, v := range x.ticks {
		at, text := x.at(v), x.writeValue(v)
		half := float64(len(text)) * letter / 2
		if at-half < last { // no room for this one
			continue
		}
		last = at + half + letter
		out.text(at, height-bottom+18, "faint", "middle", text)
	}
	out.text((left+width-right)/2, height-14, "axis", "middle", c.X.Label)
	out.text(4, 16, "axis", "start", c.Y.Label)
}

func drawSeries(out *canvas, s Series, x, y scale) {
	colour := fmt.Sprintf("var(--c%d)", s.Colour)
	var path strings.Builder
	for i, p := range s.Points {
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", verb, x.at(p.X), y.at(p.Y))
	}
	out.put(`<path class="line" style="stroke:%s" d="%s"/>`, colour, path.String())
	for _, p := range s.Points {
		at := x.at(p.X)
		if p.hasInterval() {
			out.put(`<line class="range" style="stroke:%s" x1="%.1f" x2="%.1f" y1="%.1f" `+
				`y2="%.1f"/>`, colour, at, at, y.at(y.within(p.Low)), y.at(y.within(p.High)))
		}
		if !s.Plain {
			drawMark(out, s.Colour, at, y.at(p.Y), fmt.Sprintf("%s: %s at %s", s.Name,
				y.writeValue(p.Y), x.writeValue(p.X)))
		}
	}
}

// drawMark draws a shape that is the colour's own, with a text for the pointer.
func drawMark(out *canvas, colour int, x, y float64, title string) {
	const r = radius
	shapes := [][][2]float64{
		{{-r, -r}, {r, -r}, {r, r}, {-r, r}},
		{{0, -r * 1.3}, {r * 1.2, r}, {-r * 1.2, r}},
		{{0, -r * 1.4}, {r * 1.4, 0}, {0, r * 1.4}, {-r * 1.4, 0}},
		{{0, r * 1.3}, {r * 1.2, -r}, {-r * 1.2, -r}},
	}
	style := fmt.Sprintf(`class="mark" style="fill:var(--c%d)"`, colour)
	title = "<title>" + html.EscapeString(title) + "</title>"
	if shape := colour % (len(shapes) + 1); shape > 0 {
		points := make([]string, 0, 4)
		for _, p := range shapes[shape-1] {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x+p[0], y+p[1]))
		}
		out.put(`<polygon %s points="%s">%s</polygon>`, style, strings.Join(points, " "), title)
		return
	}
	out.put(`<circle %s cx="%.1f" cy="%.1f" r="%.1f">%s</circle>`, style, x, y, r+.4, title)
}

// drawLabels writes each series' name beside the end of its line, moved apart
// where lines end together.
func (c Chart) drawLabels(out *canvas, x, y scale) {
	type label struct {
		series Series
		at     float64
	}
	var labels []label
	for _, s := range c.Series {
		if n := len(s.Points); n > 0 {
			labels = append(labels, label{s, y.at(s.Points[n-1].Y)})
		}
	}
	slices.SortStableFunc(labels, func(a, b label) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	for i := 1; i < len(labels); i++ {
		labels[i].at = max(labels[i].at, labels[i-1].at+lineHeight)
	}
	// What was pushed below the picture is pushed back up.
	limit := float64(height - bottom + 4)
	for i := len(labels) - 1; i >= 0; i-- {
		labels[i].at = min(labels[i].at, limit)
		limit = labels[i].at - lineHeight
	}
	for _, l := range labels {
		end := l.series.Points[len(l.series.Points)-1]
		out.put(`<line class="range" style="stroke:var(--c%d)" x1="%.1f" x2="%d" `+
			`y1="%.1f" y2="%.1f" opacity=".5"/>`, l.series.Colour, x.at(end.X)+5,
			width-right+12, y.at(end.Y), l.at)
		drawMark(out, l.series.Colour, width-right+18, l.at, l.series.Name)
		out.text(width-right+26, l.at+4, "name", "start", l.series.Name)
	}
}
