// Package smcroute reads what SMCRoute, the static multicast router for the
// kernel, has as its configuration: smcroute.conf(5).
package smcroute
