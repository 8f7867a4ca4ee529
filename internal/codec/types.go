package codec

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// Types are the registered types of one application. Register everything, call
// Compile once, and use the plans. After Compile it is safe for concurrent use.
type Types struct {
	byType  map[reflect.Type]*Plan
	byName  map[string]*Plan
	named   map[reflect.Type]Named
	order   []*Plan // in the order of registration, so that faults are too
	former  []*Plan // see AddFormer
	reading *Plan   // which of former is being compiled, nil if none is
	ignored map[reflect.Type]bool
	public  func(t *Types, f reflect.StructField, saved Field, own, path string) []error
	basics  []node // of basicTypes

	holdsRows map[node]bool // those whose values may hold rows by value

	memo   map[memoKey]node
	faults []error
}

// node encodes and decodes one type.
type node interface {
	encode(*encoder, reflect.Value) error
	// decode sets a value that can be set and is zero.
	decode(*decoder, reflect.Value) error
	signature(*signer)
	// least is how many bytes the shortest value takes.
	least() int
	// nilable reports whether a value may be written as nil.
	nilable() bool
}

// NewTypes returns an empty set. Fields of an ignored type are never saved.
func NewTypes(ignored ...reflect.Type) *Types {
	t := &Types{
		byType:  make(map[reflect.Type]*Plan),
		byName:  make(map[string]*Plan),
		named:   make(map[reflect.Type]Named),
		ignored: make(map[reflect.Type]bool),
		memo:    make(map[memoKey]node),
	}
	for _, typ := range ignored {
		t.ignored[typ] = true
	}
	return t
}

// Add registers a component. Neither the name nor the type may be registered
// already.
func (t *Types) Add(name string, typ reflect.Type, version int) {
	t.add(&Plan{Name: name, Type: typ, Version: version})
}

// AddFormer returns a plan that only decodes: what a component was in that version.
// Its type is known in it and in other former plans, by structure alone: no interface
// holds it. Compile completes it.
func (t *Types) AddFormer(name string, typ reflect.Type, version int) *Plan {
	p := &Plan{Name: name, Type: typ, Version: version, types: t, former: true}
	t.former = append(t.former, p)
	return p
}

// AddCustom registers a type that c saves.
func (t *Types) AddCustom(name string, typ reflect.Type, c Custom) {
	t.add(&Plan{Name: name, Type: typ, custom: &c})
}

// AddModel registers a type that is saved as its key.
func (t *Types) AddModel(name string, typ reflect.Type, m Model) *Plan {
	p := &Plan{Name: name, Type: typ, model: &m}
	t.add(p)
	return p
}

// AddNamed registers a type that is saved as a name and arguments. It has no
// name of its own, and may be added again.
func (t *Types) AddNamed(typ reflect.Type, n Named) { t.named[typ] = n }

// CheckPublic has Compile ask why a field with the option public cannot be: a
// field of a struct of the package own, which path leads to.
func (t *Types) CheckPublic(faults func(t *Types, f reflect.StructField, saved Field, own, path string) []error) {
	t.public = faults
}

func (t *Types) add(p *Plan) {
	p.types = t
	t.byType[p.Type] = p
	t.byName[p.Name] = p
	t.order = append(t.order, p)
}

// Type returns the plan of a registered type, or nil.
func (t *Types) Type(typ reflect.Type) *Plan { return t.byType[typ] }

// Name returns the plan registered under a name, or nil.
func (t *Types) Name(name string) *Plan { return t.byName[name] }

// Compile checks all registered types and whatever they hold against the safe
// list, and returns every fault it finds. Each starts with the path to it.
func (t *Types) Compile() []error {
	for _, basic := range basicTypes {
		t.basics = append(t.basics, t.compile(site{typ: basic, shown: basic, path: basic.String()}))
	}
	for _, p := range t.order {
		p.node = t.compile(p.site())
		if p.node != nil { // else its faults would be reported twice
			p.pointer = t.compile(site{typ: reflect.PointerTo(p.Type), shown: p.Type, path: TypeName(p.Type)})
		}
	}
	for _, p := range t.former {
		t.compileFormer(p)
	}
	if len(t.faults) > 0 {
		return t.faults
	}
	for _, p := range slices.Concat(t.order, t.former) {
		p.finish()
	}
	t.findHolders()
	t.memo = nil
	return nil
}

// compileFormer has a memo of its own, since types have other versions in it.
func (t *Types) compileFormer(p *Plan) {
	today := t.memo
	t.reading, t.memo = p, make(map[memoKey]node)
	p.node = t.compile(p.site())
	t.reading, t.memo = nil, today
}

// registered returns the plan of a type as what is being compiled knows it, or nil.
func (t *Types) registered(typ reflect.Type) *Plan {
	if t.reading == nil {
		return t.byType[typ]
	}
	if t.reading.Type == typ {
		return t.reading
	}
	if p := t.byType[typ]; p != nil {
		return p
	}
	for _, p := range t.former {
		if p.Type == typ {
			return p
		}
	}
	return nil
}

// TypeName is how a type is called at the start of a path.
func TypeName(t reflect.Type) string { return cmp.Or(t.Name(), t.String()) }

// site is where a type stands.
type site struct {
	typ   reflect.Type
	shown reflect.Type // what a fault calls it: for the sql.DB of a *sql.DB, the pointer
	path  string
	own   string // the package of the component around it
}

func (p *Plan) site() site { return site{typ: p.Type, shown: p.Type, path: TypeName(p.Type)} }

func (s site) elem(step string) site {
	return site{typ: s.typ.Elem(), shown: s.typ.Elem(), path: s.path + step, own: s.own}
}

// memoKey tells compiled types apart. The package is part of it, since which
// unexported fields may be skipped depends on it.
type memoKey struct {
	typ reflect.Type
	own string
}

func (s site) key() memoKey { return memoKey{s.typ, s.own} }

// fault records a fault, once: that of a model's key is found wherever the model
// stands.
func (t *Types) fault(s site, format string, args ...any) {
	fault := fmt.Errorf("%s: %s", s.path, fmt.Sprintf(format, args...))
	same := func(other error) bool { return other.Error() == fault.Error() }
	if !slices.ContainsFunc(t.faults, same) {
		t.faults = append(t.faults, fault)
	}
}

// compile returns the node of a type. After a fault it may be nil.
func (t *Types) compile(s site) node {
	p := t.registered(s.typ)
	if p != nil {
		s.own = cmp.Or(s.typ.PkgPath(), s.own)
	}
	if n := t.memo[s.key()]; n != nil {
		return n
	}
	if p == nil {
		return t.compileType(s)
	}
	if p.custom != nil {
		return &customNode{name: p.Name, custom: p.custom}
	}
	if p.model != nil {
		return t.compileReference(s, p, false)
	}
	if p.Version != 0 {
		n := &versionNode{version: p.Version}
		t.remember(s, n)
		n.node = t.compileType(s)
		return n
	}
	return t.compileType(s)
}

// remember must be called before a type's parts are compiled: they may hold
// the type again.
func (t *Types) remember(s site, n node) {
	if t.memo[s.key()] == nil {
		t.memo[s.key()] = n
	}
}

func (t *Types) compileType(s site) node {
	if n, ok := stdTypes[s.typ]; ok {
		return n
	}
	if sig, ok := templateTypes[s.typ]; ok {
		return scalarNode{leaf{sig, 1}}
	}
	if named, ok := t.named[s.typ]; ok {
		return t.compileNamed(s, named)
	}
	switch s.typ.Kind() {
	case reflect.Pointer:
		return t.compilePointer(s)
	case reflect.Slice:
		return t.compileSlice(s)
	case reflect.Array:
		return t.compileArray(s)
	case reflect.Map:
		return t.compileMap(s)
	case reflect.Struct:
		return t.compileStruct(s)
	case reflect.Interface:
		return t.compileInterface(s)
	}
	n := newScalar(s.typ.Kind())
	if n == nil {
		t.unsafe(s)
	}
	return n
}

func (t *Types) unsafe(s site) {
	t.fault(s, `%s is not in the safe list; save it with RegisterModel, RegisterCodec or a Register of its own package, or leave it out with state:"-"`, s.shown)
}

// compileReference returns the node of a model, or of a pointer to it.
func (t *Types) compileReference(s site, model *Plan, pointer bool) node {
	n := &referenceNode{plan: model, pointer: pointer}
	t.remember(s, n)
	key := site{typ: model.model.Key, shown: model.model.Key, path: TypeName(model.Type) + " key"}
	if !t.isKey(key.typ) || t.mayBeNaN(key.typ) {
		t.fault(key, "%s cannot be the key of model %q; use a type without pointers, interfaces and floats", key.typ, model.Name)
		return nil
	}
	n.key = t.compile(key)
	return t.whole(s, n, n.key)
}

func (t *Types) compileNamed(s site, named Named) node {
	n := &namedNode{named: named}
	t.remember(s, n)
	n.args = t.compile(site{typ: named.Args, shown: named.Args, path: s.path + ".Args", own: named.Args.PkgPath()})
	return t.whole(s, n, n.args)
}

func (t *Types) compilePointer(s site) node {
	if p := t.byType[s.typ.Elem()]; p != nil && p.model != nil {
		return t.compileReference(s, p, true)
	}
	n := &pointerNode{size: alone(int(s.typ.Elem().Size()))}
	t.remember(s, n)
	elem := s.elem("")
	elem.shown = s.shown
	n.elem = t.compile(elem)
	return t.whole(s, n, n.elem)
}

// whole returns n unless one of its parts has a fault. Then it forgets n, so
// that the fault is reported wherever n stands.
func (t *Types) whole(s site, n node, parts ...node) node {
	if slices.Contains(parts, nil) {
		delete(t.memo, s.key())
		return nil
	}
	return n
}

// Saving is how values of a type are saved.
type Saving int

const (
	ByStructure Saving = iota
	AsRow              // of a model, by its key
	ByCodec
	AsName    // of a query or a template block
	AsMarkup  // a string that html/template trusts
	ByOwnForm // a type of the standard library
)

// Saving returns how values of typ are saved. Only what is registered can be a
// row, or saved by a codec or as a name.
func (t *Types) Saving(typ reflect.Type) Saving {
	if p := t.byType[typ]; p != nil && p.model != nil {
		return AsRow
	} else if p != nil && p.custom != nil {
		return ByCodec
	}
	if _, ok := t.named[typ]; ok {
		return AsName
	}
	if _, ok := templateTypes[typ]; ok {
		return AsMarkup
	}
	if _, ok := stdTypes[typ]; ok {
		return ByOwnForm
	}
	return ByStructure
}

func (t *Types) isCustom(typ reflect.Type) bool {
	p := t.byType[typ]
	return p != nil && p.custom != nil
}

// standsFor reports whether what is saved of a typ is not what it holds: that of a
// model is its key, and that of a query its name.
func (t *Types) standsFor(typ reflect.Type) bool {
	p := t.byType[typ]
	_, named := t.named[typ]
	return named || p != nil && p.model != nil
}

// isByte reports whether a slice or array of typ is saved as bytes.
func (t *Types) isByte(typ reflect.Type) bool {
	return typ.Kind() == reflect.Uint8 && t.registered(typ) == nil
}

func (t *Types) compileSlice(s site) node {
	if t.isByte(s.typ.Elem()) {
		return bytesNode{leaf{"y", 1}}
	}
	n := &sliceNode{size: int(s.typ.Elem().Size()), empty: reflect.MakeSlice(s.typ, 0, 0)}
	t.remember(s, n)
	n.elem = t.compile(s.elem("[]"))
	n.strings = s.typ == reflect.TypeFor[[]string]() && isScalar(n.elem)
	return t.whole(s, n, n.elem)
}

func (t *Types) compileArray(s site) node {
	if s.typ.Len() > MaxElements {
		t.fault(s, "an array of %d elements, the most is %d", s.typ.Len(), MaxElements)
		return nil
	}
	if t.isByte(s.typ.Elem()) {
		return newByteArray(s.typ.Len())
	}
	n := &arrayNode{length: s.typ.Len()}
	t.remember(s, n)
	n.elem = t.compile(s.elem("[]"))
	return t.whole(s, n, n.elem)
}

func (t *Types) compileMap(s site) node {
	key := site{typ: s.typ.Key(), shown: s.typ.Key(), path: s.path + "[key]", own: s.own}
	n := &mapNode{elems: reflect.SliceOf(s.typ.Elem()), size: SizeOfMap(s.typ)}
	t.remember(s, n)
	if t.isKey(key.typ) {
		n.unordered = t.mayBeNaN(key.typ)
		n.key = t.compile(key)
	} else {
		t.fault(key, "%s cannot be saved as a map key; use a scalar, a string, a netip or codec type, or an array or struct of these", key.typ)
	}
	n.elem = t.compile(s.elem("[]"))
	if isScalar(n.key) && isScalar(n.elem) {
		n.plain = newPlainMap(s.typ)
	}
	return t.whole(s, n, n.key, n.elem)
}

// isKey reports whether a map with keys of typ has one saved form.
func (t *Types) isKey(typ reflect.Type) bool {
	if t.isCustom(typ) {
		return typ.Comparable()
	}
	if t.standsFor(typ) {
		return false
	}
	switch typ {
	case reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.AddrPort](), reflect.TypeFor[netip.Prefix]():
		return true
	}
	if _, ok := stdTypes[typ]; ok {
		return false
	}
	switch typ.Kind() {
	case reflect.Array:
		return t.isKey(typ.Elem())
	case reflect.Struct:
		for f := range SavedFields(typ) {
			if !t.isKey(f.Type) {
				return false
			}
		}
		return typ.Comparable()
	case reflect.Interface, reflect.Pointer, reflect.Chan, reflect.UnsafePointer, reflect.Uintptr:
		return false
	}
	return typ.Comparable()
}

// mayBeNaN reports whether a key of typ can be unequal to itself.
func (t *Types) mayBeNaN(typ reflect.Type) bool {
	if t.isCustom(typ) {
		return true
	}
	switch typ.Kind() {
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return true
	case reflect.Array:
		return t.mayBeNaN(typ.Elem())
	case reflect.Struct:
		for f := range SavedFields(typ) {
			if t.mayBeNaN(f.Type) {
				return true
			}
		}
	}
	return false
}

// compileInterface wants a type that the interface can hold. Which one a value
// has is seen when it is saved.
func (t *Types) compileInterface(s site) node {
	for _, basic := range basicTypes {
		if basic.Implements(s.typ) {
			return &interfaceNode{typ: s.typ, types: t}
		}
	}
	for _, p := range t.order {
		if reflect.PointerTo(p.Type).Implements(s.typ) {
			return &interfaceNode{typ: s.typ, types: t}
		}
	}
	t.fault(s, `no registered type implements %s; register one, or leave the field out with state:"-"`, s.typ)
	return nil
}

func (t *Types) compileStruct(s site) node {
	if !t.Known(s.typ, s.own) {
		t.unsafe(s)
		return nil
	}
	if t.LosesAll(s.typ) {
		t.fault(s, `%s has fields, and none of them would be saved; export them, save it with RegisterModel, RegisterCodec or a Register of its own package, or leave it out with state:"-"`, s.shown)
		return nil
	}
	n := &structNode{typ: s.typ}
	t.remember(s, n)
	names := make(map[string]string)
	for f := range SavedFields(s.typ) {
		field, fault := ParseField(f)
		if field.Public && t.public != nil {
			if faults := t.public(t, f, field, s.own, s.path); len(faults) > 0 {
				t.faults = append(t.faults, faults...)
				continue
			}
		}
		if t.ignored[f.Type] {
			continue
		}
		at := site{typ: f.Type, shown: f.Type, path: s.path + "." + f.Name, own: s.own}
		if fault != "" {
			t.fault(at, "%s", fault)
		}
		if !f.IsExported() && t.isCustom(f.Type) {
			t.fault(at, `a codec cannot set an embedded field that is unexported; give it a name, or leave it out with state:"-"`)
		}
		if _, std := stdTypes[f.Type]; std && !f.IsExported() {
			t.fault(at, `a %s cannot be reached in an embedded field that is unexported; give it a name, or leave it out with state:"-"`, f.Type)
		}
		if !f.IsExported() && t.standsFor(f.Type) {
			t.fault(at, `what is fetched or looked up again cannot be set in an embedded field that is unexported; give it a name, or leave it out with state:"-"`)
		}
		if other, ok := names[field.Name]; ok {
			t.fault(at, "its saved name %q is that of %s too; give one of them another in its state tag", field.Name, other)
		}
		names[field.Name] = f.Name
		value := t.compile(at)
		n.fields = append(n.fields, structField{
			Field:  field,
			node:   value,
			scalar: isScalar(value),
			index:  f.Index[0],
		})
	}
	return n
}

// Known reports whether the fields of a struct say all there is to it. Those
// that own, the package of the component around it, keeps to itself are skipped,
// as encoding/json does; what another package's mean cannot be known.
func (t *Types) Known(typ reflect.Type, own string) bool {
	for f := range typ.Fields() {
		if !f.IsExported() && f.PkgPath != own && f.Tag.Get(tagKey) != "-" {
			return false
		}
	}
	return true
}

// LosesAll reports whether nothing of a struct would be saved although it holds
// something that no tag leaves out.
func (t *Types) LosesAll(typ reflect.Type) bool {
	saves, loses := t.saves(typ)
	return loses && !saves
}

// saves reports whether anything of a struct is saved, and whether one of its
// fields is lost: it is not saved, and no tag says so.
func (t *Types) saves(typ reflect.Type) (saves, loses bool) {
	for f := range typ.Fields() {
		switch {
		case t.ignored[f.Type], f.Name == "_", f.Type.Size() == 0, f.Tag.Get(tagKey) == "-":
			// nothing to lose
		case !isSaved(f):
			loses = true
		case f.Type.Kind() == reflect.Struct && t.Saving(f.Type) == ByStructure:
			below, _ := t.saves(f.Type) // what it loses is its own fault
			saves = saves || below
		default:
			saves = true
		}
	}
	return saves, loses
}

const tagKey = "state"

// SavedFields are the fields of a struct that are saved, or that a tag wants to
// be although they cannot be.
func SavedFields(typ reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for f := range typ.Fields() {
			if isSaved(f) && !yield(f) {
				return
			}
		}
	}
}

func isSaved(f reflect.StructField) bool {
	tag, tagged := f.Tag.Lookup(tagKey)
	return tag != "-" && (f.IsExported() || tagged || isEmbeddedStruct(f))
}

// isEmbeddedStruct reports whether the fields of f can be reached although f
// itself is unexported.
func isEmbeddedStruct(f reflect.StructField) bool {
	typ := f.Type
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	return f.Anonymous && typ.Kind() == reflect.Struct
}

// ParseField reads the state tag, [name][,optional][,public][,keep], and says what
// is wrong with it or with the field.
func ParseField(f reflect.StructField) (field Field, fault string) {
	name, options, more := strings.Cut(f.Tag.Get(tagKey), ",")
	field = Field{Name: cmp.Or(name, f.Name), GoName: f.Name}
	if !f.IsExported() && !isEmbeddedStruct(f) {
		return field, "an unexported field cannot be saved; export it, or remove its state tag"
	}
	if !f.IsExported() && f.Type.Kind() == reflect.Pointer {
		return field, `an embedded pointer to an unexported struct cannot be set; embed the struct itself, or leave it out with state:"-"`
	}
	for more {
		var option string
		option, options, more = strings.Cut(options, ",")
		switch option {
		case "optional":
			field.Optional = true
		case "public":
			field.Public = true
		case "keep":
			field.Keep = true
		default:
			return field, fmt.Sprintf("its state tag has the unknown option %q; there are optional, public and keep", option)
		}
	}
	return field, ""
}
