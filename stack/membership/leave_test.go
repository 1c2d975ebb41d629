package membership

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// quiet is the default interface without the general queries in the script.
func quiet(c *InterfaceConfig) {
	c.QueryInterval = 3584 * time.Second // which QQIC can express
	c.StartupQueryCount = 1
}

// withFastLeave is quiet, and leaves act at once.
func withFastLeave(c *InterfaceConfig) {
	quiet(c)
	c.FastLeave = true
}

const (
	firstQuery    = "> 0s add\n@0s query v3 * max=10s qrv=2 qqi=59m44s\n"
	firstQueryMLD = "> 0s add\n@0s query v2 * max=10s qrv=2 qqi=59m44s\n"
)

// RFC 9776 section 6.6.3: queries after leaves, their repetitions and S flags.
func TestLeave(t *testing.T) {
	playAll(t, []script{
		{name: "the last member of EXCLUDE leaves", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 5s 10.0.1.9 TO_IN 239.1.1.1
			@5s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			@6s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			@7s delete *,239.1.1.1
			> 1m0s end`},
		{name: "MLD", family: MLD, config: quiet, script: firstQueryMLD + `
			> 1s fe80::9 TO_EX ff1e::1
			@1s add *,ff1e::1
			> 5s fe80::9 TO_IN ff1e::1
			@5s query v2 ff1e::1 max=1s qrv=2 qqi=59m44s
			@6s query v2 ff1e::1 max=1s qrv=2 qqi=59m44s
			@7s delete *,ff1e::1
			> 1m0s end`},
		{name: "the leave is repeated, as hosts do", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 5s 10.0.1.9 TO_IN 239.1.1.1
			@5s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			> 5.5s 10.0.1.9 TO_IN 239.1.1.1
			@6s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			@7s delete *,239.1.1.1
			> 1m0s end`},
		{name: "another member answers: S in the repetition", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 5s 10.0.1.9 TO_IN 239.1.1.1
			@5s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			> 5.5s 10.0.1.8 IS_EX 239.1.1.1
			@6s query v3 239.1.1.1 S max=1s qrv=2 qqi=59m44s
			> 1m0s end`},
		{name: "own counts and intervals", config: func(c *InterfaceConfig) {
			quiet(c)
			c.LastMemberQueryCount = 3
			c.LastMemberQueryInterval = 500 * time.Millisecond
		}, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 5s 10.0.1.9 TO_IN 239.1.1.1
			@5s query v3 239.1.1.1 max=500ms qrv=2 qqi=59m44s
			@5.5s query v3 239.1.1.1 max=500ms qrv=2 qqi=59m44s
			@6s query v3 239.1.1.1 max=500ms qrv=2 qqi=59m44s
			@6.5s delete *,239.1.1.1
			> 1m0s end`},
		{name: "a count of one", config: func(c *InterfaceConfig) {
			quiet(c)
			c.LastMemberQueryCount = 1
		}, script: firstQuery + `
			> 1s 10.0.1.9 ALLOW 239.1.1.1 10.9.0.1
			@1s add 10.9.0.1,239.1.1.1
			> 5s 10.0.1.9 BLOCK 239.1.1.1 10.9.0.1
			@5s query v3 239.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=59m44s
			@6s delete 10.9.0.1,239.1.1.1
			> 1m0s end`},
		{name: "sources: two queries, with S and without", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 ALLOW 232.1.1.1 10.9.0.1 10.9.0.2
			@1s add 10.9.0.1,232.1.1.1
			@1s add 10.9.0.2,232.1.1.1
			> 5s 10.0.1.9 BLOCK 232.1.1.1 10.9.0.1 10.9.0.2
			@5s query v3 232.1.1.1 [10.9.0.1 10.9.0.2] max=1s qrv=2 qqi=59m44s
			> 5.5s 10.0.1.8 IS_IN 232.1.1.1 10.9.0.1
			@6s query v3 232.1.1.1 [10.9.0.1] S max=1s qrv=2 qqi=59m44s
			@6s query v3 232.1.1.1 [10.9.0.2] max=1s qrv=2 qqi=59m44s
			@7s delete 10.9.0.2,232.1.1.1
			> 1m0s end`},
		{name: "sources that follow join the repetition", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 ALLOW 232.1.1.1 10.9.0.1 10.9.0.2
			@1s add 10.9.0.1,232.1.1.1
			@1s add 10.9.0.2,232.1.1.1
			> 5s 10.0.1.9 BLOCK 232.1.1.1 10.9.0.1
			@5s query v3 232.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=59m44s
			> 5.5s 10.0.1.9 BLOCK 232.1.1.1 10.9.0.2
			@5.5s query v3 232.1.1.1 [10.9.0.1 10.9.0.2] max=1s qrv=2 qqi=59m44s
			@6.5s query v3 232.1.1.1 [10.9.0.2] max=1s qrv=2 qqi=59m44s
			@7s delete 10.9.0.1,232.1.1.1
			@7.5s delete 10.9.0.2,232.1.1.1
			> 1m0s end`},
		{name: "EXCLUDE blocks a source, and lets it in again", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 5s 10.0.1.9 BLOCK 239.1.1.1 10.9.0.1
			@5s query v3 239.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=59m44s
			@6s query v3 239.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=59m44s
			@7s add exclude 10.9.0.1,239.1.1.1
			> 9s 10.0.1.9 ALLOW 239.1.1.1 10.9.0.1
			@9s delete exclude 10.9.0.1,239.1.1.1
			> 10s end`},
		{name: "join with excluded sources: they never leak", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1 10.9.0.1 10.9.0.2
			@1s add exclude 10.9.0.1,239.1.1.1
			@1s add exclude 10.9.0.2,239.1.1.1
			@1s add *,239.1.1.1
			> 10s end`},
		{name: "section 6.5: EXCLUDE becomes INCLUDE", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1 10.9.0.1
			@1s add exclude 10.9.0.1,239.1.1.1
			@1s add *,239.1.1.1
			> 2s 10.0.1.9 TO_IN 239.1.1.1 10.9.0.2
			@2s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			@3s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			@4s add 10.9.0.2,239.1.1.1
			@4s delete *,239.1.1.1
			@4s delete exclude 10.9.0.1,239.1.1.1
			> 10s end`},
		{name: "silence", script: `
			> 0s add
			@0s query v3 * max=10s qrv=2 qqi=2m5s
			> 1s 10.0.1.9 ALLOW 239.1.1.1 10.9.0.1
			@1s add 10.9.0.1,239.1.1.1
			@31.25s query v3 * max=10s qrv=2 qqi=2m5s
			@2m36.25s query v3 * max=10s qrv=2 qqi=2m5s
			@4m21s delete 10.9.0.1,239.1.1.1
			> 4m22s end`},
		{name: "a link that is down is not asked", config: quiet, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s 10.0.1.9 TO_IN 239.1.1.1
			@2s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			> 2.5s down
			@4s delete *,239.1.1.1
			> 10s end`},
		{name: "IGMPv2 querier", config: func(c *InterfaceConfig) {
			quiet(c)
			c.Version = 2
		}, script: `
			> 0s add
			@0s query v2 * max=10s qrv=0 qqi=0s
			> 1s 10.0.1.9 v2 239.1.1.1
			@1s add *,239.1.1.1
			> 5s 10.0.1.9 leave 239.1.1.1
			@5s query v2 239.1.1.1 max=1s qrv=0 qqi=0s
			@6s query v2 239.1.1.1 max=1s qrv=0 qqi=0s
			@7s delete *,239.1.1.1
			> 10s end`},
		{name: "IGMPv1 querier: no leave, no such query", config: func(c *InterfaceConfig) {
			quiet(c)
			c.Version = 1
		}, script: `
			> 0s add
			@0s query v1 * max=10s qrv=0 qqi=0s
			> 1s 10.0.1.9 v1 239.1.1.1
			@1s add *,239.1.1.1
			> 5s 10.0.1.9 leave 239.1.1.1
			@59m44s query v1 * max=10s qrv=0 qqi=0s
			@1h59m28s query v1 * max=10s qrv=0 qqi=0s
			@1h59m39s delete *,239.1.1.1
			> 1h59m40s end`},
	})
}

// RFC 9776 section 6.6.3: sources that do not fit one query get several.
func TestQuerySplit(t *testing.T) {
	for _, tt := range []struct {
		family      Family
		host, group string
		prefix      string
		mtu, count  int
		want        []string
	}{
		{IGMP, "10.0.1.9", "232.1.1.1", "10.9.0.0", 0, 500,
			[]string{"(366 sources)", "(134 sources)"}},
		{IGMP, "10.0.1.9", "232.1.1.1", "10.9.0.0", 576, 150,
			[]string{"(135 sources)", "(15 sources)"}},
		{MLD, "fe80::9", "ff3e::8000:1", "2001:db8::", 0, 200,
			[]string{"(89 sources)", "(89 sources)", "(22 sources)"}},
		{MLD, "fe80::9", "ff3e::8000:1", "2001:db8::", 1280, 100,
			[]string{"(75 sources)", "(25 sources)"}},
	} {
		t.Run(fmt.Sprint(tt.family, " mtu ", tt.mtu), func(t *testing.T) {
			config := defaults(tt.family)
			quiet(&config)
			config.MTU = tt.mtu
			b := newBench(t, tt.family, config)
			b.do([]string{"add"})
			var sources []string
			for a := addr(tt.prefix).Next(); len(sources) < tt.count; a = a.Next() {
				sources = append(sources, a.String())
			}
			b.do(append([]string{tt.host, "ALLOW", tt.group}, sources...))
			b.lines = nil
			b.do(append([]string{tt.host, "BLOCK", tt.group}, sources...))
			if len(b.lines) != len(tt.want) {
				t.Fatalf("queries %q", b.lines)
			}
			for i, want := range tt.want {
				if !strings.Contains(b.lines[i], want) {
					t.Errorf("query %q, want %s", b.lines[i], want)
				}
			}
		})
	}
}

// Explicit tracking: the last leave acts at once, the one before it does not.
func TestFastLeave(t *testing.T) {
	playAll(t, []script{
		{name: "the only host", config: withFastLeave, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 5s 10.0.1.9 TO_IN 239.1.1.1
			@5s delete *,239.1.1.1
			> 10s end`},
		{name: "IGMPv2", config: withFastLeave, script: firstQuery + `
			> 1s 10.0.1.9 v2 239.1.1.1
			@1s add *,239.1.1.1
			> 5s 10.0.1.9 leave 239.1.1.1
			@5s delete *,239.1.1.1
			> 10s end`},
		{name: "MLDv1", family: MLD, config: withFastLeave, script: firstQueryMLD + `
			> 1s fe80::9 v1 ff1e::1
			@1s add *,ff1e::1
			> 5s fe80::9 leave ff1e::1
			@5s delete *,ff1e::1
			> 10s end`},
		{name: "two hosts", config: withFastLeave, script: firstQuery + `
			> 1s 10.0.1.8 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s 10.0.1.9 TO_EX 239.1.1.1
			> 5s 10.0.1.8 TO_IN 239.1.1.1
			@5s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			> 5.1s 10.0.1.9 IS_EX 239.1.1.1
			@6s query v3 239.1.1.1 S max=1s qrv=2 qqi=59m44s
			> 8s 10.0.1.9 TO_IN 239.1.1.1
			@8s delete *,239.1.1.1
			> 10s end`},
		{name: "a source", config: withFastLeave, script: firstQuery + `
			> 1s 10.0.1.8 ALLOW 232.1.1.1 10.9.0.1 10.9.0.2
			@1s add 10.9.0.1,232.1.1.1
			@1s add 10.9.0.2,232.1.1.1
			> 2s 10.0.1.9 ALLOW 232.1.1.1 10.9.0.1
			> 3s 10.0.1.8 BLOCK 232.1.1.1 10.9.0.2
			@3s delete 10.9.0.2,232.1.1.1
			> 4s 10.0.1.9 BLOCK 232.1.1.1 10.9.0.1
			@4s query v3 232.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=59m44s
			> 4.1s 10.0.1.8 IS_IN 232.1.1.1 10.9.0.1
			@5s query v3 232.1.1.1 [10.9.0.1] S max=1s qrv=2 qqi=59m44s
			> 6s 10.0.1.8 TO_IN 232.1.1.1
			@6s delete 10.9.0.1,232.1.1.1
			> 10s end`},
		{name: "EXCLUDE with a new block", config: withFastLeave, script: firstQuery + `
			> 1s 10.0.1.9 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s 10.0.1.9 BLOCK 239.1.1.1 10.9.0.1
			@2s add exclude 10.9.0.1,239.1.1.1
			> 3s 10.0.1.9 TO_IN 239.1.1.1 10.9.0.2
			@3s add 10.9.0.2,239.1.1.1
			@3s delete *,239.1.1.1
			@3s delete exclude 10.9.0.1,239.1.1.1
			> 4s 10.0.1.9 TO_EX 239.1.1.1 10.9.0.2
			@4s add exclude 10.9.0.2,239.1.1.1
			@4s add *,239.1.1.1
			@4s delete 10.9.0.2,239.1.1.1
			> 5s end`},
		{name: "a host in EXCLUDE answers for sources and still wants the group",
			config: withFastLeave, script: firstQuery + `
			> 1s 10.0.1.8 TO_EX 239.1.1.1
			@1s add *,239.1.1.1
			> 2s 10.0.1.9 TO_EX 239.1.1.1
			> 3s 10.0.1.9 BLOCK 239.1.1.1 10.9.0.1
			@3s query v3 239.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=59m44s
			> 3.1s 10.0.1.8 IS_IN 239.1.1.1 10.9.0.1
			@4s query v3 239.1.1.1 [10.9.0.1] S max=1s qrv=2 qqi=59m44s
			> 5s 10.0.1.9 TO_IN 239.1.1.1
			@5s query v3 239.1.1.1 max=1s qrv=2 qqi=59m44s
			@5s query v3 239.1.1.1 [10.9.0.1] max=1s qrv=2 qqi=59m44s
			> 5.1s 10.0.1.8 IS_EX 239.1.1.1
			@6s query v3 239.1.1.1 S max=1s qrv=2 qqi=59m44s
			> 10s end`},
		{name: "a host of IGMPv1 keeps the group", config: withFastLeave, script: firstQuery + `
			> 1s 10.0.1.9 v1 239.1.1.1
			@1s add *,239.1.1.1
			> 2s 10.0.1.9 leave 239.1.1.1
			> 10s end`},
	})
}
