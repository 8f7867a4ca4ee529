package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate/internal/wire"
)

// Decode accepts the one form that Encode writes and no other.

// withShapes puts the shapes of p in front of a payload.
func withShapes(p *Plan, payload []byte) []byte {
	return append(bytes.Clone(p.shapes), payload...)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// wholeForms are all ways to write a whole number in MessagePack, with the
// smallest and the largest number that each can hold.
var wholeForms = []struct {
	name     string
	min, max *big.Int
	write    func(bits uint64) []byte
}{
	{"positive fixint", big.NewInt(0), big.NewInt(127), func(u uint64) []byte { return []byte{byte(u)} }},
	{"negative fixint", big.NewInt(-32), big.NewInt(-1), func(u uint64) []byte { return []byte{byte(u)} }},
	{"uint8", big.NewInt(0), big.NewInt(math.MaxUint8), func(u uint64) []byte { return []byte{0xcc, byte(u)} }},
	{"uint16", big.NewInt(0), big.NewInt(math.MaxUint16), func(u uint64) []byte { return binary.BigEndian.AppendUint16([]byte{0xcd}, uint16(u)) }},
	{"uint32", big.NewInt(0), big.NewInt(math.MaxUint32), func(u uint64) []byte { return binary.BigEndian.AppendUint32([]byte{0xce}, uint32(u)) }},
	{"uint64", big.NewInt(0), new(big.Int).SetUint64(math.MaxUint64), func(u uint64) []byte { return binary.BigEndian.AppendUint64([]byte{0xcf}, u) }},
	{"int8", big.NewInt(math.MinInt8), big.NewInt(math.MaxInt8), func(u uint64) []byte { return []byte{0xd0, byte(u)} }},
	{"int16", big.NewInt(math.MinInt16), big.NewInt(math.MaxInt16), func(u uint64) []byte { return binary.BigEndian.AppendUint16([]byte{0xd1}, uint16(u)) }},
	{"int32", big.NewInt(math.MinInt32), big.NewInt(math.MaxInt32), func(u uint64) []byte { return binary.BigEndian.AppendUint32([]byte{0xd2}, uint32(u)) }},
	{"int64", big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64), func(u uint64) []byte { return binary.BigEndian.AppendUint64([]byte{0xd3}, u) }},
}

var wholeTypes = []struct {
	typ      reflect.Type
	min, max *big.Int
}{
	{reflect.TypeFor[int8](), big.NewInt(math.MinInt8), big.NewInt(math.MaxInt8)},
	{reflect.TypeFor[int16](), big.NewInt(math.MinInt16), big.NewInt(math.MaxInt16)},
	{reflect.TypeFor[int32](), big.NewInt(math.MinInt32), big.NewInt(math.MaxInt32)},
	{reflect.TypeFor[int64](), big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64)},
	{reflect.TypeFor[uint8](), big.NewInt(0), big.NewInt(math.MaxUint8)},
	{reflect.TypeFor[uint16](), big.NewInt(0), big.NewInt(math.MaxUint16)},
	{reflect.TypeFor[uint32](), big.NewInt(0), big.NewInt(math.MaxUint32)},
	{reflect.TypeFor[uint64](), big.NewInt(0), new(big.Int).SetUint64(math.MaxUint64)},
}

func TestWholeNumbersHaveOneForm(t *testing.T) {
	var numbers []*big.Int
	for bits := range 65 {
		for _, delta := range []int64{-2, -1, 0, 1} {
			n := new(big.Int).Lsh(big.NewInt(1), uint(bits))
			n.Add(n, big.NewInt(delta))
			numbers = append(numbers, n, new(big.Int).Neg(n))
		}
	}
	numbers = append(numbers, big.NewInt(-32), big.NewInt(-33))
	between := func(min, n, max *big.Int) bool { return n.Cmp(min) >= 0 && n.Cmp(max) <= 0 }

	for _, typ := range wholeTypes {
		p := planOf(t, typ.typ)
		for _, n := range numbers {
			shortest := math.MaxInt
			bits := n.Uint64()
			if n.Sign() < 0 {
				bits = uint64(n.Int64())
			}
			for _, form := range wholeForms { // the unsigned ones come first
				if !between(form.min, n, form.max) {
					continue
				}
				payload := form.write(bits)
				accept := between(typ.min, n, typ.max) && len(payload) < shortest
				shortest = min(shortest, len(payload))
				got, err := decodeValue(p, withShapes(p, payload))
				switch {
				case accept && err != nil:
					t.Errorf("%v: %v as %s: %v", typ.typ, n, form.name, err)
				case accept && fmt.Sprint(got) != n.String():
					t.Errorf("%v: %v as %s: got %v", typ.typ, n, form.name, got)
				case !accept && !errors.Is(err, ErrMalformed):
					t.Errorf("%v: %v as %s: got %v", typ.typ, n, form.name, err)
				}
			}
		}
	}
}

func TestHeadersHaveOneForm(t *testing.T) {
	type form struct {
		lead byte // with the length in it, if size is 0
		size int
		max  int
	}
	tests := []struct {
		typ   reflect.Type
		elem  string
		forms []form
	}{
		{reflect.TypeFor[string](), "x", []form{{0xa0, 0, 31}, {0xd9, 1, math.MaxUint8}, {0xda, 2, math.MaxUint16}, {0xdb, 4, math.MaxInt}}},
		{reflect.TypeFor[[]byte](), "x", []form{{0xc4, 1, math.MaxUint8}, {0xc5, 2, math.MaxUint16}, {0xc6, 4, math.MaxInt}}},
		{reflect.TypeFor[[]bool](), "\xc2", []form{{0x90, 0, 15}, {0xdc, 2, math.MaxUint16}, {0xdd, 4, math.MaxInt}}},
		{reflect.TypeFor[map[uint32]bool](), "", []form{{0x80, 0, 15}, {0xde, 2, math.MaxUint16}, {0xdf, 4, math.MaxInt}}},
	}
	for _, test := range tests {
		p := planOf(t, test.typ)
		for _, length := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
			body := []byte(strings.Repeat(test.elem, length))
			if test.elem == "" {
				body = encodeKeys(length)
			}
			accept := true
			for _, f := range test.forms {
				if length > f.max {
					continue
				}
				payload := []byte{f.lead}
				if f.size == 0 {
					payload[0] |= byte(length)
				}
				payload = append(payload, binary.BigEndian.AppendUint32(nil, uint32(length))[4-f.size:]...)
				_, err := decodeValue(p, withShapes(p, append(payload, body...)))
				if accept && err != nil || !accept && !errors.Is(err, ErrMalformed) {
					t.Errorf("%v of %d with %#x: %v", test.typ, length, f.lead, err)
				}
				accept = false
			}
		}
	}
}

// encodeKeys returns n ascending keys, each with false.
func encodeKeys(n int) []byte {
	var b []byte
	for i := range n {
		b = append(wire.AppendInt(b, int64(i)), 0xc2)
	}
	return b
}

// Each payload is refused as malformed, unless want is what it decodes to.
var payloads = []struct {
	name    string
	typ     reflect.Type
	payload string
	want    any
}{
	{"nothing", reflect.TypeFor[int](), "", nil},
	{"bool", reflect.TypeFor[bool](), "c3", true},
	{"bool as a number", reflect.TypeFor[bool](), "01", nil},
	{"nil for a bool", reflect.TypeFor[bool](), "c0", nil},
	{"nil for an int", reflect.TypeFor[int](), "c0", nil},
	{"nil for a string", reflect.TypeFor[string](), "c0", nil},
	{"nil for a struct", reflect.TypeFor[point](), "c0", nil},
	{"nil for an array", reflect.TypeFor[[2]int](), "c0", nil},
	{"nil for an array of bytes", reflect.TypeFor[[2]byte](), "c0", nil},
	{"float for an int", reflect.TypeFor[int](), "cb3ff0000000000000", nil},
	{"int for a float", reflect.TypeFor[float64](), "01", nil},
	{"float64", reflect.TypeFor[float64](), "cb3ff0000000000000", 1.0},
	{"float32 for a float64", reflect.TypeFor[float64](), "ca3f800000", nil},
	{"float64 for a float32", reflect.TypeFor[float32](), "cb3ff0000000000000", nil},
	{"float32", reflect.TypeFor[float32](), "ca3f800000", float32(1)},
	{"float32, a signalling NaN", reflect.TypeFor[float32](), "ca7f800001", nil},
	{"complex64, a signalling NaN", reflect.TypeFor[complex64](), "92 ca00000000 ca7f800001", nil},
	{"complex64", reflect.TypeFor[complex64](), "92 ca3f800000 ca3f800000", complex64(1 + 1i)},
	{"complex64 of float64s", reflect.TypeFor[complex64](), "92 cb3ff0000000000000 cb3ff0000000000000", nil},
	{"complex128 of float32s", reflect.TypeFor[complex128](), "92 ca3f800000 ca3f800000", nil},
	{"complex64 of one part", reflect.TypeFor[complex64](), "91 ca3f800000", nil},
	{"complex64 as an extension of tinylib/msgp", reflect.TypeFor[complex64](), "d7 03 3f800000 3f800000", nil},

	{"bin for a string", reflect.TypeFor[string](), "c40161", nil},
	{"string for bytes", reflect.TypeFor[[]byte](), "a161", nil},
	{"string for an array of bytes", reflect.TypeFor[[1]byte](), "a161", nil},
	{"bytes for an array of another length", reflect.TypeFor[[1]byte](), "c4020102", nil},
	{"bytes for an array of another length, fewer", reflect.TypeFor[[2]byte](), "c40101", nil},
	{"array for bytes", reflect.TypeFor[[]byte](), "9101", nil},
	{"array for an array of bytes", reflect.TypeFor[[1]byte](), "9101", nil},
	{"bytes for a slice of int8", reflect.TypeFor[[]int8](), "c40101", nil},
	{"string cut short", reflect.TypeFor[string](), "a261", nil},
	{"string of 4 GiB", reflect.TypeFor[string](), "dbffffffff61", nil},
	{"bytes of 4 GiB", reflect.TypeFor[[]byte](), "c6ffffffff61", nil},

	{"map for a slice", reflect.TypeFor[[]int](), "80", nil},
	{"array for a map", reflect.TypeFor[map[int]int](), "90", nil},
	{"array of more", reflect.TypeFor[[1]int](), "920102", nil},
	{"array of fewer", reflect.TypeFor[[2]int](), "9101", nil},
	{"struct of more", reflect.TypeFor[point](), "93010203", nil},
	{"struct of fewer", reflect.TypeFor[point](), "9101", nil},
	{"struct as a map", reflect.TypeFor[point](), "82 a158 01 a159 02", nil},
	{"more elements than bytes", reflect.TypeFor[[]int](), "9301", nil},
	{"more elements than their least size", reflect.TypeFor[[]point](), "92 920102 92", nil},
	{"more entries than bytes", reflect.TypeFor[map[int]int](), "820102", nil},
	{"trailing nil", reflect.TypeFor[int](), "01c0", nil},
	{"trailing byte no value begins with", reflect.TypeFor[int](), "01c1", nil},
	{"byte no value begins with", reflect.TypeFor[any](), "c1", nil},

	{"pointer to a pointer", reflect.TypeFor[box[**int]](), "91 91 01", in(new(new(1)))},
	{"pointer to a pointer, not wrapped", reflect.TypeFor[box[**int]](), "91 01", nil},
	{"pointer, wrapped", reflect.TypeFor[box[*int]](), "91 91 01", nil},
	{"pointer to a pointer, wrapped twice", reflect.TypeFor[box[**int]](), "91 92 01 01", nil},

	{"map", reflect.TypeFor[map[int]int](), "82 01 01 02 02", map[int]int{1: 1, 2: 2}},
	{"map keys descending", reflect.TypeFor[map[int]int](), "82 02 02 01 01", nil},
	{"map key twice", reflect.TypeFor[map[int]int](), "82 01 01 01 02", nil},
	{"map keys in the order of their values", reflect.TypeFor[map[int]int](), "82 ff 01 01 01", nil},
	{"map keys 0 and -0", reflect.TypeFor[map[float64]bool](), "82 cb0000000000000000 c2 cb8000000000000000 c3", nil},
	{"map keys 0 and -0 in a struct", reflect.TypeFor[map[box[float64]]bool](), "82 91cb0000000000000000 c2 91cb8000000000000000 c3", nil},
	{"map key NaN", reflect.TypeFor[map[float64]bool](), "81 cb7ff8000000000001 c2", nil},
	{"map key NaN in a complex", reflect.TypeFor[map[complex64]bool](), "81 92 ca00000000 ca7fc00000 c2", nil},
	{"map key NaN in an array", reflect.TypeFor[map[[1]float64]bool](), "81 91 cb7ff8000000000001 c2", nil},
	{"map key NaN in a struct", reflect.TypeFor[map[box[float32]]bool](), "81 91 ca7fc00000 c2", nil},
	{"map key cut", reflect.TypeFor[map[string]bool](), "81 a2 61", nil},

	{"time", reflect.TypeFor[time.Time](), "93 01 02 c0", time.Unix(1, 2).UTC()},
	{"time of two", reflect.TypeFor[time.Time](), "92 01 02", nil},
	{"time as an extension of tinylib/msgp", reflect.TypeFor[time.Time](), "c7 0c 05 0000000000000001 00000002", nil},
	{"time as MessagePack's extension", reflect.TypeFor[time.Time](), "d6 ff 00000001", nil},
	{"time, nanoseconds", reflect.TypeFor[time.Time](), "93 01 ce3b9ac9ff c0", time.Unix(1, 999999999).UTC()},
	{"time, too many nanoseconds", reflect.TypeFor[time.Time](), "93 01 ce3b9aca00 c0", nil},
	{"time, negative nanoseconds", reflect.TypeFor[time.Time](), "93 01 ff c0", nil},
	{"time, offset too large", reflect.TypeFor[time.Time](), "93 01 02 ce80000000", nil},
	{"time, offset too small", reflect.TypeFor[time.Time](), "93 01 02 d3ffffffff7fffffff", nil},
	{"time, offset a string", reflect.TypeFor[time.Time](), "93 01 02 a0", nil},

	{"big.Int", reflect.TypeFor[box[big.Int]](), "91 c4020105", in(bigInt("-5"))},
	{"big.Int without a sign", reflect.TypeFor[big.Int](), "c400", nil},
	{"big.Int, unknown sign", reflect.TypeFor[big.Int](), "c4020205", nil},
	{"big.Int, leading zero", reflect.TypeFor[big.Int](), "c403000005", nil},
	{"big.Int, -0", reflect.TypeFor[big.Int](), "c40101", nil},
	{"big.Int as a number", reflect.TypeFor[big.Int](), "05", nil},
	{"big.Rat", reflect.TypeFor[box[big.Rat]](), "91 92 c4020001 c4020002", in(*big.NewRat(1, 2))},
	{"big.Rat not in lowest terms", reflect.TypeFor[big.Rat](), "92 c4020002 c4020004", nil},
	{"big.Rat of denominator 0", reflect.TypeFor[big.Rat](), "92 c4020001 c40100", nil},
	{"big.Rat of a negative denominator", reflect.TypeFor[big.Rat](), "92 c4020001 c4020102", nil},
	{"big.Rat 0/2", reflect.TypeFor[big.Rat](), "92 c40100 c4020002", nil},
	{"big.Float", reflect.TypeFor[box[big.Float]](), "91 96 02 00 c2 c2 01 c4020003", in(*new(big.Float).SetPrec(2).SetInt64(6))},
	{"big.Float of an even mantissa", reflect.TypeFor[big.Float](), "96 02 00 c2 c2 01 c4020002", nil},
	{"big.Float of a negative mantissa", reflect.TypeFor[big.Float](), "96 02 00 c2 c2 01 c4020103", nil},
	{"big.Float of more bits than its precision", reflect.TypeFor[big.Float](), "96 02 00 c2 c2 01 c4020005", nil},
	{"big.Float of precision 0", reflect.TypeFor[big.Float](), "96 00 00 c2 c2 00 c4020001", nil},
	{"big.Float 0 with an exponent", reflect.TypeFor[big.Float](), "96 02 00 c2 c2 01 c40100", nil},
	{"big.Float, infinite, with a mantissa", reflect.TypeFor[big.Float](), "96 02 00 c2 c3 00 c4020003", nil},
	{"big.Float, infinite, with an exponent", reflect.TypeFor[big.Float](), "96 02 00 c2 c3 01 c40100", nil},
	{"big.Float of an unknown mode", reflect.TypeFor[big.Float](), "96 02 06 c2 c2 00 c4020003", nil},

	{"netip.Addr", reflect.TypeFor[netip.Addr](), "c40401020304", netip.MustParseAddr("1.2.3.4")},
	{"netip.Addr of 5 bytes", reflect.TypeFor[netip.Addr](), "c4050102030405", nil},
	{"netip.Prefix", reflect.TypeFor[netip.Prefix](), "c4050102030420", netip.MustParsePrefix("1.2.3.4/32")},
	{"netip.Prefix of too many bits", reflect.TypeFor[netip.Prefix](), "c4050102030421", nil},
	{"netip.Prefix of nothing", reflect.TypeFor[netip.Prefix](), "c400", nil},
	{"netip.AddrPort of nothing", reflect.TypeFor[netip.AddrPort](), "c400", nil},

	{"url.URL", reflect.TypeFor[url.URL](), "9b a0a0a0a0a0a0a0a0 92a0a0 c2c2", url.URL{User: url.UserPassword("", "")}},
	{"url.URL of ten", reflect.TypeFor[url.URL](), "9a a0a0a0a0a0a0a0a0 c0 c2", nil},
	{"url.URL, user of none", reflect.TypeFor[url.URL](), "9b a0a0a0a0a0a0a0a0 90 c2c2", nil},
	{"url.URL, user of three", reflect.TypeFor[url.URL](), "9b a0a0a0a0a0a0a0a0 93a0a0a0 c2c2", nil},

	{"interface", reflect.TypeFor[box[any]](), "91 92 01 05", in(any(5))},
	{"interface of one", reflect.TypeFor[box[any]](), "91 91 01", nil},
	{"interface of a number alone", reflect.TypeFor[box[any]](), "91 05", nil},
	{"interface of an unknown basic type", reflect.TypeFor[box[any]](), "91 92 15 05", nil},
	{"interface of a type between", reflect.TypeFor[box[any]](), "91 92 1f 05", nil},
	{"interface of an unknown component", reflect.TypeFor[box[any]](), "91 92 22 91 a0", nil},
	{"interface of a component far off", reflect.TypeFor[box[any]](), "91 92 cfffffffffffffffff 91 a0", nil},
	{"interface of a negative type", reflect.TypeFor[box[any]](), "91 92 ff 91 a0", nil},
	{"interface of the component itself", reflect.TypeFor[box[any]](), "91 92 20 91 c0", in(any(in(any(nil))))},

	{"codec", reflect.TypeFor[box[money]](), "91 c40131", in(money{1})},
	{"codec, as a string", reflect.TypeFor[box[money]](), "91 a131", nil},
	{"codec, refused by its Decode", reflect.TypeFor[box[money]](), "91 c40130 30", nil},
	{"array of sixteen", reflect.TypeFor[[16]bool](), "dc0010" + strings.Repeat("c2", 16), [16]bool{}},
	{"array of sixteen, as of none", reflect.TypeFor[[16]bool](), "90" + strings.Repeat("c2", 16), nil},
	{"array of fifteen", reflect.TypeFor[[15]bool](), "9f" + strings.Repeat("c2", 15), [15]bool{}},
	{"struct, as its number of fields", reflect.TypeFor[point](), "00 01 02", nil},
	{"time in the year 2100", reflect.TypeFor[time.Time](), "93 ce f4865700 ce 00010000 c0", time.Unix(4102444800, 65536).UTC()},
	{"time with a second of nanoseconds", reflect.TypeFor[time.Time](), "93 ce f4865700 ce 3b9aca00 c0", nil},
	{"time with its nanoseconds in a longer form", reflect.TypeFor[time.Time](), "93 ce f4865700 ce 0000ffff c0", nil},
	{"time with its seconds in a longer form", reflect.TypeFor[time.Time](), "93 ce 0000ffff ce 00010000 c0", nil},
	{"time of four parts", reflect.TypeFor[time.Time](), "94 ce f4865700 ce 00010000 c0", nil},
	{"time with an offset of nothing known", reflect.TypeFor[time.Time](), "93 ce f4865700 ce 00010000 c1", nil},
	{"time with its seconds as a float", reflect.TypeFor[time.Time](), "93 ca f4865700 ce 00010000 c0", nil},
	{"time with its nanoseconds as a float", reflect.TypeFor[time.Time](), "93 ce f4865700 ca 00010000 c0", nil},

	{"codec, refused as text", reflect.TypeFor[box[money]](), "91 c40178", nil},
}

func TestPayloads(t *testing.T) {
	for _, test := range payloads {
		t.Run(test.name, func(t *testing.T) {
			if test.typ.Kind() == reflect.Interface {
				test.typ, test.payload = reflect.TypeFor[box[any]](), "91"+test.payload
			}
			types := newTypes(test.typ)
			if _, std := stdTypes[test.typ]; std { // the test's own name for it, not the one interfaces know
				types = NewTypes()
				types.Add("root", test.typ, 0)
			}
			p := compile(t, types).Name("root")
			got, err := decodeValue(p, withShapes(p, unhex(test.payload)))
			switch {
			case test.want == nil && !errors.Is(err, ErrMalformed):
				t.Errorf("got %v and %v, want %v", got, err, ErrMalformed)
			case test.want != nil && err != nil:
				t.Error(err)
			case test.want != nil && !same(reflect.ValueOf(got), reflect.ValueOf(test.want)):
				t.Errorf("got %#v, want %#v", got, test.want)
			}
		})
	}
}

func TestHugeHeaders(t *testing.T) {
	for _, header := range []string{"ddffffffff", "dd80000000", "dd7fffffff", "dfffffffff", "df80000000", "dbffffffff", "db80000000", "c6ffffffff", "c680000000"} {
		for _, typ := range []reflect.Type{
			reflect.TypeFor[[]struct{}](), reflect.TypeFor[[][1 << 20]int](), reflect.TypeFor[map[int]int](),
			reflect.TypeFor[map[int][1 << 20]int](), reflect.TypeFor[[3]int](), reflect.TypeFor[point](), reflect.TypeFor[string](), reflect.TypeFor[[3]byte](), reflect.TypeFor[big.Int](),
		} {
			p := planOf(t, typ)
			if _, err := decodeValue(p, withShapes(p, unhex(header))); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLimit) {
				t.Errorf("%v of %s: %v", typ, header, err)
			}
		}
		want := ErrLimit
		if header[1] == 'b' || header[1] == '6' { // a string, or bytes
			want = ErrMalformed
		}
		d := newDecoder(unhex(header))
		if err := d.skip(); !errors.Is(err, want) {
			t.Errorf("skipping %s: got %v, want %v", header, err, want)
		}
	}
}

// Too many elements are too many, whether or not there are bytes for them.
func TestMoreElementsThanBytes(t *testing.T) {
	tests := []struct {
		typ    reflect.Type
		header string
		want   error
	}{
		{reflect.TypeFor[[]bool](), "dc0065", ErrMalformed},
		{reflect.TypeFor[[]bool](), "dd00100000", ErrMalformed},
		{reflect.TypeFor[[]bool](), "dd00100001", ErrLimit},
		{reflect.TypeFor[[]bool](), "dd7fffffff", ErrLimit},
		{reflect.TypeFor[[]bool](), "dd80000000", ErrLimit},
		{reflect.TypeFor[[]bool](), "ddffffffff", ErrLimit},
		{reflect.TypeFor[map[uint8]bool](), "df00100000", ErrMalformed},
		{reflect.TypeFor[map[uint8]bool](), "df00100001", ErrLimit},
		{reflect.TypeFor[map[uint8]bool](), "dfffffffff", ErrLimit},
		{reflect.TypeFor[point](), "dd00100001", ErrMalformed}, // it has two fields
		{reflect.TypeFor[[2]bool](), "ddffffffff", ErrMalformed},
	}
	for _, test := range tests {
		p := planOf(t, test.typ)
		payload := append(unhex(test.header), bytes.Repeat([]byte{0xc2}, 100)...)
		if _, err := decodeValue(p, withShapes(p, payload)); !errors.Is(err, test.want) {
			t.Errorf("%v of %s: got %v, want %v", test.typ, test.header, err, test.want)
		}
	}
}

func TestCut(t *testing.T) {
	p := planOf(t, reflect.TypeFor[rich]())
	data := mustEncode(t, p, richValue())
	for i := range data {
		if _, err := decodeValue(p, data[:i]); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut at %d of %d: %v", i, len(data), err)
		}
	}
	for _, more := range []byte{0, 0x90, 0xc0, 0xff} {
		if _, err := decodeValue(p, append(bytes.Clone(data), more)); !errors.Is(err, ErrMalformed) {
			t.Errorf("with %#x behind: %v", more, err)
		}
	}
}

func TestFlippedBits(t *testing.T) {
	p := planOf(t, reflect.TypeFor[rich]())
	data := mustEncode(t, p, richValue())
	payload := len(data) - len(payloadOf(t, p, data))
	for i := range 8 * len(data) {
		data[i/8] ^= 1 << (i % 8)
		got, err := decodeValue(p, data)
		// In the shapes it may have been a field's name, which is dropped then.
		if err == nil && i/8 >= payload {
			if again := mustEncode(t, p, got); !bytes.Equal(again, data) {
				t.Errorf("bit %d: another form of the same value was accepted", i)
			}
		}
		data[i/8] ^= 1 << (i % 8)
	}
}

// The components of the shapes stand in the order of the value, each once, and
// all of them are in it. Behind a field that is skipped only "each once" is left.
func TestShapesHaveOneForm(t *testing.T) {
	types := compile(t, newTypes(reflect.TypeFor[[]any]()))
	root, item, celsius := types.Name("root"), types.Name("item"), types.Name("celsius")
	const (
		itemFirst  = "92 22 91 a161"
		itemNext   = "92 24 91 a161"
		firstOfTwo = "92 22 cb3ff0000000000000"
		nextOfTwo  = "92 24 cb3ff0000000000000"
	)
	tests := []struct {
		name    string
		groups  []*Plan
		payload string
		want    error
	}{
		{"none", []*Plan{root}, "90", nil},
		{"one", []*Plan{root, item}, "91" + itemFirst, nil},
		{"one, twice", []*Plan{root, item}, "92" + itemFirst + itemFirst, nil},
		{"two", []*Plan{root, item, celsius}, "92" + itemFirst + nextOfTwo, nil},
		{"two, in another order", []*Plan{root, celsius, item}, "92" + itemNext + firstOfTwo, ErrMalformed},
		{"the second alone", []*Plan{root, celsius, item}, "91" + itemNext, ErrMalformed},
		{"one that nothing holds", []*Plan{root, item}, "90", ErrMalformed},
		{"another that nothing holds", []*Plan{root, item, celsius}, "91" + itemFirst, ErrMalformed},
		{"one type twice", []*Plan{root, item, item}, "92" + itemFirst + itemNext, ErrMalformed},
		{"the component itself again", []*Plan{root, root}, "91 92 22 90", ErrMalformed},
	}
	for _, test := range tests {
		data := append(appendShapes(nil, test.groups), unhex(test.payload)...)
		if _, err := decodeValue(root, data); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}

	type kept struct{ Held []any }
	types = newTypes(reflect.TypeFor[kept]())
	root = compile(t, types).Name("root")
	item, celsius = types.Name("item"), types.Name("celsius")
	before := table{root: "{0}", structs: [][]string{{"Gone", "?", "Held", "[?"}}}
	own := &Plan{encodedTable: before.append(nil)}
	gone := &Plan{Name: "gone", encodedTable: (&table{root: "i"}).append(nil)}
	named := func(p *Plan, name string) *Plan { return &Plan{Name: name, encodedTable: p.encodedTable} }
	of := func(table string) *Plan { return &Plan{Name: "gone", encodedTable: unhex(table)} }
	skipped := []struct {
		name    string
		groups  []*Plan
		payload string
		want    error
	}{
		{"none", nil, "90", nil},
		{"one that is not registered", []*Plan{gone}, "90", nil},
		{"one that is not registered, held", []*Plan{gone}, "91 92 22 05", ErrOutdated},
		{"one that nothing holds", []*Plan{item}, "90", nil},
		{"two, in another order", []*Plan{celsius, item}, "92" + itemNext + firstOfTwo, nil},
		{"more than there are", []*Plan{item}, "91" + itemNext, ErrMalformed},
		{"one twice", []*Plan{item, item}, "90", ErrMalformed},
		{"one that is not registered, twice", []*Plan{gone, gone}, "90", ErrMalformed},
		{"the component itself again", []*Plan{named(own, "root")}, "90", ErrMalformed},
		{"one without a name", []*Plan{named(item, "")}, "90", ErrMalformed},
		{"no table", []*Plan{of("c1")}, "90", ErrMalformed},
		{"an empty table", []*Plan{of("90")}, "90", ErrMalformed},
		{"a table in a longer form", []*Plan{of("91 d901 69")}, "90", ErrMalformed},
		{"a table of an unknown signature", []*Plan{of("91 a171")}, "90", ErrOutdated},
		{"a table of another type", []*Plan{named(gone, "item")}, "90", nil},
		{"a table of another type, held", []*Plan{named(gone, "item")}, "91 92 22 05", ErrOutdated},
	}
	for _, test := range skipped {
		data := append(appendShapes(nil, append([]*Plan{own}, test.groups...)), unhex("92 c0"+test.payload)...)
		if _, err := decodeValue(root, data); !errors.Is(err, test.want) {
			t.Errorf("behind a skipped field, %s: got %v, want %v", test.name, err, test.want)
		}
	}
}

func TestMalformedShapes(t *testing.T) {
	p := planOf(t, reflect.TypeFor[box[int]]())
	table := func(s string) string {
		return fmt.Sprintf("91 c4 %02x %s", len(unhex(s)), s)
	}
	const (
		root  = "a37b307d"  // {0}
		field = "a156 a169" // V i
	)
	tests := []struct{ name, shapes, payload string }{
		{"none", "", ""},
		{"no array", "c0", "91 05"},
		{"no component", "90", "91 05"},
		{"a name without a table", strings.Replace(table("92"+root+"92"+field), "91", "92", 1) + "a161", "91 05"},
		{"a name that is not there", strings.Replace(table("92"+root+"92"+field), "91", "92", 1), "91 05"},
		{"too many", "dc00ff", ""},
		{"a million", "dd00100000", ""},
		{"a table of a million", table("dd00100000"), "91 05"},
		{"a table that is a string", "91 a161", "91 05"},
		{"an empty table", table(""), "91 05"},
		{"a table of nothing", table("90"), "91 05"},
		{"a table that is no array", table("c0"), "91 05"},
		{"a table of too many", table("dc00ff"), "91 05"},
		{"a root that is no string", table("91 c0"), "91 05"},
		{"a struct that is no array", table("92" + root + "c0"), "91 05"},
		{"a name without a signature", table("92" + root + "91 a156"), "91 05"},
		{"a field twice", table("92" + root + "94" + field + field), "92 05 05"},
		{"more behind a table", table("92" + root + "92" + field + "c0"), "91 05"},
		{"a struct that is not there", table("91" + root), "90"},
		{"a long header before a table", "91 c5000a 92" + root + "92" + field, "91 05"},
		{"a long header in a table", table("92" + root + "92 d90156 a169"), "91 05"},
	}
	if _, err := decodeValue(p, unhex(table("92"+root+"92"+field)+"91 05")); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		if _, err := decodeValue(p, unhex(test.shapes+test.payload)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}

// The path of an error in a map never shows a key.
func TestDecodeErrors(t *testing.T) {
	tests := []struct {
		typ     reflect.Type
		payload string
		want    string
	}{
		{reflect.TypeFor[box[[]point]](), "91 91 92 01 a0", "box[[]github.com/pagestate/pagestate/internal/codec.point].V[0].Y: malformed data: not a number"},
		{reflect.TypeFor[map[string]int](), "81 a3736563 a0", "map[string]int[]: malformed data: not a number"},
		{reflect.TypeFor[map[labelled]int](), "81 92 92 01 02 01 01", "map[codec.labelled]int[key].Label: malformed data: not a string"},
		{reflect.TypeFor[[]string](), "92 a161 01", "[]string[1]: malformed data: not a string"},
		{reflect.TypeFor[[2]string](), "92 a161 01", "[2]string[1]: malformed data: not a string"},
		{reflect.TypeFor[money](), "c40178", `money: malformed data: codec "money" returned an error`},
	}
	for _, test := range tests {
		types := NewTypes()
		types.Add("root", test.typ, 0)
		if test.typ == reflect.TypeFor[money]() {
			types = NewTypes()
			types.AddCustom("money", test.typ, moneyCodec)
		}
		p := compile(t, types).Type(test.typ)
		_, err := decodeValue(p, withShapes(p, unhex(test.payload)))
		if err == nil || err.Error() != test.want {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
	}
}
