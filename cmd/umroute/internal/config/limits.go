package config

import "time"

const (
	maxFileSize = 1 << 20 // bytes
	maxName     = 64      // of an interface or a router, bytes
	maxDevice   = 15      // IFNAMSIZ without its NUL, bytes
	minIPv4MTU  = 68      // RFC 791 section 3.2
	minIPv6MTU  = 1280    // RFC 8200 section 5
	maxMTU      = 65535
	maxLimit    = 1 << 20 // of groups and sources
	maxFlows    = 1 << 17 // of an interface

	defaultDevice = "mc0"
)

// versions are those of a protocol that a router can be told to speak.
type versions struct{ lowest, highest int }

var (
	igmpVersions = versions{1, 3}
	mldVersions  = versions{1, 2}
)

// interval is the range of a duration on the wire.
type interval struct{ lowest, highest time.Duration }

var (
	// RFC 3376 section 4.1.7 and RFC 3810 section 5.1.9: QQIC counts seconds,
	// its largest code is (0xf|0x10)<<(7+3).
	queryIntervals = interval{time.Second, 31744 * time.Second}
	// RFC 3376 section 4.1.1: Max Resp Code counts tenths of a second.
	igmpv3Responses = interval{100 * time.Millisecond, 31744 * 100 * time.Millisecond}
	// RFC 2236 section 2.2: 8 bits, without the exponent.
	igmpv2Responses = interval{100 * time.Millisecond, 255 * 100 * time.Millisecond}
	// RFC 3810 section 5.1.3: milliseconds, largest code (0xfff|0x1000)<<(7+3).
	mldv2Responses = interval{time.Millisecond, 8387584 * time.Millisecond}
	// RFC 2710 section 3.4: 16 bits, without the exponent.
	mldv1Responses = interval{time.Millisecond, 65535 * time.Millisecond}
)
