package mgm

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestEventLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	if _, err := New(Config{Logger: log}); err == nil {
		t.Fatal("a manager without a RIB")
	}
	l := newLab(t, Config{Logger: log})
	for _, c := range []struct {
		event int
		call  func() error
	}{
		{eventNoRIB, nil},
		{eventClientExists, func() error {
			_, err := l.m.Register(ClientID{Protocol: 1}, RoleRouting, Callbacks{})
			return err
		}},
		{eventRegistrationFailed, func() error {
			_, err := l.m.Register(ClientID{Protocol: 7}, RoleMembership+1, Callbacks{})
			return err
		}},
		{eventInterfacesHeld, l.A.Deregister},
		{eventOwnedByCaller, func() error { return l.A.TakeInterface(if1) }},
		{eventOwnedByCaller, func() error { return l.I.TakeInterface(if2) }},
		{eventOwnedByAnother, func() error { return l.A.TakeInterface(if2) }},
		{eventInterfaceUnknown, func() error { return l.A.ReleaseInterface(if9) }},
		{eventInterfaceUnknown, func() error {
			return l.A.AddMembership(Entry{}, if9, JoinState)
		}},
		{eventBadHandle, func() error {
			d := l.register("D", 4, RoleRouting)
			l.ok(d.Deregister())
			return d.Deregister()
		}},
	} {
		var err error
		if c.call != nil {
			out.Reset()
			err = c.call()
		}
		var line struct {
			Event int
			Err   string
		}
		if e := json.Unmarshal(out.Bytes(), &line); e != nil || line.Event != c.event {
			t.Errorf("event %d, want %d (%v, %v)", line.Event, c.event, err, e)
		}
	}
}

// Errors say what was asked, and of what.
func TestErrorText(t *testing.T) {
	l := newLab(t, Config{})
	err := l.A.AddMembership(l.entry("*,G"), if2, JoinState)
	for _, part := range []string{"add membership", "client 1/0", "(*,239.1.1.1)", "interface 2"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: does not say %q", err, part)
		}
	}
	_, err = l.m.Owner(if9)
	if err == nil || !strings.HasSuffix(err.Error(), "owner, interface 9") {
		t.Errorf("%v", err)
	}
}
