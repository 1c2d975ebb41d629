package main

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"umroute/cmd/umroute/internal/control"
)

// The types of JSON, as the documents' tables below name them. "list" and
// "object" are never null.
const (
	isText   = "text"
	isNumber = "number"
	isBool   = "bool"
	isList   = "list"
	isObject = "object"
)

// shape is the keys that a document must have, and their types.
type shape map[string]string

// shapes are the documents that scripts rely on.
var shapes = map[string]shape{
	"interfaces": {
		"name": isText, "link": isText, "netns": isText, "device": isText, "index": isNumber,
		"mtu": isNumber, "up": isBool, "addresses": isList, "owner": isText, "io": isText,
		"offload": isBool, "queues": isNumber, "igmp": isObject, "mld": isObject,
		"rx_packets": isNumber, "rx_bytes": isNumber, "tx_packets": isNumber,
		"tx_bytes": isNumber, "drops": isObject,
	},
	"groups": {
		"interface": isText, "group": isText, "mode": isText, "version": isNumber,
		"last_reporter": isText, "uptime_seconds": isNumber, "expires_seconds": isNumber,
		"static": isBool, "sources": isList,
	},
	"memberships": {"group": isText, "source": isText, "interface": isText, "client": isText},
	"routes": {
		"source": isText, "group": isText, "iif": isText, "upstream": isText, "owner": isText,
		"oifs": isList, "packets": isNumber, "bytes": isNumber, "wrong_if": isNumber,
		"queue_overflow": isNumber, "negative": isBool, "uptime_seconds": isNumber,
		"expires_seconds": isNumber,
	},
	"protocols": {
		"name": isText, "protocol_id": isNumber, "component_id": isNumber,
		"interfaces": isList, "joins": isNumber,
	},
	"neighbors": {
		"protocol": isText, "interface": isText, "address": isText,
		"uptime_seconds": isNumber, "expires_seconds": isNumber, "dr": isBool,
	},
	"rib": {"prefix": isText, "kind": isText, "interface": isText, "via": isText},
	"stats": {
		"name": isText, "pid": isNumber, "version": isText, "uptime_seconds": isNumber,
		"flows": isNumber, "misses": isNumber, "negative": isNumber, "punted": isNumber,
		"dropped": isObject, "control_events_dropped": isNumber,
	},
}

// The shapes of what stands inside of them.
var (
	queryingShape = shape{"enabled": isBool, "version": isNumber, "querier": isText,
		"is_querier": isBool, "groups": isNumber}
	sourceShape = shape{"address": isText, "expires_seconds": isNumber, "forwarding": isBool}
	oifShape    = shape{"interface": isText, "packets": isNumber, "ttl_too_low": isNumber,
		"frag_needed": isNumber, "discards": isNumber}
)

// TestDocuments looks at every document of a router with and without state:
//
//	red ──mc0── router ──mc0── blue    joins: all sources but one
//	sends            └──mc0── mute     has no IGMP and no MLD
func TestDocuments(t *testing.T) {
	t.Parallel()
	stations := newStations(t, "red", "blue", "mute")
	red, blue, mute := stations[0], stations[1], stations[2]
	mute.more = "igmp: {enabled: false}, mld: {enabled: false}"
	p := startRouter(t, configure(stations...))
	empty := startRouter(t, "")
	for _, document := range []string{"interfaces", "groups", "memberships", "routes"} {
		if value := fetch(t, empty, document); !isEmptyList(value) {
			t.Errorf("show %s of a router without interfaces: %v", document, value)
		}
	}
	group := netip.MustParseAddrPort("239.1.1.1:5001")
	conn := blue.join(group)
	blue.block(conn, group.Addr(), red.v4.Next())
	p.awaitSources("blue", group.Addr(), map[netip.Addr]bool{red.v4.Next(): false})
	red.send(group, "hello", anyTTL)
	expect(t, conn, "hello", red.v4)
	unwanted := netip.MustParseAddrPort("239.1.1.2:5002")
	red.send(unwanted, "hello", anyTTL)
	p.awaitOutputs(red.v4, group.Addr(), "blue")
	p.awaitOutputs(red.v4, unwanted.Addr())

	for _, document := range control.Documents {
		value := fetch(t, p, document)
		if document == "stats" {
			value = []any{value}
		}
		checkNoNull(t, document, value)
		for _, row := range rows(t, document, value) {
			check(t, "show "+document, row, shapes[document])
			checkInside(t, document, row)
		}
	}
	checkAnswers(t, p, red, unwanted.Addr())
}

// fetch gets a document as scripts do.
func fetch(t *testing.T, p *process, document string) any {
	t.Helper()
	stdout, stderr, status := run(t, "show", "--socket", p.socket, document, "--json")
	if status != statusDone || stderr != "" {
		t.Fatalf("show %s: status %d, %s", document, status, stderr)
	}
	decoder := json.NewDecoder(strings.NewReader(stdout))
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("show %s --json: %v in %s", document, err, stdout)
	}
	if decoder.More() {
		t.Errorf("show %s --json printed more than one document", document)
	}
	return value
}

func isEmptyList(value any) bool {
	list, ok := value.([]any)
	return ok && len(list) == 0
}

// checkNoNull looks for null at any depth: a script would stumble over it.
func checkNoNull(t *testing.T, where string, value any) {
	t.Helper()
	switch value := value.(type) {
	case nil:
		t.Errorf("%s is null", where)
	case []any:
		for _, each := range value {
			checkNoNull(t, where+"[]", each)
		}
	case map[string]any:
		for key, each := range value {
			checkNoNull(t, where+"."+key, each)
		}
	}
}

// rows are the objects of a document's list. Only neighbours, which routing
// protocols find, may be missing.
func rows(t *testing.T, document string, value any) []map[string]any {
	t.Helper()
	list, ok := value.([]any)
	if !ok {
		t.Fatalf("show %s: %T is no list", document, value)
	}
	if len(list) == 0 && document != "neighbors" {
		t.Errorf("show %s: nothing", document)
	}
	var all []map[string]any
	for _, each := range list {
		row, ok := each.(map[string]any)
		if !ok {
			t.Fatalf("show %s: a row is %T", document, each)
		}
		all = append(all, row)
	}
	return all
}

func check(t *testing.T, where string, row map[string]any, want shape) {
	t.Helper()
	for key, kind := range want {
		value, there := row[key]
		if !there {
			t.Errorf("%s has no key %q", where, key)
			continue
		}
		if have := kindOf(value); have != kind {
			t.Errorf("%s: %s is %s (%v), want %s", where, key, have, value, kind)
		}
	}
}

func kindOf(value any) string {
	switch value.(type) {
	case string:
		return isText
	case float64:
		return isNumber
	case bool:
		return isBool
	case []any:
		return isList
	case map[string]any:
		return isObject
	}
	return "null"
}

// checkInside looks at the objects inside a row.
func checkInside(t *testing.T, document string, row map[string]any) {
	t.Helper()
	inside := map[string]map[string]shape{
		"interfaces": {"igmp": queryingShape, "mld": queryingShape},
		"groups":     {"sources": sourceShape},
		"routes":     {"oifs": oifShape},
	}
	for key, want := range inside[document] {
		objects := []any{row[key]}
		if list, ok := row[key].([]any); ok {
			objects = list
		}
		for _, object := range objects {
			if object, ok := object.(map[string]any); ok {
				check(t, document+"."+key, object, want)
			}
		}
	}
}

// checkAnswers looks at values that nothing else in this file does.
func checkAnswers(t *testing.T, p *process, red *station, unwanted netip.Addr) {
	t.Helper()
	if r, ok := p.route(red.v4, unwanted); !ok || !r.Negative || len(r.OIFs) != 0 {
		t.Errorf("route that nobody wants: %+v", r)
	}
	members := show[[]control.Membership](p, "memberships")
	want := control.Membership{Group: "239.1.1.1", Source: "*", Interface: "blue", Client: "igmp"}
	if !slices.Contains(members, want) {
		t.Errorf("memberships %+v lack %+v", members, want)
	}
	for _, i := range show[[]control.Interface](p, "interfaces") {
		if !i.Up || i.Device != device || i.MTU != 1500 || len(i.Addresses) != 2 {
			t.Errorf("interface %+v", i)
		}
		if on := i.Name != "mute"; i.IGMP.IsQuerier != on || i.MLD.IsQuerier != on ||
			i.IGMP.Enabled != on || i.MLD.Enabled != on || i.IGMP.FastLeave != on {
			t.Errorf("interface %s: igmp %+v, mld %+v", i.Name, i.IGMP, i.MLD)
		}
	}
	stats := show[control.Stats](p, "stats")
	if stats.PID != p.cmd.Process.Pid || stats.Flows < 2 || stats.Negative < 1 {
		t.Errorf("stats %+v", stats)
	}
	protocols := show[[]control.Protocol](p, "protocols")
	if len(protocols) != 2 {
		t.Errorf("protocols %+v, want igmp and mld", protocols)
	}
}
