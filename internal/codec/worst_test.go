package codec

import (
	"bytes"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate/internal/wire"
)

// What decoding costs at worst, for data that a holder of the secret made, and
// that it costs so much for each byte however much there is.

// worstData makes data of about size bytes for a plan.
type worstData func(p *Plan, size int) []byte

// each is a slice of as many values as there is room for.
func each(value string) worstData {
	return func(p *Plan, size int) []byte { return append(bytes.Clone(p.shapes), eachOf(value, size)...) }
}

func eachOf(value string, size int) []byte {
	b := unhex(value)
	n := size / len(b)
	return append(wire.AppendArrayHeader(nil, n), bytes.Repeat(b, n)...)
}

// eachWithoutFields is each, where shapes say that structs had no fields.
func eachWithoutFields(value string) worstData {
	return func(p *Plan, size int) []byte { return append(withoutFields([]*Plan{p}), eachOf(value, size)...) }
}

// entries is a map of as many entries as there is room for, with keys of four
// bytes behind a prefix.
func entries(header func(b []byte, n int) []byte, prefix, value string) worstData {
	start, elem := unhex(prefix), unhex(value)
	return func(p *Plan, size int) []byte {
		n := size / (len(start) + 4 + len(elem))
		b := header(bytes.Clone(p.shapes), n)
		for i := range n {
			b = append(append(b, start...), 1, byte(i>>16), byte(i>>8), byte(i))
			b = append(b, elem...)
		}
		return b
	}
}

// skipped is a struct with no field that is still there.
func skipped(value func(size int) []byte) worstData {
	return func(p *Plan, size int) []byte {
		b := appendShapes(nil, []*Plan{{encodedTable: table{p.table.root, [][]string{{"Gone", "?"}}}.append(nil)}})
		return append(append(b, 0x91), value(size)...)
	}
}

// formerFields has many fields that are gone, and behind them some that are not.
func formerFields(p *Plan, size int, present ...string) []byte {
	fields := append(slices.Repeat([]string{"a", "s"}, size/5), present...)
	t := table{p.table.root, append([][]string{fields}, p.table.structs[1:]...)}
	b := appendShapes(nil, []*Plan{{encodedTable: t.append(nil)}})
	b = wire.AppendArrayHeader(b, len(fields)/2)
	b = append(b, bytes.Repeat([]byte{0xc0}, size/5)...)
	return append(b, unhex("c2000000")[:len(present)/2]...)
}

// worstTable has a table that is worth its size, and a payload that is not.
func worstTable(fill func(t *table, size int), payload string) worstData {
	return func(p *Plan, size int) []byte {
		t := table{p.table.root, [][]string{{}}}
		fill(&t, size)
		return append(appendShapes(nil, []*Plan{{encodedTable: t.append(nil)}}), unhex(payload)...)
	}
}

// worstAnys is no basic type, and so can be a component.
type worstAnys []any

// manyShapes has many types behind the component's own, that nothing holds.
func manyShapes(p *Plan, size int) []byte {
	plans := []*Plan{p}
	for range size / 4 {
		plans = append(plans, &Plan{Name: "a", encodedTable: []byte{0x90}})
	}
	return append(appendShapes(nil, plans), 0x90)
}

var worst = []struct {
	name string
	typ  reflect.Type
	data worstData
}{
	{"slices in slices", reflect.TypeFor[tree](), each(strings.Repeat("91", MaxDepth-2) + "90")},
	{"empty slices", reflect.TypeFor[tree](), each("90")},
	{"structs in structs", reflect.TypeFor[[]*chain](), each(strings.Repeat("91", MaxDepth-1) + "c0")},
	{"interfaces in interfaces", reflect.TypeFor[worstAnys](), each(strings.Repeat("921391", 31) + "c0")},
	{"maps in interfaces", reflect.TypeFor[worstAnys](), each("9214 81a0 9214 81a0 9214 80")},
	{"scalars in interfaces", reflect.TypeFor[worstAnys](), each("9201 01")},
	{"pointers", reflect.TypeFor[[]***int](), each("9191 01")},
	{"maps of one", reflect.TypeFor[[]map[int8]string](), each("8101a161")},
	{"maps of one bool", reflect.TypeFor[[]map[string]bool](), each("81a0c2")},
	{"sets of one", reflect.TypeFor[[]map[string]struct{}](), each("81a090")},
	{"a map", reflect.TypeFor[map[uint32]struct{}](), entries(wire.AppendMapHeader, "ce", "90")},
	{"a map of interfaces", reflect.TypeFor[map[string]any](), entries(wire.AppendMapHeader, "a4", "9201 01")},
	{"a map of long keys", reflect.TypeFor[map[string]bool](), entries(wire.AppendMapHeader, "d9fc"+strings.Repeat("61", 248), "c3")},
	{"a map of large structs", reflect.TypeFor[map[[4]byte][100]int8](), entries(wire.AppendMapHeader, "c404", "dc0064"+strings.Repeat("00", 100))},
	{"a string", reflect.TypeFor[string](), func(p *Plan, size int) []byte {
		return wire.AppendString(bytes.Clone(p.shapes), strings.Repeat("x", size))
	}},
	{"strings", reflect.TypeFor[[]string](), each("a161")},
	{"bytes", reflect.TypeFor[[][]byte](), each("c40161")},
	{"NaN", reflect.TypeFor[[]float64](), each("cb7ff8000000000001")},
	{"NaN as a key", reflect.TypeFor[map[float64]bool](), entries(wire.AppendMapHeader, "cb7ff80000", "c3")},
	{"times", reflect.TypeFor[[]time.Time](), each("93010101")},
	{"addresses", reflect.TypeFor[[]netip.Addr](), entries(wire.AppendArrayHeader, "c414fe80"+strings.Repeat("00", 14), "")},
	{"URLs", reflect.TypeFor[[]url.URL](), each("9b a161a0a0a0a0a0a0a0 92a0a0 c2c2")},
	{"small big.Int", reflect.TypeFor[[]big.Int](), each("c4020001")},
	{"large big.Int", reflect.TypeFor[[]*big.Int](), each("c5040100" + strings.Repeat("ff", maxNumber))},
	{"small big.Rat", reflect.TypeFor[[]big.Rat](), each("92c4020001c4020003")},
	{"large big.Rat", reflect.TypeFor[[]big.Rat](), each("92 c5040100" + strings.Repeat("fe", maxNumber) + "c5040100" + strings.Repeat("fe", maxNumber-1) + "ff")},
	{"small big.Float", reflect.TypeFor[[]big.Float](), each("96cd2000 00c2c200 c4020001")},
	{"large big.Float", reflect.TypeFor[[]big.Float](), each("96cd2000 00c2c200 c5040100" + strings.Repeat("ff", maxNumber))},
	{"references", reflect.TypeFor[[]*refRow](), each("01")},
	{"references of one row", reflect.TypeFor[map[uint32]*refRow](), entries(wire.AppendMapHeader, "ce", "01")},
	{"references with large keys", reflect.TypeFor[[]*refWide](), entries(wire.AppendArrayHeader, "dc0010"+strings.Repeat("a0", 15)+"a4", "")},
	{"names of queries", reflect.TypeFor[[]refNamed](), each("92a56b6e6f776e93c080c0")},
	{"codecs", reflect.TypeFor[[]money](), each("c40131")},
	{"structs that were empty", reflect.TypeFor[[]refEverything](), eachWithoutFields("90")},
	{"structs that were empty, behind pointers", reflect.TypeFor[[]*refEverything](), eachWithoutFields("90")},
	{"slices that are skipped", reflect.TypeFor[item](), skipped(func(size int) []byte { return eachOf(strings.Repeat("91", MaxDepth-3)+"90", size) })},
	{"strings that are skipped", reflect.TypeFor[item](), skipped(func(size int) []byte { return eachOf("a161", size) })},
	{"numbers that are skipped", reflect.TypeFor[item](), skipped(func(size int) []byte { return eachOf("cc80", size) })},
	{"fields that are skipped", reflect.TypeFor[item](), func(p *Plan, size int) []byte { return formerFields(p, size) }},
	{"fields among many", reflect.TypeFor[rich](), func(p *Plan, size int) []byte { return formerFields(p, size, p.table.structs[0][:8]...) }},
	{"structs in a table", reflect.TypeFor[item](), worstTable(func(t *table, size int) {
		t.structs = append(t.structs, slices.Repeat([][]string{{}}, size-100)...)
	}, "90")},
	{"a long signature", reflect.TypeFor[item](), worstTable(func(t *table, size int) {
		t.structs[0] = []string{"Name", strings.Repeat("*", size)}
	}, "90")},
	{"types that nothing holds", reflect.TypeFor[item](), manyShapes},
}

func worstPlan(t testing.TB, typ reflect.Type) *Plan {
	types := newTypes(typ)
	if typ == reflect.TypeFor[item]() {
		types = NewTypes()
		types.Add("root", typ, 0)
	}
	addModel[int, refRow](types, "row")
	addModel[string, refText](types, "text")
	addModel[struct{ A, B uint8 }, refPair](types, "pair")
	addModel[[16]string, refWide](types, "wide")
	addModel[[4]byte, refBytes](types, "bytes")
	types.AddNamed(reflect.TypeFor[refNamed](), refNamedCodec)
	return compile(t, types).Name("root")
}

// TestWorst counts what decoding allocates: bytes, within the budget, and
// pieces, which are as many for each byte of much data as of little.
func TestWorst(t *testing.T) {
	for _, w := range worst {
		t.Run(w.name, func(t *testing.T) {
			p := worstPlan(t, w.typ)
			var rate [2]float64 // pieces for each byte
			for i, size := range []int{16 << 10, 1 << 20} {
				data := w.data(p, size)
				used, pieces, err := worstDecode(p, data)
				t.Logf("%d bytes: %d allocated in %d pieces; error: %v", len(data), used, pieces, err)
				if budget := MemoryBudget(len(data)); used > uint64(budget+allowance) {
					t.Errorf("%d bytes took %d bytes of memory, the budget is %d", len(data), used, budget)
				}
				rate[i] = float64(pieces) / float64(len(data))
			}
			if rate[1] > 1.25*rate[0]+0.01 || rate[0] > 2 {
				t.Errorf("%.3f allocations for a byte of little data, %.3f for one of much", rate[0], rate[1])
			}
		})
	}
}

func worstDecode(p *Plan, data []byte) (used, pieces uint64, err error) {
	v := reflect.New(p.Type).Elem()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = p.Decode(data, v)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs, err
}

// BenchmarkWorst tells what a byte costs, which should not depend on how many
// there are.
func BenchmarkWorst(b *testing.B) {
	for _, w := range worst {
		p := worstPlan(b, w.typ)
		for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
			data := w.data(p, size)
			b.Run(fmt.Sprintf("%s/%d", w.name, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _ = p.Decode(data, reflect.New(p.Type).Elem())
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(data)), "ns/byte")
			})
		}
	}
}
