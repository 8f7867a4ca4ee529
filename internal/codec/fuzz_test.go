package codec

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"
)

// Whatever the data: no panic, memory within the budget, one of the package's
// errors, and what is accepted is what would be written.

// allowance is what a test may allocate beside the budget, for the runtime.
const allowance = 64 << 10

func FuzzDecode(f *testing.F) {
	types := newTypes(reflect.TypeFor[rich]())
	types.Add("rich", reflect.TypeFor[[]rich](), 0)
	p := compile(f, types).Name("root")
	add := func(v rich) { f.Add(payloadOf(f, p, mustEncode(f, p, v)), byte(0)) }
	add(rich{})
	add(richValue())
	for _, v := range []any{true, 1, []byte("b"), time.Now(), []any{nil}, map[string]any{"a": 1}, item{"a"}, &item{}, celsius(1), money{1}, &money{}} {
		r := richValue()
		r.Any, r.More = v, []any{v, v}
		f.Add(payloadOf(f, p, mustEncode(f, p, r)), byte(1))
	}
	for _, test := range payloads {
		f.Add(unhex(test.payload), byte(2))
	}

	// Each combination of what may stand behind interfaces.
	shapes := make([][]byte, 8)
	for i := range shapes {
		plans := []*Plan{p}
		for j, name := range []string{"item", "celsius", "money"} {
			if i&(1<<j) != 0 {
				plans = append(plans, types.Name(name))
			}
		}
		shapes[i] = appendShapes(nil, plans)
	}
	shapes = append(shapes, withoutFields([]*Plan{p}))

	f.Fuzz(func(t *testing.T, payload []byte, which byte) {
		data := append(bytes.Clone(shapes[int(which)%len(shapes)]), payload...)
		checkDecode(t, p, data, int(which)%len(shapes) < 8)
	})
}

// checkDecode decodes data. If it was written with today's tables, what is
// accepted must encode to the same bytes.
func checkDecode(t *testing.T, p *Plan, data []byte, own bool) {
	v := reflect.New(p.Type).Elem()
	var err error
	used := allocated(func() { _, err = p.Decode(data, v) })
	if budget := MemoryBudget(len(data)); used > uint64(budget+allowance) {
		t.Errorf("%d bytes took %d bytes of memory, the budget is %d", len(data), used, budget)
	}
	if err != nil {
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrOutdated) && !errors.Is(err, ErrLimit) {
			t.Errorf("%v is not an error of the package", err)
		}
		return
	}
	again, err := p.Encode(nil, v, nil, noLimit)
	if err != nil {
		// Data with fewer fields may become a value over the budget.
		if own || !errors.Is(err, ErrLimit) {
			t.Fatalf("decoded, but not encoded: %v", err)
		}
		return
	}
	if own && !bytes.Equal(again, data) {
		t.Fatalf("decoded %x, encoded %x", data, again)
	}
	w := reflect.New(p.Type).Elem()
	if _, err := p.Decode(again, w); err != nil {
		t.Fatalf("encoded, but not decoded: %v", err)
	}
	if once, err := p.Encode(nil, w, nil, noLimit); err != nil || !bytes.Equal(once, again) {
		t.Fatalf("encoded once %x, and then %x: %v", again, once, err)
	}
}

func FuzzShapes(f *testing.F) {
	p := planOf(f, reflect.TypeFor[rich]())
	before := planOf(f, reflect.TypeFor[richBefore]())
	f.Add(mustEncode(f, p, rich{}))
	f.Add(mustEncode(f, p, richValue()))
	f.Add(mustEncode(f, before, richBefore{}))
	f.Add(mustEncode(f, before, richBefore{Text: "x", Gone: item{"a"}}))
	f.Add(withShapes(&Plan{shapes: withoutFields([]*Plan{p})}, []byte{0x90}))
	f.Fuzz(func(t *testing.T, data []byte) {
		groups, _, err := readShapes(p, data)
		own := err == nil
		for _, g := range groups {
			known := p.types.Name(g.name)
			own = own && known != nil && bytes.Equal(g.table, known.encodedTable)
			if table, err := parseTable(g.table); err == nil && !bytes.Equal(table.append(nil), g.table) {
				t.Errorf("another form of a table was accepted: %x", g.table)
			}
		}
		checkDecode(t, p, data, own)
	})
}

func FuzzSkip(f *testing.F) {
	p := planOf(f, reflect.TypeFor[rich]())
	f.Add(payloadOf(f, p, mustEncode(f, p, rich{})))
	f.Add(payloadOf(f, p, mustEncode(f, p, richValue())))
	for _, test := range payloads {
		f.Add(unhex(test.payload))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDecoder(b)
		var err error
		used := allocated(func() { err = d.skip() })
		if used > uint64(len(b)+allowance) {
			t.Errorf("skipping %d bytes took %d bytes of memory", len(b), used)
		}
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLimit) {
			t.Errorf("%v is not an error of the package", err)
		}
		if err != nil {
			return
		}
		// What was skipped is one value: nothing of it is missing, and nothing can be.
		value := b[:d.Pos]
		for i := range value {
			if cut := newDecoder(value[:i]); cut.skip() == nil {
				t.Errorf("skipped %x cut at %d", value, i)
			}
			if i > 100 {
				break
			}
		}
	})
}
