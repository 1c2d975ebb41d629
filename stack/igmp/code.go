package igmp

import "time"

// The codes of RFC 9776 section 4.1: below 128 a plain number,
// above it a floating-point value of 3 bits exponent and 4 bits mantissa.
const (
	floatFlag     = 0x80
	mantissaBits  = 4
	exponentBias  = 3
	maxExponent   = 7
	maxFloatValue = 0x1f << (maxExponent + exponentBias) // 31,744
)

const (
	responseUnit = 100 * time.Millisecond // of Max Resp Code
	intervalUnit = time.Second            // of QQIC

	// MaxResponse is the longest Max Response Time of an IGMPv3 query.
	MaxResponse = maxFloatValue * responseUnit
	// MaxResponseV2 is the longest Max Response Time of an IGMPv2 query.
	MaxResponseV2 = 0xff * responseUnit
	// MaxInterval is the longest Querier's Query Interval of a query.
	MaxInterval = maxFloatValue * intervalUnit
)

// v1Response is what a query without a Max Response Time means (RFC 9776
// section 7.2.1).
const v1Response = 10 * time.Second

// encodeCode returns the code of the largest value that is representable and
// not above units, which is within 0 to maxFloatValue.
func encodeCode(units uint32) uint8 {
	if units < floatFlag {
		return uint8(units)
	}
	exponent := uint32(0)
	for units>>(exponent+exponentBias) > 0x1f {
		exponent++
	}
	mantissa := units >> (exponent + exponentBias) & 0x0f
	return uint8(floatFlag | exponent<<mantissaBits | mantissa)
}

func decodeCode(code uint8) uint32 {
	if code < floatFlag {
		return uint32(code)
	}
	exponent := uint32(code >> mantissaBits & maxExponent)
	mantissa := uint32(code & 0x0f)
	return (mantissa | 1<<mantissaBits) << (exponent + exponentBias)
}

// quantity returns d in units, at least one where d is above zero: a Max Resp
// Code of zero would turn an IGMPv2 query into one of IGMPv1. It reports false
// if d is negative or above limit.
func quantity(d, unit, limit time.Duration) (uint32, bool) {
	if d < 0 || d > limit {
		return 0, false
	}
	if d > 0 && d < unit {
		return 1, true
	}
	return uint32(d / unit), true
}
