// Package host makes a [umroute/tun.Device] of a network device of the host
// that the router runs on, without any privilege: what comes in is received by
// ordinary UDP sockets that have joined groups there, what goes out is sent by
// ordinary UDP sockets.
//
// A socket receives the one port that it is bound to, so the ports that matter
// have to be named. Each group and port has a socket of its own, bound to the
// group's address: it takes no datagram from the host's programs, neither
// unicast nor multicast, and gets none of theirs. The IP and UDP headers are
// built anew, with the source, port, TTL and type of service that the kernel
// tells; fragments are put together by the kernel, and checksums are right.
//
// What is sent has the host's address as its source. Its port, TTL and type of
// service stay. The host's own programs hear it too, and what comes back that
// way is dropped.
package host
