// Package control is the border between a running router and the commands
// that look at it and change it: HTTP and JSON over a unix socket. Server,
// client and the documents they exchange stand here together, so that they
// cannot drift apart.
//
// The socket lies in a directory of mode 0700, and each peer is checked by
// SO_PEERCRED: the router's own user and root may use it, nobody else.
package control
