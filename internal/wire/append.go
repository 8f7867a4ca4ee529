package wire

import (
	"encoding/binary"
	"math"
)

// AppendUint appends a number that is not negative.
func AppendUint(b []byte, u uint64) []byte {
	switch {
	case u <= LastFixInt:
		return append(b, byte(u))
	case u <= math.MaxUint8:
		return append(b, Uint8, byte(u))
	case u <= math.MaxUint16:
		return append(b, Uint8+1, byte(u>>8), byte(u))
	case u <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, Uint32), uint32(u))
	default:
		return binary.BigEndian.AppendUint64(append(b, Uint64), u)
	}
}

// AppendInt appends a number, in the form of AppendUint if it is not negative.
func AppendInt(b []byte, i int64) []byte {
	switch {
	case i >= 0:
		return AppendUint(b, uint64(i))
	case i >= -32:
		return append(b, byte(i))
	case i >= math.MinInt8:
		return append(b, Int8, byte(i))
	case i >= math.MinInt16:
		return append(b, Int8+1, byte(i>>8), byte(i))
	case i >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, Int8+2), uint32(i))
	default:
		return binary.BigEndian.AppendUint64(append(b, Int64), uint64(i))
	}
}

// AppendString appends a string, which need not be UTF-8.
func AppendString(b []byte, s string) []byte {
	if n := len(s); n <= LastFixStr {
		b = append(b, FixStr|byte(n))
	} else if n <= math.MaxUint8 {
		b = append(b, Str8, byte(n))
	} else {
		b = appendLength(b, Str8+1, n)
	}
	return append(b, s...)
}

// AppendBytes appends bytes.
func AppendBytes(b, data []byte) []byte {
	return append(AppendBytesHeader(b, len(data)), data...)
}

// AppendBytesHeader appends what stands in front of n bytes.
func AppendBytesHeader(b []byte, n int) []byte {
	if n <= math.MaxUint8 {
		return append(b, Bin8, byte(n))
	}
	return appendLength(b, Bin8+1, n)
}

// AppendArrayHeader appends what stands in front of n values.
func AppendArrayHeader(b []byte, n int) []byte {
	if n <= LastFix {
		return append(b, FixArray|byte(n))
	}
	return appendLength(b, Array16, n)
}

// AppendMapHeader appends what stands in front of n keys, each with a value behind it.
func AppendMapHeader(b []byte, n int) []byte {
	if n <= LastFix {
		return append(b, FixMap|byte(n))
	}
	return appendLength(b, Map16, n)
}

// appendLength takes the form with two bytes or the next one, with four.
func appendLength(b []byte, form byte, n int) []byte {
	if n <= math.MaxUint16 {
		return binary.BigEndian.AppendUint16(append(b, form), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, form+1), uint32(n))
}
