// Package chart draws lines with intervals as SVG: what a benchmark's report
// shows. A picture carries its own light and dark colours, follows the reader's
// choice between them, and needs nothing from outside itself.
package chart
