package tun

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"umroute/tun/netns"
)

// Open opens a packet link to a device that is there, or a TUN or TAP. Of these
// it configures the namespace's side: MTU, queue, multicast flag, addresses, up,
// routes. A device that is absent is made and
// disappears with the link's Close, and with the process unless it has an owner
// (see [Config.Owner]). One that is there is used as it is, persistent or
// multi-queue, and what Open sets on it stays; only one that a killed router of
// the same owner left is taken for made here. What is right already is not set
// again, so a device that root prepared for this user needs no privilege. In a
// namespace other than this process's own, Open also brings loopback up, which
// programs there expect.
//
// Making a device needs CAP_NET_ADMIN in its namespace. Where the namespace
// may not be entered, but belongs to a user namespace of the same user, as
// with rootless containers, a short-lived helper does it (see [RunHelper]).
func Open(config Config) (*Link, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	d, err := openIn(config)
	if err != nil {
		return nil, fmt.Errorf("open %s %s%s: %w",
			config.Kind, config.Name, inNetns(config.Netns), err)
	}
	d.configured = d.kind != KindPacket
	return newLink(d, config)
}

// inNetns is the namespace as error messages name it.
func inNetns(spec string) string {
	if spec == "" || spec == "self" {
		return ""
	}
	return " in netns " + spec
}

func openIn(config Config) (device, error) {
	// The process first: if it still runs once its namespace is open, then that
	// namespace was its own and not that of a later process of the same number.
	process, err := openProcess(config.Netns)
	if err != nil {
		return device{}, err
	}
	d, err := openNamed(config)
	if err == nil && process != nil && hasExited(process) {
		d.close()
		err = errProcessExited
	}
	if err != nil {
		if process != nil {
			process.Close()
		}
		return device{}, err
	}
	d.process = process
	return d, nil
}

// openNamed follows the namespace's name from before it is opened.
func openNamed(config Config) (device, error) {
	path, err := netns.Resolve(config.Netns)
	if err != nil {
		return device{}, err
	}
	name, err := watchName(path)
	if err != nil {
		config.Logger.Warn("the end of a network namespace would not be noticed",
			"netns", config.Netns, "err", err)
	}
	d, err := openAt(config, path)
	if err != nil {
		return device{}, err
	}
	d.netns = name
	return d, nil
}

// openAt enters the namespace itself or sends the helper.
func openAt(config Config, path string) (d device, err error) {
	entered := false
	err = netns.Do(path, func() (err error) {
		entered = true
		d, err = openHere(config, path != "")
		return err
	})
	if !entered && errors.Is(err, unix.EPERM) {
		return openThroughHelper(config, path, err)
	}
	return d, err
}

// openHere opens and configures a device in the namespace of this thread.
// foreign says that it isn't the router's own.
func openHere(config Config, foreign bool) (device, error) {
	d := device{kind: config.Kind, rpf: -1}
	if err := d.find(config, foreign); err != nil {
		return device{}, err
	}
	if err := d.follow(); err != nil {
		config.Logger.Warn("device is not watched", "device", d.name, "err", err)
		if err := d.inspect(); err != nil {
			d.close()
			return device{}, err
		}
	}
	return d, nil
}

// find opens a packet link, or another device and configures that.
func (d *device) find(config Config, foreign bool) error {
	if config.Kind == KindPacket {
		return d.openPacket(config)
	}
	if err := d.attach(config); err != nil {
		return err
	}
	err := d.configure(config, foreign)
	if err != nil {
		d.close()
	}
	return err
}
