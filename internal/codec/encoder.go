package codec

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/tinylib/msgp/msgp"
)

// encoder holds what one Encode needs beside the plan.
type encoder struct {
	buf   []byte
	start int // where the payload begins in buf
	limit int // how long the payload may become

	keys   []byte  // encoded map keys, waiting to be sorted; used as a stack
	groups []*Plan // the components met behind interfaces, the sealed one first

	references int

	depth   int
	charged int  // what decoding will allocate, but for its strings
	strings bool // whether there is a string that is not empty

	tooDeep bool
	trail   []address // what the way out of a value nested too deep led past
}

// address is that of a pointer, slice or map. The type is part of it: a struct
// and its first field share the pointer.
type address struct {
	pointer uintptr
	typ     reflect.Type
}

// open begins an array of n values.
func (e *encoder) open(n int) error {
	if err := e.enter(); err != nil {
		return err
	}
	e.buf = msgp.AppendArrayHeader(e.buf, uint32(n))
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
	return nil
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

func (e *encoder) nil() { e.buf = msgp.AppendNil(e.buf) }

func (e *encoder) bool(v bool) { e.buf = msgp.AppendBool(e.buf, v) }

func (e *encoder) uint(u uint64) { e.buf = msgp.AppendUint64(e.buf, u) }

// int takes the shortest form, as every MessagePack writer does; msgp's own
// AppendInt64 never uses the unsigned ones.
func (e *encoder) int(i int64) { e.buf = appendInt(e.buf, i) }

func appendInt(b []byte, i int64) []byte {
	if i >= 0 {
		return msgp.AppendUint64(b, uint64(i))
	}
	return msgp.AppendInt64(b, i)
}

func (e *encoder) string(s string) {
	e.strings = e.strings || s != ""
	e.buf = msgp.AppendString(e.buf, s)
}

func (e *encoder) bytes(b []byte) { e.buf = msgp.AppendBytes(e.buf, b) }

// failed puts step in front of the path of err, which encoding what v holds
// returned. The way out of a value nested too deep leads past whatever led
// there: what it passes twice holds itself, and the path ends with the last.
func (e *encoder) failed(v reflect.Value, step string, err error) error {
	if !e.tooDeep {
		return at(step, err)
	}
	a := address{v.Pointer(), v.Type()}
	if slices.Contains(e.trail, a) {
		return fmt.Errorf("%w: it is part of a cycle", ErrUnsavable)
	}
	e.trail = append(e.trail, a)
	return at(step, err)
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
	if budget := memoryBudget(payload); e.charged > budget {
		return nil, fmt.Errorf("%w: decoding it would take %d bytes of memory, the most for its size is %d", ErrLimit, e.charged, budget)
	}
	if len(e.groups) > 1 {
		own := e.groups[0].shapes
		e.buf = slices.Replace(e.buf, e.start-len(own), e.start, appendShapes(nil, e.groups)...)
	}
	return e.buf, nil
}
