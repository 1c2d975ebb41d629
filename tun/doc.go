// Package tun opens links to somewhere: a TUN or TAP device of this or of
// another network namespace, a descriptor that somebody else opened, or an
// in-memory pair. All of them are a [Device].
//
// [Open] makes or reuses a device, configures the namespace's side of it and
// returns a [Link]. Where this process may not enter the namespace, a
// short-lived run of the same program does it and passes the descriptor back
// (see [RunHelper]), so the router itself needs no privilege.
// [FromDescriptor] takes a descriptor that was inherited; [Send] and [Receive]
// move one over a unix socket. [Pipe] is for tests and demonstrations.
package tun
