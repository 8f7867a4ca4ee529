package codec

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"html/template"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

//lint:file-ignore U1000 what is not saved is not read either

// What the tests of this package share, and what Encode and Decode must give
// back.

const noLimit = 1 << 30

// box holds a value of a type that cannot be a component itself.
type box[T any] struct{ V T }

// item is a registered component, celsius one that is no struct, and money a
// type with a codec.
type (
	item    struct{ Name string }
	celsius float64
	money   struct{ cents int64 }
	shown   interface{ Show() string }
)

func (i item) Show() string   { return i.Name }
func (m *money) Show() string { return strconv.FormatInt(m.cents, 10) }

var moneyCodec = Custom{
	Encode: func(v reflect.Value) ([]byte, error) {
		m := v.Interface().(money)
		if m.cents == -1 {
			return nil, errors.New("no such money")
		}
		return strconv.AppendInt(nil, m.cents, 10), nil
	},
	Decode: func(b []byte, v reflect.Value) error {
		cents, err := strconv.ParseInt(string(b), 10, 64)
		if err == nil && strconv.FormatInt(cents, 10) != string(b) {
			err = strconv.ErrSyntax
		}
		if !v.IsZero() {
			err = errors.New("the value is not zero")
		}
		v.Set(reflect.ValueOf(money{cents}))
		return err
	},
}

// newTypes registers typ as "root", and what interfaces in the tests hold.
func newTypes(typ reflect.Type) *Types {
	types := NewTypes()
	types.Add("root", typ, 0)
	types.Add("item", reflect.TypeFor[item](), 0)
	types.Add("celsius", reflect.TypeFor[celsius](), 3)
	types.AddCustom("money", reflect.TypeFor[money](), moneyCodec)
	return types
}

func compile(t testing.TB, types *Types) *Types {
	t.Helper()
	for _, fault := range types.Compile() {
		t.Fatal(fault)
	}
	return types
}

// planOf returns the plan of a type that is not registered otherwise.
func planOf(t testing.TB, typ reflect.Type) *Plan {
	t.Helper()
	return compile(t, newTypes(typ)).Name("root")
}

func encodeValue(p *Plan, v any) ([]byte, error) {
	return p.Encode(nil, reflect.ValueOf(v), nil, noLimit)
}

func mustEncode(t testing.TB, p *Plan, v any) []byte {
	t.Helper()
	data, err := encodeValue(p, v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decodeValue(p *Plan, data []byte) (any, error) {
	v := reflect.New(p.Type).Elem()
	_, err := p.Decode(data, v)
	return v.Interface(), err
}

// payloadOf returns the part of data behind the shapes.
func payloadOf(t testing.TB, p *Plan, data []byte) []byte {
	t.Helper()
	_, payload, err := readShapes(p, data)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// same is reflect.DeepEqual, except for floats, which it compares by their bits,
// and types that have several forms of one value in memory.
func same(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() {
		return false
	}
	if !a.IsValid() {
		return true
	}
	if a.Type() != b.Type() {
		return false
	}
	if a.Kind() == reflect.Struct && !a.CanInterface() {
		return sameFields(a, b)
	}
	switch x := a.Interface().(type) {
	case time.Time:
		y := b.Interface().(time.Time)
		_, ox := x.Zone()
		_, oy := y.Zone()
		return x.Equal(y) && ox == oy && (x.Location() == time.UTC) == (y.Location() == time.UTC)
	case big.Int:
		y := b.Interface().(big.Int)
		return x.Cmp(&y) == 0
	case big.Rat:
		y := b.Interface().(big.Rat)
		return x.Cmp(&y) == 0
	case big.Float:
		y := b.Interface().(big.Float)
		return x.Cmp(&y) == 0 && x.Signbit() == y.Signbit() && x.Prec() == y.Prec() && x.Mode() == y.Mode()
	case netip.Addr, netip.AddrPort, netip.Prefix, url.URL, money:
		return reflect.DeepEqual(a.Interface(), b.Interface())
	}
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		return math.Float64bits(a.Float()) == math.Float64bits(b.Float())
	case reflect.Complex64, reflect.Complex128:
		x, y := a.Complex(), b.Complex()
		return math.Float64bits(real(x)) == math.Float64bits(real(y)) && math.Float64bits(imag(x)) == math.Float64bits(imag(y))
	case reflect.Pointer, reflect.Interface:
		return a.IsNil() == b.IsNil() && (a.IsNil() || same(a.Elem(), b.Elem()))
	case reflect.Slice:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		return sameElements(a, b)
	case reflect.Array:
		return sameElements(a, b)
	case reflect.Map:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		for _, key := range a.MapKeys() {
			if !same(a.MapIndex(key), b.MapIndex(key)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		return sameFields(a, b)
	}
	return a.Interface() == b.Interface()
}

func sameFields(a, b reflect.Value) bool {
	for i := range a.NumField() {
		if !same(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

func sameElements(a, b reflect.Value) bool {
	for i := range a.Len() {
		if !same(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

type (
	namedByte  byte
	namedBytes []namedByte
	shout      string
	flag       bool

	leafy struct {
		Value       int
		Left, Right *leafy
		Rest        []leafy
		ByName      map[string]leafy
	}
	tree     []tree
	nested   map[string]nested
	itself   *itself
	arrays   [2]struct{ More []arrays }
	Exported struct{ A int }
	hidden   struct{ B string }
	embedded struct {
		Exported
		hidden
		C bool
	}
	point    struct{ X, Y int32 }
	labelled struct {
		Point point
		Label string
	}
)

func in[T any](v T) any { return box[T]{v} }

func bigInt(s string) big.Int {
	x, ok := new(big.Int).SetString(s, 0)
	if !ok {
		panic(s)
	}
	return *x
}

func bigFloat(prec uint, mode big.RoundingMode, s string) big.Float {
	x, _, err := big.ParseFloat(s, 10, prec, mode)
	if err != nil {
		panic(err)
	}
	return *x
}

func parseURL(s string) url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return *u
}

// east is a zone of an odd offset.
var east = time.FixedZone("east", 4*3600+17*60+9)

// loop is a P that points to a nil one, n levels down.
func loop(n int) itself {
	var p itself
	for range n {
		p = new(p)
	}
	return p
}

var values = []struct {
	name string
	v    any
}{
	{"bool", in([]bool{true, false})},
	{"named bool", in(flag(true))},
	{"int", in([]int{0, 1, -1, 127, 128, -32, -33, 255, 256, math.MaxInt, math.MinInt})},
	{"int8", in([]int8{0, math.MaxInt8, math.MinInt8})},
	{"int16", in([]int16{0, math.MaxInt16, math.MinInt16, 128, -129})},
	{"int32", in([]int32{0, math.MaxInt32, math.MinInt32, 1 << 16, -1<<15 - 1})},
	{"int64", in([]int64{0, math.MaxInt64, math.MinInt64, 1 << 32, -1<<31 - 1})},
	{"uint", in([]uint{0, 127, 128, math.MaxUint})},
	{"uint8 in an array", in([3]uint8{0, 1, math.MaxUint8})},
	{"uint8", in(uint8(math.MaxUint8))},
	{"uint16", in([]uint16{0, 255, 256, math.MaxUint16})},
	{"uint32", in([]uint32{0, math.MaxUint16 + 1, math.MaxUint32})},
	{"uint64", in([]uint64{0, math.MaxUint32 + 1, math.MaxUint64})},
	{"float32", in([]float32{0, float32(math.Copysign(0, -1)), math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())})},
	{"float64", in([]float64{0, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN()})},
	{"float64, any NaN", in(math.Float64frombits(0x7ff0000000000001))},
	{"complex64", in([]complex64{0, complex(1, -1), complex(float32(math.Inf(1)), float32(math.NaN()))})},
	{"complex128", in([]complex128{0, complex(math.Copysign(0, -1), math.NaN())})},
	{"string", in([]string{"", "x", strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 256), strings.Repeat("x", 1<<16)})},
	{"string of any bytes", in("\x00\xff\xfe")},
	{"named string", in(shout("hey"))},
	{"bytes", in([][]byte{nil, {}, {0}, make([]byte, 255), make([]byte, 256), make([]byte, 1<<16)})},
	{"named bytes", in([]namedBytes{nil, {}, {1, 2}})},
	{"array of named bytes", in([2]namedByte{1, 2})},
	{"array of no bytes", in([0]byte{})},
	{"pointer to an array of bytes", in(&[2]byte{1, 2})},

	{"nil and empty slices", in([][]int{nil, {}, {1}})},
	{"nil and empty maps", in([]map[string]int{nil, {}, {"": 0}})},
	{"array of 16", in([16]int{15: 1})},
	{"slice of 1<<16", in(make([]bool, 1<<16))},
	{"arrays of arrays", in([2][0][3]int{})},
	{"arrays of arrays of values", in([2][2][1]string{{{"a"}, {"b"}}, {{"c"}, {"d"}}})},
	{"empty struct", in(struct{}{})},
	{"set", in(map[string]struct{}{"a": {}, "b": {}})},
	{"map of many", in(func() map[int]int {
		m := make(map[int]int)
		for i := range 1000 {
			m[i-500] = i
		}
		return m
	}())},
	{"map of large elements", in(map[string][200]byte{"a": {1}, "b": {2}})},
	{"map in a map", in(map[string]map[string]int{"a": {"b": 1, "c": 2}, "d": nil, "e": {}})},

	{"nil pointer", in((*int)(nil))},
	{"pointer", in(new(7))},
	{"pointers to a nil pointer", in([]**int{nil, new((*int)(nil)), new(new(3))})},
	{"three pointers", in([]***int{nil, new((**int)(nil)), new(new((*int)(nil))), new(new(new(3)))})},
	{"pointers to slices", in([]*[]int{nil, new([]int(nil)), {}, {1}})},
	{"pointers to bytes", in([]*[]byte{nil, new([]byte(nil)), {}, {1}})},
	{"pointers to maps", in([]*map[int]int{nil, new(map[int]int(nil)), new(map[int]int{}), new(map[int]int{1: 2})})},
	{"pointers to interfaces", in([]*any{nil, new(any(nil)), new(any(1))})},
	{"pointer to a struct", in(&point{1, 2})},

	{"recursive struct", in(leafy{
		Left:   &leafy{Value: 1, Right: &leafy{Value: 2}},
		Rest:   []leafy{{Value: 3}, {Rest: []leafy{{}}}},
		ByName: map[string]leafy{"a": {Value: 4}},
	})},
	{"recursive slice", tree{nil, {}, {{}, {nil}}}},
	{"recursive map", nested{"a": nil, "b": {}, "c": {"d": {}}}},
	{"recursive pointer", in([]itself{nil, loop(1), loop(2), loop(30)})},
	{"recursive array", arrays{{}, {[]arrays{{}, {}}}}},
	{"embedded structs", embedded{Exported{1}, hidden{"two"}, true}},

	{"map keys", in(map[bool]int{true: 1, false: 0})},
	{"map keys of floats", in(map[float64]int{0: 1, -1: 2, math.Inf(1): 3})},
	{"map key -0", in(map[float64]int{math.Copysign(0, -1): 1})},
	{"map keys of complex", in(map[complex64]int{1: 1, 2i: 2})},
	{"map keys of arrays", in(map[[2]int]string{{1, 2}: "a", {1, 3}: "b", {}: "c"})},
	{"map keys of bytes", in(map[[16]byte]int{{}: 1, {15: 1}: 2})},
	{"map keys of structs", in(map[labelled]int{{}: 1, {point{1, 2}, "x"}: 2})},
	{"map keys of addresses", in(map[netip.Addr]int{{}: 1, netip.MustParseAddr("::1"): 2, netip.MustParseAddr("::1%x"): 3})},
	{"map keys of prefixes", in(map[netip.Prefix]netip.AddrPort{netip.MustParsePrefix("10.0.0.0/8"): netip.MustParseAddrPort("1.2.3.4:5")})},
	{"map keys with a codec", in(map[money]int{{1}: 1, {10}: 2, {2}: 3})},
	{"map keys of structs with a codec", in(map[box[money]]int{{money{1}}: 1})},

	{"zero time", in(time.Time{})},
	{"times", in([]time.Time{
		time.Unix(0, 0).UTC(),
		time.Date(2024, 2, 29, 23, 59, 59, 999999999, time.UTC),
		time.Date(2024, 2, 29, 23, 59, 59, 1, east),
		time.Date(2024, 2, 29, 0, 0, 0, 0, time.FixedZone("", 0)),
		time.Date(2024, 2, 29, 0, 0, 0, 0, time.FixedZone("", math.MaxInt32)),
		time.Date(2024, 2, 29, 0, 0, 0, 0, time.FixedZone("", math.MinInt32)),
		time.Date(-9999, 1, 1, 0, 0, 0, 0, east),
		time.Date(99999, 12, 31, 0, 0, 0, 0, time.UTC),
		time.Unix(math.MaxInt64, 999999999).UTC(),
		time.Unix(math.MinInt64, 0).In(east),
		time.Now(),
		time.Time{}.In(east),
	})},
	{"durations", in([]time.Duration{0, math.MinInt64, math.MaxInt64})},
	{"months", in(map[time.Month]time.Weekday{time.May: time.Sunday})},

	{"big.Int", in([]big.Int{{}, bigInt("1"), bigInt("-1"), bigInt("255"), bigInt("256"), bigInt("-0x" + strings.Repeat("f", 2*maxNumber))})},
	{"pointers to big.Int", in([]*big.Int{nil, new(big.Int), big.NewInt(-7)})},
	{"big.Rat", in([]big.Rat{{}, *big.NewRat(1, 3), *big.NewRat(-22, 7), *big.NewRat(5, 1)})},
	{"big.Float", in([]big.Float{
		{},
		*new(big.Float).Neg(new(big.Float)),
		*new(big.Float).SetPrec(53),
		*new(big.Float).SetPrec(53).Neg(new(big.Float)),
		*new(big.Float).SetInf(false),
		*new(big.Float).SetInf(true),
		*big.NewFloat(1), *big.NewFloat(-0.1), *big.NewFloat(math.MaxFloat64), *big.NewFloat(math.SmallestNonzeroFloat64),
		bigFloat(maxPrecision, big.ToNearestEven, "0.1"),
		bigFloat(1, big.ToNearestEven, "4"),
		*new(big.Float).SetMantExp(big.NewFloat(0.5), maxExponent+1),
		*new(big.Float).SetMantExp(big.NewFloat(0.5), -maxExponent+1),
	})},
	{"big.Float of each mode", in([]big.Float{
		bigFloat(10, big.ToNearestEven, "0.1"), bigFloat(10, big.ToNearestAway, "0.1"), bigFloat(10, big.ToZero, "0.1"),
		bigFloat(10, big.AwayFromZero, "0.1"), bigFloat(10, big.ToNegativeInf, "0.1"), bigFloat(10, big.ToPositiveInf, "0.1"),
	})},
	{"netip.Addr", in([]netip.Addr{{}, netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::"), netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("::ffff:1.2.3.4"), netip.MustParseAddr("::ffff:1.2.3.4%z")})},
	{"netip.AddrPort", in([]netip.AddrPort{{}, netip.MustParseAddrPort("1.2.3.4:65535"), netip.MustParseAddrPort("[fe80::1%eth0]:0"), netip.AddrPortFrom(netip.Addr{}, 80)})},
	{"netip.Prefix", in([]netip.Prefix{{}, netip.MustParsePrefix("1.2.3.4/32"), netip.MustParsePrefix("::/0"), netip.PrefixFrom(netip.MustParseAddr("1.2.3.4"), -1)})},
	{"url.URL", in([]url.URL{
		{},
		parseURL("https://me:secret@host:1/a%2fb/c?q=1&r=%20#frag%2fment"),
		parseURL("mailto:a@b"),
		parseURL("https://host/?"),
		{User: url.User("")},
		{User: url.UserPassword("", "")},
		{Scheme: "a", OmitHost: true},
		{Scheme: "1", Opaque: "2", Host: "3", Path: "4", RawPath: "5", RawQuery: "6", Fragment: "7", RawFragment: "8", ForceQuery: true, OmitHost: true},
	})},
	{"pointer to a url.URL", in(new(parseURL("/x")))},
	{"sql", in(struct {
		A sql.NullString
		B sql.NullInt64
		C sql.NullInt32
		D sql.NullInt16
		E sql.NullByte
		F sql.NullFloat64
		G sql.NullBool
		H sql.NullTime
		I sql.Null[string]
		J sql.Null[[]int]
	}{
		sql.NullString{String: "x", Valid: true}, sql.NullInt64{Int64: 1}, sql.NullInt32{Valid: true}, sql.NullInt16{}, sql.NullByte{Byte: 1},
		sql.NullFloat64{Float64: math.NaN()}, sql.NullBool{Bool: true}, sql.NullTime{Time: time.Unix(1, 2).In(east), Valid: true},
		sql.Null[string]{V: "x", Valid: true}, sql.Null[[]int]{V: []int{1}},
	})},
	{"json", in(struct {
		A []json.RawMessage
		B json.Number
	}{[]json.RawMessage{nil, {}, json.RawMessage(`{ "a" : 1 }`)}, "1e9"})},
	{"html/template", in(struct {
		A template.HTML
		B template.HTMLAttr
		C template.CSS
		D template.JS
		E template.JSStr
		F template.URL
		G template.Srcset
	}{"<b>", "a=b", "c", "d", "e", "f", "g"})},

	{"interface with each basic type", in([]any{
		nil, true, int(-1), int8(-1), int16(-1), int32(-1), int64(-1),
		uint(1), uint8(1), uint16(1), uint32(1), uint64(1),
		float32(1), float64(math.NaN()), complex64(1), complex128(1i),
		"text", []byte("bytes"), []byte(nil), []byte{}, time.Unix(1, 2).In(east), time.Second,
		[]any(nil), []any{}, []any{1, "a", nil}, map[string]any(nil), map[string]any{}, map[string]any{"a": []any{1}},
	})},
	{"interface with registered types", in([]any{
		item{"a"}, &item{"b"}, (*item)(nil), celsius(1.5), new(celsius(2)), money{3}, &money{4}, (*money)(nil), item{"c"},
	})},
	{"interface with methods", in([]shown{nil, item{"a"}, &item{"b"}, &money{1}, (*item)(nil)})},
	{"interface with the component itself", box[any]{box[any]{new(box[any]{1})}}},
	{"named maps", struct {
		Few   namedTexts
		Many  namedTexts
		Empty namedTexts
		Nil   namedTexts
	}{namedTexts{"a": "b"}, namedTexts{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "6", "g": "7", "h": "8", "i": "9"}, namedTexts{}, nil}},
	{"maps of named keys", in(map[shout]string{"a": "b"})},
	{"times of few seconds", in([]time.Time{
		time.Unix(1, 500000).UTC(), time.Unix(0, 500000).UTC(), time.Unix(-1, 500000).UTC(), time.Unix(65535, 65536).UTC(), time.Unix(65536, 65535).UTC(),
		time.Unix(65536, 65536).UTC(), time.Unix(1<<32-1, 65536).UTC(), time.Unix(1<<32, 65536).UTC(),
	})},
	{"codec", in(money{-5})},
	{"codec as element", in([]money{{}, {1}})},
	{"codec in an array", in([2]money{{1}, {2}})},
	{"codec as map element", in(map[string]money{"a": {1}})},
	{"codec behind pointers", in([]**money{nil, new((*money)(nil)), new(&money{3})})},
	{"component with a version", in([]celsius{1, 2})},
}

type namedTexts map[string]string

func TestRoundTrip(t *testing.T) {
	for _, test := range values {
		t.Run(test.name, func(t *testing.T) {
			p := planOf(t, reflect.TypeOf(test.v))
			data := mustEncode(t, p, test.v)
			got, err := decodeValue(p, data)
			if err != nil {
				t.Fatal(err)
			}
			if !same(reflect.ValueOf(got), reflect.ValueOf(test.v)) {
				t.Errorf("got %#v, want %#v", got, test.v)
			}
			if again := mustEncode(t, p, got); !bytes.Equal(again, data) {
				t.Errorf("encoded again: %x, want %x", again, data)
			}
		})
	}
}

// TestManyBesideEachOther: what was left is no deeper than what comes next.
func TestManyBesideEachOther(t *testing.T) {
	for _, one := range []any{
		[]string{"a"}, []int{1}, []bool{}, []byte{1}, [1]string{"a"}, []point{{1, 2}}, point{1, 2}, new(point{1, 2}),
		map[string]string{"a": "b"}, map[string]int{"a": 1}, map[point]bool{{1, 2}: true},
		time.Unix(1, 0).UTC(), time.Unix(4102444800, 65536).UTC(), money{1}, new(1),
		in(any(1)), in(any(item{"a"})),
		*big.NewRat(1, 3), *big.NewFloat(1.5), parseURL("https://a:b@c"), parseURL("https://a@c"),
	} {
		t.Run(fmt.Sprintf("%T", one), func(t *testing.T) {
			many := reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(one)), 0, 0)
			for range MaxDepth + 1 {
				many = reflect.Append(many, reflect.ValueOf(one))
			}
			p := planOf(t, many.Type())
			got, err := decodeValue(p, mustEncode(t, p, many.Interface()))
			if err != nil {
				t.Fatal(err)
			}
			if !same(reflect.ValueOf(got), many) {
				t.Errorf("got %#v", got)
			}
		})
	}
}

// TestSame has data that differs in each one of its bytes, and in its length.
func TestSame(t *testing.T) {
	for _, test := range values {
		t.Run(test.name, func(t *testing.T) {
			p := planOf(t, reflect.TypeOf(test.v))
			v := reflect.ValueOf(test.v)
			data := mustEncode(t, p, test.v)
			check := func(what string, data []byte, want bool) {
				t.Helper()
				if got, err := p.Same(v, nil, data); got != want || err != nil {
					t.Errorf("%s: %t, %v", what, got, err)
				}
			}
			check("what was encoded", data, true)
			check("a byte more", append(slices.Clip(data), 0xc0), false)
			for i := range data {
				if i > 300 && i < len(data)-300 {
					continue // enough of what is large
				}
				check("cut short", data[:i], false)
				other := bytes.Clone(data)
				other[i] ^= 1
				check(fmt.Sprintf("byte %d", i), other, false)
			}
		})
	}
}

// TestSameStops has a value that could not be encoded behind a difference, and
// before one.
func TestSameStops(t *testing.T) {
	type pair struct{ A, B []any }
	p := planOf(t, reflect.TypeFor[pair]())
	data := mustEncode(t, p, pair{A: []any{1}, B: []any{1}})
	tests := []struct {
		name    string
		v       pair
		refused bool
	}{
		{"another value first", pair{A: []any{2}, B: []any{struct{}{}}}, false},
		{"nothing different first", pair{A: []any{1}, B: []any{struct{}{}}}, true},
		{"a long value", pair{A: []any{strings.Repeat("a", 1<<20)}, B: []any{struct{}{}}}, false},
	}
	for _, test := range tests {
		same, err := p.Same(reflect.ValueOf(test.v), nil, data)
		if same || errors.Is(err, ErrUnsavable) != test.refused || !test.refused && err != nil {
			t.Errorf("%s: %t, %v", test.name, same, err)
		}
	}
}

// TestLookingTakesLittleMemory compares and hashes a value that is large.
func TestLookingTakesLittleMemory(t *testing.T) {
	v := box[[]string]{slices.Repeat([]string{"some text"}, 50_000)}
	p := planOf(t, reflect.TypeFor[box[[]string]]())
	data := mustEncode(t, p, v)
	for what, look := range map[string]func() error{
		"Same": func() error {
			_, err := p.Same(reflect.ValueOf(&v).Elem(), nil, data)
			return err
		},
		"HashField": func() error {
			var h maphash.Hash
			return p.HashField(&h, reflect.ValueOf(&v).Elem(), 0, noLimit)
		},
	} {
		if err := look(); err != nil {
			t.Fatal(err)
		}
		if used := allocated(func() { look() }); used > 16<<10 {
			t.Errorf("%s took %d bytes for a value of %d", what, used, len(data))
		}
	}
}

// TestSameOmits has fields that are saved as zero.
func TestSameOmits(t *testing.T) {
	type pair struct{ A, B int }
	p := planOf(t, reflect.TypeFor[pair]())
	v := reflect.ValueOf(pair{1, 2})
	data, err := p.Encode(nil, v, []bool{false, true}, noLimit)
	if err != nil {
		t.Fatal(err)
	}
	for _, omit := range [][]bool{{false, true}, {true, false}, nil} {
		same, err := p.Same(v, omit, data)
		if want := omit != nil && omit[1]; same != want || err != nil {
			t.Errorf("%v: %t, %v", omit, same, err)
		}
	}
}

// Whatever can be encoded can be decoded only if both count alike.
func TestChargesAreEqual(t *testing.T) {
	for _, test := range values {
		t.Run(test.name, func(t *testing.T) {
			p := planOf(t, reflect.TypeOf(test.v))
			e := encoder{buf: slices.Clone(p.shapes), start: len(p.shapes), limit: noLimit, groups: []*Plan{p}}
			if err := p.node.encode(&e, reflect.ValueOf(test.v)); err != nil {
				t.Fatal(err)
			}
			payload := slices.Clone(e.buf[e.start:])
			if _, err := e.finish(); err != nil {
				t.Fatal(err)
			}

			d := newDecoder(payload)
			d.groups = make([]group, len(e.groups))
			for i, p := range e.groups {
				d.groups[i] = group{name: p.Name, table: p.encodedTable}
			}
			if _, err := d.component(0, p.types); err != nil {
				t.Fatal(err)
			}
			if err := p.node.decode(&d, reflect.New(p.Type).Elem()); err != nil {
				t.Fatal(err)
			}
			if used := MemoryBudget(len(payload)) - d.budget; used != e.charged {
				t.Errorf("decoding was charged %d bytes, encoding %d", used, e.charged)
			}
		})
	}
}

// The least size of an element is what bounds a length before its elements are
// read, so it must hold for every value.
func TestLeastSize(t *testing.T) {
	for _, test := range values {
		p := planOf(t, reflect.TypeOf(test.v))
		zero := payloadOf(t, p, mustEncode(t, p, reflect.Zero(p.Type).Interface()))
		if least := p.node.least(); least > len(zero) {
			t.Errorf("%s: least is %d, the zero value takes %d", test.name, least, len(zero))
		}
	}
	exact := []any{
		in(0), in(float32(0)), in(0.0), in(complex64(0)), in(complex128(0)), in(""), in([]byte(nil)), in([300]byte{}),
		in(big.Int{}), in(big.Rat{}), in(big.Float{}), in(netip.Addr{}), in(netip.AddrPort{}), in(netip.Prefix{}), in(url.URL{}),
		in(point{}), in([20]point{}), in((*int)(nil)), in(any(nil)), in(map[int]int(nil)),
	}
	for _, v := range exact {
		p := planOf(t, reflect.TypeOf(v))
		zero := payloadOf(t, p, mustEncode(t, p, v))
		if least := p.node.least(); least != len(zero) {
			t.Errorf("%T: least is %d, the zero value takes %d", v, least, len(zero))
		}
	}
}

func TestURLFields(t *testing.T) {
	typ := reflect.TypeFor[url.URL]()
	var names []string
	for field := range typ.Fields() {
		names = append(names, field.Name)
	}
	want := []string{"Scheme", "Opaque", "User", "Host", "Path", "Fragment", "RawQuery", "RawPath", "RawFragment", "ForceQuery", "OmitHost"}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("url.URL has the fields %q, the codec knows %q", names, want)
	}
}

func TestEqualValuesHaveEqualBytes(t *testing.T) {
	type state struct {
		Any  map[string]any
		Ints map[int]bool
	}
	build := func(order []int) any {
		m := make(map[string]any)
		ints := make(map[int]bool)
		for _, i := range order {
			key := strconv.Itoa(i)
			ints[i] = true
			switch i % 4 {
			case 0:
				m[key] = item{key}
			case 1:
				m[key] = celsius(i)
			case 2:
				m[key] = &money{int64(i)}
			default:
				m[key] = map[string]any{key: item{key}, "x": i}
			}
		}
		return box[state]{state{m, ints}}
	}
	var up, down []int
	for i := range 100 {
		up = append(up, i)
		down = append([]int{i}, down...)
	}
	p := planOf(t, reflect.TypeFor[box[state]]())
	want := mustEncode(t, p, build(up))
	for range 20 {
		if got := mustEncode(t, p, build(down)); !bytes.Equal(got, want) {
			t.Fatal("maps with the same entries have different bytes")
		}
	}
}

func TestMapKeysAreAscending(t *testing.T) {
	p := planOf(t, reflect.TypeFor[map[int]bool]())
	payload := payloadOf(t, p, mustEncode(t, p, map[int]bool{300: true, -1: true, 5: false, 128: false, 0: false}))
	if got, want := fmt.Sprintf("%x", payload), "85"+"00c2"+"05c2"+"cc80c2"+"cd012cc3"+"ffc3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The bytes of data, as docs/token.md describes them.
func TestForm(t *testing.T) {
	p := planOf(t, reflect.TypeFor[box[any]]())
	data := mustEncode(t, p, box[any]{[]any{&item{"a"}, celsius(1), money{2}}})
	table := func(s string) string { return "\xc4" + string(rune(len(s))) + s }
	want := "\x97" +
		table("\x92"+"\xa3{0}"+"\x92\xa1V\xa1?") +
		"\xa4item" + table("\x92"+"\xa3{0}"+"\x92\xa4Name\xa1s") +
		"\xa7celsius" + table("\x91"+"\xa4v3;d") +
		"\xa5money" + table("\x91"+"\xa8<5:money") +
		"\x91" + "\x92\x13" + "\x93" +
		"\x92\x23\x91\xa1a" +
		"\x92\x24\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00" +
		"\x92\x26\xc4\x012"
	if string(data) != want {
		t.Errorf("got  %q\nwant %q", data, want)
	}
}

func TestSignatures(t *testing.T) {
	tests := []struct {
		v    any
		want string
	}{
		{in(false), "b"},
		{in(struct {
			A int
			B int8
			C int16
			D int32
			E int64
			F uint
			G uint8
			H uint16
			I uint32
			J uint64
		}{}), "{1} A:i B:c C:h D:w E:l F:I G:C H:H I:W J:L"},
		{in([]**float32{}), "[**f"},
		{in(map[string][3]float64{}), "ms(3)d"},
		{in([3]namedByte{}), "Y3;"},
		{in(namedBytes{}), "y"},
		{in(tree{}), "[^1;"},
		{in([]tree{}), "[[^1;"},
		{in(itself(nil)), "*^1;"},
		{in(money{}), "<5:money"},
		{in(celsius(0)), "v3;d"},
		{in(item{}), "{1} Name:s"},
		{in(time.Second), "l"},
		{in(template.HTML("")), "Th"},
		{in(any(nil)), "?"},
	}
	for _, test := range tests {
		table := planOf(t, reflect.TypeOf(test.v)).table
		got := []string{table.structs[0][1]}
		for _, fields := range table.structs[1:] {
			for i := 0; i < len(fields); i += 2 {
				got = append(got, fields[i]+":"+fields[i+1])
			}
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%T: got %q, want %q", test.v, got, test.want)
		}
	}
}

func TestOmit(t *testing.T) {
	type state struct {
		Name  string
		Items []int
		When  time.Time
		hidden
	}
	p := planOf(t, reflect.TypeFor[state]())
	v := reflect.ValueOf(state{"n", []int{1}, time.Unix(1, 0).In(east), hidden{"h"}})
	for i, f := range p.Fields {
		omit := make([]bool, len(p.Fields))
		omit[i] = true
		data, err := p.Encode(nil, v, omit, noLimit)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(p.Type).Elem()
		if _, err := p.Decode(data, got); err != nil {
			t.Fatal(err)
		}
		for j := range p.Fields {
			if isZero := p.FieldValue(got, j).IsZero(); isZero != (i == j) {
				t.Errorf("without %s, %s is %v", f.GoName, p.Fields[j].GoName, p.FieldValue(got, j))
			}
		}
	}
}

func TestLargest(t *testing.T) {
	type inner struct{ Few, Many []int }
	type outer struct {
		Loaded string
		Text   string
		Inner  inner
		Last   string
	}
	long := strings.Repeat("x", 100)
	for _, test := range []struct {
		v    outer
		omit []bool
		want string
	}{
		{outer{Loaded: long}, nil, "outer.Loaded"},
		{outer{Text: long, Last: "x"}, nil, "outer.Text"},
		{outer{Text: "x", Last: long}, nil, "outer.Last"},
		{outer{Inner: inner{Many: make([]int, 100)}}, nil, "outer.Inner.Many"},
		{outer{Inner: inner{Few: make([]int, 100)}}, nil, "outer.Inner.Few"},
		{outer{}, nil, "outer.Inner.Few"}, // two bytes, and a header
		{outer{Loaded: long, Inner: inner{Few: make([]int, 100)}}, []bool{true, false, false, false}, "outer.Inner.Few"},
		{outer{Loaded: long, Text: "x", Last: "long"}, []bool{true, false, false, false}, "outer.Last"},
		{outer{Loaded: long, Text: "long", Last: "x"}, []bool{true, false, false, false}, "outer.Text"},
	} {
		p := planOf(t, reflect.TypeFor[outer]())
		if got := p.Largest(reflect.ValueOf(test.v), test.omit); !strings.HasSuffix(got, test.want) {
			t.Errorf("of %+v without %v: got %s, want %s", test.v, test.omit, got, test.want)
		}
	}
}

func TestEncodeAppends(t *testing.T) {
	p := planOf(t, reflect.TypeFor[box[any]]())
	for _, v := range []any{box[any]{1}, box[any]{item{"a"}}} {
		data, err := p.Encode([]byte("head"), reflect.ValueOf(v), nil, noLimit)
		if err != nil {
			t.Fatal(err)
		}
		if want := append([]byte("head"), mustEncode(t, p, v)...); !bytes.Equal(data, want) {
			t.Errorf("got %q, want %q", data, want)
		}
	}
}

func TestHashField(t *testing.T) {
	type other struct{ Name string }
	types := newTypes(reflect.TypeFor[box[any]]())
	types.Add("other", reflect.TypeFor[other](), 0)
	p := compile(t, types).Name("root")
	seed := maphash.MakeSeed()
	hash := func(v any, limit int) (uint64, error) {
		var h maphash.Hash
		h.SetSeed(seed)
		err := p.HashField(&h, reflect.ValueOf(box[any]{v}), 0, limit)
		return h.Sum64(), err
	}
	field := func(v any) uint64 {
		sum, err := hash(v, noLimit)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	if a, b := field(item{"a"}), field(item{"a"}); a != b {
		t.Error("equal values have different hashes")
	}
	many := func() any { return []any{"a", map[string]any{"b": 1, "c": []any{strings.Repeat("d", 2000)}}, "e"} }
	if a, b := field(many()), field(many()); a != b {
		t.Error("equal lists have different hashes")
	}
	for _, v := range []any{item{"b"}, &item{"a"}, other{"a"}, nil, 1, many()} {
		if field(v) == field(item{"a"}) {
			t.Errorf("%#v has the hash of another value", v)
		}
	}
	if _, err := hash("long", 5); !errors.Is(err, ErrLimit) {
		t.Errorf("got %v, want %v", err, ErrLimit)
	}
	list := slices.Repeat([]any{"0123456789"}, 200)
	for limit, refused := range map[int]bool{1000: true, 4000: false} {
		if _, err := hash(list, limit); errors.Is(err, ErrLimit) != refused {
			t.Errorf("a long list, limited to %d: %v", limit, err)
		}
	}
	if _, err := hash("long", 7); err != nil {
		t.Error(err)
	}
}

func TestFields(t *testing.T) {
	type state struct {
		A    int
		B    int `state:"bee,keep"`
		C    int `state:",optional,public"`
		D    int `state:"-"`
		e, E int
		hidden
		Plain
	}
	types := NewTypes(reflect.TypeFor[Plain]())
	types.Add("root", reflect.TypeFor[state](), 0)
	got := compile(t, types).Name("root").Fields
	want := []Field{
		{Name: "A", GoName: "A"},
		{Name: "bee", GoName: "B", Keep: true},
		{Name: "C", GoName: "C", Optional: true, Public: true},
		{Name: "E", GoName: "E"},
		{Name: "hidden", GoName: "hidden"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Plain is ignored in one test.
type Plain struct{ mu sync.Mutex }

// A byte type that is registered is saved as such, in slices and arrays too.
func TestRegisteredBytes(t *testing.T) {
	types := NewTypes()
	types.Add("root", reflect.TypeFor[box[[]namedByte]](), 0)
	types.Add("array", reflect.TypeFor[box[[2]namedByte]](), 0)
	types.AddCustom("byte", reflect.TypeFor[namedByte](), Custom{
		Encode: func(v reflect.Value) ([]byte, error) { return []byte{^byte(v.Uint())}, nil },
		Decode: func(b []byte, v reflect.Value) error { v.SetUint(uint64(^b[0])); return nil },
	})
	compile(t, types)
	for name, v := range map[string]any{"root": in([]namedByte{1, 2}), "array": in([2]namedByte{1, 2})} {
		p := types.Name(name)
		data := mustEncode(t, p, v)
		if got, want := payloadOf(t, p, data), "\x91\x92\xc4\x01\xfe\xc4\x01\xfd"; string(got) != want {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
		if got, err := decodeValue(p, data); err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%s: got %v and %v", name, got, err)
		}
	}
}

func TestBytesAreCopies(t *testing.T) {
	p := planOf(t, reflect.TypeFor[box[[]byte]]())
	data := mustEncode(t, p, box[[]byte]{[]byte("abc")})
	got, err := decodeValue(p, data)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	b := got.(box[[]byte]).V
	if string(b) != "abc" || cap(b) != len(b) {
		t.Errorf("got %q with room for %d", b, cap(b))
	}
}

func TestStringsShareOneAllocation(t *testing.T) {
	p := planOf(t, reflect.TypeFor[[100]string]())
	var v [100]string
	for i := range v {
		v[i] = "text"
	}
	data := mustEncode(t, p, v)
	out := reflect.New(p.Type).Elem()
	allocs := testing.AllocsPerRun(10, func() {
		if _, err := p.Decode(data, out); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 3 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestPlanIsSafeForConcurrentUse(t *testing.T) {
	p := planOf(t, reflect.TypeFor[rich]())
	old := planOf(t, reflect.TypeFor[richBefore]())
	v := richValue()
	want := mustEncode(t, p, v)
	before := mustEncode(t, old, richBefore{Text: "x", Gone: item{"a"}})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got, err := decodeValue(p, want)
				if err != nil {
					t.Error(err)
				}
				if again, err := encodeValue(p, got); err != nil || !bytes.Equal(again, want) {
					t.Error("encodes to other bytes", err)
				}
				if _, err := decodeValue(p, before); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// rich has a field of everything there is.
type rich struct {
	Bool    bool
	Int     int
	Int8    int8
	Uint    uint
	Uint16  uint16
	Float32 float32
	Float64 float64
	Complex complex64
	Text    string
	HTML    template.HTML
	Bytes   []byte
	ID      [4]byte
	Ints    []int
	Array   [2]point
	Map     map[string]int
	Floats  map[float64]bool
	Keys    map[labelled]struct{}
	Pointer **int
	Tree    tree
	Node    *leafy
	When    []time.Time
	Number  big.Int
	Ratio   *big.Rat
	Real    big.Float
	Addr    netip.Addr
	Port    netip.AddrPort
	Prefix  netip.Prefix
	URL     url.URL
	Null    sql.Null[string]
	Any     any
	More    []any
	Shown   shown
	Money   money
	Prices  map[money]*money
	hidden
}

// richBefore is rich when it had other fields.
type richBefore struct {
	Text string
	Gone any
}

func richValue() rich {
	return rich{
		Bool: true, Int: -70000, Int8: -5, Uint: 1 << 31, Uint16: 300,
		Float32: 1.5, Float64: math.Pi, Complex: 1 - 2i,
		Text: "text", HTML: "<b>", Bytes: []byte{1, 2}, ID: [4]byte{1, 2, 3, 4},
		Ints: []int{1, -1, 1000}, Array: [2]point{{1, 2}, {-1, -2}},
		Map:     map[string]int{"a": 1, "b": 200},
		Floats:  map[float64]bool{1: true, -1: false},
		Keys:    map[labelled]struct{}{{point{1, 2}, "x"}: {}, {}: {}},
		Pointer: new((*int)(nil)),
		Tree:    tree{nil, {}, {{}}},
		Node:    &leafy{Value: 1, Left: &leafy{}, Rest: []leafy{{}}},
		When:    []time.Time{time.Unix(1e9, 5).UTC(), time.Unix(-1, 0).In(east)},
		Number:  bigInt("-123456789012345678901234567890"), Ratio: big.NewRat(-22, 7), Real: *big.NewFloat(-0.1),
		Addr: netip.MustParseAddr("fe80::1%a"), Port: netip.MustParseAddrPort("1.2.3.4:80"), Prefix: netip.MustParsePrefix("10.0.0.0/8"),
		URL:  parseURL("https://a:b@c/d?e#f"),
		Null: sql.Null[string]{V: "v", Valid: true},
		Any:  &item{"i"}, More: []any{1, uint8(2), 1.5, nil, "s", []byte{1}, celsius(20), map[string]any{"k": []any{true}}, money{3}},
		Shown: item{"j"}, Money: money{100},
		Prices: map[money]*money{{1}: {2}, {3}: nil},
		hidden: hidden{"h"},
	}
}
