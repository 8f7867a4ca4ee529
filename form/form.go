// Package form fills the public fields of a state from an HTML form or a query,
// and turns them into a query again. Public are the fields with that option in
// their tag, under their saved names, as for [pagestate.ApplyPublic]:
//
//	type Signup struct {
//		pagestate.Component
//		Email  string      `state:"email,public"`
//		Age    int         `state:"age,public"`
//		News   bool        `state:"news,public"`
//		Phones []Phone     `state:"phones,public"`
//		Errors form.Errors // saved, and out of a form's reach
//	}
//
//	s.Errors, err = form.Apply(s, r.PostForm, "email", "age", "news", "phones")
//
// A handler names the fields that its form has. Whatever else was sent is passed
// over, so a form can neither reach a field that is not public, nor one that
// belongs to another step.
//
// # Names
//
// A name is exactly that of the field. What is inside of it follows behind
// points:
//
//   - address.street is a field of a struct, through a pointer too.
//   - phones.0.number is a field of the first struct of a list.
//   - tags, several times, are the elements of a list of text, numbers, dates or
//     boxes. So are tags.0, tags.1 and so on, but not both at once.
//   - quantity.17 is the entry of a map under the key 17. A key with a point in
//     it cannot be sent.
//
// Lists begin with 0 and leave no number out; the order in which they were sent
// does not matter. An element of a list of structs is there if at least one of
// its fields was sent, so one with nothing except a box needs a hidden field too.
//
// # Values
//
// Empty is zero, whatever the type: nil for a pointer, also one to a string.
// What is missing is zero too, as browsers send nothing for a box that is not
// checked. Whether something is required is for the handler to check.
//
//   - Text must be valid UTF-8. Its line ends become \n.
//   - on, true and 1 are true; off, false and 0 are false.
//   - Numbers are decimal, with a point and without commas.
//   - Times are those of the inputs date, datetime-local, month (its first day),
//     week (its Monday) and time (of the date of the zero time), and as in RFC
//     3339. All become UTC.
//   - Bytes are base64 with padding.
//
// White space around what is not text is passed over.
//
// Structs, elements and entries are made of the form alone. Of those that the
// field held before nothing stays, fields that a form cannot reach included: an
// order that the page changed moves no hidden price to another element.
//
// # Why not another decoder
//
// gorilla/schema 1.4.1 and go-playground/form 4.2.1 read forms into structs, and
// are not used here. Both set every field they know a name for, write into the
// value while they read, and leave a field as it was when nothing was sent for
// it. schema matches names in any case, takes the last of several values, and
// splits at commas. form panics at a name with an unclosed bracket. Both bound
// a list by its highest index and not by how much was sent. What would remain of
// them here is the conversion of a string to a number, which is strconv's.
package form

// The files:
//
//	form.go     what a program calls
//	problem.go  what can be wrong with a value, and how a person is told
//	plan.go     the public fields of a type, and those that a call names
//	names.go    which names of a form lead to a value of theirs
//	read.go     from a form to a field
//	scalar.go   from text to a boolean, number, string or bytes
//	moment.go   from text to a time, and back
//	write.go    from a field to a form

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/codec"
)

// Errors are messages for the person at the form, by the name that the value has
// in it, such as "email" or "phones.0.number". It may be saved in a state. A nil
// Errors can be read, also with index in a template.
type Errors map[string]string

// Apply sets the public fields of state, a pointer to a struct, to what values
// have under their names. A field for which nothing was sent becomes zero.
//
// What cannot be converted is in the Errors, and its field stays as it was: all
// of it if only one element is wrong. So is text that is not valid UTF-8, one
// value where several were sent or the other way round, and a list with a gap.
// The other fields are set. The Errors are never nil if there is no error, so
// that the handler can add its own.
//
// The error is for what no person can correct, and then nothing was set. It is a
// [pagestate.ErrTooLarge] if the named fields take more than 1 MiB of names and
// values, more memory than their size allows, or are nested deeper than 64
// levels, so a handler can return it as it is. A name that is not that of a
// public field, one that is given twice or that holds a point, no name at all, a
// state that is not a pointer to a struct, and one that [pagestate.PublicJSON]
// refuses are mistakes of the program.
//
// Apply calls no method of a type. It is safe for concurrent use with different
// states.
func Apply(state any, values url.Values, fields ...string) (Errors, error) {
	return Decoder{}.Apply(state, values, fields...)
}

// A Decoder is Apply with messages of one's own. The zero Decoder has English
// ones. It is safe for concurrent use if Message is.
type Decoder struct {
	// Message returns what a person is told of a problem. Nil is
	// [Problem.String].
	Message func(Problem) string
}

// Apply is [Apply] with the decoder's messages.
func (d Decoder) Apply(state any, values url.Values, fields ...string) (Errors, error) {
	v := reflect.ValueOf(state)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("pagestate: a form can be applied through a pointer to a struct, and not through %s", describe(state))
	}
	v = v.Elem()
	named, err := namedFields(v.Type(), fields)
	if err != nil {
		return nil, err
	}
	sent, size, err := collect(values, named)
	if err != nil {
		return nil, failure(v.Type(), err)
	}
	r := newReader(size, d.Message)
	fresh, err := r.fields(named, sent)
	if err != nil {
		return nil, failure(v.Type(), err)
	}
	for i, f := range named {
		if fresh[i].IsValid() {
			v.Field(f.Index).Set(fresh[i])
		}
	}
	return r.errs, nil
}

// Values returns the named public fields of state, a struct or a pointer to one,
// as Apply takes them: for the query of a link, or for a test that sends a form.
// What is zero is left out, except inside lists, maps and pointers, since Apply
// makes it zero where it is missing.
//
// Names, types and limits are those of [Apply]. Times are written in UTC, those
// of midnight as a date. Not everything has a form: a NaN, text that is not valid
// UTF-8, a time before the year 0 or after 9999, a map's key with a point, and in
// a list, map or pointer what holds nothing but empty lists are errors. Three
// things come back as something else: an empty list or map as nil, a pointer to an empty
// string or to no bytes as nil, and \r as \n.
//
// It is safe for concurrent use as long as nothing changes state.
func Values(state any, fields ...string) (url.Values, error) {
	v := reflect.ValueOf(state)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("pagestate: a form is made of a struct or of a pointer to one, and not of %s", describe(state))
	}
	named, err := namedFields(v.Type(), fields)
	if err != nil {
		return nil, err
	}
	w := newWriter()
	for _, f := range named {
		if err := w.value(f.Node, v.Field(f.Index), f.Name, onlyNonzero); err != nil {
			return nil, failure(v.Type(), codec.At("."+f.Name, err))
		}
	}
	return w.values, nil
}

// failure puts the type in front of an error.
func failure(typ reflect.Type, err error) error {
	err = codec.At(codec.TypeName(typ), err)
	if errors.Is(err, codec.ErrLimit) {
		return fmt.Errorf("%w: %w", pagestate.ErrTooLarge, err)
	}
	return fmt.Errorf("pagestate: %w", err)
}

// describe names the type of a state that is of no use.
func describe(state any) string {
	if v := reflect.ValueOf(state); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Sprintf("a nil %T", state)
	}
	return fmt.Sprintf("%T", state)
}
