package codec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/wire"
)

// References and what is saved by name: what is written of them, which forms are
// read, and how rows find back to their places.

// refRow, refText and refWide are models with keys of several kinds; refWide's
// takes much more memory than bytes.
type (
	refRow struct {
		ID   int
		Text string
	}
	refText struct{ ID string }
	refPair struct {
		ID struct{ A, B uint8 }
	}
	refWide  struct{ ID [16]string }
	refBytes struct{ ID [4]byte }
)

func (r *refRow) Show() string { return r.Text }

// refNamed is saved by name, with references in its arguments.
type refNamed struct {
	name string
	args refArgs
}

type refArgs struct {
	Row  *refRow
	Rows map[int]refRow
	Any  any
}

var refNamedCodec = Named{
	Args: reflect.TypeFor[refArgs](),
	Split: func(v reflect.Value) (string, reflect.Value, error) {
		n := v.Interface().(refNamed)
		if n.name != "known" {
			return "", reflect.Value{}, errors.New("it is not known")
		}
		return n.name, reflect.ValueOf(n.args), nil
	},
	Known: func(name string, _ reflect.Value) bool { return name == "known" },
	Join: func(v reflect.Value, name string, args reflect.Value) {
		v.Set(reflect.ValueOf(refNamed{name, args.Interface().(refArgs)}))
	},
}

// addModel registers a model whose key is the field ID.
func addModel[K comparable, T any](types *Types, name string) {
	types.AddModel(name, reflect.TypeFor[T](), Model{
		Key:   reflect.TypeFor[K](),
		KeyOf: func(p reflect.Value) reflect.Value { return p.Elem().FieldByName("ID") },
	})
}

// refPlan returns the plan of T, with everything registered that it may hold.
func refPlan[T any](t testing.TB) *Plan {
	types := newTypes(reflect.TypeFor[T]())
	addModel[int, refRow](types, "row")
	addModel[string, refText](types, "text")
	addModel[struct{ A, B uint8 }, refPair](types, "pair")
	addModel[[16]string, refWide](types, "wide")
	addModel[[4]byte, refBytes](types, "bytes")
	types.AddNamed(reflect.TypeFor[refNamed](), refNamedCodec)
	return compile(t, types).Name("root")
}

// refRows finds rows by the keys that has accepts; nil accepts all.
func refRows(has func(key any) bool) func(*Plan, any) any {
	made := make(map[any]any)
	return func(model *Plan, key any) any {
		if has != nil && !has(key) {
			return nil
		}
		at := [2]any{model.Name, key}
		if made[at] == nil {
			row := reflect.New(model.Type)
			row.Elem().FieldByName("ID").Set(reflect.ValueOf(key))
			if text := row.Elem().FieldByName("Text"); text.IsValid() {
				text.SetString(fmt.Sprint("row ", key))
			}
			made[at] = row.Interface()
		}
		return made[at]
	}
}

func even(key any) bool { return !strings.ContainsAny(fmt.Sprint(key), "13579") }

// TestReferencePlaces has rows where what holds them is copied before they are
// there.
func TestReferencePlaces(t *testing.T) {
	row := func(id int) *refRow { return &refRow{ID: id} }
	type inner struct{ R *refRow }
	tests := []struct {
		name  string
		value any
		plan  func(testing.TB) *Plan
		want  string // with every row there
	}{
		{"map of structs", map[string]inner{"a": {row(1)}, "b": {row(2)}, "c": {}}, refPlan[map[string]inner], "a:row 1 b:row 2 c:nil"},
		{"map of maps", map[int]map[int]refRow{1: {5: *row(1)}, 2: {6: *row(2), 7: {}}, 3: nil}, refPlan[map[int]map[int]refRow], "1:{5:row 1} 2:{6:row 2 7:} 3:{}"},
		{"map of arrays of maps", map[int][2]map[int]*refRow{1: {nil, {5: row(1)}}}, refPlan[map[int][2]map[int]*refRow], "1:[{} {5:row 1}]"},
		{"map of any of maps", map[string]any{"a": map[string]any{"b": row(1), "c": []any{*row(2), 7}}, "d": 1}, refPlan[map[string]any], "a:{b:row 1 c:[row 2 7]} d:1"},
		{"struct with a reference in a map in a slice in any", []any{map[string]any{"a": []any{row(1), row(1)}}, item{"x"}}, refPlan[[]any], "{a:[row 1 row 1]} x"},
		{"map of interfaces", map[string]shown{"a": row(1), "b": item{"x"}}, refPlan[map[string]shown], "a:row 1 b:x"},
		{"map of pointers to maps", map[string]*map[string]*refRow{"a": {"b": row(1)}}, refPlan[map[string]*map[string]*refRow], "a:{b:row 1}"},
		{"named with references", map[string][]refNamed{"a": {{"known", refArgs{row(1), map[int]refRow{9: *row(2)}, []any{row(3)}}}, {}}}, refPlan[map[string][]refNamed], "a:[known(row 1 {9:row 2} [row 3]) ()]"},
		{"keys of structs", []refPair{{struct{ A, B uint8 }{0, 1}}, {}, {struct{ A, B uint8 }{1, 0}}}, refPlan[[]refPair], "{0 1} {0 0} {1 0}"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := test.plan(t)
			data := mustEncode(t, p, test.value)
			v := reflect.New(p.Type).Elem()
			refs, err := p.Decode(data, v)
			if err != nil {
				t.Fatal(err)
			}
			if err := refs.Resolve(refRows(nil)); err != nil {
				t.Fatal(err)
			}
			if got := strings.Trim(refShow(v), "[]{}"); got != strings.Trim(test.want, "[]{}") {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if again, err := p.Encode(nil, v, nil, noLimit); err != nil || !bytes.Equal(again, data) {
				t.Errorf("encodes to other bytes: %v", err)
			}
		})
	}
}

// refShow writes rows as their text, and what holds them in brackets.
func refShow(v reflect.Value) string {
	if !v.IsValid() {
		return "nil"
	}
	join := func(n int, at func(int) string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = at(i)
		}
		if v.Kind() == reflect.Map {
			slices.Sort(parts)
		}
		return strings.Join(parts, " ")
	}
	switch x := v.Interface().(type) {
	case refRow:
		return x.Text
	case item:
		return x.Name
	case refNamed:
		if x.name == "" {
			return "()"
		}
		return x.name + "(" + refShow(reflect.ValueOf(x.args.Row)) + " " + refShow(reflect.ValueOf(x.args.Rows)) + " " + refShow(reflect.ValueOf(x.args.Any)) + ")"
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return refShow(v.Elem())
	case reflect.Slice, reflect.Array:
		return "[" + join(v.Len(), func(i int) string { return refShow(v.Index(i)) }) + "]"
	case reflect.Map:
		keys := v.MapKeys()
		return "{" + join(len(keys), func(i int) string { return fmt.Sprint(keys[i]) + ":" + refShow(v.MapIndex(keys[i])) }) + "}"
	case reflect.Struct:
		if v.NumField() == 1 {
			return refShow(v.Field(0))
		}
	}
	return fmt.Sprint(v)
}

func TestForgedReferences(t *testing.T) {
	const known = "a5" + "6b6e6f776e"
	tests := []struct {
		name    string
		plan    func(testing.TB) *Plan
		payload string
		want    error
	}{
		{"a key", refPlan[box[*refRow]], "91 01", nil},
		{"nil", refPlan[box[*refRow]], "91 c0", nil},
		{"the zero key", refPlan[box[*refRow]], "91 00", ErrMalformed},
		{"the zero key of a value", refPlan[box[refRow]], "91 00", ErrMalformed},
		{"the zero key, optional", refPlan[struct {
			V []*refRow `state:",optional"`
		}], "91 91 00", ErrMalformed},
		{"a key in a longer form", refPlan[box[*refRow]], "91 cc01", ErrMalformed},
		{"a key of another kind", refPlan[box[*refRow]], "91 a161", ErrMalformed},
		{"a key in an array", refPlan[box[*refRow]], "91 9101", ErrMalformed},
		{"a row instead of a key", refPlan[box[*refRow]], "91 92 01 a161", ErrMalformed},
		{"no key", refPlan[box[*refRow]], "91", ErrMalformed},
		{"two keys", refPlan[box[*refRow]], "91 01 01", ErrMalformed},
		{"an empty text", refPlan[box[*refText]], "91 a0", ErrMalformed},
		{"a text cut short", refPlan[box[*refText]], "91 a261", ErrMalformed},
		{"a text", refPlan[box[*refText]], "91 a161", nil},
		{"a partly zero pair", refPlan[box[*refPair]], "91 92 00 01", nil},
		{"a zero pair", refPlan[box[*refPair]], "91 92 00 00", ErrMalformed},
		{"half a pair", refPlan[box[*refPair]], "91 91 01", ErrMalformed},
		{"no bytes", refPlan[box[*refBytes]], "91 c400", ErrMalformed},
		{"bytes of another length", refPlan[box[*refBytes]], "91 c403010203", ErrMalformed},
		{"zero bytes", refPlan[box[*refBytes]], "91 c40400000000", ErrMalformed},
		{"bytes", refPlan[box[*refBytes]], "91 c40400000001", nil},
		{"zero texts", refPlan[box[*refWide]], "91 dc0010" + strings.Repeat("a0", 16), ErrMalformed},
		{"pointer to a reference", refPlan[box[**refRow]], "91 91 01", nil},
		{"pointer to a reference without its array", refPlan[box[**refRow]], "91 01", ErrMalformed},
		{"map entry", refPlan[map[string]*refRow], "81 a161 01", nil},
		{"map entries out of order", refPlan[map[string]*refRow], "82 a162 01 a161 01", ErrMalformed},
		{"map entry twice", refPlan[map[string]*refRow], "82 a161 01 a161 02", ErrMalformed},
		{"named", refPlan[box[refNamed]], "91 92 " + known + " 93 01 c0 c0", nil},
		{"named, nil", refPlan[box[refNamed]], "91 c0", nil},
		{"named, unknown", refPlan[box[refNamed]], "91 92 a16b 93 01 c0 c0", ErrOutdated},
		{"named, without a name", refPlan[box[refNamed]], "91 92 a0 93 01 c0 c0", ErrOutdated},
		{"named, another name", refPlan[box[refNamed]], "91 92 01 93 01 c0 c0", ErrMalformed},
		{"named, arguments of another length", refPlan[box[refNamed]], "91 92 " + known + " 92 01 c0", ErrMalformed},
		{"named, no arguments", refPlan[box[refNamed]], "91 92 " + known, ErrMalformed},
		{"named, nil for arguments", refPlan[box[refNamed]], "91 92 " + known + " c0", ErrMalformed},
		{"named, a third value", refPlan[box[refNamed]], "91 93 " + known + " 93 01 c0 c0 c0", ErrMalformed},
		{"named, the zero key", refPlan[box[refNamed]], "91 92 " + known + " 93 00 c0 c0", ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := test.plan(t)
			_, err := decodeValue(p, withShapes(p, unhex(test.payload)))
			if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// refPayload is that of n references of one byte each.
func refPayload(n int) []byte {
	return append(wire.AppendArrayHeader(nil, n), bytes.Repeat([]byte{1}, n)...)
}

func TestReferenceLimit(t *testing.T) {
	p := refPlan[[]*refRow](t)
	at, over := slices.Repeat([]*refRow{{ID: 1}}, MaxReferences), slices.Repeat([]*refRow{{ID: 1}}, MaxReferences+1)
	if data := mustEncode(t, p, at); !bytes.Equal(payloadOf(t, p, data), refPayload(MaxReferences)) {
		t.Error("another payload at the limit")
	}
	if _, err := encodeValue(p, over); !errors.Is(err, ErrLimit) {
		t.Errorf("encoded over the limit: %v", err)
	}
	if _, err := decodeValue(p, withShapes(p, refPayload(MaxReferences))); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := decodeValue(p, withShapes(p, refPayload(MaxReferences+1))); !errors.Is(err, ErrLimit) {
		t.Errorf("decoded over the limit: %v", err)
	}
	// What is nil refers to nothing.
	if _, err := encodeValue(p, make([]*refRow, MaxReferences+1)); err != nil {
		t.Error(err)
	}
}

// Rows that stand in the state by value take memory, and so do keys.
func TestReferenceBudget(t *testing.T) {
	type big struct {
		ID   int
		Rest [1000]int
	}
	types := newTypes(reflect.TypeFor[[]big]())
	addModel[int, big](types, "big")
	rows := compile(t, types).Name("root")
	wide := refPlan[[]*refWide](t)
	key := [16]string{15: "x"}
	for _, test := range []struct {
		name  string
		plan  *Plan
		value func(n int) any
	}{
		{"rows by value", rows, func(n int) any { return slices.Repeat([]big{{ID: 1}}, n) }},
		{"keys", wide, func(n int) any { return slices.Repeat([]*refWide{{key}}, n) }},
		{"named", refPlan[[]refNamed](t), func(n int) any {
			return slices.Repeat([]refNamed{{"known", refArgs{Row: &refRow{ID: 1}}}}, n)
		}},
	} {
		sealed, refused := 0, 0
		for n := 1; n <= MaxReferences; n *= 2 {
			data, err := encodeValue(test.plan, test.value(n))
			if err != nil {
				if !errors.Is(err, ErrLimit) {
					t.Fatalf("%s: %v", test.name, err)
				}
				refused++
				continue
			}
			sealed++
			used := allocated(func() { _, err = decodeValue(test.plan, data) })
			if err != nil {
				t.Errorf("%s: %d are encoded, and not decoded: %v", test.name, n, err)
			}
			if budget := MemoryBudget(len(data)); used > uint64(budget+allowance) {
				t.Errorf("%s: %d took %d bytes of memory, the budget is %d", test.name, n, used, budget)
			}
		}
		if sealed == 0 || test.name == "rows by value" && refused == 0 {
			t.Errorf("%s: %d sealed, %d refused", test.name, sealed, refused)
		}
	}
	// The same, forged.
	over := withShapes(rows, refPayload(1000))
	if _, err := decodeValue(rows, over); !errors.Is(err, ErrLimit) {
		t.Errorf("decoded over the budget: %v", err)
	}
}

// What decoding charges, encoding has charged: a value at the edge of the budget
// is refused by both or by neither.
func TestReferencesAreChargedAlike(t *testing.T) {
	p := refPlan[refEverything](t)
	for _, v := range []refEverything{{}, refValue(1), refValue(40)} {
		data := mustEncode(t, p, v)
		e := encoder{limit: noLimit, groups: []*Plan{p}}
		if err := p.encode(&e, reflect.ValueOf(v), nil); err != nil {
			t.Fatal(err)
		}
		if e.strings {
			e.charge(1, len(e.buf))
		}
		groups, payload, err := readShapes(p, data)
		if err != nil {
			t.Fatal(err)
		}
		d := newDecoder(payload)
		d.groups = groups
		d.met = 1
		if err := p.node.decode(&d, reflect.New(p.Type).Elem()); err != nil {
			t.Fatal(err)
		}
		if charged := MemoryBudget(len(payload)) - d.budget; charged != e.charged {
			t.Errorf("encoding charged %d, and decoding %d", e.charged, charged)
		}
	}
}

func TestMissingNamesTheModelAlone(t *testing.T) {
	p := refPlan[[]*refText](t)
	v := reflect.New(p.Type).Elem()
	refs, err := p.Decode(mustEncode(t, p, []*refText{{"private"}}), v)
	if err != nil {
		t.Fatal(err)
	}
	err = refs.Resolve(func(*Plan, any) any { return nil })
	var missing *Missing
	if !errors.As(err, &missing) || missing.Model != "text" || missing.Key != "private" {
		t.Fatal(err)
	}
	if strings.Contains(err.Error(), "private") {
		t.Errorf("%v tells the key", err)
	}
}

// A field that is gone is skipped, with the references in it.
func TestDroppedReferencesAreNotFetched(t *testing.T) {
	type before struct {
		Gone []*refRow
		Kept *refRow
	}
	type after struct{ Kept *refRow }
	p := refPlan[after](t)
	v := reflect.New(p.Type).Elem()
	refs, err := p.Decode(mustEncode(t, refPlan[before](t), before{[]*refRow{{ID: 1}, {ID: 2}}, &refRow{ID: 3}}), v)
	if err != nil {
		t.Fatal(err)
	}
	if models := refs.Models(); len(models) != 1 || fmt.Sprint(refs.Keys(models[0])) != "[3]" {
		t.Errorf("refers to %v", refs.Keys(models[0]))
	}
}

// A model is its name and the kind of its key; a row may become a pointer to it.
func TestModelsChange(t *testing.T) {
	type renamed struct{ V *refRow }
	type retyped struct{ ID string }
	data := mustEncode(t, refPlan[box[*refRow]](t), box[*refRow]{&refRow{ID: 7}})
	if _, err := decodeValue(refPlan[box[refRow]](t), data); err != nil {
		t.Errorf("by value: %v", err)
	}
	for name, plan := range map[string]*Plan{
		"another model": refPlan[box[*refText]](t),
		"no model":      refPlan[box[*item]](t),
		"the key alone": refPlan[box[int]](t),
		"another name": func() *Plan {
			types := newTypes(reflect.TypeFor[renamed]())
			addModel[int, refRow](types, "renamed")
			return compile(t, types).Name("root")
		}(),
		"another key": func() *Plan {
			types := newTypes(reflect.TypeFor[box[*retyped]]())
			addModel[string, retyped](types, "row")
			return compile(t, types).Name("root")
		}(),
	} {
		if _, err := decodeValue(plan, data); !errors.Is(err, ErrOutdated) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// refEverything has every kind of place for a row.
type refEverything struct {
	Row      *refRow
	Value    refRow
	Text     *refText
	Pair     *refPair `state:",optional"`
	Wide     []refWide
	Bytes    [2]*refBytes
	Rows     []*refRow          `state:",optional"`
	Values   []refRow           `state:",optional"`
	Nested   [][]*refRow        `state:",optional"`
	Map      map[string]*refRow `state:",optional"`
	Maps     map[int8]map[int8]refRow
	Slices   map[string][]*refRow `state:",optional"`
	Structs  map[string]box[*refRow]
	Pointers []**refRow       `state:",optional"`
	Named    []refNamed       `state:",optional"`
	Any      any              `state:",optional"`
	Anys     []any            `state:",optional"`
	Faces    map[string]shown `state:",optional"`
}

func refValue(n int) refEverything {
	one, two := &refRow{ID: 1}, &refRow{ID: 2}
	rows := slices.Repeat([]*refRow{one, two, nil, {ID: -300}}, n)
	return refEverything{
		Row: one, Value: *two, Text: &refText{"t"}, Pair: &refPair{struct{ A, B uint8 }{1, 2}},
		Wide:   slices.Repeat([]refWide{{[16]string{"a", 15: "b"}}, {}}, n),
		Bytes:  [2]*refBytes{{[4]byte{1}}, nil},
		Rows:   rows,
		Values: slices.Repeat([]refRow{*two, {}}, n),
		Nested: slices.Repeat([][]*refRow{{one, two}, {}, nil}, n),
		Map:    map[string]*refRow{"a": one, "b": two, "c": nil},
		Maps:   map[int8]map[int8]refRow{1: {1: *one, 2: *two}, 2: {}, 3: nil},
		Slices: map[string][]*refRow{"a": {one}, "b": rows},
		Structs: map[string]box[*refRow]{
			"a": {one}, "b": {two}, "c": {},
		},
		Pointers: slices.Repeat([]**refRow{&one, nil, new((*refRow)(nil))}, n),
		Named:    slices.Repeat([]refNamed{{"known", refArgs{one, map[int]refRow{5: *two}, []any{*one}}}, {}}, n),
		Any:      []any{map[string]any{"a": []any{one, *two, item{"x"}}}, two},
		Anys:     slices.Repeat([]any{one, *two, 5, nil, map[string]any{"a": one}}, n),
		Faces:    map[string]shown{"a": one, "b": item{"x"}, "c": two},
	}
}

// FuzzReferences resolves what is accepted: with every row it encodes to the same
// bytes, and with half of them to something that can be decoded.
func FuzzReferences(f *testing.F) {
	p := refPlan[refEverything](f)
	var shapes [][]byte // those of the seeds, each with other types behind its interfaces
	for _, v := range []refEverything{
		{}, refValue(1), refValue(3),
		{Any: &refRow{ID: 1}, Rows: []*refRow{{ID: 1}, {ID: 3}}},
		{Any: refText{"a"}, Anys: []any{&refPair{struct{ A, B uint8 }{1, 2}}, item{"x"}, refRow{ID: 2}}},
	} {
		data := mustEncode(f, p, v)
		payload := payloadOf(f, p, data)
		f.Add(payload, byte(len(shapes)))
		shapes = append(shapes, data[:len(data)-len(payload)])
	}
	shapes = append(shapes, withoutFields([]*Plan{p}))
	f.Fuzz(func(t *testing.T, payload []byte, which byte) {
		at := int(which) % len(shapes)
		data := append(bytes.Clone(shapes[at]), payload...)
		for _, has := range []func(any) bool{nil, even} {
			refResolve(t, p, data, has, at < len(shapes)-1)
		}
	})
}

func refResolve(t *testing.T, p *Plan, data []byte, has func(any) bool, own bool) {
	v := reflect.New(p.Type).Elem()
	refs, err := p.Decode(data, v)
	if err != nil {
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrOutdated) && !errors.Is(err, ErrLimit) {
			t.Errorf("%v is not an error of the package", err)
		}
		return
	}
	row := refRows(has)
	for _, model := range refs.Models() {
		keys := refs.Keys(model)
		for i, key := range keys {
			if row(model, key) == nil && has == nil || reflect.ValueOf(key).IsZero() || slices.Contains(keys[:i], key) {
				t.Errorf("a key that is asked for twice, or is zero: %v", key)
			}
		}
	}
	var again reflect.Value
	used := allocated(func() {
		again = reflect.New(p.Type).Elem()
		refs, _ = p.Decode(data, again)
		err = refs.Resolve(row)
	})
	if budget := MemoryBudget(len(data)); used > uint64(budget+allowance) {
		t.Errorf("%d bytes took %d bytes of memory, the budget is %d", len(data), used, budget)
	}
	var missing *Missing
	if errors.As(err, &missing) && has != nil && !has(missing.Key) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := p.Encode(nil, again, nil, noLimit)
	if err != nil {
		if !own && errors.Is(err, ErrLimit) {
			return
		}
		t.Fatalf("decoded, but not encoded: %v", err)
	}
	if own && has == nil && !bytes.Equal(encoded, data) {
		t.Fatalf("decoded %x, encoded %x", data, encoded)
	}
	if _, err := p.Decode(encoded, reflect.New(p.Type).Elem()); err != nil {
		t.Fatalf("encoded, but not decoded: %v", err)
	}
}

// TestFindRow looks for the row 7.
func TestFindRow(t *testing.T) {
	row := func(id int) refRow { return refRow{ID: id} }
	rows := func(n int, last refRow) []refRow {
		all := slices.Repeat([]refRow{row(1)}, n)
		return append(all, last)
	}
	type holder struct {
		Text string
		Row  refRow
	}
	endless := make([]any, 1)
	endless[0] = endless
	around := map[string]any{}
	around["self"] = around
	lists := func(levels int) []any {
		list := []any{row(7)}
		for range levels - 1 {
			list = []any{list}
		}
		return list
	}
	const deepest = maxVisitedDepth/2 - 1 // a list and an interface for each level
	for _, test := range []struct {
		name  string
		value any
		plan  func(testing.TB) *Plan
		path  string
		found bool
	}{
		{"in a field", holder{"", row(7)}, refPlan[holder], ".Row", true},
		{"another one", holder{"", row(6)}, refPlan[holder], "", false},
		{"none", holder{}, refPlan[holder], "", false},
		{"in an array", [2]refRow{row(6), row(7)}, refPlan[[2]refRow], "[1]", true},
		{"in a map", map[string]holder{"secret": {"", row(7)}}, refPlan[map[string]holder], "[].Row", true},
		{"behind a pointer", &refRow{ID: 7}, refPlan[*refRow], "", false},
		{"in a struct behind a pointer", &holder{"", row(7)}, refPlan[*holder], ".Row", true},
		{"in an interface", any(row(7)), refPlan[any], "", true},
		{"in an interface that holds a list", []any{1, []any{row(6), row(7)}}, refPlan[[]any], "[1][1]", true},
		{"as the last that is looked at", rows(maxVisited-2, row(7)), refPlan[[]refRow], "[65534]", true},
		{"as the first that is not", rows(maxVisited-1, row(7)), refPlan[[]refRow], "", false},
		{"among far too many", rows(maxVisited, row(7)), refPlan[[]refRow], "", false},
		{"as deep as is looked", lists(deepest), refPlan[[]any], strings.Repeat("[0]", deepest), true},
		{"deeper than is looked", lists(deepest + 1), refPlan[[]any], "", false},
		{"in a list that holds itself", []any{endless, row(7)}, refPlan[[]any], "", false},
		{"in a map that holds itself", []any{around, row(7)}, refPlan[[]any], "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := test.plan(t)
			v := reflect.New(p.Type).Elem()
			v.Set(reflect.ValueOf(test.value))
			path, found := p.FindRow(v, func(_ *Plan, row reflect.Value) bool {
				if row.IsZero() {
					t.Error("looked at a row that is zero")
				}
				return row.FieldByName("ID").Int() == 7
			})
			if found != test.found || path != test.path {
				t.Errorf("got %q, %t, want %q, %t", path, found, test.path, test.found)
			}
		})
	}
}
