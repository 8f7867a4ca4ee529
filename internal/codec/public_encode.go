package codec

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Encode returns the public fields of v as a JSON object that may stand in a
// script of an HTML page.
func (p *Public) Encode(v reflect.Value) ([]byte, error) {
	e := publicEncoder{within: p.within}
	if err := e.object(v, p.fields); err != nil {
		return nil, at(typeName(p.typ), err)
	}
	return e.buf, nil
}

type publicEncoder struct {
	buf    []byte
	within publicStructs
	depth  int
}

func (e *publicEncoder) object(v reflect.Value, fields []publicField) error {
	if err := e.open('{'); err != nil {
		return err
	}
	for i, f := range fields {
		e.comma(i)
		e.string(f.name)
		e.buf = append(e.buf, ':')
		if err := e.value(v.Field(f.index)); err != nil {
			return at("."+f.name, err)
		}
	}
	return e.close('}')
}

func (e *publicEncoder) open(c byte) error {
	if e.depth == MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d levels, or part of a cycle", ErrLimit, MaxDepth)
	}
	e.depth++
	e.buf = append(e.buf, c)
	return nil
}

func (e *publicEncoder) close(c byte) error {
	e.depth--
	e.buf = append(e.buf, c)
	return e.fits()
}

func (e *publicEncoder) fits() error {
	if len(e.buf) > MaxPublic {
		return fmt.Errorf("%w: more than %d bytes", ErrLimit, MaxPublic)
	}
	return nil
}

func (e *publicEncoder) comma(i int) {
	if i > 0 {
		e.buf = append(e.buf, ',')
	}
}

func (e *publicEncoder) value(v reflect.Value) error {
	// Asked for each: the values of a list can be one and the same.
	if err := e.fits(); err != nil {
		return err
	}
	if v.Type() == timeType {
		return e.time(v.Interface().(time.Time))
	}
	switch kind := v.Kind(); kind {
	case reflect.Bool:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case reflect.Float32, reflect.Float64:
		return e.float(v.Float(), kind)
	case reflect.String:
		if !utf8.ValidString(v.String()) {
			return errors.New("a string that is not valid UTF-8")
		}
		e.string(v.String())
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if v.IsNil() {
			e.buf = append(e.buf, "null"...)
			return nil
		}
		return e.composite(v)
	case reflect.Array, reflect.Struct:
		return e.composite(v)
	default:
		e.buf = append(e.buf, wholeNumber(v)...)
	}
	return nil
}

func (e *publicEncoder) composite(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		return e.value(v.Elem())
	case reflect.Map:
		return e.mapping(v)
	case reflect.Struct:
		return e.object(v, e.within[v.Type()])
	}
	if isBytes(v.Type()) {
		e.buf = append(e.buf, '"')
		e.buf = base64.StdEncoding.AppendEncode(e.buf, addressable(v).Bytes())
		e.buf = append(e.buf, '"')
		return nil
	}
	return e.list(v)
}

func isBytes(typ reflect.Type) bool { return typ.Elem().Kind() == reflect.Uint8 }

func (e *publicEncoder) list(v reflect.Value) error {
	if err := e.open('['); err != nil {
		return err
	}
	for i := range v.Len() {
		e.comma(i)
		if err := e.value(v.Index(i)); err != nil {
			return at(index(i), err)
		}
	}
	return e.close(']')
}

func (e *publicEncoder) mapping(v reflect.Value) error {
	if err := e.open('{'); err != nil {
		return err
	}
	type entry struct {
		key  string
		elem reflect.Value
	}
	var entries []entry
	for it := v.MapRange(); it.Next(); {
		entries = append(entries, entry{keyText(it.Key()), it.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	for i, entry := range entries {
		if fault := nameFault(entry.key); fault != "" {
			return at("[key]", errors.New(fault))
		}
		e.comma(i)
		e.string(entry.key)
		e.buf = append(e.buf, ':')
		if err := e.value(entry.elem); err != nil {
			return at("[]", err)
		}
	}
	return e.close('}')
}

func keyText(k reflect.Value) string {
	if k.Kind() == reflect.String {
		return k.String()
	}
	return wholeNumber(k)
}

func wholeNumber(v reflect.Value) string {
	if isInt(v.Kind()) {
		return strconv.FormatInt(v.Int(), 10)
	}
	return strconv.FormatUint(v.Uint(), 10)
}

// string writes what is valid UTF-8. Marshal escapes what would end a script.
func (e *publicEncoder) string(s string) {
	b, _ := json.Marshal(s)
	e.buf = append(e.buf, b...)
}

func (e *publicEncoder) float(f float64, kind reflect.Kind) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return errors.New("JSON has neither NaN nor an infinity")
	}
	var number any = f
	if kind == reflect.Float32 {
		number = float32(f) // its shortest form is another
	}
	b, _ := json.Marshal(number)
	e.buf = append(e.buf, b...)
	return nil
}

// time writes the offset from UTC too, unless RFC 3339 cannot express it.
func (e *publicEncoder) time(t time.Time) error {
	text := t.Format(time.RFC3339Nano)
	if again, ok := parseTime(text); !ok || !again.Equal(t) {
		text = t.UTC().Format(time.RFC3339Nano)
	}
	if _, ok := parseTime(text); !ok {
		return errors.New("a time before the year 0 or after 9999")
	}
	e.string(text)
	return nil
}
