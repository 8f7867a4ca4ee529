package codec

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// This file holds the way around reflection for what states have most of beside
// structs: lists of strings, and maps from strings to the commonest scalars. It
// writes and accepts what the nodes of container.go do. Those call it only where no codec
// is registered for a string or for the scalar.

func encodeStrings(e *encoder, v reflect.Value) error {
	list, _ := reflect.TypeAssert[[]string](v)
	for i, s := range list {
		e.string(s)
		if err := e.fits(); err != nil {
			return At(index(i), err)
		}
	}
	return nil
}

func decodeStrings(d *decoder, v reflect.Value, length int) (err error) {
	list := d.strings(length)
	for i := range list {
		if list[i], err = d.string(); err != nil {
			return At(index(i), err)
		}
	}
	p, _ := reflect.TypeAssert[*[]string](v.Addr())
	*p = list
	return nil
}

// smallLists is how many strings short lists share room for.
const smallLists = 32

// strings returns room for a list. Short lists get a part of what several share,
// which none of them can grow into.
func (d *decoder) strings(length int) []string {
	if length > smallLists/4 {
		return make([]string, length)
	}
	if len(d.shared) < length {
		d.shared = make([]string, max(length, min(smallLists, d.Left())))
	}
	list := d.shared[:length:length]
	d.shared = d.shared[length:]
	return list
}

// plainMap writes and reads the entries of a map.
type plainMap interface {
	encode(*encoder, reflect.Value) error
	decode(d *decoder, v reflect.Value, length int) error
}

// newPlainMap returns nil for a type that has none.
func newPlainMap(typ reflect.Type) plainMap {
	if typ.Key() != reflect.TypeFor[string]() {
		return nil
	}
	switch typ.Elem() {
	case reflect.TypeFor[string]():
		return stringMap[string]{(*encoder).string, (*decoder).string}
	case reflect.TypeFor[bool]():
		return stringMap[bool]{(*encoder).bool, (*decoder).Bool}
	case reflect.TypeFor[int64]():
		return stringMap[int64]{(*encoder).int, (*decoder).Int}
	case reflect.TypeFor[float64]():
		return stringMap[float64]{(*encoder).float64, (*decoder).Float64}
	case reflect.TypeFor[int]():
		return stringMap[int]{
			func(e *encoder, i int) { e.int(int64(i)) },
			func(d *decoder) (int, error) {
				i, err := d.Int()
				if int64(int(i)) != i {
					return 0, errTooLarge
				}
				return int(i), err
			},
		}
	}
	return nil
}

// stringMap is a map[string]E, or of a named type of that kind.
type stringMap[E any] struct {
	write func(*encoder, E)
	read  func(*decoder) (E, error)
}

func (n stringMap[E]) encode(e *encoder, v reflect.Value) error {
	m, ok := reflect.TypeAssert[map[string]E](v)
	if !ok {
		m, _ = reflect.TypeAssert[map[string]E](v.Convert(reflect.TypeFor[map[string]E]()))
	}
	if len(m) <= fewEntries {
		return n.encodeFew(e, m)
	}
	for _, key := range slices.SortedFunc(maps.Keys(m), compareEncoded) {
		e.string(key)
		n.write(e, m[key])
		if err := e.fits(); err != nil {
			return err
		}
	}
	return nil
}

// fewEntries is how many are kept on the stack.
const fewEntries = 8

// encodeFew puts the places of the entries in order, and moves none of them.
func (n stringMap[E]) encodeFew(e *encoder, m map[string]E) error {
	var (
		keys  [fewEntries]string
		elems [fewEntries]E
		order [fewEntries]int
		last  int
	)
	for key, elem := range m {
		at := last
		for ; at > 0 && compareEncoded(keys[order[at-1]], key) > 0; at-- {
			order[at] = order[at-1]
		}
		keys[last], elems[last], order[at] = key, elem, last
		last++
	}
	for _, i := range order[:last] {
		e.string(keys[i])
		n.write(e, elems[i])
		if err := e.fits(); err != nil {
			return err
		}
	}
	return nil
}

func (n stringMap[E]) decode(d *decoder, v reflect.Value, length int) error {
	m := make(map[string]E, length)
	var last string
	for i := range length {
		key, err := d.string()
		if err != nil {
			return At("[key]", err)
		}
		if i > 0 && compareEncoded(last, key) >= 0 {
			return errKeyOrder
		}
		elem, err := n.read(d)
		if err != nil {
			return At("[]", err)
		}
		m[key], last = elem, key
	}
	v.Set(reflect.ValueOf(m))
	return nil
}

// compareEncoded compares strings as their encoded bytes compare, which begin
// with the length.
func compareEncoded(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
