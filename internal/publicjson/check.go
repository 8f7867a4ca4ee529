package publicjson

import (
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/pagestate/pagestate/internal/codec"
)

// Faults says why a field with the option public cannot be, for
// [codec.Types.CheckPublic].
func Faults(t *codec.Types, f reflect.StructField, saved codec.Field, own, path string) []error {
	c := newCheck(t, own)
	c.field(savedField{f, saved}, path)
	return c.faults
}

// check looks at what public fields hold.
type check struct {
	types  *codec.Types
	own    string // the package whose unexported fields are left out
	seen   map[reflect.Type]bool
	within map[reflect.Type][]savedField // of the structs below public fields, all saved fields
	faults []error
}

func newCheck(t *codec.Types, own string) *check {
	return &check{types: t, own: own, seen: make(map[reflect.Type]bool), within: make(map[reflect.Type][]savedField)}
}

func (c *check) fault(path, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

type savedField struct {
	reflect.StructField
	saved codec.Field
}

// named returns the saved fields of a struct, whose names must be distinct.
func (c *check) named(typ reflect.Type, path string) []savedField {
	var fields []savedField
	names := make(map[string]string)
	for f := range codec.SavedFields(typ) {
		saved, fault := codec.ParseField(f)
		if fault != "" {
			c.fault(path+"."+f.Name, "%s", fault)
		}
		if other, ok := names[saved.Name]; ok {
			c.fault(path+"."+f.Name, "its saved name %q is that of %s too; give one of them another in its state tag", saved.Name, other)
		}
		names[saved.Name] = f.Name
		fields = append(fields, savedField{f, saved})
	}
	return fields
}

// field checks one that is public itself or stands below one that is, in the
// struct that path leads to.
func (c *check) field(f savedField, path string) {
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

func (c *check) check(typ reflect.Type, path string) {
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

func (c *check) checkStruct(typ reflect.Type, path string) {
	for _, f := range c.named(typ, path) {
		c.field(f, path)
		c.within[typ] = append(c.within[typ], f)
	}
}

// refused says why no value of a type can be public, whatever it holds.
func (c *check) refused(typ reflect.Type) string {
	if typ == timeType && c.types.Saving(typ) == codec.ByOwnForm {
		return ""
	}
	switch c.types.Saving(typ) {
	case codec.AsRow:
		return "the page could choose the row; give it what it may see of it"
	case codec.ByCodec:
		return "the page could write what its codec reads; give it a string or a number"
	case codec.AsName:
		return "the page could choose what is run or rendered"
	case codec.AsMarkup:
		return "the page could write what html/template trusts; make it a string"
	case codec.ByOwnForm:
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
		if !isKey(typ.Key().Kind()) {
			return "its keys are neither strings nor whole numbers"
		}
	case reflect.Struct:
		if !c.types.Known(typ, c.own) {
			return "it has unexported fields of another package; give the page a type of your own"
		}
		if c.types.LosesAll(typ) {
			return `it has fields, and none of them would be there; export them, or leave it out with state:"-"`
		}
	case reflect.Bool, reflect.Float32, reflect.Float64, reflect.Slice, reflect.Array:
	default:
		if !isKey(kind) {
			return "it has no form in JSON"
		}
	}
	return ""
}

// isKey reports whether a kind is that of a string or a whole number.
func isKey(k reflect.Kind) bool {
	return k == reflect.String || forms[k] == Integer || forms[k] == Unsigned
}
