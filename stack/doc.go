// Package stack is the router's own IP stack: one gVisor netstack with an
// interface for each link.
//
// What the packet path does not forward itself is punted here. The stack
// answers ICMP, ARP and neighbor discovery for the router's addresses,
// forwards unicast between the links, hands every IGMP, MLD and PIM message to
// a tap, and sends the control packets of the protocols.
//
// It follows RFC 1812 (IPv4 routers), RFC 8200, RFC 4291, RFC 4443 and RFC 4861
// (IPv6), RFC 826 (ARP), and RFC 1112 §6.4 and RFC 2464 §7 for group addresses
// on Ethernet.
//
// Deliberately missing: multicast forwarding (the packet path does it), the host
// side of IGMP and MLD (the router side speaks instead), router advertisements
// and address autoconfiguration, duplicate address detection (the router's
// addresses are configured, and a TUN has no third party; RFC 4862 §5.1 allows
// it), redirects, TCP, and promiscuous interfaces, which would end forwarding.
package stack
