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
