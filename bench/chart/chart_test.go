package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the golden files anew")

func throughput() Chart {
	points := func(scale float64) (points []Point) {
		for i, oifs := range []float64{1, 2, 4, 8} {
			y := scale * (1 - .08*float64(i)) * 1e5
			points = append(points, Point{X: oifs, Y: y, Low: .93 * y, High: 1.05 * y})
		}
		return points
	}
	return Chart{
		Title: "Delivered datagrams a second <by fan-out>",
		X:     Axis{Label: "outputs", Log: true, Ticks: []float64{1, 2, 4, 8}},
		Y:     Axis{Label: "datagrams/s", Zero: true},
		Series: []Series{
			{Name: "umroute", Colour: 0, Points: points(9.5)},
			{Name: "kernel", Colour: 1, Points: points(6)},
			{Name: "naive", Colour: 2, Points: points(2.1)},
			{Name: "relay", Colour: 3, Points: points(2.05)},
			{Name: "netstack", Colour: 4, Points: points(.2)},
		},
	}
}

func latency() Chart {
	var points []Point
	for nines := 0.0; nines <= 4; nines += .25 {
		points = append(points, Point{X: math.Pow(10, nines), Y: 3e4 * math.Pow(1.9, nines)})
	}
	return Chart{
		Title: "One-way latency",
		X: Axis{Label: "percentile", Log: true, Ticks: []float64{1, 10, 100, 1000, 1e4},
			Format: func(v float64) string { return strconv.FormatFloat(100-100/v, 'f', -1, 64) }},
		Y:      Axis{Label: "latency", Log: true, Format: Duration},
		Series: []Series{{Name: "umroute", Points: points, Plain: true}},
	}
}

func TestGolden(t *testing.T) {
	for name, c := range map[string]Chart{"throughput": throughput(), "latency": latency()} {
		var b bytes.Buffer
		if err := c.WriteSVG(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".svg")
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestWellFormed holds that a picture is XML whatever the names are, and that
// nothing in it lies outside of it or is fetched from elsewhere.
func TestWellFormed(t *testing.T) {
	c := throughput()
	c.Series[0].Name = `a<b & "c"`
	var b bytes.Buffer
	if err := c.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(&b)
	names := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				if strings.Contains(a.Value, "://") && a.Name.Local != "xmlns" {
					t.Errorf("%s refers to %s", token.Name.Local, a.Value)
				}
			}
		case xml.CharData:
			if string(token) == c.Series[0].Name {
				names++
			}
		}
	}
	if names == 0 {
		t.Error("the name of the series is not in the picture")
	}
}

func TestLabelsKeepApart(t *testing.T) {
	c := throughput()
	for i := range c.Series { // all end at the very bottom
		c.Series[i].Points = []Point{{X: 1, Y: 100}, {X: 8, Y: 0}}
	}
	var b bytes.Buffer
	if err := c.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	var svg struct {
		Text []struct {
			Class string  `xml:"class,attr"`
			Y     float64 `xml:"y,attr"`
		} `xml:"text"`
	}
	if err := xml.Unmarshal(b.Bytes(), &svg); err != nil {
		t.Fatal(err)
	}
	last, seen := math.Inf(-1), 0
	for _, text := range svg.Text {
		if text.Class != "name" {
			continue
		}
		seen++
		if text.Y < last+lineHeight-.2 || text.Y > height {
			t.Errorf("a label at %g after one at %g", text.Y, last)
		}
		last = text.Y
	}
	if seen != len(c.Series) {
		t.Errorf("%d labels for %d series", seen, len(c.Series))
	}
}

func TestRefused(t *testing.T) {
	point := func(x, y float64) []Series {
		return []Series{{Name: "s", Points: []Point{{X: x, Y: y}}}}
	}
	for name, tt := range map[string]struct {
		chart Chart
		want  string
	}{
		"empty":    {Chart{}, "no points"},
		"NaN":      {Chart{Series: point(1, math.NaN())}, "no number"},
		"infinite": {Chart{Series: point(math.Inf(1), 1)}, "no number"},
		"log of 0": {Chart{Y: Axis{Log: true}, Series: point(1, 0)}, "logarithmic"},
		"colour":   {Chart{Series: []Series{{Colour: 8}}}, "no colour 8"},
		"too many": {Chart{Series: make([]Series, 9)}, "at most 8"},
	} {
		var b bytes.Buffer
		err := tt.chart.WriteSVG(&b)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if b.Len() > 0 {
			t.Errorf("%s: wrote %d octets of a chart that it refused", name, b.Len())
		}
	}
}

// TestSinglePoint holds that an axis without extent is drawn.
func TestSinglePoint(t *testing.T) {
	for _, log := range []bool{false, true} {
		c := Chart{X: Axis{Log: log}, Y: Axis{Log: log},
			Series: []Series{{Name: "s", Points: []Point{{X: 3, Y: 5}}}}}
		var b bytes.Buffer
		if err := c.WriteSVG(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
			t.Error(b.String())
		}
	}
}

func TestTicks(t *testing.T) {
	near := cmpopts.EquateApprox(1e-9, 0)
	for _, tt := range []struct {
		low, high float64
		want      []float64
	}{
		{0, 10, []float64{0, 2, 4, 6, 8, 10}},
		{0, 7, []float64{0, 2, 4, 6, 8}},
		{-3, 3, []float64{-4, -2, 0, 2, 4}},
		{99, 101, []float64{99, 99.5, 100, 100.5, 101}},
	} {
		if diff := cmp.Diff(tt.want, linearTicks(tt.low, tt.high, 5), near); diff != "" {
			t.Errorf("%g to %g (-want +got):\n%s", tt.low, tt.high, diff)
		}
	}
	for _, tt := range []struct {
		low, high float64
		want      []float64
	}{
		{1, 1000, []float64{1, 10, 100, 1000}},
		{3, 60, []float64{5, 10, 20, 50}},
		{3, 4, []float64{3, 4}},
	} {
		if diff := cmp.Diff(tt.want, logTicks(tt.low, tt.high, 5), near); diff != "" {
			t.Errorf("%g to %g (-want +got):\n%s", tt.low, tt.high, diff)
		}
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 12.5: "12.5", 999.9: "1k", 1500: "1.5k", 123_456: "123k",
		-2e6: "-2M", 99.99: "100", 0.25: "0.25",
	} {
		if got := Count(v); got != want {
			t.Errorf("Count(%g) = %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{
		900: "900 ns", 31_000: "31 µs", 1.5e6: "1.5 ms", 2e9: "2 s", 999_900: "1 ms",
	} {
		if got := Duration(v); got != want {
			t.Errorf("Duration(%g) = %s, want %s", v, got, want)
		}
	}
}
