package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProxies(t *testing.T) {
	const interfaces = "interfaces:\n" +
		"  wan: {netns: a, addresses: [10.0.1.1/24]}\n" +
		"  wan2: {netns: b, addresses: [10.0.2.1/24]}\n" +
		"  red: {netns: c, addresses: [10.0.3.1/24]}\n" +
		"  blue: {netns: d, addresses: [10.0.4.1/24]}\n"
	for _, tt := range []struct {
		name, yaml string
		want       []Proxy
	}{
		{"one", "{upstream: [wan], downstream: [red, blue]}", []Proxy{
			{Upstream: []string{"wan"}, Downstream: []string{"red", "blue"}, RequireQuerier: true}}},
		{"rules", "{upstream: [wan, wan2], downstream: [red], require-querier: false, " +
			"rules: [{upstream: wan2, groups: [239.1.0.0/16], sources: [10.0.9.0/24]}]}", []Proxy{
			{Upstream: []string{"wan", "wan2"}, Downstream: []string{"red"},
				Rules: []ProxyRule{{"wan2", prefixes("239.1.0.0/16"), prefixes("10.0.9.0/24")}}}}},
		{"two", "[{upstream: [wan], downstream: [red]}, {upstream: [wan2], downstream: [blue]}]",
			[]Proxy{{Upstream: []string{"wan"}, Downstream: []string{"red"}, RequireQuerier: true},
				{Upstream: []string{"wan2"}, Downstream: []string{"blue"}, RequireQuerier: true}}},
		{"all keys", "{upstream: [wan], downstream: [red], send-to-all: true, family: ipv6}",
			[]Proxy{{Upstream: []string{"wan"}, Downstream: []string{"red"}, RequireQuerier: true,
				SendToAll: true, Family: "ipv6"}}},
		{"igmpproxy.conf", "{igmpproxy: testdata/igmpproxy.conf}", []Proxy{
			{Upstream: []string{"wan"}, Downstream: []string{"red", "blue"}, RequireQuerier: true,
				Family: "ipv4"}}},
		{"mcproxy.conf", "{mcproxy: testdata/mcproxy.conf, require-querier: false}", []Proxy{
			{Upstream: []string{"wan", "wan2"}, Downstream: []string{"red"}, SendToAll: true,
				Rules:  []ProxyRule{{"wan", prefixes("239.1.0.0/16"), nil}, {"wan2", nil, nil}},
				Family: "ipv4"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse("f", []byte(interfaces+"protocols: {proxy: "+tt.yaml+"}\n"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Protocols.Proxies, compareConfig); diff != "" {
				t.Errorf("proxies (-want +got):\n%s", diff)
			}
		})
	}
}

// TestProxyFileSettings holds that the interfaces get what an igmpproxy.conf says.
func TestProxyFileSettings(t *testing.T) {
	const file = "interfaces:\n" +
		"  wan: {netns: a, addresses: [10.0.1.1/24]}\n" +
		"  red: {netns: c, addresses: [10.0.3.1/24]}\n" +
		"  blue: {netns: d, addresses: [10.0.4.1/24]}\n" +
		"protocols: {proxy: {igmpproxy: testdata/igmpproxy.conf}}\n"
	got, err := Parse("f", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if wan, red := got.Interfaces[0], got.Interfaces[1]; wan.TTLThreshold != 3 ||
		len(red.IGMP.Allow) != 1 || red.IGMP.Allow[0] != prefixes("239.0.0.0/8")[0] {
		t.Errorf("wan %+v, red %+v", wan, red)
	}
	want := []RPFRoute{{prefixes("10.9.0.0/16")[0], "blue"}}
	if diff := cmp.Diff(want, got.RPF.Routes, compareConfig); diff != "" {
		t.Errorf("rpf routes (-want +got):\n%s", diff)
	}
}
