// Package wire reads and writes MessagePack in one form for each value: the
// shortest. It knows the forms, and nothing of Go types or of what values mean.
//
//	wire.go     the forms
//	append.go   writing
//	decoder.go  strict reading, with an error for each value
//	reader.go   the same, with one error at the end
//
// Extensions are neither written nor read.
package wire

import "math"

// What values begin with.
const (
	// A number of 0 to LastFixInt is its own form.
	LastFixInt = 0x7f
	// In these the low bits are the length, which is at most LastFix for maps and
	// arrays, and LastFixStr for strings.
	FixMap     = 0x80
	FixArray   = 0x90
	FixMask    = 0xf0 // leaves FixMap and FixArray of a byte
	LastFix    = 0x0f
	FixStr     = 0xa0
	FixStrMask = 0xe0 // leaves FixStr of a byte
	LastFixStr = 0x1f

	Nil     = 0xc0
	Unused  = 0xc1 // begins no value
	False   = 0xc2
	True    = 0xc3
	Bin8    = 0xc4 // and Bin16, Bin32
	Float32 = 0xca
	Float64 = 0xcb
	Uint8   = 0xcc // and Uint16, Uint32, Uint64
	Uint32  = 0xce
	Uint64  = 0xcf
	Int8    = 0xd0 // and Int16, Int32, Int64
	Int64   = 0xd3
	Str8    = 0xd9 // and Str16, Str32
	Array16 = 0xdc // and Array32
	Map16   = 0xde // and Map32

	firstNegative = 0xe0 // -32, and so on to -1 at 0xff
)

// HeaderSize is the size of the header of an array or map.
func HeaderSize(n int) int {
	switch {
	case n <= LastFix:
		return 1
	case n <= math.MaxUint16:
		return 3
	default:
		return 5
	}
}

// stringSize is the size of a string of n bytes, with its header.
func stringSize(n int) int {
	if n <= LastFixStr {
		return 1 + n
	}
	return BytesSize(n)
}

// BytesSize is the size of n bytes, with their header.
func BytesSize(n int) int {
	switch {
	case n <= math.MaxUint8:
		return 2 + n
	case n <= math.MaxUint16:
		return 3 + n
	default:
		return 5 + n
	}
}

func uintSize(u uint64) int {
	switch {
	case u <= LastFixInt:
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
