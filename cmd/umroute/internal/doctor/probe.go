package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"umroute/tun"
	"umroute/tun/netns"
)

// ProbeCommand is the first argument of this program when it is to try, in
// namespaces of its own, what a router does.
const ProbeCommand = "doctor-probe"

// probeTime bounds how long trying may take. It takes milliseconds.
const probeTime = 10 * time.Second

// Try starts this program again in new namespaces and has it make a device
// there. Nothing of it stays.
func Try(ctx context.Context) Probe {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	runtime.LockOSThread() // the kernel ends the process with the thread
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", ProbeCommand)
	cmd.Args[0] = os.Args[0]
	if err := netns.Isolate(cmd, false); err != nil {
		return Probe{Namespaces: err.Error()}
	}
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		// A program that can't even be started there can't have namespaces.
		if _, ran := errors.AsType[*exec.ExitError](err); ran {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
		}
		return Probe{Namespaces: fmt.Sprintf("make a user namespace: %v", err)}
	}
	var p Probe
	if err := json.Unmarshal(out.Bytes(), &p); err != nil {
		return Probe{Namespaces: fmt.Sprintf("read the outcome: %v", err)}
	}
	return p
}

// RunProbe is the program inside of the namespaces. It writes a Probe, and gives
// the exit status.
func RunProbe(w io.Writer) int {
	p := Probe{}
	for _, mode := range []string{"", tun.IOUring} {
		link, err := tun.Open(tun.Config{Name: "probe0", IO: mode, Offload: tun.OffloadSegmentation})
		switch {
		case err != nil && mode == "":
			p.TUN = err.Error()
		case err != nil:
			p.URing = err.Error()
		default:
			if mode == "" {
				p.IO, p.Offload = link.IO(), link.Offload().String()
			}
			if err := link.Close(); err != nil {
				p.TUN = err.Error()
			}
		}
	}
	if json.NewEncoder(w).Encode(p) != nil {
		return 1
	}
	return 0
}
