//go:build race

package router_test

// slowdown is what the race detector costs, generously.
const slowdown = 10
