// Package flood loads a router as much as it can bear, and accounts for every
// datagram at every receiver.
//
// In a closed loop the source stays at most a window ahead of the slowest sink,
// so that nothing is lost for want of room and no work goes into datagrams that
// are dropped later: the rate is the highest without loss (RFC 3918 section
// 4.3). At a given rate it is the latency that counts.
//
// One thread sends and one receives, both in this process and both as cheap as
// can be: they share the machine with the router that is measured. Datagrams
// are those of package load, whose Sender and Receiver are for traffic between
// programs that do not know each other.
package flood
