package pagestate

// This file holds what an application registers before the first New: its
// components and the codecs for types it does not own. Models, queries and
// blocks have files of their own. Whether these types can
// be saved is checked in internal/codec; what a state is when it is resumed is
// in load.go.

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/pagestate/pagestate/internal/codec"
	"github.com/pagestate/pagestate/internal/publicjson"
)

// A Registry holds the types that a token may hold. Nothing else can come out
// of one, whoever sealed it.
//
// Register everything while the program starts. A mistake is recorded, and the
// first [New] reports all of them at once: a name used twice, one type under
// two names, an empty name, a pointer or interface type, and every field of
// every type that cannot be saved, with the path to it. Registering after the
// first New panics.
//
// Registering is safe for concurrent use, but its order decides nothing except
// the order of the faults.
type Registry struct {
	mu         sync.Mutex
	closed     bool
	types      *codec.Types
	components map[reflect.Type]*component
	byName     map[string]*component
	names      map[string]reflect.Type
	registered map[reflect.Type]string
	models     map[*codec.Plan]fetch
	queries    map[string]any // *registeredQuery[A, R]
	blocks     map[string]*blockSet
	faults     []error
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	types := codec.NewTypes(reflect.TypeFor[Component]())
	types.CheckPublic(publicjson.Faults)
	r := &Registry{
		types:      types,
		components: make(map[reflect.Type]*component),
		byName:     make(map[string]*component),
		names:      make(map[string]reflect.Type),
		registered: make(map[reflect.Type]string),
		models:     make(map[*codec.Plan]fetch),
		queries:    make(map[string]any),
		blocks:     make(map[string]*blockSet),
	}
	r.types.AddNamed(reflect.TypeFor[Block](), r.savedBlock())
	return r
}

// component is a registered type whose values can be sealed.
type component struct {
	name    string
	typ     reflect.Type
	version int
	plan    *codec.Plan // set by the first New
	load    func(ctx context.Context, state any) error
	steps   []*step // from former versions

	compressed bool
	budget     int // of a token, in bytes; 0 for none
}

// A ComponentOption is given to [Register].
type ComponentOption func(*component) error

// Schema sets the version of a component, which is 0 without it. A token that
// holds the component in another version is refused with [ErrOutdated].
//
// Fields may come and go without a new version: one that the token lacks is
// zero, one that the type lacks is dropped, and one of another kind makes the
// token outdated by itself. Raise the version where the meaning of a field
// changed but its type did not, or where the zero value of a new field permits
// more than its absence did. [Migrate] lets tokens of the former version open. Never
// give a version one that was raised for a right or a price: old tokens would bring
// back what it took away.
func Schema(version int) ComponentOption {
	return func(c *component) error {
		if version < 0 {
			return fmt.Errorf("the schema version %d is negative", version)
		}
		c.version = version
		return nil
	}
}

// Register lets T be sealed under a name, by itself and inside other states.
// The name is part of every token: to rename a component is to end its tokens.
//
// If *T is a [Loader], Load runs whenever a T is attached or resumed.
//
// All exported fields are saved, under their Go names. [New] refuses a struct
// that has fields of which none is saved, wherever it stands. A tag says
// otherwise:
//
//	Title string   `state:"title"`         // another saved name, kept through a renaming
//	Cache *Cache   `state:"-"`             // not saved, of any type
//	Role  string   `state:",keep"`         // saved even if Load sets it
//	Word  string   `state:",public"`       // the page may see and change it, see PublicJSON
//	Owner *User    `state:",optional"`     // nil if its row is gone, see RegisterModel
func Register[T any](r *Registry, name string, opts ...ComponentOption) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &component{name: name, typ: reflect.TypeFor[T]()}
	if !r.reserve(c.typ, name) {
		return
	}
	if reflect.PointerTo(c.typ).Implements(reflect.TypeFor[Loader]()) {
		c.load = func(ctx context.Context, state any) error { return state.(Loader).Load(ctx) }
	}
	r.checkEmbedded(c.typ)
	for _, opt := range opts {
		if opt == nil {
			r.fault("%s: an option is nil", c.typ)
			continue
		}
		if err := opt(c); err != nil {
			r.fault("%s: %w", c.typ, err)
		}
	}
	r.components[c.typ], r.byName[name] = c, c
	r.types.Add(name, c.typ, c.version)
	r.addSteps(c)
}

func (r *Registry) checkEmbedded(typ reflect.Type) {
	if embedsComponentByPointer(typ, false, nil) {
		r.fault("%s: it embeds Component through a pointer, which may be nil; embed the struct itself", typ)
	}
}

// embedsComponentByPointer follows the embedded structs of typ, which was
// reached past the types of path; behind says that a pointer led there.
func embedsComponentByPointer(typ reflect.Type, behind bool, path []reflect.Type) bool {
	if typ == reflect.TypeFor[Component]() {
		return behind
	}
	if typ.Kind() != reflect.Struct || slices.Contains(path, typ) {
		return false
	}
	for f := range typ.Fields() {
		if !f.Anonymous {
			continue
		}
		below, pointer := f.Type, f.Type.Kind() == reflect.Pointer
		if pointer {
			below = below.Elem()
		}
		if embedsComponentByPointer(below, behind || pointer, append(path, typ)) {
			return true
		}
	}
	return false
}

// A Codec saves a type that has no form by its structure, or whose form is not
// its own business. See [RegisterCodec].
type Codec[T any] struct {
	// Encode returns what is saved of a value. Equal values must give equal
	// bytes. It must accept the zero value of T.
	Encode func(T) ([]byte, error)
	// Decode is given what Encode returned, or whatever somebody with a stolen
	// secret made up: it must return an error for what it does not know, and
	// neither panic nor spend more memory or time than the bytes are worth. It
	// may keep the bytes.
	Decode func([]byte) (T, error)
}

// RegisterCodec lets T be saved wherever it stands in a state: as a field, an
// element, a map key or value, behind a pointer or in an interface. It is for
// types of other packages with unexported fields:
//
//	pagestate.RegisterCodec(r, "decimal", pagestate.Codec[decimal.Decimal]{
//		Encode: func(d decimal.Decimal) ([]byte, error) { return []byte(d.String()), nil },
//		Decode: func(b []byte) (decimal.Decimal, error) {
//			if len(b) > 100 || bytes.ContainsAny(b, "eE") { // 1e999999999 is short, and a gigabyte once written out
//				return decimal.Decimal{}, errors.New("not a plain number")
//			}
//			return decimal.NewFromString(string(b))
//		},
//	})
//
// As a map key T should compare by value: two keys with the same saved form
// cannot be sealed. A T that Decode refuses makes the token invalid. The text
// of what Encode and Decode return as an error is not logged, since it may hold
// the value; errors.As finds the error in what Seal, Open and Reseal return.
func RegisterCodec[T any](r *Registry, name string, c Codec[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	typ := reflect.TypeFor[T]()
	if !r.reserve(typ, name) {
		return
	}
	if c.Encode == nil || c.Decode == nil {
		r.fault("%s: codec %q needs both Encode and Decode", typ, name)
	}
	r.types.AddCustom(name, typ, codec.Custom{
		Encode: func(v reflect.Value) ([]byte, error) { return c.Encode(v.Interface().(T)) },
		Decode: func(b []byte, v reflect.Value) error {
			value, err := c.Decode(b)
			if err == nil {
				v.Set(reflect.ValueOf(&value).Elem())
			}
			return err
		},
	})
}

// reserve takes a name for a type, or records why it cannot.
func (r *Registry) reserve(typ reflect.Type, name string) bool {
	before := len(r.faults)
	r.reserveName(typ, name)
	r.checkType(typ)
	if other, ok := r.registered[typ]; ok {
		r.fault("%s: is registered as %q already, and as %q", typ, other, name)
	}
	if len(r.faults) > before {
		return false
	}
	r.registered[typ] = name
	return true
}

func (r *Registry) checkType(typ reflect.Type) {
	if kind := typ.Kind(); kind == reflect.Pointer || kind == reflect.Interface {
		r.fault("%s: a pointer or interface type cannot be registered; register the type behind it", typ)
	}
}

// reserveName takes a name for a type that may be registered under several.
func (r *Registry) reserveName(typ reflect.Type, name string) bool {
	if r.closed {
		panic(fmt.Sprintf("pagestate: %s is registered after the first New", typ))
	}
	if name == "" {
		r.fault("%s: its name is empty", typ)
		return false
	}
	if other, ok := r.names[name]; ok {
		r.fault("%s: its name %q is taken by %s", typ, name, other)
		return false
	}
	r.names[name] = typ
	return true
}

func (r *Registry) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("pagestate: "+format, args...))
}

// close ends registration and compiles the types. It returns every fault.
func (r *Registry) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		for _, fault := range r.types.Compile() {
			r.fault("%w", fault)
		}
		for _, c := range r.components {
			c.plan = r.types.Type(c.typ)
		}
	}
	return errors.Join(r.faults...)
}

// component returns the component of a state's type, which is T or *T.
func (r *Registry) component(typ reflect.Type) (*component, error) {
	if typ != nil && typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if c := r.components[typ]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("pagestate: %v is not a registered component; call Register for it before New", typ)
}

// named returns the component registered under a name, or nil.
func (r *Registry) named(name []byte) *component { return r.byName[string(name)] }
