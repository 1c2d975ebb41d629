// Package kernel reads the unicast routes of the network namespace that the
// process is in, and follows their changes, through rtnetlink(7).
package kernel
