package mld

import "time"

// Maximum Response Code (RFC 9777 section 5.1): below 32,768 a plain number,
// above it a floating-point value of 3 bits exponent and 12 bits mantissa.
const (
	responseFlag         = 0x8000
	responseMantissaBits = 12
	maxResponseValue     = 0x1fff << (maxExponent + exponentBias) // 8,387,584
)

// QQIC (RFC 9777 section 5.1): below 128 a plain number, above it a
// floating-point value of 3 bits exponent and 4 bits mantissa.
const (
	intervalFlag         = 0x80
	intervalMantissaBits = 4
	maxIntervalValue     = 0x1f << (maxExponent + exponentBias) // 31,744
)

const (
	exponentBias = 3
	maxExponent  = 7
)

const (
	responseUnit = time.Millisecond
	intervalUnit = time.Second

	// MaxResponse is the longest Maximum Response Delay of an MLDv2 query.
	MaxResponse = maxResponseValue * responseUnit
	// MaxResponseV1 is the longest Maximum Response Delay of an MLDv1 query.
	MaxResponseV1 = 0xffff * responseUnit
	// MaxInterval is the longest Querier's Query Interval of a query.
	MaxInterval = maxIntervalValue * intervalUnit
)

// encodeFloat returns the code, flag and all, of the largest value that is
// representable and not above units, which is within the maximum.
func encodeFloat(units, flag uint32, mantissaBits uint) uint32 {
	if units < flag {
		return units
	}
	hidden := uint32(1) << mantissaBits
	exponent := uint32(0)
	for units>>(exponent+exponentBias) > 2*hidden-1 {
		exponent++
	}
	mantissa := units >> (exponent + exponentBias) & (hidden - 1)
	return flag | exponent<<mantissaBits | mantissa
}

func decodeFloat(code, flag uint32, mantissaBits uint) uint32 {
	if code < flag {
		return code
	}
	hidden := uint32(1) << mantissaBits
	exponent := code >> mantissaBits & maxExponent
	return (code&(hidden-1) | hidden) << (exponent + exponentBias)
}

func encodeResponse(units uint32) uint16 {
	return uint16(encodeFloat(units, responseFlag, responseMantissaBits))
}

func decodeResponse(code uint16) time.Duration {
	units := decodeFloat(uint32(code), responseFlag, responseMantissaBits)
	return time.Duration(units) * responseUnit
}

func encodeInterval(units uint32) uint8 {
	return uint8(encodeFloat(units, intervalFlag, intervalMantissaBits))
}

func decodeInterval(code uint8) time.Duration {
	units := decodeFloat(uint32(code), intervalFlag, intervalMantissaBits)
	return time.Duration(units) * intervalUnit
}

// quantity returns d in units, at least one where d is above zero. It reports
// false if d is negative or above limit.
func quantity(d, unit, limit time.Duration) (uint32, bool) {
	if d < 0 || d > limit {
		return 0, false
	}
	if d > 0 && d < unit {
		return 1, true
	}
	return uint32(d / unit), true
}
