package stack

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"umroute/tun"
)

func TestAddInterfaceErrors(t *testing.T) {
	good := func() InterfaceConfig {
		return InterfaceConfig{Index: 7, Name: "green", Device: &device{},
			Addresses: prefixes("10.0.7.1/24")}
	}
	for want, change := range map[string]func(*InterfaceConfig){
		"index 0":                   func(c *InterfaceConfig) { c.Index = 0 },
		"index 2147483648":          func(c *InterfaceConfig) { c.Index = 1 << 31 },
		"index 1 is interface red":  func(c *InterfaceConfig) { c.Index = redIndex },
		"is interface blue already": func(c *InterfaceConfig) { c.Name = "blue" },
		"no name":                   func(c *InterfaceConfig) { c.Name = "" },
		"no device":                 func(c *InterfaceConfig) { c.Device = nil },
		"mtu 67":                    func(c *InterfaceConfig) { c.MTU = 67 },
		"mtu 65536":                 func(c *InterfaceConfig) { c.MTU = 65536 },
		"not a unicast MAC address": func(c *InterfaceConfig) {
			c.Device = &device{kind: tun.KindTAP}
		},
		`"01:00:5e:00:00:01"`: groupHardware,
		"224.0.0.5/24: not a unicast": func(c *InterfaceConfig) {
			c.Addresses = prefixes("224.0.0.5/24")
		},
		"0.0.0.0/0: not a unicast": func(c *InterfaceConfig) { c.Addresses = prefixes("0.0.0.0/0") },
		"::1/128: not a unicast":   func(c *InterfaceConfig) { c.Addresses = prefixes("::1/128") },
		"10.0.7.0/24: names":       func(c *InterfaceConfig) { c.Addresses = prefixes("10.0.7.0/24") },
		"10.0.7.255/24: names": func(c *InterfaceConfig) {
			c.Addresses = prefixes("10.0.7.255/24")
		},
		"given twice": func(c *InterfaceConfig) {
			c.Addresses = prefixes("10.0.7.1/24", "10.0.7.1/25")
		},
		"mtu of 1280 or more, not 1279": func(c *InterfaceConfig) {
			c.MTU, c.Addresses = 1279, prefixes("fd00:7::1/64")
		},
		"not an address with a prefix": func(c *InterfaceConfig) {
			c.Addresses = make([]netip.Prefix, 1)
		},
	} {
		t.Run(want, func(t *testing.T) {
			r := newRouter(t, Config{})
			config := good()
			change(&config)
			err := r.AddInterface(config)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q in it", err, want)
			}
			if got := len(r.Stats().Interfaces); got != 2 {
				t.Errorf("%d interfaces, want 2", got)
			}
			add(t, r.Stack, good()) // nothing of the failed one is left
		})
	}
}

func groupHardware(c *InterfaceConfig) {
	c.Device = &device{kind: tun.KindTAP}
	c.HardwareAddr = net.HardwareAddr{1, 0, 0x5e, 0, 0, 1}
}

func TestUnknownInterface(t *testing.T) {
	r := newRouter(t, Config{})
	for name, err := range map[string]error{
		"RemoveInterface": r.RemoveInterface(9),
		"SetAddresses":    r.SetAddresses(9, nil),
		"Send":            r.Send(9, nil),
		"Join":            r.Join(9, addr("239.1.1.1")),
	} {
		if !errors.Is(err, ErrUnknownInterface) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.SetUp(9, true)
	if got := r.LinkLocal(9); got.IsValid() {
		t.Errorf("link-local address %s of no interface", got)
	}
	r.Close()
	err := r.AddInterface(InterfaceConfig{Index: 1, Name: "red", Device: r.red})
	if !errors.Is(err, ErrClosed) {
		t.Errorf("AddInterface after Close: %v", err)
	}
	r.Deliver(redIndex, echo4("10.0.1.2", "10.0.1.1", 64, ""))
	r.red.none(t)
}

func TestLinkLocal(t *testing.T) {
	address := func(router, name string, mtu int, addresses ...string) netip.Addr {
		s, err := New(Config{Name: router})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		add(t, s, InterfaceConfig{Index: 1, Name: name, Device: &device{}, MTU: mtu,
			Addresses: prefixes(addresses...)})
		return s.LinkLocal(1)
	}
	red := address("edge", "red", 1500)
	if !netip.MustParsePrefix("fe80::/64").Contains(red) {
		t.Errorf("%s is not in fe80::/64", red)
	}
	if again := address("edge", "red", 9000, "10.0.0.1/24"); again != red {
		t.Errorf("%s, then %s", red, again)
	}
	if other := address("edge", "blue", 1500); other == red {
		t.Errorf("two interfaces have %s", other)
	}
	if other := address("core", "red", 1500); other == red {
		t.Errorf("two routers have %s", other)
	}
	if got := address("edge", "red", 1500, "fe80::5/64"); got != addr("fe80::5") {
		t.Errorf("%s, want the configured one", got)
	}
	if got := address("edge", "red", 1279); got.IsValid() {
		t.Errorf("%s on a link that can't carry IPv6", got)
	}
}

// TestSmallMTU holds that IPv6 stays off a link that can't carry it (RFC 8200 §5):
// gVisor would panic when it is to forward there.
func TestSmallMTU(t *testing.T) {
	r := newRouter(t, Config{})
	small := &device{}
	add(t, r.Stack, InterfaceConfig{Index: 3, Name: "small", Device: small, MTU: 1279,
		Addresses: prefixes("10.0.3.1/24")})
	r.SetRoutes([]Route{{Prefix: netip.MustParsePrefix("fd00:3::/64"), Index: 3}})
	r.Deliver(redIndex, udp6("fd00:1::2", "fd00:3::2", 64, nil))
	r.Deliver(3, echo6("fe80::2", "ff02::1", 64, ""))
	small.none(t)
	wantDrop(t, r.Stack, redIndex, "no-route", 1)
	wantDrop(t, r.Stack, 3, "no-ipv6", 1)
	r.Deliver(redIndex, udp4("10.0.1.2", "10.0.3.2", 64, nil))
	small.one(t)
}

func TestSetAddresses(t *testing.T) {
	r := newRouter(t, Config{})
	answers := func(to string) bool {
		r.Deliver(redIndex, echo4("192.0.2.9", to, 64, "")) // no route back but the default
		return len(r.red.take()) == 1
	}
	r.SetRoutes([]Route{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Index: redIndex}})
	linkLocal := r.LinkLocal(redIndex)
	if !answers("10.0.1.1") {
		t.Fatal("no answer to begin with")
	}
	steps := []struct {
		addresses []string
		own, not  []string
	}{
		{[]string{"10.0.1.1/24", "10.0.9.1/24"}, []string{"10.0.1.1", "10.0.9.1"}, nil},
		{[]string{"10.0.9.1/16"}, []string{"10.0.9.1"}, []string{"10.0.1.1"}},
		{nil, nil, []string{"10.0.1.1", "10.0.9.1"}},
		{[]string{"10.0.1.1/24"}, []string{"10.0.1.1"}, []string{"10.0.9.1"}},
	}
	for _, step := range steps {
		if err := r.SetAddresses(redIndex, prefixes(step.addresses...)); err != nil {
			t.Fatal(err)
		}
		for _, a := range step.own {
			if !answers(a) {
				t.Errorf("%v: no answer from %s", step.addresses, a)
			}
		}
		for _, a := range step.not {
			r.Deliver(blueIndex, echo4("10.0.2.2", a, 64, ""))
			r.blue.none(t)
			r.red.take()
		}
		if got := r.LinkLocal(redIndex); got != linkLocal {
			t.Errorf("link-local address %s, was %s", got, linkLocal)
		}
	}
	if err := r.SetAddresses(redIndex, prefixes("fe80::9/64")); err != nil {
		t.Fatal(err)
	}
	if got := r.LinkLocal(redIndex); got != addr("fe80::9") {
		t.Errorf("link-local address %s", got)
	}
	err := r.SetAddresses(redIndex, prefixes("10.0.5.1/24", "224.0.0.1/32"))
	if err == nil || !answersLinkLocal(r) {
		t.Errorf("wrong addresses changed something, error %v", err)
	}
}

func answersLinkLocal(r router) bool {
	r.Deliver(redIndex, echo6("fe80::2", "fe80::9", 64, ""))
	return len(r.red.take()) == 1
}

func TestSetUp(t *testing.T) {
	r := newRouter(t, Config{})
	for range 2 {
		r.SetUp(blueIndex, false)
		r.SetUp(blueIndex, false)
		r.Deliver(redIndex, udp4("10.0.1.2", "10.0.2.2", 64, nil))
		r.Deliver(redIndex, udp6("fd00:1::2", "fd00:2::2", 64, nil))
		if got := len(r.red.take()); got != 2 {
			t.Errorf("%d errors, want 2: no route", got)
		}
		r.Deliver(redIndex, echo6("fd00:1::2", "fd00:2::1", 1, "")) // its own address
		r.red.take()
		r.Deliver(blueIndex, echo4("10.0.2.2", "10.0.2.1", 64, ""))
		r.blue.none(t)
		r.SetUp(blueIndex, true)
		r.Deliver(redIndex, udp4("10.0.1.2", "10.0.2.2", 64, nil))
		r.blue.one(t)
		r.Deliver(redIndex, udp6("fd00:1::2", "fd00:2::2", 64, nil))
		r.blue.one(t)
		r.Deliver(blueIndex, echo6("fe80::2", r.LinkLocal(blueIndex).String(), 64, ""))
		r.blue.one(t)
	}
	wantDrop(t, r.Stack, blueIndex, "down", 2)
}

func TestBroadcastAddress(t *testing.T) {
	for prefix, want := range map[string]string{
		"10.0.1.1/24": "10.0.1.255", "10.0.1.1/30": "10.0.1.3", "10.0.0.0/7": "11.255.255.255",
		"10.0.1.1/31": "", "10.0.1.1/32": "", "fd00::1/64": "", "10.1.2.3/0": "255.255.255.255",
	} {
		var expected netip.Addr
		if want != "" {
			expected = addr(want)
		}
		if got := broadcast(netip.MustParsePrefix(prefix)); got != expected {
			t.Errorf("%s: %s, want %s", prefix, got, want)
		}
	}
}

func TestStats(t *testing.T) {
	r := newRouter(t, Config{})
	packet := udp4("10.0.1.2", "10.0.2.2", 64, []byte("12345678"))
	r.Deliver(redIndex, packet)
	r.Deliver(redIndex, packet[:10])
	if err := r.Send(redIndex, packet); err != nil {
		t.Fatal(err)
	}
	r.Deliver(77, packet)
	want := Stats{UnknownInterface: 1, Interfaces: []InterfaceStats{
		{Index: redIndex, Name: "red", PuntedPackets: 2, PuntedBytes: 46, SentPackets: 1,
			SentBytes: 36, Drops: map[string]uint64{"short": 1}},
		{Index: blueIndex, Name: "blue", SentPackets: 1, SentBytes: 36,
			Drops: map[string]uint64{}},
	}}
	if diff := cmp.Diff(want, r.Stats()); diff != "" {
		t.Errorf("statistics (-want +got):\n%s", diff)
	}
}
