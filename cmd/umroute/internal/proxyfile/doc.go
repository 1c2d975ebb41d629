// Package proxyfile reads the configuration files of two other proxies,
// igmpproxy and mcproxy, as far as they say what this router can do. What they
// say beyond that is a problem, with its line, since a router that does not do
// as told helps nobody.
package proxyfile
