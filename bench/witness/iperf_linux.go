package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"umroute/bench/flood"
	"umroute/bench/topology"
)

// Traffic is what iperf sends.
type Traffic struct {
	Group     netip.Addr
	Receivers int
	Size      int // bytes of payload
	Rate      float64
	Duration  time.Duration // a second or more; iperf counts in seconds
}

// Report is what iperf's servers say.
type Report struct {
	Report  flood.Report
	Elapsed time.Duration // by the clock of the slowest
}

// settling is how long servers have to become members before there is traffic,
// and to read what is left of it.
const settling = 500 * time.Millisecond

// Iperf runs a client in the sender's namespace and a server in that of each
// receiver. All of them end with the calling thread, which must be locked.
func Iperf(t *topology.Topology, traffic Traffic) (Report, error) {
	path, err := exec.LookPath("iperf")
	if err != nil {
		return Report{}, fmt.Errorf("iperf 2 is needed: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(),
		traffic.Duration+settling+10*time.Second)
	defer cancel()
	v6 := []string{}
	if traffic.Group.Is6() {
		v6 = []string{"-V"}
	}
	var servers []*server
	defer func() {
		for _, s := range servers {
			s.end()
		}
	}()
	for _, h := range t.Receivers()[:traffic.Receivers] {
		s, err := serve(ctx, h, path, append(v6, "-s", "-u", "-B",
			traffic.Group.String()+"%"+topology.Device, "-l", strconv.Itoa(traffic.Size)))
		if err != nil {
			return Report{}, err
		}
		servers = append(servers, s)
	}
	time.Sleep(settling)
	bits := fmt.Sprintf("%.0f", traffic.Rate*float64(traffic.Size)*8)
	client := command(ctx, path, append(v6, "-c", traffic.Group.String(), "-u", "-T",
		strconv.Itoa(flood.TTL), "-l", strconv.Itoa(traffic.Size), "-b", bits, "-t",
		fmt.Sprintf("%.0f", max(1, traffic.Duration.Seconds()))))
	var said bytes.Buffer
	client.Stdout, client.Stderr = &said, &said
	if err := t.Sender().Namespace.Start(client); err != nil {
		return Report{}, fmt.Errorf("start %s: %w", path, err)
	}
	if err := client.Wait(); err != nil {
		return Report{}, fmt.Errorf("iperf -c: %w: %s", err, lastLine(said.String()))
	}
	time.Sleep(settling) // for what is under way
	return collect(servers)
}

// collect adds up what the servers say.
func collect(servers []*server) (Report, error) {
	var all Report
	for _, s := range servers {
		one, err := s.report()
		if err != nil {
			return Report{}, err
		}
		// Each knows of the sender what it got to see.
		all.Report.Sent = max(all.Report.Sent, one.Report.Sent)
		all.Report.Delivered += one.Report.Delivered
		all.Report.Lost += one.Report.Lost
		all.Elapsed = max(all.Elapsed, one.Elapsed)
	}
	all.Report.Expected = all.Report.Sent * uint64(len(servers))
	return all, nil
}

// server is one that is running.
type server struct {
	command *exec.Cmd
	said    bytes.Buffer
	ended   chan error
}

func serve(ctx context.Context, h topology.Host, path string, args []string) (*server, error) {
	s := &server{command: command(ctx, path, args), ended: make(chan error, 1)}
	s.command.Stdout, s.command.Stderr = &s.said, &s.said
	if err := h.Namespace.Start(s.command); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	go func() { s.ended <- s.command.Wait() }()
	return s, nil
}

func command(ctx context.Context, path string, args []string) *exec.Cmd {
	c := exec.CommandContext(ctx, path, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return c
}

// end ends a server that has not ended by itself.
func (s *server) end() {
	_ = s.command.Process.Kill()
}

// report ends a server, which then says what it has heard.
func (s *server) report() (Report, error) {
	_ = s.command.Process.Signal(syscall.SIGINT)
	select {
	case <-s.ended: // its status says nothing
	case <-time.After(3 * time.Second):
		s.end()
		<-s.ended
	}
	return parse(s.said.String())
}

// reports are lines about UDP traffic that was received: the interval, jitter,
// lost and all datagrams.
var reports = regexp.MustCompile(
	`(?m)^\[ *\d+\] +([\d.]+)-([\d.]+) sec .* ms +(\d+)/ *(\d+) \(`)

// parse reads what a server said. Of several reports the last is about all.
func parse(said string) (Report, error) {
	all := reports.FindAllStringSubmatch(said, -1)
	if len(all) == 0 {
		return Report{}, fmt.Errorf("iperf -s has heard nothing: %s", lastLine(said))
	}
	f := all[len(all)-1]
	begin, err := strconv.ParseFloat(f[1], 64)
	end, err2 := strconv.ParseFloat(f[2], 64)
	lost, err3 := strconv.ParseUint(f[3], 10, 64)
	sent, err4 := strconv.ParseUint(f[4], 10, 64)
	if err := errors.Join(err, err2, err3, err4); err != nil || lost > sent || end <= begin {
		return Report{}, fmt.Errorf("iperf -s said %q", f[0])
	}
	return Report{
		Report:  flood.Report{Sent: sent, Expected: sent, Delivered: sent - lost, Lost: lost},
		Elapsed: time.Duration((end - begin) * float64(time.Second)),
	}, nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
