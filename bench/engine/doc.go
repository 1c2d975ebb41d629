// Package engine runs what a benchmark compares: umroute's own forwarder, the
// kernel's, and a naive one. Those over TUN devices are processes of their
// own, so that their processor time can be told from that of the hosts.
package engine
