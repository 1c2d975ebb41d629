package metrics

import "github.com/prometheus/client_golang/prometheus"

// The metrics. Their names stay.
var (
	buildInfo = describe("build_info", "The version of the router, as a label.",
		"version", "router")
	entries = describe("forwarding_entries",
		"Entries in the forwarding table, those without outputs being negative.", "kind")
	misses = describe("misses_total", "Packets of flows that had no entry yet.")
	punted = describe("punted_packets_total",
		"Packets left to the host stack: control, link-local groups, unicast.")
	dropped = describe("dropped_packets_total",
		"Multicast packets that were not forwarded, by reason.", "reason")
	controlDropped = describe("control_events_dropped_total",
		"Control packets and misses that the control plane had no room for.")
	joinDelay = describe("join_to_first_packet_seconds",
		"From a join to the first packet that left by the joined interface.")

	upInterface   = describe("interface_up", "Whether an interface forwards.", "interface")
	interfaceInfo = describe("interface_info", "What an interface is, as labels.",
		"interface", "link", "netns", "device", "io")
	rxPackets = describe("interface_receive_packets_total",
		"Packets read from an interface.", "interface")
	rxBytes = describe("interface_receive_bytes_total",
		"Bytes read from an interface.", "interface")
	txPackets = describe("interface_transmit_packets_total",
		"Packets written to an interface.", "interface")
	txBytes = describe("interface_transmit_bytes_total",
		"Bytes written to an interface.", "interface")
	interfaceDrops = describe("interface_drops_total",
		"Packets that an interface did not take in or send out, by reason.",
		"interface", "reason")

	groups = describe("groups", "Groups that hosts on an interface asked for.",
		"interface", "protocol")
	querier = describe("querier", "Whether the router is the querier on an interface.",
		"interface", "protocol")
	sent = describe("messages_sent_total", "Queries sent on an interface, by type.",
		"interface", "protocol", "type")
	received = describe("messages_received_total",
		"IGMP and MLD messages heard on an interface, by type.", "interface", "protocol", "type")
	ignored = describe("messages_ignored_total",
		"Messages, or records of them, that were ignored, by reason.",
		"interface", "protocol", "reason")
	memberships = describe("memberships",
		"Memberships that a protocol has with the Multicast Group Manager.", "protocol", "family")
	neighbors = describe("neighbors", "Neighbouring routers that a protocol has found.",
		"protocol", "interface")

	flowPackets = describe("flow_packets_total",
		"Packets of a flow that came in where they are expected.", "source", "group", "interface")
	flowBytes = describe("flow_bytes_total",
		"Bytes of a flow that came in where they are expected.", "source", "group", "interface")
	flowSent = describe("flow_transmit_packets_total",
		"Packets of a flow that left by an interface.", "source", "group", "interface")
)

// all is every metric of the router's own.
var all = []*prometheus.Desc{buildInfo, entries, misses, punted, dropped, controlDropped,
	joinDelay, upInterface, interfaceInfo, rxPackets, rxBytes, txPackets, txBytes,
	interfaceDrops, groups, querier, sent, received, ignored, memberships, neighbors,
	flowPackets, flowBytes, flowSent}

// describe makes the description of umroute_NAME.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("umroute_"+name, help, labels, nil)
}
