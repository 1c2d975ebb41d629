// Package topology builds what a benchmark forwards through: a sender and
// receivers in network namespaces of their own, and what leads to them.
//
//	           ┌──────────┐     receiver 1  10.200.1.2, fd00:c8:1::2
//	sender ────┤  router  ├──── receiver 2  10.200.2.2, fd00:c8:2::2
//	10.200.0.2 └──────────┘     ...
//
// The namespaces have no names: they end with the process that made them.
package topology
