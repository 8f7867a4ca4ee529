package codec

import (
	"bytes"
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate/internal/wire"
)

// Each limit at its last value and one beyond it, while encoding and while
// decoding.

// nest puts v into n slices.
func nest(n int, v tree) tree {
	for range n {
		v = tree{v}
	}
	return v
}

func nestAny(n int) any {
	var v any
	for range n {
		v = []any{v}
	}
	return v
}

func nestStructs(n int) *chain {
	var v *chain
	for range n {
		v = &chain{v}
	}
	return v
}

type chain struct{ Next *chain }

// momentChain has a time in the last of n structs, in the form that is read and
// written in one piece.
type momentChain struct {
	Next *momentChain
	At   *time.Time
}

func nestMoment(n int) momentChain {
	moment := time.Unix(1<<30, 1<<20).UTC()
	v := &momentChain{At: &moment}
	for range n - 1 {
		v = &momentChain{Next: v}
	}
	return *v
}

func momentPayload(n int) []byte {
	return unhex(strings.Repeat("92", n) + "c0" + "93ce40000000ce00100000c0" + strings.Repeat("c0", n-1))
}

func list[T any](n int) []T { return make([]T, n) }

func set(n int) map[int]struct{} {
	m := make(map[int]struct{}, n)
	for i := range n {
		m[i] = struct{}{}
	}
	return m
}

// setPayload is the payload of set(n), without its limit.
func setPayload(n int) []byte {
	b := wire.AppendMapHeader(nil, n)
	for i := range n {
		b = append(wire.AppendInt(b, int64(i)), 0x90)
	}
	return b
}

func listPayload(n int) []byte {
	return append(wire.AppendArrayHeader(nil, n), bytes.Repeat([]byte{0x90}, n)...)
}

// hollow has elements that take more memory than 64 times their bytes: maps of
// one entry.
type hollow []map[int8]string

func hollowValue(n int) hollow {
	v := make(hollow, n)
	for i := range v {
		v[i] = map[int8]string{0: ""}
	}
	return v
}

func hollowPayload(n int) []byte {
	return append(wire.AppendArrayHeader(nil, n), bytes.Repeat(unhex("8100a0"), n)...)
}

// hollowLimit is the most elements of a hollow whose memory, as docs/token.md
// counts it, is within the budget for its payload, of 3 bytes and 3 each. The maps
// take 48 bytes, 8 places of 25, and 16 each for a key and an element; the slice
// takes 24 and, with a quarter more, 10 for each of its elements of 8, rounded up
// to 16.
const hollowLimit = (1<<20 + 64*3 - 24 - 15) / (48 + 208 + 16 + 16 + 10 - 64*3)

func floatPayload(precision uint64, exponent int64) []byte {
	b := wire.AppendUint([]byte{0x96}, precision)
	b = append(b, 0, 0xc2, 0xc2)
	return append(wire.AppendInt(b, exponent), 0xc4, 2, 0, 1)
}

func intPayload(size int) []byte {
	return wire.AppendBytes(nil, append([]byte{0}, bytes.Repeat([]byte{0xff}, size)...))
}

func TestLimits(t *testing.T) {
	ones := func(size int) *big.Int { return new(big.Int).SetBytes(bytes.Repeat([]byte{0xff}, size)) }
	power := func(exponent int) *big.Float {
		return new(big.Float).SetMantExp(new(big.Float).SetPrec(1).SetInt64(1), exponent)
	}
	tests := []struct {
		name     string
		at, over any
		// What over would be, and at is, without the limit.
		atPayload, overPayload []byte
	}{
		{"depth of slices", nest(MaxDepth, nil), nest(MaxDepth+1, nil),
			unhex(strings.Repeat("91", MaxDepth) + "c0"), unhex(strings.Repeat("91", MaxDepth+1) + "c0")},
		{"depth of an empty slice", nest(MaxDepth-1, tree{}), nest(MaxDepth, tree{}),
			unhex(strings.Repeat("91", MaxDepth-1) + "90"), unhex(strings.Repeat("91", MaxDepth) + "90")},
		{"depth of structs", *nestStructs(MaxDepth), *nestStructs(MaxDepth + 1),
			unhex(strings.Repeat("91", MaxDepth) + "c0"), unhex(strings.Repeat("91", MaxDepth+1) + "c0")},
		{"depth of a time", nestMoment(MaxDepth - 1), nestMoment(MaxDepth),
			momentPayload(MaxDepth - 1), momentPayload(MaxDepth)},
		{"depth of interfaces", box[any]{nestAny(31)}, box[any]{nestAny(32)},
			unhex("91" + strings.Repeat("921391", 31) + "c0"), unhex("91" + strings.Repeat("921391", 32) + "c0")},
		{"elements of a slice", list[struct{}](MaxElements), list[struct{}](MaxElements + 1),
			listPayload(MaxElements), listPayload(MaxElements + 1)},
		{"elements of a map", set(MaxElements), set(MaxElements + 1),
			setPayload(MaxElements), setPayload(MaxElements + 1)},
		{"memory", hollowValue(hollowLimit), hollowValue(hollowLimit + 1),
			hollowPayload(hollowLimit), hollowPayload(hollowLimit + 1)},
		{"big.Int", *ones(maxNumber), *new(big.Int).Add(ones(maxNumber), big.NewInt(1)),
			intPayload(maxNumber), intPayload(maxNumber + 1)},
		{"big.Rat", *new(big.Rat).SetInt(ones(maxNumber)), *new(big.Rat).SetInt(ones(maxNumber + 1)),
			append(append([]byte{0x92}, intPayload(maxNumber)...), 0xc4, 2, 0, 1), append(append([]byte{0x92}, intPayload(maxNumber+1)...), 0xc4, 2, 0, 1)},
		{"precision of a big.Float", *new(big.Float).SetPrec(maxPrecision).SetInt64(1), *new(big.Float).SetPrec(maxPrecision + 1).SetInt64(1),
			floatPayload(maxPrecision, 0), floatPayload(maxPrecision+1, 0)},
		{"exponent of a big.Float", *power(maxExponent), *power(maxExponent + 1),
			floatPayload(1, maxExponent), floatPayload(1, maxExponent+1)},
		{"negative exponent of a big.Float", *power(-maxExponent), *power(-maxExponent - 1),
			floatPayload(1, -maxExponent), floatPayload(1, -maxExponent-1)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			types := NewTypes()
			types.Add("root", reflect.TypeOf(test.at), 0)
			p := compile(t, types).Name("root")
			if _, err := decodeValue(p, withShapes(p, test.atPayload)); err != nil {
				t.Errorf("decoding, at the limit: %v", err)
			}
			if _, err := decodeValue(p, withShapes(p, test.overPayload)); !errors.Is(err, ErrLimit) {
				t.Errorf("decoding, over the limit: %v", err)
			}
			data, err := encodeValue(p, test.at)
			if err != nil {
				t.Fatalf("encoding, at the limit: %v", err)
			}
			if _, err := decodeValue(p, data); err != nil {
				t.Errorf("decoding what was encoded: %v", err)
			}
			if _, err := encodeValue(p, test.over); !errors.Is(err, ErrLimit) {
				t.Errorf("encoding, over the limit: %v", err)
			}
		})
	}
}

func TestOffsetOutOfRange(t *testing.T) {
	p := planOf(t, reflect.TypeFor[box[time.Time]]())
	if strconv.IntSize == 32 {
		t.Skip("an int is never out of range")
	}
	for _, offset := range []int64{1 << 31, -1<<31 - 1} {
		v := in(time.Unix(0, 0).In(time.FixedZone("", int(offset))))
		if _, err := encodeValue(p, v); !errors.Is(err, ErrUnsavable) {
			t.Errorf("%d: %v", offset, err)
		}
	}
}

func TestPayloadLimit(t *testing.T) {
	for _, v := range []any{
		in(""), in(strings.Repeat("x", 1000)), in(make([]byte, 1000)), in([]int{1, 2, 3}), in([3]string{"a", "b", "c"}),
		in(map[string]int{"a": 1, "b": 2}), in(map[string]struct{}{strings.Repeat("x", 1000): {}}), in(any([]any{1, "x"})), richValue(),
	} {
		p := planOf(t, reflect.TypeOf(v))
		size := len(payloadOf(t, p, mustEncode(t, p, v)))
		if _, err := p.Encode(nil, reflect.ValueOf(v), nil, size); err != nil {
			t.Errorf("%T: %v", v, err)
		}
		if _, err := p.Encode([]byte("head"), reflect.ValueOf(v), nil, size-1); !errors.Is(err, ErrLimit) {
			t.Errorf("%T in a byte less: %v", v, err)
		}
	}
}

// What shares much in memory is written many times over: the limit must stop
// it early.
func TestPayloadLimitStopsEarly(t *testing.T) {
	type dag struct{ A, B *dag }
	d := &dag{}
	for range MaxDepth - 2 {
		d = &dag{d, d}
	}
	text := strings.Repeat("x", 1<<20)
	texts := make([]string, 1<<16)
	keys := make(map[string]struct{}, 1<<16)
	for i := range texts {
		texts[i] = text[i:]
		keys[text[i:]] = struct{}{}
	}
	shared := make(tree, 1000)
	for range 3 {
		next := make(tree, 1000)
		for i := range next {
			next[i] = shared
		}
		shared = next
	}
	for _, v := range []any{*d, texts, keys, shared, map[string]*dag{"a": d}} {
		p := planOf(t, reflect.TypeOf(v))
		used := allocated(func() {
			if _, err := p.Encode(nil, reflect.ValueOf(v), nil, 1<<18); !errors.Is(err, ErrLimit) {
				t.Errorf("%T: %v", v, err)
			}
		})
		if used > 32<<20 {
			t.Errorf("%T: took %d bytes to see that it is over the limit", v, used)
		}
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A payload can ask for much more memory than it has bytes, above all with
// shapes that say that structs had fewer fields.
func TestMemoryStaysWithinBudget(t *testing.T) {
	const size = 20 << 10
	type large struct {
		A [1000]int64
		B string
	}
	fill := func(elem string) []byte {
		b := unhex(elem)
		n := size / len(b)
		return append(wire.AppendArrayHeader(nil, n), bytes.Repeat(b, n)...)
	}
	pairs := func(elem string) []byte {
		b := unhex(elem)
		n := size / (3 + len(b))
		payload := wire.AppendMapHeader(nil, n)
		for i := range n {
			payload = append(wire.AppendUint(payload, uint64(1<<15+i)), b...)
		}
		return payload
	}
	addresses := func() []byte {
		n := size / 22
		payload := wire.AppendArrayHeader(nil, n)
		for i := range n {
			zone := []byte{byte(i >> 8), byte(i), 'z', 'z'}
			payload = wire.AppendBytes(payload, append([]byte{0xfe, 0x80, 15: 1}, zone...))
		}
		return payload
	}
	tests := []struct {
		name    string
		typ     reflect.Type
		payload []byte
	}{
		{"arrays", reflect.TypeFor[[][1 << 20]int64](), fill("90")},
		{"pointers to arrays", reflect.TypeFor[[]*[1000]int64](), fill("90")},
		{"structs", reflect.TypeFor[[]large](), fill("90")},
		{"pointers to structs", reflect.TypeFor[[]*large](), fill("90")},
		{"maps of structs", reflect.TypeFor[map[uint16]large](), pairs("90")},
		{"maps of pointers", reflect.TypeFor[map[uint16]*large](), pairs("90")},
		{"maps in slices", reflect.TypeFor[[]map[int8]large](), fill("80")},
		{"maps of one", reflect.TypeFor[[]map[int8]large](), fill("810190")},
		{"maps of one small", reflect.TypeFor[[]map[int8]string](), fill("8101a0")},
		{"interfaces", reflect.TypeFor[[]any](), fill("922290")},
		{"interfaces of basic types", reflect.TypeFor[[]any](), fill("920101")},
		{"interfaces of slices", reflect.TypeFor[[]any](), fill("921390")},
		{"slices in slices", reflect.TypeFor[[][]large](), fill("90")},
		{"slices of one", reflect.TypeFor[[][]large](), fill("9190")},
		{"pointers to pointers", reflect.TypeFor[[]***int](), fill("9191c0")},
		{"bytes", reflect.TypeFor[[][]byte](), fill("c40101")},
		{"times", reflect.TypeFor[[]time.Time](), fill("93010101")},
		{"addresses", reflect.TypeFor[[]netip.Addr](), addresses()},
		{"URLs", reflect.TypeFor[[]url.URL](), fill("9b a161a0a0a0a0a0a0a0 92a0a0 c2c2")},
		{"big.Int", reflect.TypeFor[[]big.Int](), fill("c4020001")},
		{"big.Rat", reflect.TypeFor[[]big.Rat](), fill("92c4020001c4020003")},
		{"large big.Rat", reflect.TypeFor[[]big.Rat](), fill("92 c4fd00" + strings.Repeat("fe", 252) + "c4fd00" + strings.Repeat("f1", 252))},
		{"big.Float", reflect.TypeFor[[]big.Float](), fill("9601 00c2c200 c4020001")},
		{"large big.Float", reflect.TypeFor[[]big.Float](), fill("96cd2000 00c2c200 c4fd00" + strings.Repeat("ff", 252))},
		{"strings", reflect.TypeFor[[]string](), fill("a161")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			types := NewTypes()
			types.Add("root", test.typ, 0)
			types.Add("large", reflect.TypeFor[large](), 0)
			p := compile(t, types).Name("root")

			// As the type's own tables have it, and as if each struct had had no fields.
			own := []*Plan{p}
			if test.name == "interfaces" {
				own = append(own, types.Name("large"))
			}
			for _, shapes := range [][]byte{appendShapes(nil, own), withoutFields(own)} {
				data := append(shapes, test.payload...)
				v := reflect.New(test.typ).Elem()
				used := allocated(func() {
					_, _ = p.Decode(data, v) // some are within the budget, some are not
				})
				// The tables have a budget of their own.
				budget := MemoryBudget(len(test.payload))
				if used > uint64(budget+allowance) {
					t.Errorf("%d bytes took %d bytes of memory, the budget is %d", len(data), used, budget)
				}
			}
		})
	}
}

// A length is refused at once if its elements cannot be in what is left.
func TestLeastSizeBoundsLengths(t *testing.T) {
	for _, typ := range []reflect.Type{
		reflect.TypeFor[[][1000]int64](), reflect.TypeFor[[]struct{ A, B [500]string }](),
		reflect.TypeFor[map[[1000]int8]struct{}](), reflect.TypeFor[map[int8][30][40]bool](),
		reflect.TypeFor[[][1 << 20][1 << 20][1 << 20]struct{}](),
	} {
		p := planOf(t, typ)
		payload := append(unhex("92"), make([]byte, 1500)...)
		if typ.Kind() == reflect.Map {
			payload[0] = 0x82
		}
		_, err := decodeValue(p, withShapes(p, payload))
		if err == nil || !strings.HasSuffix(err.Error(), ": malformed data: more elements than bytes") {
			t.Errorf("%v: %v", typ, err)
		}
	}
}

// withoutFields returns shapes in which each struct type had no fields.
func withoutFields(plans []*Plan) []byte {
	var empty []*Plan
	for _, p := range plans {
		t := table{root: p.table.root, structs: make([][]string, len(p.table.structs))}
		empty = append(empty, &Plan{Name: p.Name, encodedTable: t.append(nil)})
	}
	return appendShapes(nil, empty)
}

func TestSkip(t *testing.T) {
	tests := []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrMalformed},
		{"nil", unhex("c0"), nil},
		{"bool", unhex("c3"), nil},
		{"numbers", unhex("96 7f e0 cc80 d080 cfffffffffffffffff d38000000000000000"), nil},
		{"number of a long form", unhex("cc7f"), ErrMalformed},
		{"negative number of a long form", unhex("d0e0"), ErrMalformed},
		{"positive number in a signed form", unhex("d100ff"), ErrMalformed},
		{"floats", unhex("92 ca3f800000 cb3ff0000000000000"), nil},
		{"float cut short", unhex("ca3f8000"), ErrMalformed},
		{"string", unhex("a161"), nil},
		{"string of a long form", unhex("d90161"), ErrMalformed},
		{"string cut short", unhex("a2 61"), ErrMalformed},
		{"bytes", unhex("c40161"), nil},
		{"bytes of a long form", unhex("c5000161"), ErrMalformed},
		{"array of a long form", unhex("dc000101"), ErrMalformed},
		{"array cut short", unhex("9201"), ErrMalformed},
		{"map", unhex("81 01 02"), nil},
		{"map of a long form", unhex("de0001 01 02"), ErrMalformed},
		{"map cut short", unhex("81 01"), ErrMalformed},
		{"extension", unhex("d40101"), ErrMalformed},
		{"byte no value begins with", unhex("c1"), ErrMalformed},
		{"at the depth", unhex(strings.Repeat("91", MaxDepth-1) + "90"), nil},
		{"too deep", unhex(strings.Repeat("91", MaxDepth) + "90"), ErrLimit},
		{"maps at the depth", unhex(strings.Repeat("8101", MaxDepth-1) + "80"), nil},
		{"maps too deep", unhex(strings.Repeat("8101", MaxDepth) + "80"), ErrLimit},
		{"elements", listPayload(MaxElements), nil},
		{"too many elements", listPayload(MaxElements + 1), ErrLimit},
		{"entries", setPayload(MaxElements), nil},
		{"too many entries", setPayload(MaxElements + 1), ErrLimit},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDecoder(test.b)
			err := d.skip()
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if err == nil && (d.Left() > 0 || d.depth != 0) {
				t.Errorf("%d bytes left, at depth %d", d.Left(), d.depth)
			}
		})
	}
}

func TestSkipAllocatesNothing(t *testing.T) {
	b := listPayload(10000)
	if n := testing.AllocsPerRun(10, func() {
		d := newDecoder(b)
		if err := d.skip(); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

type (
	cyclic struct {
		Next  *cyclic
		Other *cyclic
		Rest  []cyclic
		Named map[string]*cyclic
		Any   any
	}
	pair2 struct{ A, B []any }
)

func TestCycles(t *testing.T) {
	value := func(f func(c *cyclic)) *cyclic {
		c := new(cyclic)
		f(c)
		return c
	}
	slice := make(tree, 3)
	slice[1] = slice
	anys := []any{1, nil}
	anys[1] = anys
	named := nested{}
	named["secret"] = named
	var self itself
	self = &self
	ring := new(cyclic)
	ring.Next = &cyclic{Next: &cyclic{Next: ring}}

	tests := []struct {
		name string
		v    any
		want string
	}{
		{"pointer", *value(func(c *cyclic) { c.Next = c }), "cyclic.Next"},
		{"pointer, twice", *value(func(c *cyclic) { c.Next, c.Other = c, c }), "cyclic.Next"},
		{"later pointer", *value(func(c *cyclic) { c.Next, c.Other = new(cyclic), c }), "cyclic.Other"},
		{"ring", *ring, "cyclic.Next"},
		{"ring behind others", cyclic{Next: &cyclic{Other: ring}}, "cyclic.Next.Other"},
		{"slice", slice, "tree"},
		{"slice of structs", *value(func(c *cyclic) { c.Rest = make([]cyclic, 2); c.Rest[1].Rest = c.Rest }), "cyclic.Rest"},
		{"map", named, "nested"},
		{"map of pointers", *value(func(c *cyclic) { c.Named = map[string]*cyclic{"secret": c} }), "cyclic.Named"},
		{"interface", in(any(anys)), "box[interface {}].V"},
		{"interface, fan-out", in(any(pair2{anys, anys})), "box[interface {}].V.A"},
		{"pointer in an interface", *value(func(c *cyclic) { c.Any = c }), "cyclic.Any"},
		{"pointer to itself", in(self), "box[github.com/pagestate/pagestate/internal/codec.itself].V"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			types := newTypes(reflect.TypeOf(test.v))
			types.Add("pair", reflect.TypeFor[pair2](), 0)
			if types.Type(reflect.TypeFor[cyclic]()) == nil {
				types.Add("cyclic", reflect.TypeFor[cyclic](), 0)
			}
			p := compile(t, types).Name("root")
			_, err := encodeValue(p, test.v)
			if want := test.want + ": cannot be saved: it is part of a cycle"; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if !errors.Is(err, ErrUnsavable) {
				t.Errorf("%v is not %v", err, ErrUnsavable)
			}
		})
	}
}

func TestEncodeErrors(t *testing.T) {
	type local struct{ S string }
	deep := nestStructs(MaxDepth + 1)
	nan := in(map[float64]bool{quietNaN: true})
	tests := []struct {
		v    any
		want string
	}{
		{in([]any{1, local{}}), "box[[]interface {}].V[1]: cannot be saved: it holds a codec.local, which is not registered"},
		{in([2]any{1, local{}}), "box[[2]interface {}].V[1]: cannot be saved: it holds a codec.local, which is not registered"},
		{in(map[string]any{"secret": &local{}}), "box[map[string]interface {}].V[]: cannot be saved: it holds a *codec.local, which is not registered"},
		{in(any(new(1))), "box[interface {}].V: cannot be saved: it holds a *int, which is not registered"},
		{in(any([]int{})), "box[interface {}].V: cannot be saved: it holds a []int, which is not registered"},
		{in(any(new(&item{}))), "box[interface {}].V: cannot be saved: it holds a **codec.item, which is not registered"},
		{nan, "box[map[float64]bool].V[key]: cannot be saved: a NaN cannot be found again as a map key"},
		{in(map[halfKey]bool{{1, 2}: true, {1, 3}: true}), "box[map[codec.halfKey]bool].V[key]: cannot be saved: two keys have the same saved form"},
		{in(money{-1}), `box[codec.money].V: cannot be saved: codec "money" returned an error`},
		{in(map[money]int{{-1}: 1}), `box[map[codec.money]int].V[key]: cannot be saved: codec "money" returned an error`},
		{*deep, "chain" + strings.Repeat(".Next", 19) + "…: over a limit: nested deeper than 64 levels"},
		{list[struct{}](MaxElements + 1), "[]struct {}: over a limit: 1048577 elements, the most is 1048576"},
		{hollowValue(hollowLimit + 1), "hollow: over a limit: decoding it would take 2948440 bytes of memory, the most for its size is 2948416"},
	}
	for _, test := range tests {
		p := planOf(t, reflect.TypeOf(test.v))
		_, err := encodeValue(p, test.v)
		if err == nil || strings.ReplaceAll(err.Error(), "github.com/pagestate/pagestate/internal/", "") != test.want {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
	}
	p := planOf(t, reflect.TypeFor[box[string]]())
	if _, err := p.Encode(nil, reflect.ValueOf(in("x")), nil, 2); err == nil || err.Error() != "box[string]: over a limit: more than 2 bytes" {
		t.Error(err)
	}
}

// halfKey has a field that is not saved.
type halfKey struct{ A, b int }

var quietNaN = func() float64 { zero := 0.0; return zero / zero }()

// timedChain has an array, which a time is, at each depth.
type timedChain struct {
	At   time.Time
	Next *timedChain
}

// TestTimeAtTheDeepestLevel: the short way to write and read a time counts its level.
func TestTimeAtTheDeepestLevel(t *testing.T) {
	at := time.Unix(4102444800, 65536).UTC()
	p := planOf(t, reflect.TypeFor[timedChain]())
	for _, test := range []struct {
		structs int
		want    error
	}{{MaxDepth - 1, nil}, {MaxDepth, ErrLimit}} {
		var chain *timedChain
		for range test.structs {
			chain = &timedChain{at, chain}
		}
		if _, err := encodeValue(p, *chain); !errors.Is(err, test.want) {
			t.Errorf("encoding %d: got %v, want %v", test.structs, err, test.want)
		}
		payload := strings.Repeat("92 93 ce f4865700 ce 00010000 c0", test.structs) + "c0"
		if _, err := decodeValue(p, withShapes(p, unhex(payload))); !errors.Is(err, test.want) {
			t.Errorf("decoding %d: got %v, want %v", test.structs, err, test.want)
		}
	}
}

// What is encoded may take all of the memory that decoding it may take, and no more.
func TestEncodedWithinMemory(t *testing.T) {
	for over, want := range []error{nil, ErrLimit} {
		e := &encoder{limit: 1, charged: MemoryBudget(0) + over}
		if _, err := e.finish(); !errors.Is(err, want) {
			t.Errorf("%d over the budget: %v, want %v", over, err, want)
		}
	}
}
