// Package codec turns a value of a registered Go type into bytes and back.
//
// A type is checked against the safe list and compiled into a [Plan] once, at
// start-up; a plan then encodes and decodes by kind and structure alone. No
// method of a value's type is ever called, except the functions of a [Custom].
//
// The package knows types and bytes. It knows nothing of HTTP, keys or tokens:
// what protects the bytes and whose they are is decided above it. The forms of
// MessagePack are those of package wire.
//
//	types.go      the registered types and the safe list, with its faults
//	plan.go       one registered type: encoding and decoding it
//	shape.go      field names and signatures: how a type may change between deploys
//	encoder.go    writing, with the limits that hold while writing
//	drain.go      comparing or hashing what is written, and keeping none of it
//	decoder.go    strict reading, within a memory budget
//	scalar.go     numbers, strings and bytes
//	container.go  pointers, slices, arrays and maps
//	plain.go      the commonest slices and maps, without reflection
//	struct.go     structs
//	interface.go  values whose type stands beside them
//	reference.go  models: saved as a key, and fetched again
//	rows.go       which rows a value holds itself
//	named.go      what is saved by the name it was registered under
//	std.go        types of the standard library with a form of their own
//	describe.go   what data says of itself, without its types
//
// Encoded data is the shapes, a MessagePack array, and behind it the payload,
// one MessagePack value. Equal values encode to equal bytes.
package codec

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/pagestate/pagestate/internal/wire"
)

// What encoding and decoding refuse. Every error they return wraps one of these.
var (
	// ErrMalformed means data that Encode never writes.
	ErrMalformed = wire.ErrMalformed
	// ErrOutdated means data that another version of the types wrote.
	ErrOutdated = errors.New("saved by another version of the type")
	// ErrLimit means a value or data over one of the limits below.
	ErrLimit = errors.New("over a limit")
	// ErrSize is the ErrLimit of a payload longer than Encode was told.
	ErrSize = fmt.Errorf("%w", ErrLimit)
	// ErrUnsavable means a value that has no encoded form.
	ErrUnsavable = errors.New("cannot be saved")
)

// The limits hold while encoding and while decoding, so that nothing is
// encoded that could not be decoded again.
const (
	// MaxDepth is how deep the payload's arrays and maps may nest.
	MaxDepth = 64
	// MaxElements is how many elements one slice, array or map may have.
	MaxElements = 1 << 20
	// MaxReferences is how many references one value may hold.
	MaxReferences = 10_000
	// maxNumber is the size in bytes of a big number's magnitude.
	maxNumber = 1 << 10
)

// MemoryBudget is how many bytes decoding a payload of the given size may
// allocate.
func MemoryBudget(payload int) int { return 1<<20 + 64*min(payload, (math.MaxInt-1<<20)/64) }

// pathError says where in a value err happened. Its path holds field names and
// indices, never a map key: keys are part of the state, or were sent by a client.
type pathError struct {
	path string
	err  error
}

// maxPath keeps the path of a deeply nested value readable.
const maxPath = 100

func (e *pathError) Error() string {
	path := e.path
	if len(path) > maxPath {
		path = strings.ToValidUTF8(path[:maxPath], "") + "…"
	}
	return fmt.Sprintf("%s: %v", path, e.err)
}

func (e *pathError) Unwrap() error { return e.err }

// At puts step in front of the path of err.
func At(step string, err error) error {
	if inner, ok := err.(*pathError); ok {
		inner.path = step + inner.path
		return inner
	}
	return &pathError{path: step, err: err}
}
