package proxy

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// RFC 9776 section 4.2.16: what does not fit into one report.
func TestLargeReports(t *testing.T) {
	l := newHostLab(t, HostConfig{MTU: 576})
	for i := range 200 {
		l.host.SetFilter(l.now, manyGroups(i), exclude())
	}
	l.host.Advance(l.now)
	records := 0
	for _, s := range l.said {
		records += strings.Count(s, "TO_EX")
	}
	if len(l.said) != 3 || records != 200 { // 68 fit
		t.Errorf("%d records in %d reports, want 200 in 3", records, len(l.said))
	}
	l.said = nil
	var sources []netip.Addr
	for i := range 300 {
		sources = append(sources, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
	}
	l.set(groupA, include(sources...))
	if n := strings.Count(strings.Join(l.said, " "), "10.1."); len(l.said) != 3 || n != 300 {
		t.Errorf("%d sources in %d reports, want 300 in 3", n, len(l.said))
	}
	l.said = nil
	l.set(groupA, exclude(sources...))
	if n := strings.Count(strings.Join(l.said, " "), "10.1."); len(l.said) != 1 || n != 134 {
		t.Errorf("%d excluded sources in %d reports, want 134 in 1", n, len(l.said))
	}
}

// Not all at once: the listeners' buffers are small.
func TestBursts(t *testing.T) {
	l := newHostLab(t, HostConfig{Version: 2})
	for i := range 1000 {
		l.host.SetFilter(l.now, manyGroups(i), exclude())
	}
	l.host.Advance(l.now)
	if len(l.said) != burst {
		t.Errorf("%d reports at once, want %d", len(l.said), burst)
	}
	l.pass(time.Second)
	if len(l.said) < 1000 {
		t.Errorf("%d reports in a second, want 1000", len(l.said))
	}
}

func TestSendErrorsAreCounted(t *testing.T) {
	l := newHostLab(t, HostConfig{})
	l.fail = errors.New("no buffer")
	l.set(groupA, exclude())
	if l.host.counters.Errors != 1 {
		t.Errorf("%d errors, want 1", l.host.counters.Errors)
	}
}
