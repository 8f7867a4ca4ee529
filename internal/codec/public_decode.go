package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Apply sets the public fields of v, which can be set, that data names. After
// an error v is as it was.
func (p *Public) Apply(v reflect.Value, data []byte) error {
	// Decoded apart from v, so that nothing of it changes before all is known
	// to be good.
	fresh := reflect.New(p.typ).Elem()
	set, err := p.decode(fresh, data)
	if err != nil {
		return at(typeName(p.typ), err)
	}
	for _, i := range set {
		v.Field(i).Set(fresh.Field(i))
	}
	return nil
}

// decode returns which fields of v it has set, by their index.
func (p *Public) decode(v reflect.Value, data []byte) ([]int, error) {
	if len(data) > MaxPublic {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrLimit, MaxPublic)
	}
	if !utf8.Valid(data) {
		return nil, malformed("not valid UTF-8")
	}
	// The Decoder reads values one after the other, and would have to be asked
	// whether there are more.
	if !json.Valid(data) {
		return nil, malformed("not one JSON object")
	}
	d := newPublicDecoder(data, p.within)
	if token, err := d.token(); err != nil || token != json.Delim('{') {
		return nil, malformed("not one JSON object")
	}
	return d.object(v, p.fields, "public field")
}

// publicDecoder reads valid JSON.
type publicDecoder struct {
	json   *json.Decoder
	data   []byte
	within publicStructs
	depth  int
	budget int // how many bytes may still be allocated
}

func newPublicDecoder(data []byte, within publicStructs) *publicDecoder {
	d := &publicDecoder{json: json.NewDecoder(bytes.NewReader(data)), data: data, within: within, budget: memoryBudget(len(data))}
	d.json.UseNumber()
	return d
}

// charge is called with what is about to be allocated where that may be much
// more than the text that asks for it.
func (d *publicDecoder) charge(n, size int) error {
	if size > 0 && n > d.budget/size {
		return fmt.Errorf("%w: it takes more memory than its size allows", ErrLimit)
	}
	d.budget -= n * size
	return nil
}

// token returns nil for null.
func (d *publicDecoder) token() (json.Token, error) {
	start := d.json.InputOffset()
	token, err := d.json.Token()
	if err != nil {
		return nil, malformed("not JSON")
	}
	if _, ok := token.(string); ok && hasLoneSurrogate(d.data[start:d.json.InputOffset()]) {
		return nil, malformed("a string with half a surrogate pair")
	}
	return token, nil
}

// hasLoneSurrogate finds what a Decoder replaces without a word. The text is
// that of a valid string, so that an escape is as long as it should be.
func hasLoneSurrogate(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return false
		}
		text = text[i:]
		switch half := surrogate(text); {
		case half == 0:
			text = text[2:]
		case half < 0xDC00 && surrogate(text[6:]) >= 0xDC00:
			text = text[12:]
		default:
			return true
		}
	}
}

// surrogate is the half of a pair whose escape text starts with, or 0.
func surrogate(text []byte) uint64 {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	r, _ := strconv.ParseUint(string(text[2:6]), 16, 16)
	if r < 0xD800 || r > 0xDFFF {
		return 0
	}
	return r
}

func (d *publicDecoder) open() error {
	if d.depth == MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d levels", ErrLimit, MaxDepth)
	}
	d.depth++
	return nil
}

// close reads the end of an object or array.
func (d *publicDecoder) close() error {
	d.depth--
	_, err := d.token()
	return err
}

// object reads what follows a brace into v, and returns which fields it has
// set, by their index. What is a field here is called kind.
func (d *publicDecoder) object(v reflect.Value, fields []publicField, kind string) ([]int, error) {
	if err := d.open(); err != nil {
		return nil, err
	}
	var set []int
	for d.json.More() {
		name, err := d.key()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(fields, func(f publicField) bool { return f.name == name })
		if i < 0 {
			return nil, malformed(quoted(name) + " is no " + kind)
		}
		if slices.Contains(set, fields[i].index) {
			return nil, malformed(quoted(name) + " is there twice")
		}
		set = append(set, fields[i].index)
		if err := d.value(v.Field(fields[i].index)); err != nil {
			return nil, at("."+name, err)
		}
	}
	return set, d.close()
}

func (d *publicDecoder) key() (string, error) {
	token, err := d.token()
	if err != nil {
		return "", err
	}
	return token.(string), nil
}

// maxQuoted keeps a name that a client made up from filling the log.
const maxQuoted = 32

func quoted(name string) string {
	if len(name) > maxQuoted {
		name = strings.ToValidUTF8(name[:maxQuoted], "") + "…"
	}
	return strconv.Quote(name)
}

// value reads one into v, which is zero.
func (d *publicDecoder) value(v reflect.Value) error {
	token, err := d.token()
	if err != nil {
		return err
	}
	return d.set(v, token)
}

func (d *publicDecoder) set(v reflect.Value, token json.Token) error {
	if token == nil && isNilable(v.Kind()) {
		return nil
	}
	if v.Kind() == reflect.Pointer {
		if err := d.charge(1, int(v.Type().Elem().Size())); err != nil {
			return err
		}
		v.Set(reflect.New(v.Type().Elem()))
		return d.set(v.Elem(), token)
	}
	if form := formOf(v.Type()); form != formOfToken(token) {
		return malformed(formOfToken(token) + ", where " + form + " belongs")
	}
	switch token := token.(type) {
	case bool:
		v.SetBool(token)
	case json.Number:
		return setNumber(v, token.String())
	case string:
		return d.text(v, token)
	case json.Delim:
		return d.composite(v)
	}
	return nil
}

func isNilable(k reflect.Kind) bool {
	return k == reflect.Pointer || k == reflect.Slice || k == reflect.Map
}

// formOf is what a value of a type is in JSON.
func formOf(typ reflect.Type) string {
	if typ == timeType {
		return "a string"
	}
	switch typ.Kind() {
	case reflect.Bool:
		return "a boolean"
	case reflect.String:
		return "a string"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Slice, reflect.Array:
		if isBytes(typ) {
			return "a string"
		}
		return "an array"
	}
	return "a number"
}

func formOfToken(token json.Token) string {
	switch token := token.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case json.Delim:
		if token == '[' {
			return "an array"
		}
	}
	return "an object"
}

func setNumber(v reflect.Value, number string) error {
	bits := v.Type().Bits()
	var err error
	switch kind := v.Kind(); {
	case isInt(kind):
		var i int64
		i, err = strconv.ParseInt(number, 10, bits)
		v.SetInt(i)
	case isUint(kind):
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

func (d *publicDecoder) text(v reflect.Value, text string) error {
	if v.Type() == timeType {
		return d.time(v, text)
	}
	if v.Kind() == reflect.String {
		v.SetString(text)
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	// DecodeString skips line breaks and takes any bits behind the last byte.
	if err != nil || base64.StdEncoding.EncodeToString(b) != text {
		return malformed("a string that is not base64")
	}
	if v.Kind() == reflect.Slice {
		v.SetBytes(b)
		return nil
	}
	if len(b) != v.Len() {
		return malformed(fmt.Sprintf("%d bytes, where %d belong", len(b), v.Len()))
	}
	copy(v.Bytes(), b)
	return nil
}

func (d *publicDecoder) time(v reflect.Value, text string) error {
	t, ok := parseTime(text)
	if !ok {
		return malformed("a string that is not a time as in RFC 3339")
	}
	v.Set(reflect.ValueOf(t))
	return nil
}

// parseTime accepts RFC 3339 with up to nine digits of a second, and nothing of
// what time.Parse lets through besides: a comma, an hour of one digit, more
// digits, minutes and offsets that no clock shows.
func parseTime(text string) (time.Time, bool) {
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
	const day = 24 * 60 * 60
	return t, t.Format(layout) == text && -day < offset && offset < day
}

func (d *publicDecoder) composite(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Slice:
		return d.slice(v)
	case reflect.Array:
		return d.array(v)
	case reflect.Map:
		return d.mapping(v)
	}
	_, err := d.object(v, d.within[v.Type()], "field")
	return err
}

func (d *publicDecoder) slice(v reflect.Value) error {
	if err := d.open(); err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i := 0; d.json.More(); i++ {
		if err := d.grow(v); err != nil {
			return err
		}
		if err := d.value(v.Index(i)); err != nil {
			return at(index(i), err)
		}
	}
	return d.close()
}

// grow adds a zero element. The capacity grows here so that it is charged
// before it is taken.
func (d *publicDecoder) grow(v reflect.Value) error {
	length := v.Len()
	if length == v.Cap() {
		capacity := max(1, 2*length)
		if err := d.charge(capacity, int(v.Type().Elem().Size())); err != nil {
			return err
		}
		larger := reflect.MakeSlice(v.Type(), length, capacity)
		reflect.Copy(larger, v)
		v.Set(larger)
	}
	v.SetLen(length + 1)
	return nil
}

func (d *publicDecoder) array(v reflect.Value) error {
	if err := d.open(); err != nil {
		return err
	}
	length := 0
	for ; d.json.More(); length++ {
		if length == v.Len() {
			return malformed(fmt.Sprintf("more than %d elements", v.Len()))
		}
		if err := d.value(v.Index(length)); err != nil {
			return at(index(length), err)
		}
	}
	if length < v.Len() {
		return malformed(fmt.Sprintf("%d elements, where %d belong", length, v.Len()))
	}
	return d.close()
}

func (d *publicDecoder) mapping(v reflect.Value) error {
	if err := d.open(); err != nil {
		return err
	}
	v.Set(reflect.MakeMap(v.Type()))
	for d.json.More() {
		name, err := d.key()
		if err != nil {
			return err
		}
		if err := d.entry(v, name); err != nil {
			return at("["+quoted(name)+"]", err)
		}
	}
	return d.close()
}

func (d *publicDecoder) entry(v reflect.Value, name string) error {
	if fault := nameFault(name); fault != "" {
		return malformed("a key that cannot be used: " + fault)
	}
	if err := d.chargeEntry(v); err != nil {
		return err
	}
	key := reflect.New(v.Type().Key()).Elem()
	if err := setKey(key, name); err != nil {
		return err
	}
	if v.MapIndex(key).IsValid() {
		return malformed("it is there twice")
	}
	elem := reflect.New(v.Type().Elem()).Elem()
	if err := d.value(elem); err != nil {
		return err
	}
	v.SetMapIndex(key, elem)
	return nil
}

// chargeEntry allows for the tables that were outgrown as well: together they
// are smaller than the one in use.
func (d *publicDecoder) chargeEntry(v reflect.Value) error {
	n := newMap(v.Type().Key(), v.Type().Elem())
	taken := 2 * (places(v.Len()+1) - places(v.Len()))
	if err := d.charge(taken, n.placeSize); err != nil {
		return err
	}
	return d.charge(2, n.entrySize) // it is decoded outside of the map first
}

func setKey(key reflect.Value, name string) error {
	if key.Kind() == reflect.String {
		key.SetString(name)
		return nil
	}
	if err := setNumber(key, name); err != nil || wholeNumber(key) != name {
		return malformed("a key that is no " + key.Kind().String())
	}
	return nil
}
