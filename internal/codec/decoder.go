package codec

import (
	"fmt"
	"sync"

	"github.com/pagestate/pagestate/internal/wire"
)

// decoder reads a payload, within the limits.
type decoder struct {
	wire.Decoder
	text   string   // the payload, once there is a string in it: strings are parts of it
	shared []string // room for short lists
	budget int      // how many bytes may still be allocated
	depth  int

	References
	optional bool       // of the field being decoded: its rows may be missing
	direct   *reference // the value just decoded, if it is a reference and nothing around it

	groups []group  // the components whose shapes stand in the data
	met    int      // how many of groups the value has referred to so far
	views  views    // of the component being decoded
	form   *encoder // of what exactNode writes to compare, once there is one
}

func newDecoder(b []byte) (d decoder) {
	d.start(b)
	return d
}

// start has a decoder that holds nothing read b.
func (d *decoder) start(b []byte) { d.Data, d.budget = b, MemoryBudget(len(b)) }

// decoders are decoders that hold nothing.
var decoders = sync.Pool{New: func() any { return new(decoder) }}

// release gives d back without anything of the value that it has read, field by
// field as that of an encoder.
func (d *decoder) release() {
	d.Data, d.text, d.shared, d.list, d.late = nil, "", nil, nil, nil
	d.direct, d.groups, d.views, d.form = nil, nil, nil, nil
	d.Pos, d.budget, d.depth, d.met, d.count, d.optional = 0, 0, 0, 0, 0, false
	decoders.Put(d)
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// charge is called with what is about to be allocated.
func (d *decoder) charge(n, size int) error {
	if size > 0 && n > d.budget/size {
		return fmt.Errorf("%w: decoding it takes more memory than its size allows", ErrLimit)
	}
	d.budget -= n * size
	return nil
}

// alone is what a value of so many bytes takes in memory by itself: Go has room in
// steps, which are larger for what is large.
func alone(size int) int {
	if size > 256 {
		size += size / 4
	}
	return (size + 15) / 16 * 16
}

// chargeList is called with the length of a slice, and the size of an element.
func (d *decoder) chargeList(n, size int) error {
	if size > 0 && n > d.budget/size { // n times size may be more than an int can hold
		return d.charge(n, size)
	}
	return d.charge(1, sliceSize+alone(n*size))
}

// chargeMap is called with the length of a map.
func (d *decoder) chargeMap(n int, size MapSize) error {
	if size.outside > 0 && n > d.budget/size.outside { // as in chargeList
		return d.charge(n, size.outside)
	}
	return d.charge(1, size.Of(n))
}

// open reads the header of an array of exactly n values.
func (d *decoder) open(n int) error {
	if n <= wire.LastFix && d.depth < MaxDepth && d.Next() == wire.FixArray|byte(n) {
		d.Pos++
		d.depth++
		return nil
	}
	got, err := d.ArrayHeader()
	if err != nil {
		return err
	}
	if got != n {
		return malformed("an array of another length")
	}
	return d.enter()
}

func (d *decoder) enter() error {
	if d.depth == MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d levels", ErrLimit, MaxDepth)
	}
	d.depth++
	return nil
}

func (d *decoder) leave() { d.depth-- }

// elements checks a length read from a header, before anything is allocated:
// so many elements of at least so many bytes each must fit into what is left.
func (d *decoder) elements(n, least int) error {
	if n > MaxElements {
		return fmt.Errorf("%w: %d elements, the most is %d", ErrLimit, n, MaxElements)
	}
	if n > d.Left()/least {
		return malformed("more elements than bytes")
	}
	return nil
}

// string returns a part of d.text: all strings of a payload share one
// allocation.
func (d *decoder) string() (string, error) {
	c := d.Next()
	if end := d.Pos + 1 + int(c&wire.LastFixStr); c&wire.FixStrMask == wire.FixStr && end <= len(d.text) {
		start := d.Pos + 1
		d.Pos = end
		return d.text[start:end], nil
	}
	s, err := d.String()
	if err != nil || len(s) == 0 {
		return "", err
	}
	if d.text == "" {
		if err := d.charge(1, len(d.Data)); err != nil {
			return "", err
		}
		d.text = string(d.Data)
	}
	return d.text[d.Pos-len(s) : d.Pos], nil
}

// skip reads over the value of a field that the type no longer has.
func (d *decoder) skip() (err error) {
	switch d.Kind() {
	case wire.NilKind:
		d.Nil()
	case wire.BoolKind:
		_, err = d.Bool()
	case wire.UintKind:
		_, err = d.Uint()
	case wire.IntKind:
		_, err = d.Int()
	case wire.Float32Kind:
		_, err = d.Float32()
	case wire.Float64Kind:
		_, err = d.Float64()
	case wire.StringKind:
		_, err = d.string()
	case wire.BytesKind:
		_, err = d.Bytes()
	case wire.ArrayKind:
		n, err := d.ArrayHeader()
		if err != nil {
			return err
		}
		return d.skipElements(n, 1)
	case wire.MapKind:
		n, err := d.MapHeader()
		if err != nil {
			return err
		}
		return d.skipElements(n, 2)
	default:
		return malformed("cut short, or an extension")
	}
	return err
}

// skipElements reads over n elements of the given number of values each.
func (d *decoder) skipElements(n, values int) error {
	if err := d.elements(n, values); err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	for range n * values {
		if err := d.skip(); err != nil {
			return err
		}
	}
	d.leave()
	return nil
}
