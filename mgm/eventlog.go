package mgm

import "errors"

// Numbers of MGM's event log, from its pages "RRAS Routing Protocol Registration", "RRAS
// MGM Initialization" and "RRAS IGMP MGM Operation".
const (
	eventRunning            = 50004
	eventClientExists       = 50011
	eventRegistrationFailed = 50012
	eventInterfacesHeld     = 50013
	eventOwnedByCaller      = 50014
	eventInterfaceUnknown   = 50015
	eventOwnedByAnother     = 50016
	eventBadHandle          = 50019
	eventNoRIB              = 50022
)

// eventOf returns the number for a failed call, 0 if MGM does not log it.
func eventOf(r *refusal) int {
	switch {
	case errors.Is(r, ErrClientExists):
		return eventClientExists
	case r.operation == "register":
		return eventRegistrationFailed
	case errors.Is(r, ErrInterfacesHeld):
		return eventInterfacesHeld
	case errors.Is(r, ErrInterfaceOwned):
		return eventOwnedByAnother
	case errors.Is(r, ErrInterfaceNotFound), errors.Is(r, errInterfaceUnknown):
		return eventInterfaceUnknown
	case errors.Is(r, ErrDeregistered):
		return eventBadHandle
	}
	return 0
}

// refuse logs why a call fails, where MGM does, and returns the error. The mutex is not
// held.
func (m *Manager) refuse(r *refusal) error { return m.refuseAs(r, eventOf(r)) }

// refuseTaking is refuse for TakeInterface; mine says that the caller is the owner itself.
func (m *Manager) refuseTaking(r *refusal, mine bool) error {
	if mine && errors.Is(r, ErrInterfaceOwned) {
		return m.refuseAs(r, eventOwnedByCaller)
	}
	return m.refuse(r)
}

func (m *Manager) refuseAs(r *refusal, event int) error {
	if event != 0 {
		m.log.Warn("call refused", "event", event, "err", r)
	}
	return r
}

func (c *Client) refuse(operation string, err error) error {
	return c.manager.refuse(&refusal{operation: operation, client: &c.id, cause: err})
}

func (c *Client) refuseIface(operation string, i Iface, err error) error {
	return c.manager.refuse(&refusal{
		operation: operation, client: &c.id, iface: &i, cause: err,
	})
}

func (c *Client) refuseEntry(operation string, e Entry, i Iface, err error) error {
	return c.manager.refuse(&refusal{
		operation: operation, client: &c.id, entry: &e, iface: &i, cause: err,
	})
}
