package membership

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// RFC 9776 section 7.3.2, RFC 9777 section 8.3.2: hosts of older versions.
func TestOlderHosts(t *testing.T) {
	playAll(t, []script{
		{name: "IGMPv2 report and leave", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 v2 239.1.1.1
			@1s add *,239.1.1.1
			> 5s 10.0.1.9 leave 239.1.1.1
			@5s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			@6s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			@7s delete *,239.1.1.1
			> 10s end`},
		{name: "MLDv1 report and done", family: MLD, config: quiet, script: firstQueryMLD + `
			> 1s fe80::9 v1 ff1e::1
			@1s add *,ff1e::1
			> 5s fe80::9 leave ff1e::1
			@5s query v2 ff1e::1 max=1s qrv=2 qqi=59m44s
			@6s query v2 ff1e::1 max=1s qrv=2 qqi=59m44s
			@7s delete *,ff1e::1
			> 10s end`},
		{name: "with an IGMPv2 host, BLOCK and the sources of TO_EX are ignored",
			config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 v2 239.1.1.1
			@1s add *,239.1.1.1
			> 2s 10.0.1.8 BLOCK 239.1.1.1 10.9.0.1
			> 3s 10.0.1.8 TO_EX 239.1.1.1 10.9.0.1
			> 10s end`},
		{name: "with an IGMPv1 host, leaves are ignored", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 v1 239.1.1.1
			@1s add *,239.1.1.1
			> 2s 10.0.1.8 leave 239.1.1.1
			> 3s 10.0.1.8 TO_IN 239.1.1.1
			> 4s 10.0.1.8 BLOCK 239.1.1.1 10.9.0.1
			> 10s end`},
		{name: "the group follows its older host for 260 s", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 1s 10.0.1.9 v1 239.1.1.1
			@1s add *,239.1.1.1
			@31.25s query v3 * max=10s qrv=2 qqi=2m5s
			> 1m0s 10.0.1.8 IS_EX 239.1.1.1
			@2m36.25s query v3 * max=10s qrv=2 qqi=2m5s
			> 4m20.9s 10.0.1.8 BLOCK 239.1.1.1 10.9.0.1
			> 4m21s 10.0.1.8 BLOCK 239.1.1.1 10.9.0.1
			@4m21s query v3 239.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=2m5s
			@4m22s query v3 239.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=2m5s
			@4m23s add exclude 10.9.0.1,239.1.1.1
			> 4m24s end`},
		{name: "an interface of version 2 hears IGMPv3 as IGMPv2", config: func(c *InterfaceConfig) {
			quiet(c)
			c.Version = 2
		}, script: `
			> 0s add
			@0s query v2 * max=10s qrv=0 qqi=0s
			> 1s 10.0.1.9 TO_EX 239.1.1.1 10.9.0.1
			@1s add *,239.1.1.1
			> 2s 10.0.1.9 BLOCK 239.1.1.1 10.9.0.2
			> 3s 10.0.1.9 TO_IN 239.1.1.1
			@3s query v2 239.1.1.1 max=1s qrv=0 qqi=0s
			@4s query v2 239.1.1.1 max=1s qrv=0 qqi=0s
			@5s delete *,239.1.1.1
			> 10s end`},
	})
}

func TestCompatibilityMode(t *testing.T) {
	b := newBench(t, IGMP, defaults(IGMP))
	b.do([]string{"add"})
	expect := func(at time.Duration, want int) {
		t.Helper()
		b.advance(start.Add(at))
		if g, ok := b.group("239.1.1.1"); !ok || g.Version != want {
			t.Errorf("at %s: version %d, want %d", at, g.Version, want)
		}
	}
	b.do(strings.Fields("10.0.1.9 TO_EX 239.1.1.1"))
	expect(0, 3)
	b.do(strings.Fields("10.0.1.8 v1 239.1.1.1"))
	expect(100*time.Second, 1)
	b.do(strings.Fields("10.0.1.7 v2 239.1.1.1"))
	expect(259*time.Second, 1)
	expect(260*time.Second, 2)
	b.do(strings.Fields("10.0.1.9 IS_EX 239.1.1.1"))
	expect(360*time.Second, 3)
}

// RFC 4604 section 2.2: source-specific groups.
func TestSSM(t *testing.T) {
	playAll(t, []script{
		{name: "IGMP", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 v1 232.1.1.1
			> 1s 10.0.1.9 v2 232.1.1.1
			> 1s 10.0.1.9 TO_EX 232.1.1.1
			> 1s 10.0.1.9 IS_EX 232.1.1.1 10.9.0.1
			> 2s 10.0.1.9 ALLOW 232.1.1.1 10.9.0.1
			@2s add 10.9.0.1,232.1.1.1
			> 3s 10.0.1.9 leave 232.1.1.1
			> 3s 10.0.1.9 v2 232.1.1.1
			> 4s 10.0.1.9 TO_IN 232.1.1.1
			@4s query v3 232.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=59m44s
			@5s query v3 232.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=59m44s
			@6s delete 10.9.0.1,232.1.1.1
			> 10s end`},
		{name: "MLD", family: MLD, config: quiet, script: firstQueryMLD + `
			> 1s fe80::9 v1 ff3e::8000:1
			> 1s fe80::9 TO_EX ff3e::8000:1
			> 2s fe80::9 ALLOW ff3e::8000:1 2001:db8::1
			@2s add 2001:db8::1,ff3e::8000:1
			> 3s fe80::9 TO_EX ff3e:40:2001:db8::1
			@3s add *,ff3e:40:2001:db8::1
			> 4s end`},
	})
}

// RFC 9776 section 7.3.1: a query of another version is logged, not too often.
func TestVersionMismatchLogged(t *testing.T) {
	var log bytes.Buffer
	b := newBench(t, IGMP, defaults(IGMP))
	b.router.log = slog.New(slog.NewTextHandler(&log, nil))
	b.do([]string{"add"})
	for range 100 {
		b.hearQuery(addr("10.0.1.7"), query{Version: 2, MaxResponse: time.Second})
	}
	count := func() int { return strings.Count(log.String(), "query of another version") }
	if count() != 1 {
		t.Errorf("logged %d times:\n%s", count(), log.String())
	}
	b.advance(start.Add(warnInterval))
	b.hearQuery(addr("10.0.1.7"), query{Version: 1})
	if count() != 2 {
		t.Errorf("logged %d times after a minute", count())
	}
}

// A forged query silences the router, and is told of, once.
func TestForgedQueries(t *testing.T) {
	var log bytes.Buffer
	b := newBench(t, IGMP, defaults(IGMP))
	b.router.log = slog.New(slog.NewTextHandler(&log, nil))
	b.config.Prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}
	b.do([]string{"add"})
	for a := addr("10.0.0.255"); a != addr("10.0.0.0"); a = a.Prev() {
		b.hearQuery(a, query{Version: 3, MaxResponse: time.Second})
	}
	if n := strings.Count(log.String(), "querier changed"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	if s := b.status(); s.Counters.QuerierChanges != 255 || s.IsQuerier {
		t.Errorf("%+v", s)
	}
	b.lines = nil
	b.advance(start.Add(254 * time.Second))
	if len(b.lines) != 0 {
		t.Errorf("not silent: %q", b.lines)
	}
	b.advance(start.Add(255 * time.Second))
	if !b.status().IsQuerier || len(b.lines) != 1 {
		t.Errorf("silent for longer than the Other Querier Present interval: %q", b.lines)
	}
}
