package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"

	"golang.org/x/sys/unix"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
	"umroute/tun"
	"umroute/tun/netns"
)

// Attach opens a device and adds it as an interface. An interface of that name
// whose device is gone gives way.
func (r *Router) Attach(ctx context.Context, a control.Attachment) (control.Interface, error) {
	return r.attach(ctx, a, func(i *iface) error {
		err := checkNamespace(i.config.Netns.String(), a.NamespaceID)
		if err == nil {
			err = r.openDevice(i)
		}
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) ||
			errors.Is(err, errOtherNamespace) {
			return &control.Forbidden{Err: err, Device: r.deviceConfig(i)}
		}
		return err
	})
}

// AttachDevice adds a device that the peer passes by tun.Send.
func (r *Router) AttachDevice(ctx context.Context, a control.Attachment,
	conn *net.UnixConn) (control.Interface, error) {
	return r.attach(ctx, a, func(i *iface) (err error) {
		if i.link, err = tun.Receive(conn, r.deviceConfig(i)); err != nil {
			return err
		}
		i.device, i.config.Device = i.link, i.link.Name()
		i.config.Link = config.LinkTUN
		if i.link.Kind() == tun.KindTAP {
			i.config.Link = config.LinkTAP
		}
		return nil
	})
}

func (r *Router) attach(ctx context.Context, a control.Attachment,
	open func(*iface) error) (document control.Interface, err error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	old := r.byName(a.Name)
	if old != nil && !r.registry.isGone(old) {
		return document, control.Invalid(fmt.Errorf("interface %s is there already; "+
			"remove it with: umroute detach %s", a.Name, a.Name))
	}
	settings, err := r.attachmentConfig(a, old)
	if err != nil {
		return document, control.Invalid(err)
	}
	i := &iface{config: settings, origin: attached, state: &state{up: true}}
	if err := open(i); err != nil {
		return document, fmt.Errorf("attach %s: %w", a.Name, err)
	}
	if old != nil {
		r.remove(ctx, old)
	}
	if err := r.add(ctx, i); err != nil {
		return document, fmt.Errorf("attach %s: %w", a.Name, err)
	}
	return r.describe(i), nil
}

// attachmentConfig completes what an attachment says of its interface, and
// judges it together with all others but old, which it replaces.
func (r *Router) attachmentConfig(a control.Attachment, old *iface) (config.Interface, error) {
	var others []config.Interface
	for _, i := range r.list() {
		if i != old {
			others = append(others, i.config)
		}
	}
	keys := make(map[string]json.RawMessage)
	if len(a.Interface) > 0 {
		if err := json.Unmarshal(a.Interface, &keys); err != nil {
			return config.Interface{}, fmt.Errorf("the keys of interface %s: %w", a.Name, err)
		}
	}
	if keys["source-validation"] == nil {
		keys["source-validation"] = json.RawMessage(`"strict"`)
	}
	if err := addAddresses(keys, others); err != nil {
		return config.Interface{}, fmt.Errorf("interface %s: %w", a.Name, err)
	}
	whole, err := json.Marshal(keys)
	if err != nil {
		return config.Interface{}, err
	}
	settings, err := config.ParseInterface(a.Name, whole, others)
	if err != nil {
		return settings, fmt.Errorf("interface %s: %w", a.Name, err)
	}
	return settings, nil
}

// Detach removes an interface. One of the configuration is back with the next
// reload.
func (r *Router) Detach(ctx context.Context, name string) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	i := r.byName(name)
	if i == nil {
		return fmt.Errorf("detach: %w interface %q", control.ErrUnknown, name)
	}
	r.remove(ctx, i)
	return nil
}

// errOtherNamespace says that a name leads the router somewhere else than who
// gave it.
var errOtherNamespace = errors.New("it names another network namespace here")

// checkNamespace holds that spec leads to the namespace with this identity;
// "" is any.
func checkNamespace(spec, identity string) error {
	if identity == "" {
		return nil
	}
	here, err := NamespaceID(spec)
	if err != nil {
		return err
	}
	if here != identity {
		return fmt.Errorf("network namespace %s: %w", spec, errOtherNamespace)
	}
	return nil
}

// NamespaceID is device and inode of a network namespace, which are the same
// for every process of the machine.
func NamespaceID(spec string) (string, error) {
	path, err := netns.Resolve(spec)
	if err != nil {
		return "", err
	}
	if path == "" {
		path = "/proc/self/ns/net"
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return "", fmt.Errorf("network namespace %s: %w", spec, err)
	}
	return strconv.FormatUint(stat.Dev, 10) + ":" + strconv.FormatUint(stat.Ino, 10), nil
}
