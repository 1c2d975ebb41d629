package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/urfave/cli/v2"

	"umroute/cmd/umroute/internal/control"
	"umroute/cmd/umroute/internal/router"
	"umroute/tun"
)

// addressFlags give an attached interface its addresses.
func addressFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "device", Usage: "the device's `NAME` in the namespace",
			Value: tun.DefaultName},
		&cli.StringSliceFlag{Name: "address",
			Usage: "an address of the router, as `ADDRESS/LENGTH` (default: a free one)"},
		&cli.StringSliceFlag{Name: "peer-address",
			Usage: "an address for the namespace, as `ADDRESS/LENGTH`"},
		&cli.StringFlag{Name: "domain", Usage: "the `DOMAIN` that multicast stays in"},
		&cli.StringFlag{Name: "link", Usage: "the `KIND` of device, tun or tap"},
	}
}

func attachCommand() *cli.Command {
	return &cli.Command{
		Name: "attach", ArgsUsage: "NAME",
		Usage: "add an interface to a running router",
		Description: "The interface is removed when its device, its namespace, or the process " +
			"of --pid ends.\nWithout --address and --peer-address, the router has 10.209.X.Y " +
			"and fd6d:6372:7400:N::1,\nand the namespace the address that follows each.",
		Flags: routerFlags(append([]cli.Flag{
			&cli.IntFlag{Name: "pid", Usage: "the namespace of the process `PID`"},
			&cli.StringFlag{Name: "netns",
				Usage: "the namespace's `NAME` under /run/netns, or its path"},
			&cli.BoolFlag{Name: "json", Usage: "print the interface as a JSON document"},
		}, addressFlags()...)...),
		Action: attach,
	}
}

func attach(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("attach: give one NAME, behind the flags")
	}
	netns := c.String("netns")
	switch {
	case c.IsSet("pid") == c.IsSet("netns"):
		return usagef("attach: give either --pid or --netns")
	case c.IsSet("pid") && c.Int("pid") <= 0:
		return usagef("attach: --pid %d is no process", c.Int("pid"))
	case c.IsSet("pid"):
		netns = fmt.Sprintf("pid:%d", c.Int("pid"))
	}
	client, err := dial(c)
	if err != nil {
		return err
	}
	document, err := attachTo(c, client, c.Args().First(), netns)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(document)
	}
	fmt.Fprintf(c.App.Writer, "%s: %s in %s, router %s, peer %s\n", document.Name,
		document.Device, document.Netns, strings.Join(document.Addresses, " "),
		strings.Join(document.PeerAddresses, " "))
	return nil
}

// attachTo has a router take in a device in a network namespace, which this
// program opens if the router may not.
func attachTo(c *cli.Context, client *control.Client, name, netns string) (
	control.Interface, error) {
	keys, err := interfaceKeys(c)
	if err != nil {
		return control.Interface{}, err
	}
	keys["netns"] = netns
	body, err := json.Marshal(keys)
	if err != nil {
		return control.Interface{}, err
	}
	// What may not be looked at here, the router may perhaps open.
	id, err := router.NamespaceID(netns)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return control.Interface{}, err
	}
	a := control.Attachment{Name: name, Interface: body, NamespaceID: id}
	return client.Attach(c.Context, a, func(device tun.Config) (*tun.Link, error) {
		// Where it is and what it is called is for the caller to say, whose rights
		// are used.
		device.Netns, device.Name, device.Owner = netns, c.String("device"), ""
		return tun.Open(device)
	})
}

// interfaceKeys are the keys of the interface that the flags describe.
func interfaceKeys(c *cli.Context) (map[string]any, error) {
	keys := map[string]any{"device": c.String("device")}
	for flag, key := range map[string]string{
		"address": "addresses", "peer-address": "peer-addresses"} {
		for _, text := range c.StringSlice(flag) {
			if _, err := netip.ParsePrefix(text); err != nil {
				return nil, usagef("--%s: %q is no address with a prefix length, "+
					"as in 10.0.1.1/24", flag, text)
			}
		}
		if c.IsSet(flag) {
			keys[key] = c.StringSlice(flag)
		}
	}
	for _, flag := range []string{"domain", "link"} {
		if c.IsSet(flag) {
			keys[flag] = c.String(flag)
		}
	}
	return keys, nil
}

func detachCommand() *cli.Command {
	return &cli.Command{
		Name: "detach", ArgsUsage: "NAME", Flags: routerFlags(),
		Usage: "remove an interface from a running router",
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("detach: give one NAME, behind the flags")
			}
			client, err := dial(c)
			if err != nil {
				return err
			}
			return client.Detach(c.Context, c.Args().First())
		},
	}
}
