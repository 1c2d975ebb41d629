// Package plan says what a benchmark measures: engines, which forward, and
// rows, which say what they have to forward. It runs nothing.
//
// The rows are after RFC 2432 and RFC 3918: the closed loop finds the
// aggregated multicast throughput (RFC 3918 section 4.3), the highest rate at
// which nothing is lost, and a paced row the multicast latency (section 5.1).
package plan
