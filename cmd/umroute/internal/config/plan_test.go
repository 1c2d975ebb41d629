package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// summary is a plan as a test writes it: "+red -blue green>lime ~pink !name".
func (p Plan) summary() string {
	var words []string
	for _, i := range p.Add {
		words = append(words, "+"+i.Name)
	}
	for _, i := range p.Remove {
		words = append(words, "-"+i.Name)
	}
	for _, c := range p.Replace {
		words = append(words, c.From.Name+">"+c.To.Name)
	}
	for _, c := range p.Modify {
		words = append(words, "~"+c.To.Name)
	}
	for _, key := range p.Restart {
		words = append(words, "!"+key)
	}
	return strings.Join(words, " ")
}

// TestDiff changes a configuration of two interfaces.
func TestDiff(t *testing.T) {
	const red = "red: {netns: red, addresses: [10.0.1.1/24]}"
	const blue = "blue: {netns: blue, addresses: [10.0.2.1/24]}"
	blueWith := func(keys string) string {
		return red + ", blue: {netns: blue, addresses: [10.0.2.1/24], " + keys + "}"
	}
	tests := []struct {
		interfaces, more string
		want             string
	}{
		{red + ", " + blue, "", ""},
		{blue + ", " + red, "", ""}, // the order counts for nothing
		{red, "", "-blue"},
		{red + ", " + blue + ", green: {netns: green}", "", "+green"},
		{red + ", green: {netns: green}", "", "+green -blue"},
		{red + ", lime: {netns: blue, addresses: [10.0.2.1/24]}", "", "blue>lime"},
		{red + ", lime: {netns: /var/run/netns/blue}", "", "blue>lime"},
		{red + ", blue: {netns: blue}", "", "~blue"},
		{blueWith("ttl-threshold: 4"), "", "~blue"},
		{blueWith("boundary: [239.255.0.0/16]"), "", "~blue"},
		{blueWith("domain: other"), "", "~blue"},
		{blueWith("coalesce: false"), "", "~blue"},
		{blueWith("source-validation: strict"), "", "~blue"},
		{blueWith("max-flows: 7"), "", "~blue"},
		{blueWith("igmp: {version: 2}"), "", "~blue"},
		{blueWith("mld: {enabled: false}"), "", "~blue"},
		{blueWith("mtu: 1400"), "", "blue>blue"},
		{blueWith("io: plain"), "", "blue>blue"},
		{blueWith("peer-addresses: [10.0.2.2/24]"), "", "blue>blue"},
		{blueWith("peer-routes: false"), "", "blue>blue"},
		{blueWith("device: mc1"), "", "blue>blue"},
		{blueWith("link: tap"), "", "blue>blue"},
		{red + ", blue: {netns: green, addresses: [10.0.2.1/24]}", "", "blue>blue"},
		{red + ", blue: {fd: 9, addresses: [10.0.2.1/24]}", "", "blue>blue !interfaces.blue.fd"},
		{red + ", " + blue + ", green: {fd: 9}", "", "+green !interfaces.green.fd"},
		{red + ", " + blue, "name: other", "!name"},
		{red + ", " + blue, "log: {level: debug}", ""},
		{red + ", " + blue, "domains: [{from: a, to: b, groups: [239.1.0.0/16]}]", ""},
		{red + ", " + blue, "log: {format: json}", "!log"},
		{red + ", " + blue, "unicast: {forward: false}", "!unicast"},
		{red + ", " + blue, "unicast: {routes: [{prefix: 10.9.0.0/16, via: 10.0.1.7}]}", ""},
		{red + ", " + blue, "rpf: {routes: [{prefix: 10.9.0.0/16, interface: red}]}", ""},
	}
	parse := func(interfaces, more string) *Config {
		c, err := Parse("test", fmt.Appendf(nil, "interfaces: {%s}\n%s\n", interfaces, more))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, test := range tests {
		from, to := parse(red+", "+blue, ""), parse(test.interfaces, test.more)
		if got := Diff(from, to).summary(); got != test.want {
			t.Errorf("%s; %s: plan %q, want %q", test.interfaces, test.more, got, test.want)
		}
		if diff := cmp.Diff(parse(red+", "+blue, ""), from, compareConfig); diff != "" {
			t.Errorf("%s: Diff has changed its argument:\n%s", test.interfaces, diff)
		}
	}
}
