// Package load sends and receives multicast test traffic: numbered,
// timestamped UDP datagrams, and the account of what became of them.
//
// A Sender numbers the datagrams of one stream without gaps, so a Receiver can
// tell loss, reordering and duplication exactly (RFC 4737, RFC 5560). Latency
// is the difference of two wall clocks: across machines it is only as good as
// their synchronisation.
//
// Sockets belong to the network namespace of the thread that makes them. A
// caller that enters another namespace locks its goroutine to its thread for
// NewSender and NewReceiver only; everything later works from anywhere.
//
// Deliberately missing: feedback from receiver to sender, and congestion
// control. This is a load, to be used on networks that are there to bear it.
package load
