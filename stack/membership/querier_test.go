package membership

import (
	"net/netip"
	"testing"
	"time"
)

// scripts of one family, interface settings as the test says.
type script struct {
	name   string
	family Family
	config func(*InterfaceConfig)
	script string
}

func playAll(t *testing.T, scripts []script) {
	t.Helper()
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) {
			config := defaults(s.family)
			if s.config != nil {
				s.config(&config)
			}
			newBench(t, s.family, config).play(s.script)
		})
	}
}

// RFC 9776 section 6.6.2, 8.6, 8.7: startup, then periodic general queries.
func TestGeneralQueries(t *testing.T) {
	playAll(t, []script{
		{name: "IGMPv3", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			@31.25s query v3 * max=10s qrv=2 qqi=2m5s
			@2m36.25s query v3 * max=10s qrv=2 qqi=2m5s
			@4m41.25s query v3 * max=10s qrv=2 qqi=2m5s
			> 5m0s end`},
		{name: "MLDv2", family: MLD, script: `
			> 0s add
			@0s query v2 * max=10s qrv=2 qqi=2m5s
			@31.25s query v2 * max=10s qrv=2 qqi=2m5s
			@2m36.25s query v2 * max=10s qrv=2 qqi=2m5s
			> 4m0s end`},
		{name: "IGMPv2", config: func(c *InterfaceConfig) { c.Version = 2 }, script: `
			> 0s add
			@0s query v2 * max=10s qrv=0 qqi=0s
			@31.25s query v2 * max=10s qrv=0 qqi=0s
			> 1m0s end`},
		{name: "IGMPv1", config: func(c *InterfaceConfig) { c.Version = 1 }, script: `
			> 0s add
			@0s query v1 * max=10s qrv=0 qqi=0s
			@31.25s query v1 * max=10s qrv=0 qqi=0s
			> 1m0s end`},
		{name: "MLDv1", family: MLD, config: func(c *InterfaceConfig) { c.Version = 1 }, script: `
			> 0s add
			@0s query v1 * max=10s qrv=0 qqi=0s
			@31.25s query v1 * max=10s qrv=0 qqi=0s
			> 1m0s end`},
		{name: "own intervals", config: func(c *InterfaceConfig) {
			c.QueryInterval = 20 * time.Second
			c.QueryResponseInterval = 4 * time.Second
			c.StartupResponseInterval = time.Second
			c.StartupQueryCount = 3
			c.Robustness = 8
		}, script: `
			> 0s add
			@0s query v3 * max=1s qrv=0 qqi=20s
			@5s query v3 * max=1s qrv=0 qqi=20s
			@10s query v3 * max=1s qrv=0 qqi=20s
			@30s query v3 * max=4s qrv=0 qqi=20s
			> 31s end`},
		{name: "without address", config: func(c *InterfaceConfig) { c.Address = netip.Addr{} },
			script: `
			> 0s add
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			@4m21s delete *,239.1.1.1
			> 5m0s end`},
		{name: "MLD without address", family: MLD,
			config: func(c *InterfaceConfig) { c.Address = netip.Addr{} }, script: `
			> 0s add
			> 1s :: TO_EX ff1e::1
			@1s add *,ff1e::1
			> 2s fe80::9 TO_IN ff1e::1
			@4m21s delete *,ff1e::1
			> 5m0s end`},
		{name: "link down and up", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s down
			> 3s 10.0.1.9 TO_IN 239.1.1.1
			> 1m0s up
			@1m0s query v3 * max=10s qrv=2 qqi=2m5s
			@1m31.25s query v3 * max=10s qrv=2 qqi=2m5s
			> 1m40s up
			@1m40s query v3 * max=10s qrv=2 qqi=2m5s
			> 1m41s end`},
		{name: "state ages while the link is down", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s down
			@4m21s delete *,239.1.1.1
			> 10m0s end`},
	})
}

// RFC 9776 section 6.6.2, RFC 9777 section 7.6.2.
func TestElection(t *testing.T) {
	playAll(t, []script{
		{name: "a lower address wins, and is missed after 255 s", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 10s 10.0.1.1 query *
			@4m25s query v3 * max=10s qrv=2 qqi=2m5s
			@6m30s query v3 * max=10s qrv=2 qqi=2m5s
			> 7m0s end`},
		{name: "MLD", family: MLD, script: `
			> 0s add
			@0s query v2 * max=10s qrv=2 qqi=2m5s
			> 10s fe80::1 query *
			@4m25s query v2 * max=10s qrv=2 qqi=2m5s
			> 5m0s end`},
		{name: "each query prolongs its time", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 10s 10.0.1.1 query *
			> 3m0s 10.0.1.1 query *
			@7m15s query v3 * max=10s qrv=2 qqi=2m5s
			> 8m0s end`},
		{name: "a higher address loses", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 10s 10.0.1.3 query *
			@31.25s query v3 * max=10s qrv=2 qqi=2m5s
			> 1m0s end`},
		{name: "0.0.0.0 does not take part", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 10s 0.0.0.0 query *
			@31.25s query v3 * max=10s qrv=2 qqi=2m5s
			> 1m0s end`},
		{name: "another subnet does not take part", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 10s 10.0.0.1 query *
			@31.25s query v3 * max=10s qrv=2 qqi=2m5s
			> 1m0s end`},
		{name: "values of the querier, section 4.1", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 10s 10.0.1.1 query,qrv=3,qqi=20s *
			> 11s 10.0.1.9 TO_EX 239.1.1.1
			@11s add *,239.1.1.1
			@1m15s query v3 * max=10s qrv=2 qqi=2m5s
			@1m21s delete *,239.1.1.1
			> 1m30s end`},
	})
}

func TestElectedQuerier(t *testing.T) {
	config := defaults(IGMP)
	config.Address = addr("10.0.1.9")
	b := newBench(t, IGMP, config)
	b.do([]string{"add"})
	hear := func(at time.Duration, from string, qqi time.Duration) {
		b.advance(start.Add(at))
		b.hearQuery(addr(from), query{Version: 3, Robustness: 2, Interval: qqi,
			MaxResponse: 10 * time.Second})
	}
	expect := func(querier string, interval time.Duration, changes uint64) {
		t.Helper()
		s := b.status()
		if s.Querier != addr(querier) || s.IsQuerier != (querier == "10.0.1.9") ||
			s.QueryInterval != interval || s.Counters.QuerierChanges != changes {
			t.Errorf("at %s: %+v", b.now.Sub(start), s)
		}
	}
	expect("10.0.1.9", 125*time.Second, 0)
	hear(10*time.Second, "10.0.1.5", 100*time.Second)
	expect("10.0.1.5", 100*time.Second, 1)
	hear(20*time.Second, "10.0.1.3", 60*time.Second)
	expect("10.0.1.3", 60*time.Second, 2)
	// 10.0.1.5 has not heard of it yet: the querier stays.
	hear(30*time.Second, "10.0.1.5", 100*time.Second)
	expect("10.0.1.3", 60*time.Second, 2)
	// 10.0.1.3 is gone since 20 s + 125 s, and 10.0.1.5 took over.
	hear(150*time.Second, "10.0.1.5", 100*time.Second)
	expect("10.0.1.5", 100*time.Second, 3)
	b.advance(start.Add(150*time.Second + 204*time.Second))
	expect("10.0.1.5", 100*time.Second, 3)
	b.advance(start.Add(150*time.Second + 205*time.Second))
	expect("10.0.1.9", 125*time.Second, 3)
}

// RFC 9776 section 6.6.1: queries of the querier lower the timers of others,
// unless the S flag is set.
func TestNonQuerier(t *testing.T) {
	playAll(t, []script{
		{name: "group-specific query", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 1s 10.0.1.1 query *
			> 2s 10.0.1.9 TO_EX 239.1.1.1
			@2s add *,239.1.1.1
			> 10s 10.0.1.9 TO_IN 239.1.1.1
			> 11s 10.0.1.1 query,max=3s,S 239.1.1.1
			> 20s 10.0.1.1 query,max=3s 239.1.1.1
			@26s delete *,239.1.1.1
			> 1m0s end`},
		{name: "group-and-source-specific query", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 1s 10.0.1.1 query *
			> 2s 10.0.1.9 ALLOW 232.1.1.1 10.9.0.1 10.9.0.2
			@2s add 10.9.0.1,232.1.1.1
			@2s add 10.9.0.2,232.1.1.1
			> 10s 10.0.1.9 BLOCK 232.1.1.1 10.9.0.1
			> 11s 10.0.1.1 query,max=1s,S 232.1.1.1 10.9.0.1
			> 12s 10.0.1.1 query,max=1s 232.1.1.1 10.9.0.1
			@14s delete 10.9.0.1,232.1.1.1
			> 1m0s end`},
		{name: "a router that lost has no say", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 2s 10.0.1.9 TO_EX 239.1.1.1
			@2s add *,239.1.1.1
			> 3s 10.0.1.7 query,max=100ms 239.1.1.1
			@31.25s query v3 * max=10s qrv=2 qqi=2m5s
			> 1m0s end`},
	})
}

func TestUpdateInterface(t *testing.T) {
	playAll(t, []script{
		{name: "a shorter interval is not waited for", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			@31.25s query v3 * max=10s qrv=2 qqi=2m5s
			> 40s update interval=20s
			@1m0s query v3 * max=10s qrv=2 qqi=20s
			@1m20s query v3 * max=10s qrv=2 qqi=20s
			> 1m21s end`},
		{name: "shorter timers are not missed", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s update interval=20s response=2s
			@22s query v3 * max=2s qrv=2 qqi=20s
			> 30s 10.0.1.9 IS_EX 239.1.1.1
			@42s query v3 * max=2s qrv=2 qqi=20s
			@1m2s query v3 * max=2s qrv=2 qqi=20s
			@1m12s delete *,239.1.1.1
			> 1m13s end`},
		{name: "an address arrives, changes, goes",
			config: func(c *InterfaceConfig) { c.Address = netip.Addr{} }, script: `
			> 0s add
			> 5s update address=10.0.1.2
			@5s query v3 * max=10s qrv=2 qqi=2m5s
			> 6s update address=10.0.1.7
			@6s query v3 * max=10s qrv=2 qqi=2m5s
			> 7s update address=
			> 5m0s end`},
		{name: "a new address above that of the querier", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 5s 10.0.1.1 query *
			> 6s update address=10.0.1.7
			@4m20s query v3 * max=10s qrv=2 qqi=2m5s
			> 4m30s end`},
		{name: "groups that are not allowed any more", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 1s 10.0.1.9 TO_EX 239.2.1.1
			@1s add *,239.2.1.1
			> 2s update allow=239.2.0.0/16
			@2s delete *,239.1.1.1
			> 3s 10.0.1.9 IS_EX 239.1.1.1
			> 10s end`},
		{name: "an older version", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 1s update version=2
			@31.25s query v2 * max=10s qrv=0 qqi=0s
			> 1m0s end`},
	})
}

// A general query is not sent twice because Advance came late.
func TestLateAdvance(t *testing.T) {
	b := newBench(t, IGMP, defaults(IGMP))
	b.do([]string{"add"})
	b.now = start.Add(time.Hour)
	b.router.Advance(b.now)
	b.play(`
		@0s query v3 * max=10s qrv=2 qqi=2m5s
		@1h0m0s query v3 * max=10s qrv=2 qqi=2m5s
		@1h2m5s query v3 * max=10s qrv=2 qqi=2m5s
		> 1h3m0s end`)
}

// A query that waits when the version is lowered must not go out in a form
// that the older version does not have.
func TestOlderVersionDropsQueries(t *testing.T) {
	playAll(t, []script{{name: "sources", config: quiet, script: firstQuery + `
		> 1s 10.0.1.9 ALLOW 239.1.1.1 10.9.0.1
		@1s add 10.9.0.1,239.1.1.1
		> 2s 10.0.1.9 BLOCK 239.1.1.1 10.9.0.1
		@2s query v3 239.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=59m44s
		> 2.5s update version=2
		@4s delete 10.9.0.1,239.1.1.1
		> 5s end`}})
}
