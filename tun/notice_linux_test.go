package tun_test

import (
	"errors"
	"io"
	"testing"

	"umroute/tun"
)

// FuzzReceive takes a device from a peer that may say anything, and gives none.
func FuzzReceive(f *testing.F) {
	const good = `{"version": 1, "name": "mc0", "kind": "tun", "mtu": 1500, "up": true}` + "\n"
	for n := range len(good) + 1 {
		f.Add(good[:n])
	}
	f.Add(`{"version": 1, "error": "no", "errno": 1}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		ours, theirs := socketPair(t)
		if len(text) > 10_000 {
			return // more than a socket is sure to hold
		}
		if _, err := theirs.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		theirs.Close()
		link, err := tun.Receive(ours, tun.Config{})
		if link != nil || err == nil {
			t.Errorf("%q: link %v, error %v", text, link, err)
		}
		if text == "" && !errors.Is(err, io.EOF) {
			t.Errorf("closed at once: %v, want %v", err, io.EOF)
		}
	})
}
