// Package tun opens links to somewhere.
package tun
