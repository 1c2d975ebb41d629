package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"umroute/tun/netns/netnstest"
)

// newVeths makes hosts that veth pairs join to one namespace, in which a router
// can use the other ends. Those are up and have no address.
func newVeths(t testing.TB, names ...string) (netns string, stations []*station) {
	t.Helper()
	middle := netnstest.NewHost(t)
	netns = nameNetns(t, middle)
	for i, name := range names {
		host := netnstest.NewHost(t)
		number := i + 1
		s := &station{Host: host, t: t, name: name, netns: nameNetns(t, host), number: number,
			v4: netip.AddrFrom4([4]byte{10, 0, byte(number), 2}),
			v6: netip.MustParseAddr(fmt.Sprintf("fd00:%x::2", number))}
		middle.Run("ip", "link", "add", name, "type", "veth", "peer", "name", device,
			"netns", s.netns)
		middle.Run("ip", "link", "set", name, "addrgenmode", "none")
		middle.Run("ip", "link", "set", name, "up")
		s.configureEthernet()
		stations = append(stations, s)
	}
	return netns, stations
}

// configureVeth is the configuration of the router's interface to a station
// behind a veth pair.
func configureVeth(s *station, netns, more string) string {
	return fmt.Sprintf("  %s: {link: packet, netns: %s, device: %s, "+
		"addresses: [10.0.%d.1/24, \"fd00:%x::1/64\"]%s}\n",
		s.name, netns, s.name, s.number, s.number, more)
}

// TestVeth has hosts behind veth pairs, whose other ends the router shares with
// a namespace that has no address there.
//
//	red ──mc0═red── router ──blue═mc0── blue
func TestVeth(t *testing.T) {
	t.Parallel()
	for _, io := range []string{"vectored", "uring", "plain"} {
		t.Run(io, func(t *testing.T) {
			netns, hosts := newVeths(t, "red", "blue")
			red, blue := hosts[0], hosts[1]
			interfaces := "interfaces:\n"
			for _, s := range hosts {
				interfaces += configureVeth(s, netns, ", io: "+io)
			}
			p := startRouter(t, interfaces)
			for _, text := range []string{"239.1.1.1:5001", "[ff15::1:1]:5002"} {
				group := netip.MustParseAddrPort(text)
				checkJoinWorks(p, red, blue, group)
				checkJoinWorks(p, blue, red, group)
			}
			for _, to := range []string{"10.0.1.1", "fd00:1::1", "10.0.2.1", "fd00:2::1"} {
				red.ping(netip.MustParseAddr(to))
			}
			red.ping(blue.v4)
			red.ping(blue.v6)
			p.stop()
		})
	}
}

// TestVethCarriesTCP sends more over TCP than fits into a packet, from a host
// that leaves it to its device to make packets of it.
func TestVethCarriesTCP(t *testing.T) {
	t.Parallel()
	netns, hosts := newVeths(t, "red", "blue")
	red, blue := hosts[0], hosts[1]
	p := startRouter(t, "interfaces:\n"+configureVeth(red, netns, "")+
		configureVeth(blue, netns, ""))
	sent := make([]byte, 3<<20)
	for i := range sent {
		sent[i] = byte(i * i >> 7)
	}
	for _, address := range []netip.Addr{blue.v4, blue.v6} {
		var listener net.Listener
		blue.Do(func() (err error) {
			listener, err = net.Listen("tcp", netip.AddrPortFrom(address, 7000).String())
			return err
		})
		received := make(chan []byte, 1)
		go func() {
			defer close(received)
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			b, _ := io.ReadAll(conn) // what is missing is missed below
			received <- b
		}()
		red.Do(func() error {
			conn, err := net.DialTimeout("tcp", listener.Addr().String(), patience)
			if err != nil {
				return err
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, err = conn.Write(sent)
			return err
		})
		if got := <-received; !bytes.Equal(got, sent) {
			t.Errorf("%s received %d of %d bytes, or others", address, len(got), len(sent))
		}
		listener.Close()
	}
	if dropped := p.iface("red").Drops["bad_header"]; dropped != 0 {
		t.Errorf("%d packets were taken for wrong", dropped)
	}
	p.stop()
}
