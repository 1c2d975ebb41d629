package witness

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"umroute/bench/flood"
)

const said = `------------------------------------------------------------
Server listening on UDP port 5001
Joining multicast (*,G)=*,239.7.0.1 w/iface mc0
------------------------------------------------------------
[  1] local 239.7.0.1 port 5001 connected with 10.200.0.2 port 44122
[ ID] Interval       Transfer     Bandwidth        Jitter   Lost/Total Datagrams
[  1] 0.0000-1.0000 sec   501 KBytes  4.10 Mbits/sec   0.018 ms 1/1003 (0.1%)
[  1] 0.0000-1.5000 sec   501 KBytes  4.10 Mbits/sec   0.018 ms 5/ 5006 (0.1%)
`

// TestParse takes the last of two reports.
func TestParse(t *testing.T) {
	want := Report{Elapsed: 1500 * time.Millisecond,
		Report: flood.Report{Sent: 5006, Expected: 5006, Delivered: 5001, Lost: 5}}
	got, err := parse(said)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, text := range []string{"", said[:200],
		"[  1] 0.0000-1.0 sec  1 KBytes  4 Mbits/sec  0.01 ms 7/5 (140%)",
		"[  1] 1.0-1.0 sec  1 KBytes  4 Mbits/sec  0.01 ms 1/5 (20%)"} {
		if r, err := parse(text); err == nil {
			t.Errorf("read %+v from %q", r, text)
		}
	}
}
