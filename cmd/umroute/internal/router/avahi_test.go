package router_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// avahi is a station on which Avahi runs, with a message bus of its own.
type avahi struct {
	*station
	name string
	dir  string
	env  []string
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy></busconfig>
`

// A TUN is a point-to-point link, on which Avahi is silent unless told.
const avahiConfig = `[server]
host-name=%s
use-ipv4=%s
use-ipv6=%s
allow-interfaces=mc0
allow-point-to-point=yes
[publish]
publish-hinfo=no
publish-workstation=no
`

// startAvahi starts the daemon on a station, for one family.
func startAvahi(s *station, name string, v6 bool) *avahi {
	s.t.Helper()
	dir, err := os.MkdirTemp("", "avahi")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { os.RemoveAll(dir) })
	bus := filepath.Join(dir, "bus")
	a := &avahi{station: s, name: name, dir: dir,
		env: append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS=unix:path="+bus)}
	family := map[bool]string{true: "yes", false: "no"}
	a.write("bus.conf", fmt.Sprintf(busConfig, bus))
	a.write("avahi.conf", fmt.Sprintf(avahiConfig, name, family[!v6], family[v6]))
	a.start("dbus-daemon", "--config-file="+filepath.Join(dir, "bus.conf"), "--nofork",
		"--nopidfile")
	eventually(s.t, "a message bus", func() bool {
		_, err := os.Stat(bus)
		return err == nil
	})
	// Its files in /run are at fixed places, and belong to a user that an ordinary
	// user's namespace does not have.
	a.write("passwd", "root:x:0:0::/:/bin/sh\navahi:x:0:0::/:/bin/sh\n")
	a.write("group", "root:x:0:\navahi:x:0:\nnetdev:x:0:\n")
	a.start("unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /run && cd "+dir+
		" && mount --bind passwd /etc/passwd && mount --bind group /etc/group && exec avahi-daemon "+
		"--no-drop-root --no-chroot --no-rlimits -f "+filepath.Join(dir, "avahi.conf"))
	eventually(s.t, "Avahi answers on "+name, func() bool {
		_, err := a.browse()
		return err == nil
	})
	return a
}

// browse lists what the daemon knows of printers.
func (a *avahi) browse() (string, error) {
	cmd := exec.Command("avahi-browse", "-rtp", "_ipp._tcp")
	cmd.Env = a.env
	var out bytes.Buffer
	cmd.Stdout = &out
	err := a.inside(cmd.Run)
	return out.String(), err
}

func (a *avahi) write(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

// start starts a program that ends with the test, which shows what it said if it
// has failed.
func (a *avahi) start(name string, arguments ...string) {
	a.t.Helper()
	cmd := exec.Command(name, arguments...)
	cmd.Env = a.env
	path := filepath.Join(a.dir, fmt.Sprintf("%s.%p.log", name, cmd))
	file, err := os.Create(path)
	if err != nil {
		a.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = file, file
	a.t.Cleanup(func() {
		if text, err := os.ReadFile(path); err == nil && a.t.Failed() {
			a.t.Logf("%s on %s:\n%s", name, a.name, text)
		}
		file.Close()
	})
	a.Start(cmd)
}

// publish offers a service as long as the test runs.
func (a *avahi) publish(service string) {
	a.t.Helper()
	a.start("avahi-publish", "-s", service, "_ipp._tcp", "631")
}

// awaitService waits until a service has been found and resolved to its address.
func (a *avahi) awaitService(service string, from *avahi, v6 bool) {
	a.t.Helper()
	address := from.v4.String()
	if v6 {
		address = from.v6.String()
	}
	eventually(a.t, fmt.Sprintf("%s finds %s at %s", a.name, service, address), func() bool {
		out, err := a.browse()
		for line := range strings.Lines(out) {
			fields := strings.Split(line, ";")
			if err == nil && len(fields) > 7 && fields[0] == "=" && fields[3] == service &&
				fields[6] == from.name+".local" && fields[7] == address {
				return true
			}
		}
		return false
	})
}

// TestAvahi has Avahi on two containers find what the other one offers.
func TestAvahi(t *testing.T) {
	for _, program := range []string{"avahi-daemon", "avahi-browse", "dbus-daemon"} {
		requireTool(t, program)
	}
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			red, blue := newStation(t, 1), newStation(t, 2)
			p := startRouter(t, "interfaces:\n"+red.tun("red", "")+blue.tun("blue", "")+`
protocols:
  relay:
    rules: [{groups: [mdns], interfaces: [red, blue]}]
`)
			first, second := startAvahi(red, "red", v6), startAvahi(blue, "blue", v6)
			first.publish("Red")
			second.publish("Blue")
			second.awaitService("Red", first, v6)
			first.awaitService("Blue", second, v6)
			status := p.relayStatus()
			if status.Relayed == 0 {
				t.Error("nothing was relayed")
			}
			t.Logf("relayed %d, dropped %v", status.Relayed, status.Dropped)
		})
	}
}
