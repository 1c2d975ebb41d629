package tun_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umroute/tun"
	"umroute/tun/netns/netnstest"
)

// TestRouterWithoutPower has three processes: a container in user and network
// namespaces of its own, a router outside that has no capability at all, and
// the helper that the router sends in, or the container's own hand.
func TestRouterWithoutPower(t *testing.T) {
	netnstest.Require(t)
	for _, tool := range []string{"unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s of util-linux: %v", tool, err)
		}
	}
	for _, role := range []string{asRouter, asReceiver} {
		t.Run(role, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], role)
			powerless(cmd)
			if output, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
}

// powerless has cmd run as an ordinary user of a user namespace below this one.
// A program that such a user starts has no capability anywhere.
func powerless(cmd *exec.Cmd) {
	const user = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: user, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: user, HostID: os.Getgid(), Size: 1}},
	}
}

func report(err error) int {
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// container is a process in namespaces of its own, which does what it is told.
type container struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Reader
}

// startContainer starts one that has the file, if any, as descriptor 3.
func startContainer(file *os.File) (*container, error) {
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--net",
		"--kill-child", os.Args[0], asContainer)
	if file != nil {
		cmd.ExtraFiles = []*os.File{file}
	}
	cmd.Stderr = os.Stdout
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c := &container{cmd: cmd, orders: orders, answers: bufio.NewReader(answers)}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return c, c.expect("ready")
}

// end kills the container and waits for it.
func (c *container) end() {
	c.orders.Close()
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()         // killed
}

func (c *container) order(text string) error {
	_, err := fmt.Fprintln(c.orders, text)
	return err
}

func (c *container) ask(text, want string) error {
	if err := c.order(text); err != nil {
		return err
	}
	return c.expect(want)
}

func (c *container) expect(want string) error {
	line, err := c.answers.ReadString('\n')
	if got := strings.TrimSpace(line); got != want {
		return fmt.Errorf("container said %q, %w; want %q", got, err, want)
	}
	return nil
}

// liveInContainer is the container's side.
func liveInContainer() error {
	fmt.Println("ready")
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		verb, text, _ := strings.Cut(orders.Text(), " ")
		var err error
		switch verb {
		case "send":
			err = sendFromContainer(text)
		case "receive":
			err = receiveInContainer()
		case "open":
			err = openFromContainer()
		case "leave":
			err = leaveInContainer()
		case "flap":
			err = flapInContainer()
		case "look":
			fmt.Println(lookInContainer())
		}
		if err != nil {
			return err
		}
	}
	return orders.Err()
}

func sendFromContainer(text string) error {
	conn, err := net.Dial("udp4", "239.1.1.1:5000")
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(text))
	return err
}

func receiveInContainer() error {
	device, err := net.InterfaceByName("mc0")
	if err != nil {
		return err
	}
	group := &net.UDPAddr{IP: net.IPv4(239, 1, 1, 1), Port: 5000}
	conn, err := net.ListenMulticastUDP("udp4", device, group)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Println("joined")
	buf := make([]byte, 2048)
	n, err := conn.Read(buf)
	if err == nil {
		fmt.Printf("received %s\n", buf[:n])
	}
	return err
}

// openFromContainer opens a device in the container and hands it out.
func openFromContainer() error {
	conn, err := net.FileConn(os.NewFile(3, "router"))
	if err != nil {
		return err
	}
	defer conn.Close()
	link, err := tun.Open(containerConfig(""))
	if err != nil {
		return err
	}
	return tun.Send(conn.(*net.UnixConn), link)
}

// leaveInContainer makes the device that a killed router would leave.
func leaveInContainer() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "mc0"
	left := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TUN}
	if err := netlink.LinkAdd(left); err != nil {
		return err
	}
	if err := netlink.LinkSetAlias(left, "umroute: edge"); err != nil {
		return err
	}
	fmt.Println("left")
	return nil
}

// lookInContainer says what the container has for a device.
func lookInContainer() string {
	link, err := netlink.LinkByName("mc0")
	if err != nil {
		return "absent"
	}
	if device, ok := link.(*netlink.Tuntap); ok && !device.NonPersist {
		return "persistent"
	}
	return "passing"
}

func containerConfig(netns string) tun.Config {
	return tun.Config{
		Netns:         netns,
		Owner:         "edge",
		PeerAddresses: prefixes("10.0.1.2/24", "fd00:1::2/64"),
		PeerRoutes:    true,
	}
}

// routeFromOutside opens devices in containers that it may not enter.
func routeFromOutside() error {
	if err := checkPowerless(); err != nil {
		return err
	}
	for _, form := range []string{"pid:%d", "/proc/%d/ns/net"} {
		c, err := startContainer(nil)
		if err != nil {
			return err
		}
		defer c.end()
		if strings.HasPrefix(form, "/proc/") {
			if err := c.ask("leave", "left"); err != nil {
				return err
			}
		}
		log := &journal{}
		config := containerConfig(fmt.Sprintf(form, c.cmd.Process.Pid))
		config.Logger = slog.New(slog.NewTextHandler(log, nil))
		link, err := tun.Open(config)
		if err != nil {
			return err
		}
		defer link.Close()
		if err := exchange(link, c); err != nil {
			return fmt.Errorf("%s: %w", form, err)
		}
		if strings.HasPrefix(form, "pid:") {
			err = outlive(link, c)
		} else {
			err = errors.Join(missRoutes(link, c, log), remove(link, c))
		}
		if err != nil {
			return err
		}
	}
	return refuseForeign()
}

// refuseForeign asks for a namespace that belongs to somebody with more rights.
func refuseForeign() error {
	_, err := tun.Open(containerConfig(fmt.Sprintf("pid:%d", os.Getppid())))
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("open in a namespace of others: %v, want that it is refused", err)
	}
	return nil
}

// receiveFromContainer takes a device that a container opened.
func receiveFromContainer() error {
	if err := checkPowerless(); err != nil {
		return err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	conn, err := net.FileConn(ours)
	if err != nil {
		return err
	}
	defer conn.Close()
	c, err := startContainer(theirs)
	if err != nil {
		return err
	}
	defer c.end()
	if err := c.order("open"); err != nil {
		return err
	}
	link, err := tun.Receive(conn.(*net.UnixConn), tun.Config{})
	if err != nil {
		return err
	}
	defer link.Close()
	if err := exchange(link, c); err != nil {
		return err
	}
	return remove(link, c)
}

// remove closes a link whose device would otherwise stay.
func remove(link *tun.Link, c *container) error {
	if err := c.ask("look", "persistent"); err != nil {
		return err
	}
	if err := link.Close(); err != nil {
		return err
	}
	return c.ask("look", "absent")
}

// exchange sends a packet each way.
func exchange(link *tun.Link, c *container) error {
	late := time.AfterFunc(patience, c.end)
	defer late.Stop()
	if err := c.order("send hello"); err != nil {
		return err
	}
	if _, err := readFrom(link, "hello"); err != nil {
		return err
	}
	if err := c.order("receive"); err != nil {
		return err
	}
	if err := c.expect("joined"); err != nil {
		return err
	}
	packet := udp4(netip.MustParseAddrPort("10.0.1.1:4000"),
		netip.MustParseAddrPort("239.1.1.1:5000"), 5, "hello")
	if n, err := link.Write([][]byte{packet}); n != 1 || err != nil {
		return fmt.Errorf("write: %d, %w", n, err)
	}
	return c.expect("received hello")
}

// outlive sees the end of the process that the link's namespace is named after.
func outlive(link *tun.Link, c *container) error {
	c.end()
	_, err := readFrom(link, "what never comes")
	if err == nil || errors.Is(err, os.ErrClosed) || !strings.Contains(err.Error(), "has exited") {
		return fmt.Errorf("read after the container's end: %v", err)
	}
	if _, err := link.Write([][]byte{packetTo("239.1.1.1:5000")}); err == nil {
		return errors.New("write after the container's end: no error")
	}
	for event := range link.Events() {
		if event.Type == tun.EventRemoved {
			return nil
		}
	}
	return errors.New("no event that the device is gone")
}

// checkPowerless fails where this process could enter namespaces by itself.
func checkPowerless() error {
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(header, &sets[0]); err != nil {
		return err
	}
	if sets[0].Effective|sets[1].Effective|sets[0].Permitted|sets[1].Permitted != 0 {
		return fmt.Errorf("has capabilities: %+v", sets)
	}
	return nil
}
