package codec

import (
	"fmt"
	"reflect"
	"time"
	"unicode/utf8"
)

// MaxPublic is how many bytes of JSON public fields may take, in both directions.
const MaxPublic = 1 << 20

// Public are the public fields of a struct type: those a page may see and change
// as JSON. It is safe for concurrent use.
type Public struct {
	typ    reflect.Type
	fields []publicField
	within publicStructs
}

type publicField struct {
	name  string
	index int // in the Go struct
}

// publicStructs are the structs that stand below public fields, with all their
// saved fields.
type publicStructs map[reflect.Type][]publicField

// NewPublic returns the public fields of a struct type, which need not be
// registered. What may not be public is an error that starts with the path to it.
func NewPublic(typ reflect.Type) (*Public, error) {
	p := &Public{typ: typ}
	c := newPublicCheck(new(Types), typ.PkgPath())
	for _, f := range c.named(typ, typeName(typ)) {
		if f.saved.Public {
			c.field(f, typeName(typ))
			p.fields = append(p.fields, f.public())
		}
	}
	if len(c.faults) > 0 {
		return nil, c.faults[0]
	}
	p.within = c.within
	return p, nil
}

// publicCheck looks at what public fields hold.
type publicCheck struct {
	types  *Types
	own    string // the package whose unexported fields are left out
	seen   map[reflect.Type]bool
	within publicStructs
	faults []error
}

func newPublicCheck(t *Types, own string) *publicCheck {
	return &publicCheck{types: t, own: own, seen: make(map[reflect.Type]bool), within: make(publicStructs)}
}

// publicFaults records why a field of the struct at s cannot be public. It tells
// whether there was a reason.
func (t *Types) publicFaults(f reflect.StructField, field Field, s site) bool {
	c := newPublicCheck(t, s.own)
	c.field(savedField{f, field}, s.path)
	t.faults = append(t.faults, c.faults...)
	return len(c.faults) > 0
}

func (c *publicCheck) fault(path, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

type savedField struct {
	reflect.StructField
	saved Field
}

func (f savedField) public() publicField { return publicField{f.saved.Name, f.Index[0]} }

// named returns the saved fields of a struct, whose names must be distinct.
func (c *publicCheck) named(typ reflect.Type, path string) []savedField {
	var fields []savedField
	names := make(map[string]string)
	for f := range savedFields(typ) {
		field, fault := parseField(f)
		if fault != "" {
			c.fault(path+"."+f.Name, "%s", fault)
		}
		if other, ok := names[field.Name]; ok {
			c.fault(path+"."+f.Name, "its saved name %q is that of %s too; give one of them another in its state tag", field.Name, other)
		}
		names[field.Name] = f.Name
		fields = append(fields, savedField{f, field})
	}
	return fields
}

// field checks one that is public itself or stands below one that is, in the
// struct that path leads to.
func (c *publicCheck) field(f savedField, path string) {
	path += "." + f.Name
	if fault := nameFault(f.saved.Name); fault != "" {
		c.fault(path, "its saved name %q cannot be public: %s", f.saved.Name, fault)
	}
	if f.Anonymous {
		c.fault(path, "an embedded field cannot be public; give it a name")
		return
	}
	c.check(f.Type, path)
}

// nameFault says why a page cannot use a name in an object.
func nameFault(name string) string {
	switch {
	case !utf8.ValidString(name):
		return "it is not valid UTF-8"
	case name == "__proto__":
		// Unlike in JSON, where it is a name like any other.
		return "in a script it would set the object's prototype"
	}
	return ""
}

func (c *publicCheck) check(typ reflect.Type, path string) {
	if c.seen[typ] {
		return
	}
	c.seen[typ] = true
	if why := c.refused(typ); why != "" {
		c.fault(path, "%s cannot be public: %s", typ, why)
		return
	}
	switch typ.Kind() {
	case reflect.Pointer:
		c.check(typ.Elem(), path)
	case reflect.Slice, reflect.Array:
		c.check(typ.Elem(), path+"[]")
	case reflect.Map:
		c.check(typ.Key(), path+"[key]")
		c.check(typ.Elem(), path+"[]")
	case reflect.Struct:
		if typ != timeType {
			c.checkStruct(typ, path)
		}
	}
}

func (c *publicCheck) checkStruct(typ reflect.Type, path string) {
	for _, f := range c.named(typ, path) {
		c.field(f, path)
		c.within[typ] = append(c.within[typ], f.public())
	}
}

var timeType = reflect.TypeFor[time.Time]()

// refused says why no value of a type can be public, whatever it holds.
func (c *publicCheck) refused(typ reflect.Type) string {
	if p := c.types.byType[typ]; p != nil && p.model != nil {
		return "the page could choose the row; give it what it may see of it"
	} else if p != nil && p.custom != nil {
		return "the page could write what its codec reads; give it a string or a number"
	}
	if _, ok := c.types.named[typ]; ok {
		return "the page could choose what is run or rendered"
	}
	if _, ok := templateTypes[typ]; ok {
		return "the page could write what html/template trusts; make it a string"
	}
	if typ == timeType {
		return ""
	}
	if _, ok := stdTypes[typ]; ok {
		return "it has no form in JSON; give the page a string or a number"
	}
	switch kind := typ.Kind(); kind {
	case reflect.Interface:
		return "the page could choose its type; give it one"
	case reflect.Pointer:
		if typ.Elem().Kind() == reflect.Pointer {
			return "null could mean either pointer; use one"
		}
	case reflect.Map:
		if !isPublicKey(typ.Key().Kind()) {
			return "its keys are neither strings nor whole numbers"
		}
	case reflect.Struct:
		if !c.types.known(site{typ: typ, own: c.own}) {
			return "it has unexported fields of another package; give the page a type of your own"
		}
	case reflect.Slice, reflect.Array:
	default:
		if newScalar(kind) == nil || kind == reflect.Complex64 || kind == reflect.Complex128 {
			return "it has no form in JSON"
		}
	}
	return ""
}

func isPublicKey(k reflect.Kind) bool { return k == reflect.String || isInt(k) || isUint(k) }

func isInt(k reflect.Kind) bool  { return k >= reflect.Int && k <= reflect.Int64 }
func isUint(k reflect.Kind) bool { return k >= reflect.Uint && k <= reflect.Uint64 }
