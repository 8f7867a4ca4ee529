package codec

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"

	"github.com/pagestate/pagestate/internal/wire"
)

// encoder holds what one Encode needs beside the plan.
type encoder struct {
	buf   []byte
	sink  sink // what buf is flushed into; nil if all of it stays
	start int  // where the payload begins in buf; negative once it was flushed
	limit int  // how long the payload may become

	keys   []byte  // encoded map keys, waiting to be sorted; used as a stack
	groups []*Plan // the components met behind interfaces, the sealed one first

	references int
	optional   bool // of the field being encoded: its rows may be missing when it is decoded

	depth   int
	charged int  // what decoding will allocate, except its strings
	strings bool // whether there is a string that is not empty

	tooDeep bool
	trail   []address // what the way out of a value nested too deep led past
}

// sink takes what an encoder has written, one piece after the other.
type sink interface{ take(b []byte) error }

// encoders are encoders that hold nothing.
var encoders = sync.Pool{New: func() any { return new(encoder) }}

// encoder returns one that appends a payload of p to b.
func (p *Plan) encoder(b []byte, limit int) *encoder {
	e := encoders.Get().(*encoder)
	e.begin(p, b, limit)
	return e
}

// begin has an encoder that holds nothing append a payload of p to b.
func (e *encoder) begin(p *Plan, b []byte, limit int) {
	e.buf, e.start, e.limit, e.groups = b, len(b), limit, p.plans
}

// release gives e back without anything of the value that it has written.
func (e *encoder) release() {
	e.reset()
	encoders.Put(e)
}

// reset goes field by field because *e = encoder{} takes much longer while the
// collector runs.
func (e *encoder) reset() {
	e.buf, e.sink, e.keys, e.groups, e.trail = nil, nil, nil, nil, nil
	e.start, e.limit, e.references, e.depth, e.charged = 0, 0, 0, 0, 0
	e.optional, e.strings, e.tooDeep = false, false, false
}

// address is that of a pointer, slice or map. The type is part of it: a struct
// and its first field share the pointer.
type address struct {
	pointer uintptr
	typ     reflect.Type
}

// open begins an array of n values.
func (e *encoder) open(n int) error {
	if n <= wire.LastFix && e.depth < MaxDepth && len(e.buf)-e.start <= e.limit {
		e.depth++
		e.buf = append(e.buf, wire.FixArray|byte(n))
		return nil
	}
	if err := e.enter(); err != nil {
		return err
	}
	e.buf = wire.AppendArrayHeader(e.buf, n)
	return nil
}

// enter is called for each array and map, and leave at its end.
func (e *encoder) enter() error {
	if e.depth == MaxDepth {
		e.tooDeep = true
		return fmt.Errorf("%w: nested deeper than %d levels", ErrLimit, MaxDepth)
	}
	e.depth++
	return e.fits()
}

func (e *encoder) leave() { e.depth-- }

// fits is asked wherever a value may grow, so that a large one is refused
// before it is written in full.
func (e *encoder) fits() error {
	if len(e.buf)-e.start > e.limit {
		return fmt.Errorf("%w: more than %d bytes", ErrSize, e.limit)
	}
	if e.sink == nil || len(e.buf) < atOnce/2 {
		return nil
	}
	return e.flush()
}

// flush empties buf into the sink.
func (e *encoder) flush() error {
	err := e.sink.take(e.buf)
	e.start -= len(e.buf)
	e.buf = e.buf[:0]
	return err
}

// elements checks the length of a slice or map.
func (e *encoder) elements(n int) error {
	if n > MaxElements {
		return fmt.Errorf("%w: %d elements, the most is %d", ErrLimit, n, MaxElements)
	}
	return nil
}

// charge counts what the decoder will charge for the same value.
func (e *encoder) charge(n, size int) { e.charged += n * size }

func (e *encoder) nil() { e.buf = append(e.buf, wire.Nil) }

func (e *encoder) bool(v bool) {
	if v {
		e.buf = append(e.buf, wire.True)
	} else {
		e.buf = append(e.buf, wire.False)
	}
}

func (e *encoder) float64(f float64) {
	u := math.Float64bits(f)
	e.buf = append(e.buf, wire.Float64, byte(u>>56), byte(u>>48), byte(u>>40), byte(u>>32), byte(u>>24), byte(u>>16), byte(u>>8), byte(u))
}

func (e *encoder) float32(f float32) {
	u := math.Float32bits(f)
	e.buf = append(e.buf, wire.Float32, byte(u>>24), byte(u>>16), byte(u>>8), byte(u))
}

// These append the commonest forms themselves: e.buf is not told to the collector
// again then.

func (e *encoder) uint(u uint64) {
	if u <= wire.LastFixInt {
		e.buf = append(e.buf, byte(u))
	} else {
		e.buf = wire.AppendUint(e.buf, u)
	}
}

func (e *encoder) int(i int64) {
	if i >= 0 {
		e.uint(uint64(i))
	} else {
		e.buf = wire.AppendInt(e.buf, i)
	}
}

func (e *encoder) string(s string) {
	if len(s) > wire.LastFixStr {
		e.strings = true
		e.buf = wire.AppendString(e.buf, s)
		return
	}
	e.strings = e.strings || s != ""
	e.buf = append(e.buf, wire.FixStr|byte(len(s)))
	start := len(e.buf)
	if len(s) > cap(e.buf)-start {
		e.buf = append(e.buf, s...)
		return
	}
	// append would do, but tell the collector each time where buf is.
	e.buf = e.buf[:start+len(s)]
	copy(e.buf[start:], s)
}

func (e *encoder) bytes(b []byte) { e.buf = wire.AppendBytes(e.buf, b) }

// failed returns err with step in front of its path. It is called with every
// pointer, slice and map around the value that could not be encoded, from the inner
// to the outer. If that value is nested too deep, one of them that comes twice holds
// itself: then the error is that, and its path leads to where it came last.
func (e *encoder) failed(v reflect.Value, step string, err error) error {
	if !e.tooDeep {
		return At(step, err)
	}
	a := address{v.Pointer(), v.Type()}
	if slices.Contains(e.trail, a) {
		return fmt.Errorf("%w: it is part of a cycle", ErrUnsavable)
	}
	e.trail = append(e.trail, a)
	return At(step, err)
}

// group is the number of the component p among those of this payload.
func (e *encoder) group(p *Plan) int {
	if i := slices.Index(e.groups, p); i >= 0 {
		return i
	}
	e.groups = append(e.groups, p)
	return len(e.groups) - 1
}

// finish checks what is known only at the end, and puts the shapes of the
// components met on the way in front of the payload.
func (e *encoder) finish() ([]byte, error) {
	if err := e.fits(); err != nil {
		return nil, err
	}
	payload := len(e.buf) - e.start
	if e.strings {
		e.charge(1, payload)
	}
	if budget := MemoryBudget(payload); e.charged > budget {
		return nil, fmt.Errorf("%w: decoding it would take %d bytes of memory, the most for its size is %d", ErrLimit, e.charged, budget)
	}
	if len(e.groups) > 1 {
		own := e.groups[0].shapes
		e.buf = slices.Replace(e.buf, e.start-len(own), e.start, appendShapes(nil, e.groups)...)
	}
	return e.buf, nil
}
