package pagestate

// This file holds what a page may see and change of a state: its public fields,
// as JSON. What may be public is checked in internal/publicjson, which also
// reads and writes the JSON.

import (
	"fmt"
	"reflect"

	"github.com/pagestate/pagestate/internal/publicjson"
)

// PublicJSON returns the public fields of state, a struct or a pointer to one,
// as a JSON object: by their saved names, in the order of their declaration.
// Public are the fields with that option in their tag:
//
//	type Filter struct {
//		pagestate.Component
//		Word   string   `state:"word,public"`
//		Tags   []string `state:"tags,public"`
//		Tenant int      // neither seen by the page nor changed
//	}
//
// Without any the object is empty. The result is safe in a <script> of an HTML
// page, as template.JS, and in an attribute, where html/template escapes it as
// it does any string.
//
// A public field may hold:
//
//   - bool, whole numbers and floats. A script sees whole numbers beyond 2⁵³
//     rounded: make these strings. A time.Duration is its nanoseconds.
//   - string, which must be valid UTF-8.
//   - []byte, and arrays of bytes, as base64 with padding.
//   - time.Time, as in RFC 3339 with up to nine digits of a second.
//   - slices and arrays; maps whose keys are strings or whole numbers, in the
//     order of their keys as text. "__proto__" cannot be a key, since a script
//     would take it for something else.
//   - structs, with all their saved fields: only the fields of state itself
//     need the option.
//   - pointers to these. A nil pointer, slice or map is null.
//
// Types of these kinds are written by their kind, and no method of theirs is
// called, such as MarshalJSON. Anything else is refused by [New], and by these
// functions too: template.HTML and the other types that html/template trusts,
// interfaces, queries, blocks, embedded structs, structs of other packages with
// unexported fields, structs in which no field is exported. Models and types with a
// codec are refused by New alone, since only a [Registry] knows them. A string type
// that another template language does not escape looks like any other: it must not
// be public.
//
// What ApplyPublic would not take back is an error: more than 1 MiB, nested
// deeper than 64 levels, a NaN. Errors name the field, and nothing of its
// value.
//
// It is safe for concurrent use as long as nothing changes state.
func PublicJSON(state any) ([]byte, error) {
	v := reflect.ValueOf(state)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("pagestate: public fields are those of a struct or of a pointer to one, and not of %s", describe(state))
	}
	p, err := publicjson.Of(v.Type())
	if err != nil {
		return nil, fmt.Errorf("pagestate: %w", err)
	}
	b, err := p.Encode(v)
	if err != nil {
		return nil, fmt.Errorf("pagestate: %w", err)
	}
	return b, nil
}

// ApplyPublic sets public fields of state, a pointer to a struct, to what a
// page sent: a JSON object in the form of [PublicJSON]. Fields that it does not
// name stay as they are.
//
// A field that it names gets a new value, made of the JSON alone: of a struct
// in it, behind a pointer too, the fields that are missing become zero, and so
// do those that are not saved.
//
// It is strict, since data comes from whoever can reach the handler. Errors are
// a name that is not exactly that of a public field, a name twice, anything
// behind the object, more than 1 MiB, levels beyond 64, text that is not valid
// UTF-8, and every value that its field cannot hold as it is: a number out of
// range or with a fraction, null for what is never nil, an array of another
// length. After an error state is as it was. Errors name the field, and nothing
// of the value; they are an [ErrInvalid], or an [ErrTooLarge] for what is over
// a limit, so a handler can return them as they are. A state that is not a
// pointer to a struct, or whose type is refused, is an error of neither kind.
//
// No method of a type is called, such as UnmarshalJSON. Whether a value makes
// sense is for the caller to check, as with any form.
//
// It is safe for concurrent use with different states.
func ApplyPublic(state any, data []byte) error {
	v := reflect.ValueOf(state)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("pagestate: public fields can be set through a pointer to a struct, and not through %s", describe(state))
	}
	p, err := publicjson.Of(v.Type().Elem())
	if err != nil {
		return fmt.Errorf("pagestate: %w", err)
	}
	if err := p.Apply(v.Elem(), data); err != nil {
		return decodeError(err)
	}
	return nil
}

// describe names the type of a state that is of no use.
func describe(state any) string {
	if v := reflect.ValueOf(state); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Sprintf("a nil %T", state)
	}
	return fmt.Sprintf("%T", state)
}
