package codec

import (
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// This file reads data by the tables that stand in it, without the types that it was
// encoded from, and says in text what it holds.

// A Description is what data says of itself.
type Description struct {
	Shapes int // bytes of the tables
	// Fields are those of the component in the order of its table. What is no struct is
	// one field without a name.
	Fields []FieldText
}

// FieldText is a field, with its value as text. No character in it is a control
// character, or another that is not printed.
type FieldText struct {
	Name  string // as it was saved: any characters
	Value string
	Bytes int // that its value takes in data
}

// MaxText is how many bytes of a value are told. A longer one ends with "…".
const MaxText = 64 << 10

// maxAround is how many types may stand around one, in a signature and in a value.
const maxAround = 1000

// Describe tells what Encode wrote for a value of the component. No type need be
// registered, and no function of one is called.
func Describe(component string, data []byte) (*Description, error) {
	groups, payload, err := readShapes(&Plan{Name: component, types: new(Types)}, data)
	if err != nil {
		return nil, err
	}
	d := &describer{decoder: newDecoder(payload), shapes: make([]*shape, len(groups))}
	d.groups, d.met = groups, 1
	own, err := d.shape(0)
	if err != nil {
		return nil, err
	}
	d.in = own
	fields, err := d.fields(own.root)
	if err != nil {
		return nil, err
	}
	if d.Left() > 0 || d.met < len(groups) {
		return nil, malformed("more than a payload, or a type that nothing holds")
	}
	return &Description{Shapes: len(data) - len(payload), Fields: fields}, nil
}

// describer reads a payload into text.
type describer struct {
	decoder
	shapes []*shape // by their places in groups, nil until the value refers to them
	in     *shape   // that the structs of the next value are numbered in
	text   []byte
	around int // how many are around the next value
}

// shape is a table, understood.
type shape struct {
	root    *spelling
	structs [][]namedSpelling
}

type namedSpelling struct {
	name string
	*spelling
}

// spelling is a type as a signature spells it, without its schema version.
type spelling struct {
	kind  byte
	n     int    // of Y and (: the length; of {: the place of the struct
	name  string // of < and &
	parts []*spelling
}

func (f *spelling) nilable() bool { return strings.IndexByte("*[my?&@", f.kind) >= 0 }

// shape returns that of the component at place i.
func (d *describer) shape(i int) (*shape, error) {
	if d.shapes[i] != nil {
		return d.shapes[i], nil
	}
	t := d.groups[i].other
	if t == nil {
		return nil, malformed("a table without a type")
	}
	root, err := newSpelling(t.root)
	if err != nil {
		return nil, err
	}
	s := &shape{root: root}
	for _, fields := range t.structs {
		var written []namedSpelling
		for i := 0; i < len(fields); i += 2 {
			f, err := newSpelling(fields[i+1])
			if err != nil {
				return nil, err
			}
			written = append(written, namedSpelling{fields[i], f})
		}
		s.structs = append(s.structs, written)
	}
	d.shapes[i] = s
	return s, nil
}

// newSpelling reads a signature that was checked.
func newSpelling(sig string) (*spelling, error) {
	r := signatureReader{sig: sig}
	return r.next()
}

type signatureReader struct {
	sig    string
	around []*spelling
}

func (r *signatureReader) next() (*spelling, error) {
	if len(r.around) == maxAround {
		return nil, fmt.Errorf("%w: a type of more than %d levels", ErrLimit, maxAround)
	}
	f := &spelling{kind: r.sig[0]}
	r.sig = r.sig[1:]
	parts := 0
	switch f.kind {
	case 'v':
		r.number(";")
		return r.next()
	case '^':
		return r.around[len(r.around)-r.number(";")], nil
	case '*', '[', '@':
		parts = 1
	case 'm':
		parts = 2
	case '(':
		f.n, parts = r.number(")"), 1
	case '{':
		f.n = r.number("}")
	case 'Y':
		f.n = r.number(";")
	case '<', '&':
		n := r.number(":")
		f.name, r.sig = r.sig[:n], r.sig[n:]
		if f.kind == '&' {
			parts = 1
		}
	case 'T':
		f.kind, r.sig = 's', r.sig[1:]
	}
	r.around = append(r.around, f)
	for range parts {
		part, err := r.next()
		if err != nil {
			return nil, err
		}
		f.parts = append(f.parts, part)
	}
	r.around = r.around[:len(r.around)-1]
	return f, nil
}

// number cuts one off, with what ends it. One that no length can have is as good as
// the largest.
func (r *signatureReader) number(end string) int {
	n, rest, _ := cutNumber(r.sig, end)
	r.sig = rest
	return int(min(n, math.MaxInt32))
}

func (d *describer) fields(root *spelling) ([]FieldText, error) {
	if root.kind != '{' {
		f, err := d.field(namedSpelling{"", root})
		return []FieldText{f}, err
	}
	spelled := d.in.structs[root.n]
	if err := d.open(len(spelled)); err != nil {
		return nil, err
	}
	fields := make([]FieldText, len(spelled))
	for i, f := range spelled {
		var err error
		if fields[i], err = d.field(f); err != nil {
			return nil, err
		}
	}
	d.leave()
	return fields, nil
}

func (d *describer) field(f namedSpelling) (FieldText, error) {
	start := d.Pos
	d.text = d.text[:0]
	if err := d.value(f.spelling); err != nil {
		return FieldText{}, err
	}
	text := string(d.text)
	if len(text) > MaxText {
		text = strings.ToValidUTF8(text[:MaxText], "") + "…"
	}
	return FieldText{Name: f.name, Value: text, Bytes: d.Pos - start}, nil
}

// say appends to the text, unless that is too long already.
func (d *describer) say(s string) {
	if !d.full() {
		d.text = append(d.text, s...)
	}
}

func (d *describer) full() bool { return len(d.text) > MaxText }

// sayQuoted says a string that may hold anything.
func (d *describer) sayQuoted(s string) {
	if !d.full() {
		d.text = strconv.AppendQuote(d.text, s)
	}
}

// sayName says a name, in quotes if it is not plain.
func (d *describer) sayName(name string) {
	plain := func(r rune) bool {
		return r == '_' || r == '-' || r == '.' || unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	if strings.TrimFunc(name, plain) == "" {
		d.say(name)
		return
	}
	d.sayQuoted(name)
}

// sayBytes says them as a string if they are text, and else in hexadecimal.
func (d *describer) sayBytes(b []byte) {
	if d.full() {
		return
	}
	text := string(b)
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		d.sayQuoted(text)
		return
	}
	d.say(fmt.Sprintf("0x%x", b[:min(len(b), MaxText)]))
}

func (d *describer) value(f *spelling) error {
	if d.around >= maxAround { // a model whose key is itself is no deeper in the payload
		return fmt.Errorf("%w: a value of more than %d levels", ErrLimit, maxAround)
	}
	d.around++
	defer func() { d.around-- }()
	if f.nilable() && d.Nil() {
		d.say("nil")
		return nil
	}
	switch f.kind {
	case '*':
		return d.pointer(f.parts[0])
	case '[':
		n, err := d.ArrayHeader()
		if err != nil {
			return err
		}
		return d.list(n, f.parts[0])
	case '(':
		if n, err := d.ArrayHeader(); err != nil || n != f.n {
			return malformed("an array of another length")
		}
		return d.list(f.n, f.parts[0])
	case 'm':
		return d.mapping(f.parts[0], f.parts[1])
	case '{':
		return d.structure(d.in.structs[f.n])
	case '?':
		return d.held()
	case '&':
		d.sayName(f.name)
		d.say(" ")
		return d.value(f.parts[0])
	case '@':
		return d.named(f.parts[0])
	case '<':
		d.sayName(f.name)
		d.say(" ")
		return d.bytes()
	case 'y', 'Y':
		return d.bytes()
	default:
		return d.leaf(f.kind)
	}
}

func (d *describer) bytes() error {
	b, err := d.Bytes()
	d.sayBytes(b)
	return err
}

func (d *describer) pointer(elem *spelling) error {
	if !elem.nilable() {
		return d.value(elem)
	}
	if err := d.open(1); err != nil {
		return err
	}
	d.say("&")
	defer d.leave()
	return d.value(elem)
}

// list reads n elements, behind their header.
func (d *describer) list(n int, elem *spelling) error {
	if err := d.elements(n, 1); err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	d.say("[")
	for i := range n {
		if i > 0 {
			d.say(", ")
		}
		if err := d.value(elem); err != nil {
			return err
		}
	}
	d.say("]")
	d.leave()
	return nil
}

func (d *describer) mapping(key, elem *spelling) error {
	n, err := d.MapHeader()
	if err != nil {
		return err
	}
	if err := d.elements(n, 2); err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	d.say("{")
	for i := range n {
		if i > 0 {
			d.say(", ")
		}
		if err := d.value(key); err != nil {
			return err
		}
		d.say(": ")
		if err := d.value(elem); err != nil {
			return err
		}
	}
	d.say("}")
	d.leave()
	return nil
}

func (d *describer) structure(fields []namedSpelling) error {
	if err := d.open(len(fields)); err != nil {
		return err
	}
	d.say("{")
	for i, f := range fields {
		if i > 0 {
			d.say(", ")
		}
		d.sayName(f.name)
		d.say(": ")
		if err := d.value(f.spelling); err != nil {
			return err
		}
	}
	d.say("}")
	d.leave()
	return nil
}

// named reads a query or a block: what it is, and its arguments.
func (d *describer) named(args *spelling) error {
	if err := d.open(2); err != nil {
		return err
	}
	name, err := d.String()
	if err != nil {
		return err
	}
	d.sayName(string(name))
	d.say("(")
	if err := d.value(args); err != nil {
		return err
	}
	d.say(")")
	d.leave()
	return nil
}

// held reads what stands behind an interface.
func (d *describer) held() error {
	if err := d.open(2); err != nil {
		return err
	}
	number, err := d.Uint()
	if err != nil {
		return err
	}
	if number < uint64(len(basicSpellings)) {
		err = d.basic(int(number))
	} else {
		err = d.registered(number)
	}
	if err != nil {
		return err
	}
	d.leave()
	return nil
}

// basicSpellings spell basicTypes.
var basicSpellings = func() (all []*spelling) {
	for sig := range strings.FieldsSeq("b i c h w l I C H W L f d F D s y t l [? ms?") {
		f, _ := newSpelling(sig)
		all = append(all, f)
	}
	return all
}()

// basic reads a value of one of basicTypes. Of the usual ones the type is plain to see.
func (d *describer) basic(number int) error {
	f := basicSpellings[number]
	if strings.IndexByte("bidst[m", f.kind) >= 0 {
		return d.value(f)
	}
	d.say(basicTypes[number].String() + "(")
	if err := d.value(f); err != nil {
		return err
	}
	d.say(")")
	return nil
}

func (d *describer) registered(number uint64) error {
	if number < firstRegistered || number >= firstRegistered+2*uint64(len(d.groups)) {
		return malformed("an unknown type number")
	}
	i := int(number-firstRegistered) / 2
	if i > d.met {
		return malformed("an unknown type number")
	}
	d.met = max(d.met, i+1)
	s, err := d.shape(i)
	if err != nil {
		return err
	}
	outer := d.in
	d.in = s
	defer func() { d.in = outer }()
	f := s.root
	named := f.kind == '&' || f.kind == '<' // and says its name itself
	if number%2 == 1 && f.kind != '&' {
		d.say("*")
		f = &spelling{kind: '*', parts: []*spelling{f}}
	}
	if !named {
		d.sayName(d.groups[i].name)
		d.say(" ")
	}
	return d.value(f)
}

// leaves are the types that stand for those without parts.
var leaves = map[byte]reflect.Type{
	'b': reflect.TypeFor[bool](),
	'i': reflect.TypeFor[int64](), 'c': reflect.TypeFor[int8](), 'h': reflect.TypeFor[int16](), 'w': reflect.TypeFor[int32](), 'l': reflect.TypeFor[int64](),
	'I': reflect.TypeFor[uint64](), 'C': reflect.TypeFor[uint8](), 'H': reflect.TypeFor[uint16](), 'W': reflect.TypeFor[uint32](), 'L': reflect.TypeFor[uint64](),
	'f': reflect.TypeFor[float32](), 'd': reflect.TypeFor[float64](), 'F': reflect.TypeFor[complex64](), 'D': reflect.TypeFor[complex128](),
	's': reflect.TypeFor[string](), 't': reflect.TypeFor[time.Time](),
	'z': reflect.TypeFor[big.Int](), 'r': reflect.TypeFor[big.Rat](), 'g': reflect.TypeFor[big.Float](),
	'a': reflect.TypeFor[netip.Addr](), 'p': reflect.TypeFor[netip.AddrPort](), 'x': reflect.TypeFor[netip.Prefix](), 'n': reflect.TypeFor[url.URL](),
}

// leaf reads a value without parts, as a type that has them would.
func (d *describer) leaf(kind byte) error {
	typ := leaves[kind]
	n := stdTypes[typ]
	if n == nil {
		n = newScalar(typ.Kind())
	}
	v := reflect.New(typ).Elem()
	if err := n.decode(&d.decoder, v); err != nil {
		return err
	}
	if !d.full() {
		d.sayLeaf(v)
	}
	return nil
}

func (d *describer) sayLeaf(v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *string:
		d.sayQuoted(*x)
	case *time.Time:
		d.say(x.Format(time.RFC3339Nano))
	case *big.Int:
		d.say(x.String())
	case *big.Rat:
		d.say(x.RatString())
	case *big.Float:
		d.say(floatText(x))
	case *url.URL:
		d.sayQuoted(x.String())
	case *netip.Addr: // may have a zone, which may hold anything
		d.sayQuoted(x.String())
	case *netip.AddrPort:
		d.sayQuoted(x.String())
	default:
		d.say(fmt.Sprint(v.Interface()))
	}
}

// floatText spells one with a large exponent as it is: the digits would take long.
func floatText(x *big.Float) string {
	if exponent := x.MantExp(nil); exponent < -1000 || exponent > 1000 {
		return x.Text('p', 0)
	}
	return x.Text('g', -1)
}
