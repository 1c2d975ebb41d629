package demo

import (
	"fmt"
	"time"
)

// joinTime and leaveTime bound, in datagrams of a stream, how late the first
// one may come after a join, and how early the last one before a leave: a
// Linux host repeats a lost report within a second, and sender and receiver
// are looked at one after the other.
const (
	joinTime  = 1500 * time.Millisecond
	leaveTime = 500 * time.Millisecond
)

func datagrams(d time.Duration) uint64 {
	return uint64(d.Seconds() * streamRate)
}

// judge compares what arrived with what should have, and says what is wrong.
func judge(t tally) (faults []string) {
	for _, s := range t.Sessions {
		if fault := s.fault(); fault != "" {
			faults = append(faults, fmt.Sprintf("%s, %s: %s", s.Host,
				streams()[s.Stream].Group.Addr(), fault))
		}
	}
	for host, counts := range t.Unwanted {
		for stream, count := range counts {
			if count > 0 {
				faults = append(faults, fmt.Sprintf("%s got %d datagrams of %s that it had "+
					"not asked for", host, count, streams()[stream].Group.Addr()))
			}
		}
	}
	for stream, sent := range t.Sent {
		if sent == 0 {
			faults = append(faults, fmt.Sprintf("nothing was sent to %s",
				streams()[stream].Group.Addr()))
		}
	}
	return faults
}

// fault says what is wrong with a session that has ended.
func (s session) fault() string {
	switch {
	case s.Open:
		return "did not leave"
	case s.Absent && s.Received > 0:
		return fmt.Sprintf("received %d datagrams of a source that it had not joined", s.Received)
	case s.Absent:
		return ""
	case s.Received == 0:
		return "received nothing"
	case s.Lost > 0:
		return fmt.Sprintf("lost %d of %d datagrams", s.Lost, s.Received+s.Lost)
	case s.Duplicates > 0:
		return fmt.Sprintf("received %d datagrams twice", s.Duplicates)
	case s.Corrupt > 0:
		return fmt.Sprintf("received %d corrupt datagrams", s.Corrupt)
	case s.First > s.SentAtJoin+datagrams(joinTime):
		return fmt.Sprintf("the first datagram came %d datagrams after the join",
			s.First-s.SentAtJoin)
	case s.Last+datagrams(leaveTime) < s.SentAtLeave:
		return fmt.Sprintf("the last datagram came %d datagrams before the leave",
			s.SentAtLeave-s.Last)
	}
	return ""
}
