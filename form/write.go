package form

import (
	"encoding/base64"
	"errors"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pagestate/pagestate/internal/codec"
	"github.com/pagestate/pagestate/internal/publicjson"
)

// writer makes the names and values of fields.
type writer struct {
	values url.Values
	size   int // as bytesOf counts
	depth  int // how many structs, lists and maps are open
}

// which says what is written of a value.
type which bool

const (
	onlyNonzero which = false // zero is what is missing
	everything  which = true  // that it is there must be seen
)

func newWriter() *writer { return &writer{values: make(url.Values), depth: 1} }

func (w *writer) value(n *publicjson.Node, v reflect.Value, name string, of which) error {
	if isScalar(n) {
		return w.scalar(n, v, name, of)
	}
	switch {
	case n.Form == publicjson.Pointer:
		return w.pointer(n, v, name)
	case (n.Form == publicjson.List || n.Form == publicjson.Mapping) && v.Len() == 0:
		return nil
	}
	if w.depth == codec.MaxDepth {
		return errTooDeep
	}
	w.depth++
	err := w.composite(n, v, name, of)
	w.depth--
	return err
}

func (w *writer) composite(n *publicjson.Node, v reflect.Value, name string, of which) error {
	switch n.Form {
	case publicjson.Object:
		return w.object(n, v, name, of)
	case publicjson.Mapping:
		return w.mapping(n, v, name)
	}
	return w.list(n, v, name, of)
}

func (w *writer) scalar(n *publicjson.Node, v reflect.Value, name string, of which) error {
	if of == onlyNonzero && v.IsZero() {
		return nil
	}
	text, err := format(n, v)
	if err != nil {
		return err
	}
	return w.add(name, text)
}

func (w *writer) add(name, text string) error {
	if w.size += bytesOf(name, text); w.size > publicjson.MaxBytes {
		return errTooMany
	}
	w.values.Add(name, text)
	return nil
}

func (w *writer) pointer(n *publicjson.Node, v reflect.Value, name string) error {
	if v.IsNil() {
		return nil
	}
	return w.present(n.Elem, v.Elem(), name)
}

// present writes a value of which something must be seen.
func (w *writer) present(n *publicjson.Node, v reflect.Value, name string) error {
	before := w.size
	if err := w.value(n, v, name, everything); err != nil {
		return err
	}
	if w.size == before {
		return errors.New("it holds nothing that a form could send, and would be missing")
	}
	return nil
}

func (w *writer) object(n *publicjson.Node, v reflect.Value, name string, of which) error {
	for _, f := range n.Fields {
		if err := w.value(f.Node, v.Field(f.Index), name+"."+f.Name, of); err != nil {
			return codec.At("."+f.Name, err)
		}
	}
	return nil
}

func (w *writer) mapping(n *publicjson.Node, v reflect.Value, name string) error {
	for it := v.MapRange(); it.Next(); {
		key := publicjson.KeyText(it.Key())
		if strings.Contains(key, ".") || publicjson.SetKey(reflect.New(n.Type.Key()).Elem(), key) != nil {
			return codec.At("[key]", errors.New("a form cannot name it"))
		}
		if err := w.present(n.Elem, it.Value(), name+"."+key); err != nil {
			return codec.At("[]", err)
		}
	}
	return nil
}

func (w *writer) list(n *publicjson.Node, v reflect.Value, name string, of which) error {
	if of == onlyNonzero && v.IsZero() {
		return nil
	}
	for i := range v.Len() {
		if err := w.element(n, v.Index(i), name, i, of); err != nil {
			return codec.At("["+strconv.Itoa(i)+"]", err)
		}
	}
	return nil
}

func (w *writer) element(n *publicjson.Node, v reflect.Value, name string, i int, of which) error {
	indexed := name + "." + strconv.Itoa(i)
	switch {
	case isScalar(n.Elem):
		return w.scalar(n.Elem, v, name, everything)
	case n.Form == publicjson.Array:
		return w.value(n.Elem, v, indexed, of)
	}
	return w.present(n.Elem, v, indexed)
}

// format returns the text of a scalar. A nil pointer has none.
func format(n *publicjson.Node, v reflect.Value) (string, error) {
	if n.Form == publicjson.Pointer {
		if v.IsNil() {
			return "", nil
		}
		n, v = n.Elem, v.Elem()
	}
	switch n.Form {
	case publicjson.Text:
		if !utf8.ValidString(v.String()) {
			return "", errors.New("a string that is not valid UTF-8")
		}
		return v.String(), nil
	case publicjson.Boolean:
		return strconv.FormatBool(v.Bool()), nil
	case publicjson.Integer:
		return strconv.FormatInt(v.Int(), 10), nil
	case publicjson.Unsigned:
		return strconv.FormatUint(v.Uint(), 10), nil
	case publicjson.Float32, publicjson.Float64:
		return formatFloat(v)
	case publicjson.Moment:
		t, _ := reflect.TypeAssert[time.Time](v)
		return formatMoment(t)
	}
	return base64.StdEncoding.EncodeToString(publicjson.Bytes(v)), nil
}

func formatFloat(v reflect.Value) (string, error) {
	if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
		return "", errors.New("a form has neither NaN nor an infinity")
	}
	return strconv.FormatFloat(v.Float(), 'f', -1, v.Type().Bits()), nil
}
