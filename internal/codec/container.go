package codec

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/pagestate/pagestate/internal/wire"
)

// pointerNode writes what it points to, or nil. Where that may be nil itself,
// it stands in an array of one, so that the two stay apart.
type pointerNode struct {
	elem node
	size int
}

func (n *pointerNode) signature(s *signer) {
	s.text("*")
	s.node(n.elem)
}
func (n *pointerNode) least() int    { return 1 }
func (n *pointerNode) nilable() bool { return true }

func (n *pointerNode) encode(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		e.nil()
		return nil
	}
	e.charge(1, n.size)
	wrapped := n.elem.nilable()
	if wrapped {
		if err := e.open(1); err != nil {
			return err
		}
	}
	if err := n.elem.encode(e, v.Elem()); err != nil {
		return e.failed(v, "", err)
	}
	if wrapped {
		e.leave()
	}
	return nil
}

func (n *pointerNode) decode(d *decoder, v reflect.Value) error {
	if d.Nil() {
		return nil
	}
	if err := d.charge(1, n.size); err != nil {
		return err
	}
	wrapped := n.elem.nilable()
	if wrapped {
		if err := d.open(1); err != nil {
			return err
		}
	}
	v.Set(reflect.New(v.Type().Elem()))
	if err := n.elem.decode(d, v.Elem()); err != nil {
		return err
	}
	if wrapped {
		d.leave()
	}
	return nil
}

type sliceNode struct {
	elem    node
	size    int           // of an element in memory
	empty   reflect.Value // one without elements, which is not nil
	strings bool          // whether it is a []string, see plain.go
}

// sliceSize is what a slice takes itself, while its elements are decoded.
const sliceSize = 24

func (n *sliceNode) signature(s *signer) {
	s.text("[")
	s.node(n.elem)
}
func (n *sliceNode) least() int    { return 1 }
func (n *sliceNode) nilable() bool { return true }

func (n *sliceNode) encode(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		e.nil()
		return nil
	}
	length := v.Len()
	if err := e.elements(length); err != nil {
		return err
	}
	e.charge(1, sliceSize+alone(length*n.size))
	before := e.references
	if err := e.open(length); err != nil {
		return e.failed(v, "", err)
	}
	var err error
	if n.strings {
		err = encodeStrings(e, v)
	} else {
		err = encodeElements(e, n.elem, v, length)
	}
	if err != nil {
		return e.failed(v, "", err)
	}
	if e.optional && e.references > before {
		e.charge(1, lateSize)
	}
	e.leave()
	return nil
}

func encodeElements(e *encoder, elem node, v reflect.Value, length int) error {
	for i := range length {
		if err := elem.encode(e, v.Index(i)); err != nil {
			return At(index(i), err)
		}
		if err := e.fits(); err != nil {
			return At(index(i), err)
		}
	}
	return nil
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

func (n *sliceNode) decode(d *decoder, v reflect.Value) error {
	if d.Nil() {
		return nil
	}
	length, err := d.ArrayHeader()
	if err != nil {
		return err
	}
	if err := d.elements(length, d.least(n.elem)); err != nil {
		return err
	}
	if err := d.chargeList(length, n.size); err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	if n.strings && length > 0 {
		if err := decodeStrings(d, v, length); err != nil {
			return err
		}
		d.leave()
		return nil
	}
	if length == 0 {
		v.Set(n.empty)
	} else {
		v.Grow(length)
		v.SetLen(length)
		v.SetCap(length) // so that two copies that grow do not share what Grow left over
	}
	before := d.count
	first, err := decodeElements(d, n.elem, v, length)
	if err != nil {
		return err
	}
	if d.optional && d.count > before {
		if err := d.charge(1, lateSize); err != nil {
			return err
		}
		d.late = append(d.late, &lateElements{v, first})
	}
	d.leave()
	return nil
}

// lateElements are those of a slice of an optional field: elements whose rows did
// not come back are taken out.
type lateElements struct {
	slice reflect.Value
	first *reference // of the elements that are references
}

func (l *lateElements) complete() {
	kept, ref := l.slice.Slice(0, 0), l.first
	for i := range l.slice.Len() {
		missing := false
		if ref != nil && ref.place == i {
			missing, ref = ref.missing, ref.sibling
		}
		if !missing {
			kept = reflect.Append(kept, l.slice.Index(i))
		}
	}
	l.slice.Set(kept)
}

// decodeElements returns the first of the elements that are references, with the
// others behind it.
func decodeElements(d *decoder, elem node, v reflect.Value, length int) (first *reference, err error) {
	var last *reference
	for i := range length {
		d.indirect()
		if err := elem.decode(d, v.Index(i)); err != nil {
			return nil, At(index(i), err)
		}
		if d.direct != nil {
			d.direct.place = i
			if last == nil {
				first = d.direct
			} else {
				last.sibling = d.direct
			}
			last = d.direct
		}
	}
	d.indirect()
	return first, nil
}

// least is the least size of a value of n. A struct of an older shape may have
// fewer fields, so there only the memory budget bounds what it becomes.
func (d *decoder) least(n node) int {
	if d.views != nil {
		return 1
	}
	return n.least()
}

type arrayNode struct {
	elem   node
	length int
}

func (n *arrayNode) signature(s *signer) {
	s.text("(" + strconv.Itoa(n.length) + ")")
	s.node(n.elem)
}
func (n *arrayNode) nilable() bool { return false }

func (n *arrayNode) least() int {
	elem := n.elem.least()
	if n.length > 0 && elem > maxLeast/n.length {
		return maxLeast
	}
	return wire.HeaderSize(n.length) + n.length*elem
}

// maxLeast is where least sizes stop to grow: arrays of arrays could take more
// bytes than an int can count, and no payload is so long.
const maxLeast = 1 << 28

func (n *arrayNode) encode(e *encoder, v reflect.Value) error {
	if err := e.open(n.length); err != nil {
		return err
	}
	if err := encodeElements(e, n.elem, v, n.length); err != nil {
		return err
	}
	e.leave()
	return nil
}

func (n *arrayNode) decode(d *decoder, v reflect.Value) error {
	if err := d.open(n.length); err != nil {
		return err
	}
	if _, err := decodeElements(d, n.elem, v, n.length); err != nil {
		return err
	}
	d.leave()
	return nil
}

// mapNode writes a map in the order of its encoded keys.
type mapNode struct {
	key, elem node
	elems     reflect.Type // a slice of elements
	size      MapSize
	unordered bool     // whether a key may be unequal to itself, as a NaN is
	plain     plainMap // nil where entries take reflection
}

func (n *mapNode) signature(s *signer) {
	s.text("m")
	s.node(n.key)
	s.node(n.elem)
}
func (n *mapNode) least() int    { return 1 }
func (n *mapNode) nilable() bool { return true }

// MapSize is what the maps of a type take in memory, by a rule that docs/token.md
// states. It is coarse, and holds for every map that Go makes at once for so many
// entries.
type MapSize struct {
	place   int // for an entry, in the map's table
	outside int // for an entry, outside of it
	entry   int // for the key and the element that are being decoded
}

// SizeOfMap returns that of a map type.
func SizeOfMap(typ reflect.Type) MapSize {
	var size MapSize
	for _, part := range []reflect.Type{typ.Key(), typ.Elem()} {
		n := int(part.Size())
		size.entry += alone(n)
		if n > 128 {
			size.outside += alone(n)
			n = 8 // a pointer
		}
		size.place += max(1, n)
	}
	size.place = (size.place+7)/8*8 + 1
	return size
}

// Of is what a map of n entries takes.
func (s MapSize) Of(n int) int {
	const empty = 48
	switch {
	case n == 0:
		return empty
	case n <= 8:
		return empty + alone(8*s.place) + n*s.outside + s.entry
	default:
		return empty + n*(3*s.place+s.outside) + s.entry
	}
}

// Next is what one more entry takes in a map of n that was not made for it.
func (s MapSize) Next(n int) int {
	more := s.Of(n+1) - s.Of(n)
	if n == 0 {
		return more
	}
	if n >= 8 {
		more *= 2 // the tables that were outgrown are together smaller than the one in use
	}
	return more + s.entry
}

type entry struct {
	start, end int // of the encoded key in e.keys
	place      int // of the element among the copies
}

func (n *mapNode) encode(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		e.nil()
		return nil
	}
	if err := e.elements(v.Len()); err != nil {
		return err
	}
	e.charge(1, n.size.Of(v.Len()))
	if err := e.enter(); err != nil {
		return e.failed(v, "", err)
	}
	e.buf = wire.AppendMapHeader(e.buf, v.Len())
	if err := n.encodeEntries(e, v); err != nil {
		return err
	}
	e.leave()
	return nil
}

func (n *mapNode) encodeEntries(e *encoder, v reflect.Value) error {
	if n.plain != nil {
		return n.plain.encode(e, v)
	}
	base := len(e.keys)
	entries, elems, err := n.sorted(e, v)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		e.buf = append(e.buf, e.keys[entry.start:entry.end]...)
		before := e.references
		if err := n.elem.encode(e, elems.Index(entry.place)); err != nil {
			return e.failed(v, "[]", err)
		}
		if e.references > before {
			e.charge(1, lateSize+n.size.entry)
		}
		if err := e.fits(); err != nil {
			return err
		}
	}
	e.keys = e.keys[:base]
	return nil
}

// sorted returns the entries of v in the order of their keys, which it leaves
// encoded in e.keys, and copies of the elements.
func (n *mapNode) sorted(e *encoder, v reflect.Value) (entries []entry, elems reflect.Value, err error) {
	entries = make([]entry, 0, v.Len())
	elems = reflect.MakeSlice(n.elems, v.Len(), v.Len())
	key := reflect.New(v.Type().Key()).Elem()
	for it := v.MapRange(); it.Next(); {
		key.SetIterKey(it)
		elems.Index(len(entries)).SetIterValue(it)
		start := len(e.keys)
		if err := n.encodeKey(e, key); err != nil {
			return nil, elems, At("[key]", err)
		}
		entries = append(entries, entry{start, len(e.keys), len(entries)})
	}
	compare := func(a, b entry) int {
		return bytes.Compare(e.keys[a.start:a.end], e.keys[b.start:b.end])
	}
	slices.SortFunc(entries, compare)
	for i := range len(entries) - 1 {
		if compare(entries[i], entries[i+1]) == 0 {
			return nil, elems, At("[key]", fmt.Errorf("%w: two keys have the same saved form", ErrUnsavable))
		}
	}
	return entries, elems, nil
}

// encodeKey appends a key to e.keys instead of the payload.
func (n *mapNode) encodeKey(e *encoder, k reflect.Value) error {
	if n.unordered && !k.Equal(k) {
		return fmt.Errorf("%w: a NaN cannot be found again as a map key", ErrUnsavable)
	}
	payload, sink, start := e.buf, e.sink, e.start
	e.buf, e.sink, e.start = e.keys, nil, 0
	err := cmp.Or(n.key.encode(e, k), e.fits())
	e.keys = e.buf
	e.buf, e.sink, e.start = payload, sink, start
	return err
}

func (n *mapNode) decode(d *decoder, v reflect.Value) error {
	if d.Nil() {
		return nil
	}
	length, err := d.MapHeader()
	if err != nil {
		return err
	}
	if err := d.elements(length, d.least(n.key)+d.least(n.elem)); err != nil {
		return err
	}
	if err := d.chargeMap(length, n.size); err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	if n.plain != nil {
		err = n.plain.decode(d, v, length)
	} else {
		v.Set(reflect.MakeMapWithSize(v.Type(), length))
		err = n.decodeEntries(d, v, length)
	}
	if err != nil {
		return err
	}
	d.leave()
	return nil
}

// lateEntry is an element of a map, which is put there again, or taken out if it
// is a reference whose row did not come back.
type lateEntry struct {
	into, key, elem reflect.Value
	ref             *reference // nil if elem is none
}

func (l *lateEntry) complete() {
	elem := l.elem
	if l.ref != nil && l.ref.missing {
		elem = reflect.Value{}
	}
	l.into.SetMapIndex(l.key, elem)
}

var errKeyOrder = malformed("map keys out of order")

func (n *mapNode) decodeEntries(d *decoder, v reflect.Value, length int) error {
	if length == 0 {
		return nil
	}
	key := reflect.New(v.Type().Key()).Elem()
	elem := reflect.New(v.Type().Elem()).Elem()
	var last []byte
	for i := range length {
		key.SetZero()
		elem.SetZero()
		start := d.Pos
		if err := n.key.decode(d, key); err != nil {
			return At("[key]", err)
		}
		encoded := d.Data[start:d.Pos]
		if i > 0 && bytes.Compare(last, encoded) >= 0 {
			return errKeyOrder
		}
		if n.unordered && !key.Equal(key) {
			return malformed("a NaN as a map key")
		}
		last = encoded
		before := d.count
		d.direct = nil
		if err := n.elem.decode(d, elem); err != nil {
			return At("[]", err)
		}
		v.SetMapIndex(key, elem)
		if d.count > before {
			if err := d.charge(1, lateSize+n.size.entry); err != nil {
				return err
			}
			d.late = append(d.late, &lateEntry{v, key, elem, d.direct})
			key = reflect.New(v.Type().Key()).Elem()
			elem = reflect.New(v.Type().Elem()).Elem()
		}
	}
	d.direct = nil
	if v.Len() == length {
		return nil
	}
	// Different bytes can be equal keys: 0 and -0, whatever a Custom decodes,
	// and structs that differed in a field they no longer have.
	if d.views != nil {
		return fmt.Errorf("%w: two map keys have become one", ErrOutdated)
	}
	return malformed("a map key twice")
}
