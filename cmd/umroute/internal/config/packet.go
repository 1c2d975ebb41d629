package config

// checkPacket holds that an interface with the link packet names its device,
// and nothing that only whoever made the device decides.
func (d *decoder) checkPacket(i *draft) {
	if i.Link != LinkPacket {
		return
	}
	i.PeerRoutes = false
	for _, key := range []string{"mtu", "peer-addresses", "peer-routes"} {
		if at, given := i.at[key]; given {
			d.problem(at, "the device and the hosts behind it keep their own",
				"%s: not with link: packet", key)
		}
	}
	_, named := i.at["device"]
	if _, inherited := i.at["fd"]; !named && !inherited {
		d.problem(i.Pos, "as in "+i.Name+": {link: packet, device: eth0}",
			"interface %s: link: packet needs device", i.Name)
	}
}
