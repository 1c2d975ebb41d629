// Package report makes pages of what benchmarks measured: one self-contained
// HTML file that needs no network, its plots as SVG files, and the comparison
// of two measurements with its significance.
package report
