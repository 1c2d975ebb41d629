package mgm

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// The four general errors are MGM's result codes. Every error of this package wraps one of
// them, so errors.Is(err, ErrInvalidParameter) is the test that C code makes.
var (
	ErrAlreadyExists    = errors.New("mgm: already exists")    // ERROR_ALREADY_EXISTS
	ErrCannotComplete   = errors.New("mgm: cannot complete")   // ERROR_CAN_NOT_COMPLETE
	ErrInvalidParameter = errors.New("mgm: invalid parameter") // ERROR_INVALID_PARAMETER
	ErrNotFound         = errors.New("mgm: not found")         // ERROR_NOT_FOUND
)

// The specific errors say more than MGM does.
var (
	// ErrClientExists: a client with this ClientID is registered (event 50011).
	ErrClientExists = fmt.Errorf("%w: client already registered", ErrAlreadyExists)
	// ErrInterfaceOwned: the interface has an owner, the caller perhaps (events 50014, 50016).
	ErrInterfaceOwned = fmt.Errorf("%w: interface already owned", ErrAlreadyExists)
	// ErrInterfacesHeld: a client must release its interfaces before it deregisters (event
	// 50013).
	ErrInterfacesHeld = fmt.Errorf("%w: client still holds interfaces", ErrCannotComplete)
	// ErrSuspended: the interface is between DisableMembership and EnableMembership. There is
	// no need to try again, as everything is to be added again after Enable.
	ErrSuspended = fmt.Errorf("%w: interface ownership is changing", ErrCannotComplete)
	// ErrClosed: the manager has been closed.
	ErrClosed = fmt.Errorf("%w: manager stopped", ErrCannotComplete)
	// ErrDeregistered: the client has deregistered (MGM's bad handle, event 50019).
	ErrDeregistered = fmt.Errorf("%w: client deregistered", ErrInvalidParameter)
	// ErrNotOwner: the interface is another client's.
	ErrNotOwner = fmt.Errorf("%w: interface owned by another client", ErrInvalidParameter)
	// ErrInterfaceNotFound: no client has taken the interface (event 50015).
	ErrInterfaceNotFound = fmt.Errorf("%w: interface", ErrNotFound)
	// ErrMFENotFound: there is no forwarding entry for the flow.
	ErrMFENotFound = fmt.Errorf("%w: forwarding entry", ErrNotFound)
)

// errInterfaceUnknown is ErrNotOwner for an interface that nobody has taken.
var errInterfaceUnknown = fmt.Errorf("%w, or unknown", ErrNotOwner)

// refusal is the error of a call: what was asked, of what, and why not. It is formatted
// only when somebody reads it.
type refusal struct {
	operation string
	client    *ClientID
	entry     *Entry
	iface     *Iface
	cause     error
}

// Error names the operation and what it was about.
func (r *refusal) Error() string {
	text := r.cause.Error() + ": " + r.operation
	if r.client != nil {
		text += fmt.Sprintf(" by client %d/%d", r.client.Protocol, r.client.Component)
	}
	if r.entry != nil {
		text += ", entry " + formatEntry(*r.entry)
	}
	if r.iface != nil {
		text += ", interface " + formatIface(*r.iface)
	}
	return text
}

// Unwrap gives the sentinel.
func (r *refusal) Unwrap() error { return r.cause }

func formatEntry(e Entry) string { return "(" + star(e.Source) + "," + star(e.Group) + ")" }

func star(a netip.Addr) string {
	if !a.IsValid() {
		return "*"
	}
	return a.String()
}

func formatIface(i Iface) string {
	text := strconv.FormatUint(uint64(i.Index), 10)
	if i.NextHop.IsValid() {
		text += " towards " + i.NextHop.String()
	}
	return text
}
