package config

import (
	"net"
	"strconv"
)

// Metrics says where Prometheus finds the router's metrics. They are on the
// control socket in any case.
type Metrics struct {
	Listen string // ADDRESS:PORT; "" for nowhere else
	Flows  bool   // also a series for each flow
}

// Control says who may use the control socket besides the router's own user
// and root, who may do everything.
type Control struct {
	ReadGroup string // the name of a group whose members may look; "" for none
}

func (d *decoder) metrics(e entry, target *Metrics) {
	d.section(e.value, e.key, fields{
		"listen": func(e entry) { d.listen(e, &target.Listen) },
		"flows":  func(e entry) { d.boolean(e, &target.Flows) },
	})
}

// listen reads an address and a port of the router's own namespace.
func (d *decoder) listen(e entry, target *string) {
	var s string
	if !d.text(e, &s) {
		return
	}
	host, port, err := net.SplitHostPort(s)
	if number, numberErr := strconv.ParseUint(port, 10, 16); err != nil || numberErr != nil ||
		number == 0 || host != "" && host != "localhost" && net.ParseIP(host) == nil {
		d.mismatch(e.value, e.key, "an address with a port", `as in 127.0.0.1:9469 or "[::1]:9469"`)
		return
	}
	*target = s
}

func (d *decoder) control(e entry, target *Control) {
	d.section(e.value, e.key, fields{
		"read-group": func(e entry) { d.text(e, &target.ReadGroup) },
	})
}
