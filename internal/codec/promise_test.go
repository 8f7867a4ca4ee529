package codec

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/pagestate/pagestate/internal/wire"
)

// What docs/token.md promises about memory holds for every kind that holds others,
// whatever the size of what it holds, and whatever a forged table leaves out of it.

// promiseKinds are kinds around an element, with n values of which each is elem.
var promiseKinds = []struct {
	name    string
	around  func(elem reflect.Type) reflect.Type
	payload func(n int, elem []byte) []byte
}{
	{"slice", reflect.SliceOf, promiseList("")},
	{"slice of pointers", func(e reflect.Type) reflect.Type { return reflect.SliceOf(reflect.PointerTo(e)) }, promiseList("")},
	{"slice of slices", func(e reflect.Type) reflect.Type { return reflect.SliceOf(reflect.SliceOf(e)) }, promiseList("91")},
	{"slice of arrays", func(e reflect.Type) reflect.Type { return reflect.SliceOf(reflect.ArrayOf(1, e)) }, promiseList("91")},
	{"map", func(e reflect.Type) reflect.Type { return reflect.MapOf(reflect.TypeFor[uint32](), e) }, promiseMap("")},
	{"map of pointers", func(e reflect.Type) reflect.Type {
		return reflect.MapOf(reflect.TypeFor[uint32](), reflect.PointerTo(e))
	}, promiseMap("")},
	{"map of slices", func(e reflect.Type) reflect.Type { return reflect.MapOf(reflect.TypeFor[uint32](), reflect.SliceOf(e)) }, promiseMap("91")},
	{"maps of one", func(e reflect.Type) reflect.Type {
		return reflect.SliceOf(reflect.MapOf(reflect.TypeFor[uint32](), e))
	}, promiseList("8101")},
	{"maps in a map", func(e reflect.Type) reflect.Type {
		return reflect.MapOf(reflect.TypeFor[uint32](), reflect.MapOf(reflect.TypeFor[int8](), e))
	}, promiseMap("8101")},
	{"interfaces", func(reflect.Type) reflect.Type { return reflect.TypeFor[[]any]() }, promiseList("9222")},
	{"interfaces of pointers", func(reflect.Type) reflect.Type { return reflect.TypeFor[[]any]() }, promiseList("9223")},
	{"map of interfaces", func(reflect.Type) reflect.Type { return reflect.TypeFor[map[uint32]any]() }, promiseMap("9222")},
}

func promiseList(prefix string) func(n int, elem []byte) []byte {
	return func(n int, elem []byte) []byte {
		return append(wire.AppendArrayHeader(nil, n), bytes.Repeat(append(unhex(prefix), elem...), n)...)
	}
}

func promiseMap(prefix string) func(n int, elem []byte) []byte {
	return func(n int, elem []byte) []byte {
		b := wire.AppendMapHeader(nil, n)
		for i := range n {
			b = append(append(wire.AppendUint(b, uint64(i)), unhex(prefix)...), elem...)
		}
		return b
	}
}

// promiseElem is a struct of a size that a table need not show.
func promiseElem(pad int) reflect.Type {
	return reflect.StructOf([]reflect.StructField{
		{Name: "Row", Type: reflect.TypeFor[*refRow]()},
		{Name: "Rows", Type: reflect.TypeFor[[]*refRow](), Tag: `state:",optional"`},
		{Name: "Pad", Type: reflect.ArrayOf(pad, reflect.TypeFor[byte]())},
	})
}

// promiseFields are forged fields of an element, with the shortest value of each.
var promiseFields = []struct {
	name   string
	fields []string
	value  string
}{
	{"no fields", []string{}, "90"},
	{"a reference", []string{"Row", "&3:rowi"}, "9101"},
	{"a nil reference", []string{"Row", "&3:rowi"}, "91c0"},
	{"optional references", []string{"Rows", "[&3:rowi"}, "9191 01"},
}

func TestPromise(t *testing.T) {
	row := refRows(nil)
	for _, kind := range promiseKinds {
		for _, forged := range promiseFields {
			t.Run(kind.name+" with "+forged.name, func(t *testing.T) {
				for _, pad := range []int{0, 17, 100, 168, 1000} {
					types := NewTypes()
					types.Add("elem", promiseElem(pad), 0)
					types.Add("root", kind.around(promiseElem(pad)), 0)
					addModel[int, refRow](types, "row")
					p := compile(t, types).Name("root")
					row(types.Name("row"), 1) // is made now, and not while it is measured
					for n := 1000; n < 30_000; n *= 3 {
						data := append(promiseShapes(p, forged.fields), kind.payload(n, unhex(forged.value))...)
						used, err := promiseUsed(p, data, row)
						if err != nil && !errors.Is(err, ErrLimit) {
							t.Fatal(err)
						}
						if budget := MemoryBudget(len(data)); used > uint64(budget+allowance) {
							t.Errorf("%d with %d bytes more took %d bytes of memory, the budget for %d is %d: %v", n, pad, used, len(data), budget, err)
						}
					}
				}
			})
		}
	}
}

// promiseUsed is what it takes to decode data and to put its rows in place.
func promiseUsed(p *Plan, data []byte, row func(*Plan, any) any) (used uint64, err error) {
	v := reflect.New(p.Type).Elem()
	used = allocated(func() {
		var refs References
		if refs, err = p.Decode(data, v); err == nil {
			err = refs.Resolve(row)
		}
	})
	return used, err
}

// promiseShapes are those of p, of which the struct has other fields.
func promiseShapes(p *Plan, fields []string) []byte {
	root := table{root: p.table.root, structs: p.table.structs}
	elem := p.types.Name("elem")
	plans := []*Plan{{}}
	if len(root.structs) > 0 {
		root.structs = [][]string{fields}
	} else {
		plans = append(plans, &Plan{Name: elem.Name, encodedTable: table{elem.table.root, [][]string{fields}}.append(nil)})
	}
	plans[0].encodedTable = root.append(nil)
	return appendShapes(nil, plans)
}
