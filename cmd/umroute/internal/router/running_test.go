package router_test

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
	"umroute/cmd/umroute/internal/router"
)

// running is a router that serves in this process.
type running struct {
	t      testing.TB
	router *router.Router
	cancel context.CancelFunc
	ended  chan error
	next   atomic.Pointer[config.Config] // what a reload reads
}

// startRouter runs a router with the YAML of its interfaces, until the test
// ends or stop is called.
func startRouter(t testing.TB, yaml string) *running {
	t.Helper()
	settings, err := config.Parse("test", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	ctx, cancel := context.WithCancel(context.Background())
	p := &running{t: t, cancel: cancel, ended: make(chan error, 1)}
	p.next.Store(settings)
	p.router, err = router.New(settings, router.Options{Logger: log,
		Load: func() (*config.Config, error) { return p.next.Load(), nil }})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() { p.ended <- p.router.Serve(ctx, nil, func() { close(ready) }) }()
	t.Cleanup(p.stop)
	<-ready
	return p
}

// stop ends the router. Its devices are closed then.
func (p *running) stop() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	p.cancel = nil
	if err := <-p.ended; err != nil {
		p.t.Error(err)
	}
}

// groups are those that hosts behind an interface asked for.
func (p *running) groups(name string) map[netip.Addr]control.Group {
	p.t.Helper()
	all, err := p.router.Groups(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	found := make(map[netip.Addr]control.Group)
	for _, g := range all {
		if g.Interface == name {
			found[netip.MustParseAddr(g.Group)] = g
		}
	}
	return found
}

// group returns one of groups, or false.
func (p *running) group(name string, group netip.Addr) (control.Group, bool) {
	p.t.Helper()
	g, ok := p.groups(name)[group]
	return g, ok
}

func (p *running) awaitGroup(name string, group netip.Addr) control.Group {
	p.t.Helper()
	var g control.Group
	eventually(p.t, "group "+group.String()+" on "+name, func() (ok bool) {
		g, ok = p.group(name, group)
		return ok
	})
	return g
}

// outputs are the interfaces to which a flow goes, nil if there is no entry.
func (p *running) outputs(source, group netip.Addr) []string {
	for _, r := range p.router.Routes() {
		if r.Source != source.String() || r.Group != group.String() {
			continue
		}
		names := []string{}
		for _, oif := range r.OIFs {
			names = append(names, oif.Interface)
		}
		return names
	}
	return nil
}

// igmp returns what an interface tells of IGMP.
func (p *running) igmp(name string) control.Querying {
	p.t.Helper()
	all, err := p.router.Interfaces(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, i := range all {
		if i.Name == name {
			return i.IGMP
		}
	}
	p.t.Fatalf("no interface %s", name)
	return control.Querying{}
}
