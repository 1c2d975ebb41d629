// Package result holds what a benchmark measured: samples, their statistics,
// the table for people, and the Go benchmark format for benchstat and its kin.
package result
