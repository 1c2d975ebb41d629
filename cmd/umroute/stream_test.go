package main

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"umroute/bench/load"
)

// streamRate is in datagrams per second: slow enough that no queue overflows
// on a machine that does much else.
const streamRate = 500

// stream is numbered traffic that a station sends until it is stopped.
type stream struct {
	t      testing.TB
	sender *load.Sender
	stop   context.CancelFunc
	ended  chan error
}

// startStream begins to send to a group.
func (s *station) startStream(group netip.AddrPort) *stream {
	s.t.Helper()
	st := &stream{t: s.t, ended: make(chan error, 1)}
	s.Do(func() (err error) {
		st.sender, err = load.NewSender(load.SenderConfig{Group: group, Rate: streamRate,
			Interface: device})
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	st.stop = cancel
	go func() {
		_, err := st.sender.Run(ctx)
		st.ended <- err
	}()
	s.t.Cleanup(func() {
		cancel()
		st.sender.Close()
	})
	return st
}

// end stops the stream and says how many datagrams it had.
func (st *stream) end() uint64 {
	st.t.Helper()
	st.stop()
	if err := <-st.ended; err != nil {
		st.t.Fatal(err)
	}
	return st.sender.Sent()
}

// receive accounts for the streams of a group until the test ends.
func (s *station) receive(group netip.AddrPort) *load.Receiver {
	s.t.Helper()
	var receiver *load.Receiver
	s.Do(func() (err error) {
		receiver, err = load.NewReceiver(load.ReceiverConfig{Group: group, Interface: device})
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = receiver.Run(ctx) // what it received is looked at by Snapshot
	}()
	s.t.Cleanup(func() {
		cancel()
		<-ended
		receiver.Close()
	})
	return receiver
}

// checkWhole waits until all datagrams have come, each once and in order.
func checkWhole(t testing.TB, receiver *load.Receiver, sent uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("all %d datagrams", sent), func() bool {
		return receiver.Received() >= sent
	})
	got := receiver.Snapshot()
	if got.Received != sent || got.Lost != 0 || got.Duplicates != 0 || got.Reordered != 0 ||
		got.Corrupt != 0 || len(got.Streams) != 1 {
		t.Errorf("received %+v, want %d datagrams of one stream", got, sent)
	}
}
