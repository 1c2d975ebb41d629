package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/router"
)

// serviceManager is who started this process and wants to know how it does, as
// systemd does (sd_notify(3)). Where there is nobody, nothing is told.
type serviceManager struct {
	socket string
	log    *slog.Logger
}

func newServiceManager(log *slog.Logger) serviceManager {
	return serviceManager{os.Getenv("NOTIFY_SOCKET"), log}
}

// tell sends a state, of one line or several.
func (m serviceManager) tell(state string) {
	if m.socket == "" {
		return
	}
	if err := m.send(state); err != nil {
		m.log.Warn("service manager not told", "state", state, "err", err)
	}
}

func (m serviceManager) send(state string) error {
	conn, err := net.Dial("unixgram", m.socket)
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}

// reloading says that a reload begins; "READY=1" ends it.
func (m serviceManager) reloading() {
	var now unix.Timespec
	// It fails only for a clock that there is not.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	m.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}

// keepWatchdog says again and again that the router lives, as often as the
// manager asks (sd_watchdog_enabled(3)), until ctx ends. A router whose control
// loop hangs is silent, and is started again.
func (m serviceManager) keepWatchdog(ctx context.Context, r *router.Router) {
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	pid := os.Getenv("WATCHDOG_PID")
	if err != nil || usec <= 0 || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return
	}
	period := time.Duration(usec) * time.Microsecond / 2
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		answer, cancel := context.WithTimeout(ctx, period)
		if r.Alive(answer) {
			m.tell("WATCHDOG=1")
		}
		cancel()
	}
}
