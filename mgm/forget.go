package mgm

// Forget deletes the forwarding entry of a flow, so that the flow's next packet makes
// another and everybody is asked again (RFC 2715 section 1: entries may vanish at any time).
// No alert goes out. Only the holder of its incoming interface may. It is not part of MGM,
// where an owner that wants another incoming interface releases its own and takes it again.
// The errors are ErrMFENotFound, ErrNotOwner, ErrDeregistered and ErrClosed.
func (c *Client) Forget(f Flow) error {
	m := c.manager
	m.mu.Lock()
	err := m.forgetFlow(c, f)
	m.mu.Unlock()
	if err != nil {
		e := Entry(f)
		return m.refuse(&refusal{operation: "forget", client: &c.id, entry: &e, cause: err})
	}
	return nil
}

func (m *Manager) forgetFlow(c *Client, f Flow) error {
	if err := m.usable(c); err != nil {
		return err
	}
	entry := m.live(f, m.now())
	switch {
	case entry == nil:
		return ErrMFENotFound
	case entry.in.holder() != c:
		return ErrNotOwner
	}
	m.remove(entry)
	return nil
}

// ForgetAll deletes all forwarding entries, as the end of their timeouts would: nobody is
// told, and the next packets have them made anew. MGM has no such function; it is for an
// operator who wants to see the entries made again.
func (m *Manager) ForgetAll() {
	for e := range m.MFEs() {
		m.mu.Lock()
		if entry := m.live(e.Flow, m.now()); entry != nil && !m.closed.Load() {
			m.remove(entry)
		}
		m.mu.Unlock()
	}
}
