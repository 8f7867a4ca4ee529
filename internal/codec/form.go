package codec

import "math"

// This file holds the forms of MessagePack: the bytes that values begin with, and
// the size of the shortest form of each, which is the only one that is written
// and accepted.

const (
	lastFixint = 0x7f // a number up to this one is its own form

	// An array or map of at most lastFix elements or entries has a header of one
	// byte, and a string of at most lastFixstr bytes.
	fixmap     = 0x80
	fixarray   = 0x90
	fixMask    = 0xf0 // leaves these two of a byte
	lastFix    = 0x0f
	fixstr     = 0xa0
	fixstrMask = 0xe0
	lastFixstr = 0x1f

	nilByte     = 0xc0
	unusedByte  = 0xc1 // begins no value
	falseByte   = 0xc2
	trueByte    = 0xc3
	float32Byte = 0xca
	float64Byte = 0xcb

	// Behind these stand numbers of 1, 2, 4 and 8 bytes.
	firstUint = 0xcc
	lastUint  = 0xcf
	firstInt  = 0xd0
	lastInt   = 0xd3

	firstNegative = 0xe0 // -32, and so on to -1 at 0xff
)

// headerSize is the size of the header of an array or map.
func headerSize(n uint32) int {
	switch {
	case n <= lastFix:
		return 1
	case n <= math.MaxUint16:
		return 3
	default:
		return 5
	}
}

// blobSize is the size of the header of a string or of bytes, whose first form
// holds lengths below short.
func blobSize(n, short int) int {
	switch {
	case n < short:
		return 1
	case n <= math.MaxUint8:
		return 2
	case n <= math.MaxUint16:
		return 3
	default:
		return 5
	}
}

func uintSize(u uint64) int {
	switch {
	case u <= lastFixint:
		return 1
	case u <= math.MaxUint8:
		return 2
	case u <= math.MaxUint16:
		return 3
	case u <= math.MaxUint32:
		return 5
	default:
		return 9
	}
}

func negativeSize(i int64) int {
	switch {
	case i >= -32:
		return 1
	case i >= math.MinInt8:
		return 2
	case i >= math.MinInt16:
		return 3
	case i >= math.MinInt32:
		return 5
	default:
		return 9
	}
}
