// Package bench measures what the packet path of umroute can do, side by side
// with the kernel's own multicast forwarding and a naive router.
//
// It needs no privilege: senders, routers and receivers live in network
// namespaces of a process of their own, the lab, which ends with the benchmark
// whatever happens. The engines take turns, A B C A B C, so that what else the
// machine does meets them alike, and medians are compared. One engine's figures
// alone say little on a machine that others use; their ratio does.
package bench
