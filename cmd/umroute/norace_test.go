//go:build !race

package main

// stormPackets are sent of each kind.
const stormPackets = 100_000

// raceDetector says whether it is at work.
const raceDetector = false
