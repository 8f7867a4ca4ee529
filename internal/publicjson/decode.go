package publicjson

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/pagestate/pagestate/internal/codec"
)

// Apply sets the public fields of v, which can be set, that data names. After
// an error v is as it was.
func (p *Public) Apply(v reflect.Value, data []byte) error {
	// Decoded apart from v, so that nothing of it changes before all is known
	// to be good.
	fresh := reflect.New(p.typ).Elem()
	set, err := p.decode(fresh, data)
	if err != nil {
		return codec.At(codec.TypeName(p.typ), err)
	}
	for _, i := range set {
		v.Field(i).Set(fresh.Field(i))
	}
	return nil
}

// decode returns which fields of v it has set, by their index.
func (p *Public) decode(v reflect.Value, data []byte) ([]int, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", codec.ErrLimit, MaxBytes)
	}
	if !utf8.Valid(data) {
		return nil, malformed("not valid UTF-8")
	}
	d := decoder{data: data, budget: NewBudget(len(data))}
	if !json.Valid(data) || d.next() != '{' {
		return nil, malformed("not one JSON object")
	}
	return d.object(v, p.fields, "public field")
}

// decoder reads what [json.Valid] has accepted: every value is whole, and what
// belongs behind it is there.
type decoder struct {
	data   []byte
	pos    int
	depth  int
	budget Budget
}

// next returns the first byte of what follows.
func (d *decoder) next() byte {
	for {
		switch c := d.data[d.pos]; c {
		case ' ', '\t', '\r', '\n':
			d.pos++
		default:
			return c
		}
	}
}

// open reads the bracket or brace in front of a list or an object.
func (d *decoder) open() error {
	if d.depth == codec.MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d levels", codec.ErrLimit, codec.MaxDepth)
	}
	d.depth++
	d.pos++
	return nil
}

// more reads the comma in front of element i, or the end.
func (d *decoder) more(i int) bool {
	switch d.next() {
	case ']', '}':
		d.depth--
		d.pos++
		return false
	}
	if i > 0 {
		d.pos++
		d.next()
	}
	return true
}

// string reads a string. It returns a part of data if nothing is escaped.
func (d *decoder) string() ([]byte, error) {
	d.pos++
	start := d.pos
	for d.data[d.pos] != '"' {
		if d.data[d.pos] == '\\' {
			return d.escaped(slices.Clone(d.data[start:d.pos]))
		}
		d.pos++
	}
	d.pos++
	return d.data[start : d.pos-1], nil
}

// escaped reads the rest of a string.
func (d *decoder) escaped(s []byte) ([]byte, error) {
	for {
		c := d.data[d.pos]
		d.pos++
		if c == '"' {
			return s, nil
		}
		if c != '\\' {
			s = append(s, c)
			continue
		}
		c = d.data[d.pos]
		d.pos++
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, err := d.escapedRune()
			if err != nil {
				return nil, err
			}
			s = utf8.AppendRune(s, r)
			continue
		}
		s = append(s, c)
	}
}

// escapedRune reads what is behind \u, and the second escape of a pair.
func (d *decoder) escapedRune() (rune, error) {
	r := d.hex()
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if d.data[d.pos] == '\\' && d.data[d.pos+1] == 'u' {
		d.pos += 2
		if pair := utf16.DecodeRune(r, d.hex()); pair != utf8.RuneError {
			return pair, nil
		}
	}
	return 0, malformed("a string with half a surrogate pair")
}

// hex reads four digits.
func (d *decoder) hex() rune {
	u, _ := strconv.ParseUint(string(d.data[d.pos:d.pos+4]), 16, 16)
	d.pos += 4
	return rune(u)
}

// object reads one into v, and returns which fields it has set, by their index.
// What is a field here is called kind.
func (d *decoder) object(v reflect.Value, fields []Field, kind string) ([]int, error) {
	if err := d.open(); err != nil {
		return nil, err
	}
	set := make([]int, 0, 8)
	for d.more(len(set)) {
		name, err := d.key()
		if err != nil {
			return nil, err
		}
		f := find(fields, name)
		if f == nil {
			return nil, malformed("a name that is no " + kind)
		}
		if slices.Contains(set, f.Index) {
			return nil, codec.At("."+f.Name, malformed("it is there twice"))
		}
		set = append(set, f.Index)
		if err := d.value(f.Node, v.Field(f.Index)); err != nil {
			return nil, codec.At("."+f.Name, err)
		}
	}
	return set, nil
}

func find(fields []Field, name []byte) *Field {
	for i := range fields {
		if fields[i].Name == string(name) {
			return &fields[i]
		}
	}
	return nil
}

// key reads a string and the colon behind it.
func (d *decoder) key() ([]byte, error) {
	name, err := d.string()
	if err != nil {
		return nil, err
	}
	d.next()
	d.pos++
	return name, nil
}

// value reads one into v, which is zero.
func (d *decoder) value(n *Node, v reflect.Value) error {
	c := d.next()
	var s []byte
	if c == '"' {
		var err error
		if s, err = d.string(); err != nil {
			return err
		}
	}
	if n.Form == Pointer && c != 'n' {
		if err := d.budget.Charge(1, int(n.Elem.Type.Size())); err != nil {
			return err
		}
		v.Set(reflect.New(n.Elem.Type))
		n, v = n.Elem, v.Elem()
	}
	if got := spelled(c); got != n.spelled() && (c != 'n' || !n.nilable()) {
		return malformed(got + ", where " + n.spelled() + " belongs")
	}
	switch c {
	case 'n':
		d.pos += len("null")
	case 't':
		d.pos += len("true")
		v.SetBool(true)
	case 'f':
		d.pos += len("false")
	case '"':
		return setText(n, v, s)
	case '[', '{':
		return d.composite(n, v)
	default:
		return setNumber(n.Form, v, d.number())
	}
	return nil
}

func (n *Node) nilable() bool {
	switch n.Form {
	case Pointer, Base64Slice, List, Mapping:
		return true
	}
	return false
}

// spelled is what a value of n is in JSON.
func (n *Node) spelled() string {
	switch n.Form {
	case Boolean:
		return aBoolean
	case Text, Moment, Base64Slice, Base64Array:
		return aString
	case Mapping, Object:
		return anObject
	case List, Array:
		return anArray
	}
	return aNumber
}

// spelled is what a value is that begins with c.
func spelled(c byte) string {
	switch c {
	case 'n':
		return "null"
	case 't', 'f':
		return aBoolean
	case '"':
		return aString
	case '[':
		return anArray
	case '{':
		return anObject
	}
	return aNumber
}

const (
	aBoolean = "a boolean"
	aNumber  = "a number"
	aString  = "a string"
	anArray  = "an array"
	anObject = "an object"
)

// number reads the text of one.
func (d *decoder) number() string {
	start := d.pos
	for {
		switch d.data[d.pos] {
		case '+', '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'e', 'E':
			d.pos++
		default:
			return string(d.data[start:d.pos])
		}
	}
}

func setNumber(form Form, v reflect.Value, number string) error {
	bits := v.Type().Bits()
	var err error
	switch form {
	case Integer:
		var i int64
		i, err = strconv.ParseInt(number, 10, bits)
		v.SetInt(i)
	case Unsigned:
		var u uint64
		u, err = strconv.ParseUint(number, 10, bits)
		v.SetUint(u)
	default:
		var f float64
		f, err = strconv.ParseFloat(number, bits)
		v.SetFloat(f)
	}
	if err != nil {
		return malformed("a number that is no " + v.Kind().String())
	}
	return nil
}

func setText(n *Node, v reflect.Value, s []byte) error {
	switch n.Form {
	case Text:
		v.SetString(string(s))
		return nil
	case Moment:
		t, ok := ParseTime(string(s))
		if !ok {
			return malformed("a string that is not a time as in RFC 3339")
		}
		p, _ := reflect.TypeAssert[*time.Time](v.Addr())
		*p = t
		return nil
	}
	return SetBase64(n, v, string(s))
}

// SetBase64 sets v, a Base64Slice or Base64Array that is zero.
func SetBase64(n *Node, v reflect.Value, s string) error {
	b, err := base64.StdEncoding.DecodeString(s)
	// DecodeString skips line breaks and takes any bits behind the last byte.
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return malformed("a string that is not base64")
	}
	if n.Form == Base64Slice {
		v.SetBytes(b)
		return nil
	}
	if len(b) != v.Len() {
		return malformed(fmt.Sprintf("%d bytes, where %d belong", len(b), v.Len()))
	}
	copy(v.Bytes(), b)
	return nil
}

// ParseTime accepts RFC 3339 with up to nine digits of a second, and nothing of
// what time.Parse lets through besides: a comma, an hour of one digit, more
// digits, minutes and offsets that no clock shows.
func ParseTime(text string) (time.Time, bool) {
	t, err := time.ParseInLocation(time.RFC3339Nano, text, time.UTC)
	if err != nil {
		return time.Time{}, false
	}
	layout := "2006-01-02T15:04:05"
	if _, fraction, ok := strings.Cut(text, "."); ok {
		digits := len(fraction) - len(strings.TrimLeft(fraction, "0123456789"))
		layout += "." + strings.Repeat("0", digits)
	}
	if strings.HasSuffix(text, "Z") {
		layout += "Z07:00"
	} else {
		layout += "-07:00"
	}
	_, offset := t.Zone()
	return t, t.Format(layout) == text && isOffset(offset)
}

func (d *decoder) composite(n *Node, v reflect.Value) error {
	switch n.Form {
	case List:
		return d.list(n, v)
	case Array:
		return d.array(n, v)
	case Mapping:
		return d.mapping(n, v)
	}
	_, err := d.object(v, n.Fields, "field")
	return err
}

func (d *decoder) list(n *Node, v reflect.Value) error {
	if err := d.open(); err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(n.Type, 0, 0))
	for i := 0; d.more(i); i++ {
		if err := d.grow(n, v); err != nil {
			return err
		}
		if err := d.value(n.Elem, v.Index(i)); err != nil {
			return codec.At(index(i), err)
		}
	}
	return nil
}

// grow adds a zero element. The capacity grows here so that it is charged
// before it is taken.
func (d *decoder) grow(n *Node, v reflect.Value) error {
	length := v.Len()
	if length == v.Cap() {
		capacity := max(1, 2*length)
		if err := d.budget.Charge(capacity, int(n.Elem.Type.Size())); err != nil {
			return err
		}
		larger := reflect.MakeSlice(n.Type, length, capacity)
		reflect.Copy(larger, v)
		v.Set(larger)
	}
	v.SetLen(length + 1)
	return nil
}

func (d *decoder) array(n *Node, v reflect.Value) error {
	if err := d.open(); err != nil {
		return err
	}
	length := 0
	for ; d.more(length); length++ {
		if length == v.Len() {
			return malformed(fmt.Sprintf("more than %d elements", v.Len()))
		}
		if err := d.value(n.Elem, v.Index(length)); err != nil {
			return codec.At(index(length), err)
		}
	}
	if length < v.Len() {
		return malformed(fmt.Sprintf("%d elements, where %d belong", length, v.Len()))
	}
	return nil
}

func (d *decoder) mapping(n *Node, v reflect.Value) error {
	if err := d.open(); err != nil {
		return err
	}
	v.Set(reflect.MakeMap(n.Type))
	for i := 0; d.more(i); i++ {
		name, err := d.key()
		if err != nil {
			return err
		}
		if err := d.entry(n, v, string(name)); err != nil {
			return codec.At("[]", err)
		}
	}
	return nil
}

func (d *decoder) entry(n *Node, v reflect.Value, name string) error {
	if err := d.budget.Charge(1, n.MapSize.Next(v.Len())); err != nil {
		return err
	}
	key := reflect.New(n.Type.Key()).Elem()
	if err := SetKey(key, name); err != nil {
		return err
	}
	if v.MapIndex(key).IsValid() {
		return malformed("it is there twice")
	}
	elem := reflect.New(n.Elem.Type).Elem()
	if err := d.value(n.Elem, elem); err != nil {
		return err
	}
	v.SetMapIndex(key, elem)
	return nil
}

// SetKey sets the key of a map to what KeyText wrote.
func SetKey(key reflect.Value, name string) error {
	if fault := nameFault(name); fault != "" {
		return malformed("a key that cannot be used: " + fault)
	}
	form := forms[key.Kind()]
	if form == Text {
		key.SetString(name)
		return nil
	}
	if err := setNumber(form, key, name); err != nil || KeyText(key) != name {
		return malformed("a key that is no " + key.Kind().String())
	}
	return nil
}
