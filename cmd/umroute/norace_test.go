//go:build !race

package main

// stormPackets are sent of each kind.
const stormPackets = 100_000
