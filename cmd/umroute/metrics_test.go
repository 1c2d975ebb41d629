package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"umroute/cmd/umroute/internal/control"
)

// TestMetrics asks a router with a stream for its metrics, by TCP and by the
// control socket, and has promtool judge them.
//
//	red ──mc0── router ──mc0── blue
//	sends                      joins: the delay is measured
func TestMetrics(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue")
	red, blue := stations[0], stations[1]
	address := freePort(t)
	p := startRouter(t, fmt.Sprintf("metrics: {listen: %q, flows: true}\n", address)+
		configure(stations...))
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	red.startStream(group)
	receiver := blue.receive(group)
	eventually(t, "traffic", func() bool { return receiver.Received() > 10 })
	eventually(t, "the delay of the join", func() bool {
		return show[control.Stats](p, "stats").JoinDelay.Count > 0
	})
	bySocket := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", p.socket)
		}}}
	for name, client := range map[string]*http.Client{address: {}, "umroute": bySocket} {
		text := get(t, client, "http://"+name+"/metrics")
		for _, want := range []string{
			`umroute_interface_up{interface="blue"} 1`,
			`umroute_groups{interface="blue",protocol="igmp"} 1`,
			`umroute_join_to_first_packet_seconds_bucket{le="+Inf"} 1`,
			`umroute_flow_packets_total{group="239.1.1.1",interface="red",source="10.0.1.2"}`,
			`umroute_messages_received_total{interface="blue",protocol="igmp",type="report_v3"}`,
			"go_goroutines", "process_open_fds",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: metrics lack %s", name, want)
			}
		}
		checkMetrics(t, text)
	}
	p.stop()
}

// TestMetricsPortTaken starts a router whose port for metrics is in use.
func TestMetricsPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	blue := newStations(t, "blue")[0]
	config := writeConfig(t, fmt.Sprintf("metrics: {listen: %q}\n", taken.Addr())+configure(blue))
	_, stderr, status := run(t, "run", "-c", config, "--socket", t.TempDir()+"/r.sock")
	if status != statusFailed || !strings.Contains(stderr, "metrics.listen") ||
		!strings.Contains(stderr, "address already in use") {
		t.Errorf("status %d, %s", status, stderr)
	}
	if blue.hasDevice() {
		t.Error("the device is still there")
	}
}

// freePort is a local TCP address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", url, response.Status, err, body)
	}
	return string(body)
}

// checkMetrics has promtool, where it is installed, judge metrics.
func checkMetrics(t *testing.T, text string) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("not checked by promtool, which is not installed")
		return
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v: %s", err, out)
	}
}
