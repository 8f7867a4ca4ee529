package codec

import (
	"bytes"
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/pagestate/pagestate/internal/wire"
)

// The memory that docs/token.md counts, figure by figure: a program in another language
// has to count the same.

// skipUnless64 skips a test of figures that are those of machines of 64 bits.
func skipUnless64(t *testing.T) {
	t.Helper()
	if strconv.IntSize != 64 {
		t.Skip("the figures are those of 64 bits")
	}
}

// charges returns what encoding v counts, and what decoding it does.
func charges(t *testing.T, p *Plan, v any) (encoding, decoding int) {
	t.Helper()
	e := encoder{buf: bytes.Clone(p.shapes), start: len(p.shapes), limit: noLimit, groups: []*Plan{p}}
	if err := p.encode(&e, reflect.ValueOf(v), nil); err != nil {
		t.Fatal(err)
	}
	data, err := e.finish()
	if err != nil {
		t.Fatal(err)
	}
	var d decoder
	if err := p.begin(&d, data); err != nil {
		t.Fatal(err)
	}
	if err := p.node.decode(&d, reflect.New(p.Type).Elem()); err != nil {
		t.Fatal(err)
	}
	return e.charged, MemoryBudget(len(d.Data)) - d.budget
}

func TestMemoryFigures(t *testing.T) {
	skipUnless64(t)
	type (
		optionalRows struct {
			V []*refRow `state:",optional"`
		}
		keys[T any] map[int8]T
	)
	row := &refRow{ID: 1}
	const mapOf1 = 48 + 8*17 + 8 + 16 + 16 // 8 places of 17 are 136, and 8 more by themselves
	tests := []struct {
		name  string
		plan  func(testing.TB) *Plan
		value any
		want  int
	}{
		{"numbers", refPlan[box[[3]int]], box[[3]int]{}, 0},
		{"nil pointer", refPlan[box[*int]], box[*int]{}, 0},
		{"pointer", refPlan[box[*bool]], box[*bool]{new(true)}, 16},
		{"pointer to 256 bytes", refPlan[box[*[256]byte]], box[*[256]byte]{new([256]byte{})}, 256},
		{"pointer to 257 bytes", refPlan[box[*[257]byte]], box[*[257]byte]{new([257]byte{})}, 257 + 64 + 15},
		{"pointer to nothing", refPlan[box[*struct{}]], box[*struct{}]{new(struct{}{})}, 0},

		{"nil slice", refPlan[box[[]int]], box[[]int]{}, 0},
		{"empty slice", refPlan[box[[]int]], box[[]int]{[]int{}}, 24},
		{"slice", refPlan[box[[]int]], box[[]int]{make([]int, 3)}, 24 + 32},
		{"slice of 256 bytes", refPlan[box[[]int]], box[[]int]{make([]int, 32)}, 24 + 256},
		{"slice of 264 bytes", refPlan[box[[]int]], box[[]int]{make([]int, 33)}, 24 + 264 + 66 + 6},
		{"slice of nothing", refPlan[box[[]struct{}]], box[[]struct{}]{make([]struct{}, 100)}, 24},

		{"nil map", refPlan[box[map[int]int]], box[map[int]int]{}, 0},
		{"empty map", refPlan[box[map[int]int]], box[map[int]int]{map[int]int{}}, 48},
		{"map of 1", refPlan[box[map[int]int]], box[map[int]int]{mapOf[int](1)}, mapOf1},
		{"map of 8", refPlan[box[map[int]int]], box[map[int]int]{mapOf[int](8)}, mapOf1},
		{"map of 9", refPlan[box[map[int]int]], box[map[int]int]{mapOf[int](9)}, 48 + 9*3*17 + 16 + 16},
		{"set", refPlan[box[map[int]struct{}]], box[map[int]struct{}]{mapOf[struct{}](1)}, 48 + 8*17 + 8 + 16},
		{"map of 128 bytes", refPlan[box[map[int][128]byte]], box[map[int][128]byte]{mapOf[[128]byte](1)}, 48 + 8*137 + 274 + 6 + 16 + 128},
		{"map of 129 bytes", refPlan[box[map[int][129]byte]], box[map[int][129]byte]{mapOf[[129]byte](1)}, mapOf1 - 16 + 144 + 144},
		{"map of 9 of 129 bytes", refPlan[box[map[int][129]byte]], box[map[int][129]byte]{mapOf[[129]byte](9)}, 48 + 9*(3*17+144) + 16 + 144},
		{"map of large keys", refPlan[box[map[[129]byte]int]], box[map[[129]byte]int]{map[[129]byte]int{{}: 1}}, mapOf1 - 16 + 144 + 144},
		{"map with a reference", refPlan[keys[*refRow]], keys[*refRow]{1: row, 2: nil}, mapOf1 + 152 + 160 + 16 + 16},
		{"map with references in two", refPlan[keys[[2]*refRow]], keys[[2]*refRow]{1: {row, row}, 2: {row}}, mapOf1 + 64 + 3*152 + 2*(160+16+16)},

		{"nil interface", refPlan[box[any]], box[any]{}, 0},
		{"interface", refPlan[box[any]], box[any]{true}, 2 * 16},
		{"interface of a string", refPlan[box[any]], box[any]{""}, 2 * 16},
		{"interface of a time", refPlan[box[any]], box[any]{time.Unix(0, 0).UTC()}, 2 * 32},
		{"interface with a reference", refPlan[box[any]], box[any]{row}, 2*16 + 160 + 152},
		{"interface with two", refPlan[box[any]], box[any]{[]any{row, row}}, 2*32 + 160 + 24 + 32 + 2*(2*16+160+152)},

		{"nil reference", refPlan[box[*refRow]], box[*refRow]{}, 0},
		{"reference", refPlan[box[*refRow]], box[*refRow]{row}, 120 + 2*16},
		{"reference by value", refPlan[box[refRow]], box[refRow]{*row}, 120 + 2*16},
		{"reference with a large key", refPlan[box[*refWide]], box[*refWide]{&refWide{[16]string{15: "x"}}}, 120 + 2*256 + len("\x91\xdc\x00\x10"+"\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0"+"\xa1x")},
		{"references", refPlan[box[[]*refRow]], box[[]*refRow]{[]*refRow{row, nil}}, 24 + 16 + 152},
		{"optional references", refPlan[optionalRows], optionalRows{[]*refRow{row, row}}, 24 + 16 + 160 + 2*152},
		{"optional, without one", refPlan[optionalRows], optionalRows{[]*refRow{nil}}, 24 + 16},

		{"nil query", refPlan[box[refNamed]], box[refNamed]{}, 0},
		{"query", refPlan[box[refNamed]], box[refNamed]{refNamed{name: "known"}}, 3*32 + len("\x91\x92\xa5known\x93\xc0\xc0\xc0")},
		{"query with a reference", refPlan[box[refNamed]], box[refNamed]{refNamed{"known", refArgs{Row: row}}}, 3*32 + 160 + 152 + len("\x91\x92\xa5known\x93\x01\xc0\xc0")},

		{"nil bytes", refPlan[box[[]byte]], box[[]byte]{}, 0},
		{"bytes", refPlan[box[[]byte]], box[[]byte]{make([]byte, 300)}, 300},
		{"array of bytes", refPlan[box[[300]byte]], box[[300]byte]{}, 0},
		{"codec", refPlan[box[money]], box[money]{money{12345}}, 5},
		{"empty string", refPlan[box[string]], box[string]{}, 0},
		{"string", refPlan[box[string]], box[string]{"abc"}, 5},
		{"strings", refPlan[box[[2]string]], box[[2]string]{[2]string{"abc", "de"}}, 9},
		{"long string", refPlan[box[string]], box[string]{string(make([]byte, 32))}, 35},

		{"time in UTC", refPlan[box[time.Time]], box[time.Time]{time.Unix(0, 0).UTC()}, 0},
		{"time in a zone", refPlan[box[time.Time]], box[time.Time]{time.Unix(0, 0).In(east)}, 256},
		{"big.Int", refPlan[box[big.Int]], box[big.Int]{*big.NewInt(-256)}, 96 + 6*3},
		{"big.Int of 0", refPlan[box[big.Int]], box[big.Int]{}, 96 + 6*1},
		{"big.Rat", refPlan[box[big.Rat]], box[big.Rat]{*big.NewRat(256, 3)}, 96 + 6*3 + 96 + 6*2},
		{"big.Float", refPlan[box[big.Float]], box[big.Float]{*big.NewFloat(257)}, 96 + 6*3},
		{"netip.Addr", refPlan[box[netip.Addr]], box[netip.Addr]{netip.MustParseAddr("1.2.3.4")}, 8 * 4},
		{"netip.Addr with a zone", refPlan[box[netip.Addr]], box[netip.Addr]{netip.MustParseAddr("::1%ab")}, 8 * 18},
		{"netip.AddrPort", refPlan[box[netip.AddrPort]], box[netip.AddrPort]{netip.MustParseAddrPort("1.2.3.4:80")}, 8 * 6},
		{"netip.Prefix", refPlan[box[netip.Prefix]], box[netip.Prefix]{netip.MustParsePrefix("10.0.0.0/8")}, 8 * 5},
		{"url.URL", refPlan[box[url.URL]], box[url.URL]{}, 0},
		{"url.URL with a user", refPlan[box[url.URL]], box[url.URL]{url.URL{User: url.User("")}}, 40},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			encoding, decoding := charges(t, test.plan(t), test.value)
			if encoding != test.want || decoding != test.want {
				t.Errorf("encoding counts %d bytes, and decoding %d, want %d", encoding, decoding, test.want)
			}
		})
	}
}

func mapOf[E any](n int) map[int]E {
	m := make(map[int]E)
	for i := range n {
		m[i] = *new(E)
	}
	return m
}

// A map that grows entry by entry is counted by what each one more takes.
func TestMapSizeNext(t *testing.T) {
	skipUnless64(t)
	small, large := SizeOfMap(reflect.TypeFor[map[int]int]()), SizeOfMap(reflect.TypeFor[map[int][129]byte]())
	tests := []struct {
		name string
		size MapSize
		n    int // how many there are
		want int
	}{
		{"first", small, 0, 144 + 32},
		{"second", small, 1, 32},
		{"eighth", small, 7, 32},
		{"ninth, in a table of its own", small, 8, 2*(9*3*17-144) + 32},
		{"tenth", small, 9, 2*3*17 + 32},
		{"large, first", large, 0, 144 + 144 + 160},
		{"large, second", large, 1, 144 + 160},
		{"large, tenth", large, 9, 2*(3*17+144) + 160},
	}
	for _, test := range tests {
		if got := test.size.Next(test.n); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}

// hugeStruct is a struct of so many bytes that no table need show.
func hugeStruct(size ...int) reflect.Type {
	typ := reflect.TypeFor[byte]()
	for _, n := range size {
		typ = reflect.ArrayOf(n, typ)
	}
	return reflect.StructOf([]reflect.StructField{{Name: "A", Type: typ}})
}

// Elements that take more than the budget are refused before they are made, also
// where what they take is more than an int can hold.
func TestMemoryOfForgedElements(t *testing.T) {
	skipUnless64(t)
	entries := func(n int) []byte {
		b := wire.AppendMapHeader(nil, n)
		for i := range n {
			b = append(wire.AppendUint(b, uint64(128+i)), 0x90)
		}
		return b
	}
	tests := []struct {
		name    string
		typ     reflect.Type
		payload []byte
		want    error
	}{
		{"a slice within the budget", reflect.SliceOf(hugeStruct(8000)), listPayload(105), nil},
		{"a slice over the budget", reflect.SliceOf(hugeStruct(8000)), listPayload(106), ErrLimit},
		{"a slice whose elements alone are within it", reflect.SliceOf(hugeStruct(8000)), listPayload(132), ErrLimit},
		{"a slice of 2^64 bytes", reflect.SliceOf(hugeStruct(1<<20, 1<<20, 1<<7)), listPayload(1 << 17), ErrLimit},
		{"a map within the budget", reflect.MapOf(reflect.TypeFor[uint32](), hugeStruct(8000)), entries(105), nil},
		{"a map whose elements alone are within it", reflect.MapOf(reflect.TypeFor[uint32](), hugeStruct(8000)), entries(106), ErrLimit},
		{"a map of 2^64 bytes", reflect.MapOf(reflect.TypeFor[uint32](), hugeStruct(1<<20, 1<<20, 1<<7)), entries(1<<19 - 1), ErrLimit},
	}
	for _, test := range tests {
		p := planOf(t, test.typ)
		v := reflect.New(p.Type).Elem()
		if _, err := p.Decode(append(withoutFields([]*Plan{p}), test.payload...), v); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}
