// Package meter reads how much processor time a benchmark takes, in which part
// of it, and how much everybody else takes meanwhile.
package meter
