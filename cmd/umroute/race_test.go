//go:build race

package main

// stormPackets are sent of each kind. The race detector makes each one cost
// several times as much.
const stormPackets = 10_000

// raceDetector says whether it is at work.
const raceDetector = true
