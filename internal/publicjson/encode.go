package publicjson

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pagestate/pagestate/internal/codec"
)

// Encode returns the public fields of v as a JSON object that may stand in a
// script of an HTML page.
func (p *Public) Encode(v reflect.Value) ([]byte, error) {
	e := encoder{buf: make([]byte, 0, min(p.took.Load(), maxRoom)+room)}
	if err := e.object(v, p.fields); err != nil {
		return nil, codec.At(codec.TypeName(p.typ), err)
	}
	if took := int64(len(e.buf)); took != p.took.Load() {
		p.took.Store(took)
	}
	return e.buf, nil
}

// How much room there is for a value: what the last one took, within bounds, and
// a little more.
const (
	room    = 32
	maxRoom = 64 << 10
)

type encoder struct {
	buf   []byte
	depth int
}

func (e *encoder) object(v reflect.Value, fields []Field) error {
	if err := e.open('{'); err != nil {
		return err
	}
	for i := range fields {
		f := &fields[i]
		e.comma(i)
		e.buf = append(e.buf, f.label...)
		if err := e.value(f.Node, v.Field(f.Index)); err != nil {
			return codec.At("."+f.Name, err)
		}
	}
	return e.close('}')
}

func (e *encoder) open(c byte) error {
	if e.depth == codec.MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d levels, or part of a cycle", codec.ErrLimit, codec.MaxDepth)
	}
	e.depth++
	e.buf = append(e.buf, c)
	return nil
}

func (e *encoder) close(c byte) error {
	e.depth--
	e.buf = append(e.buf, c)
	return e.fits()
}

func (e *encoder) fits() error {
	if len(e.buf) > MaxBytes {
		return fmt.Errorf("%w: more than %d bytes", codec.ErrLimit, MaxBytes)
	}
	return nil
}

func (e *encoder) comma(i int) {
	if i > 0 {
		e.buf = append(e.buf, ',')
	}
}

func (e *encoder) value(n *Node, v reflect.Value) error {
	// Asked for each: the values of a list can be one and the same.
	if err := e.fits(); err != nil {
		return err
	}
	switch n.Form {
	case Boolean:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case Integer:
		e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	case Unsigned:
		e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
	case Float32:
		return e.float(v.Float(), 32) // its shortest form is another
	case Float64:
		return e.float(v.Float(), 64)
	case Text:
		if !utf8.ValidString(v.String()) {
			return errors.New("a string that is not valid UTF-8")
		}
		e.buf = appendString(e.buf, v.String())
	case Moment:
		return e.time(v)
	case Base64Array:
		e.base64(Bytes(v))
	case Array:
		return e.list(n, v)
	case Object:
		return e.object(v, n.Fields)
	default:
		if v.IsNil() {
			e.buf = append(e.buf, "null"...)
			return nil
		}
		return e.held(n, v)
	}
	return nil
}

// held writes what can be nil, and is not.
func (e *encoder) held(n *Node, v reflect.Value) error {
	switch n.Form {
	case Pointer:
		return e.value(n.Elem, v.Elem())
	case Base64Slice:
		e.base64(Bytes(v))
		return nil
	case Mapping:
		return e.mapping(n, v)
	}
	return e.list(n, v)
}

func (e *encoder) base64(b []byte) {
	e.buf = append(e.buf, '"')
	e.buf = base64.StdEncoding.AppendEncode(e.buf, b)
	e.buf = append(e.buf, '"')
}

// Bytes returns those of a Base64Slice or Base64Array.
func Bytes(v reflect.Value) []byte {
	if v.Kind() == reflect.Slice || v.CanAddr() {
		return v.Bytes()
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c.Bytes()
}

func (e *encoder) list(n *Node, v reflect.Value) error {
	if err := e.open('['); err != nil {
		return err
	}
	for i := range v.Len() {
		e.comma(i)
		if err := e.value(n.Elem, v.Index(i)); err != nil {
			return codec.At(index(i), err)
		}
	}
	return e.close(']')
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

func (e *encoder) mapping(n *Node, v reflect.Value) error {
	if err := e.open('{'); err != nil {
		return err
	}
	type entry struct {
		key  string
		elem reflect.Value
	}
	entries := make([]entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		entries = append(entries, entry{KeyText(it.Key()), it.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	for i, entry := range entries {
		if fault := nameFault(entry.key); fault != "" {
			return codec.At("[key]", errors.New(fault))
		}
		e.comma(i)
		e.buf = append(appendString(e.buf, entry.key), ':')
		if err := e.value(n.Elem, entry.elem); err != nil {
			return codec.At("[]", err)
		}
	}
	return e.close('}')
}

// KeyText is a key of a map as text.
func KeyText(k reflect.Value) string {
	switch forms[k.Kind()] {
	case Integer:
		return strconv.FormatInt(k.Int(), 10)
	case Unsigned:
		return strconv.FormatUint(k.Uint(), 10)
	}
	return k.String()
}

// appendString writes what is valid UTF-8, and escapes what would end a script:
// byte for byte as json.Marshal does.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0 // of what was not written yet
	for i := 0; i < len(s); i++ {
		c := s[i]
		if plain[c] {
			continue
		}
		size := 1
		if c == lineSeparators[0] {
			if i+3 > len(s) || s[i+1] != lineSeparators[1] || s[i+2]&^1 != lineSeparators[2] {
				continue
			}
			size = 3
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		case lineSeparators[0]:
			b = append(append(b, `\u202`...), hex[s[i+2]&0xf])
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		i += size - 1
		start = i + 1
	}
	return append(append(b, s[start:]...), '"')
}

// lineSeparators is U+2028 in UTF-8. U+2029 differs in the last bit. Both end a
// line of a script.
const lineSeparators = "\u2028"

// plain are the bytes that stand for themselves, whatever is behind them.
var plain = func() (plain [256]bool) {
	for c := range plain {
		plain[c] = c >= ' ' && !strings.ContainsRune(`"\<>&`, rune(c)) && c != int(lineSeparators[0])
	}
	return plain
}()

// float writes a number as json.Marshal does: without an exponent unless it is
// very large or very small.
func (e *encoder) float(f float64, bits int) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return errors.New("JSON has neither NaN nor an infinity")
	}
	format := byte('f')
	if size := math.Abs(f); size != 0 {
		small, large := size < 1e-6, size >= 1e21
		if bits == 32 {
			small, large = float32(size) < 1e-6, float32(size) >= 1e21
		}
		if small || large {
			format = 'e'
		}
	}
	e.buf = strconv.AppendFloat(e.buf, f, format, -1, bits)
	if n := len(e.buf); format == 'e' && e.buf[n-4] == 'e' && e.buf[n-3] == '-' && e.buf[n-2] == '0' {
		e.buf = append(e.buf[:n-2], e.buf[n-1]) // e-09 is e-9
	}
	return nil
}

// time writes the offset from UTC too, unless RFC 3339 cannot express it.
func (e *encoder) time(v reflect.Value) error {
	t, _ := reflect.TypeAssert[time.Time](v)
	if _, offset := t.Zone(); offset%60 != 0 || !isOffset(offset) || !isYear(t) {
		t = t.UTC()
	}
	if !isYear(t) {
		return errors.New("a time before the year 0 or after 9999")
	}
	e.buf = append(e.buf, '"')
	e.buf = t.AppendFormat(e.buf, time.RFC3339Nano)
	e.buf = append(e.buf, '"')
	return nil
}

func isYear(t time.Time) bool { return 0 <= t.Year() && t.Year() <= 9999 }

// isOffset reports whether RFC 3339 can express an offset, except for its
// seconds beyond whole minutes.
func isOffset(seconds int) bool {
	const day = 24 * 60 * 60
	return -day < seconds && seconds < day
}
