//go:build !race

package router_test

// slowdown is by how much what the processor limits takes longer than usual.
const slowdown = 1
