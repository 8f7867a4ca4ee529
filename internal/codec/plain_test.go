package codec

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// plain has what plain.go reads and writes, and reflected the same in types that
// it does not know.
type (
	plain struct {
		List   []string
		Lists  [][]string
		Texts  map[string]string
		Counts map[string]int
		Longs  map[string]int64
		Flags  map[string]bool
		Scores map[string]float64
		Named  plainNamed
	}
	plainNamed map[string]int

	reflected struct {
		List   []reflectedString
		Lists  [][]reflectedString
		Texts  map[reflectedString]string
		Counts map[reflectedString]int
		Longs  map[reflectedString]int64
		Flags  map[reflectedString]bool
		Scores map[reflectedString]float64
		Named  map[reflectedString]int
	}
	reflectedString string
)

func plainValue() plain {
	return plain{
		List:   []string{"a", "", strings.Repeat("b", 40)},
		Lists:  [][]string{nil, {}, {"a"}, {"b", "c"}, make([]string, 20)},
		Texts:  map[string]string{"b": "1", "aa": "2", "": "3", strings.Repeat("c", 32): "4"},
		Counts: map[string]int{"a": 1, "b": -1, "c": math.MinInt},
		Longs:  map[string]int64{"a": math.MaxInt64},
		Flags:  map[string]bool{"a": true, "b": false},
		Scores: map[string]float64{"a": 0.5, "b": math.Inf(1)},
		Named:  plainNamed{"z": 1, "y": 2},
	}
}

// TestPlainMapsAreUsed keeps the tests below from comparing reflection with
// itself.
func TestPlainMapsAreUsed(t *testing.T) {
	for _, f := range planOf(t, reflect.TypeFor[plain]()).structNode().fields {
		if m, ok := f.node.(*mapNode); ok && m.plain == nil {
			t.Errorf("%s takes reflection", f.Name)
		}
		if s, ok := f.node.(*sliceNode); ok && f.Name == "List" && !s.strings {
			t.Errorf("%s takes reflection", f.Name)
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[int64]()} { // of a map[string]int64
		types := NewTypes()
		types.Add("root", reflect.TypeFor[map[string]int64](), 0)
		types.AddCustom("custom", typ, Custom{})
		if m := compile(t, types).Name("root").node.(*mapNode); m.plain != nil {
			t.Errorf("a codec for %v is passed over", typ)
		}
	}
	for _, f := range planOf(t, reflect.TypeFor[reflected]()).structNode().fields {
		if m, ok := f.node.(*mapNode); ok && m.plain != nil {
			t.Errorf("%s takes no reflection", f.Name)
		}
		if s, ok := f.node.(*sliceNode); ok && s.strings {
			t.Errorf("%s takes no reflection", f.Name)
		}
	}
}

// TestPlainLeavesCodecsAlone has a codec for the very types that could be read
// without reflection.
func TestPlainLeavesCodecsAlone(t *testing.T) {
	types := newTypes(reflect.TypeFor[plain]())
	types.AddCustom("shouting", reflect.TypeFor[string](), Custom{
		Encode: func(v reflect.Value) ([]byte, error) { return []byte(strings.ToUpper(v.String())), nil },
		Decode: func(b []byte, v reflect.Value) error {
			v.SetString(strings.ToLower(string(b)))
			return nil
		},
	})
	p := compile(t, types).Name("root")
	v := plain{List: []string{"abc"}, Texts: map[string]string{"def": "ghi"}, Counts: map[string]int{"jkl": 1}}
	data := mustEncode(t, p, v)
	for _, text := range []string{"ABC", "DEF", "GHI", "JKL"} {
		if !bytes.Contains(data, []byte(text)) {
			t.Errorf("the codec did not write %s", text)
		}
	}
	got, err := decodeValue(p, data)
	if err != nil {
		t.Fatal(err)
	}
	if !same(reflect.ValueOf(got), reflect.ValueOf(v)) {
		t.Errorf("got %+v, want %+v", got, v)
	}
}

// TestShortListsAreApart appends to lists that share their room, and changes
// them.
func TestShortListsAreApart(t *testing.T) {
	p := planOf(t, reflect.TypeFor[[][]string]())
	var want [][]string
	for i := range 50 {
		list := []string{}
		for j := range i % 10 {
			list = append(list, fmt.Sprint(i, " ", j))
		}
		want = append(want, list)
	}
	decoded, err := decodeValue(p, mustEncode(t, p, want))
	if err != nil {
		t.Fatal(err)
	}
	got := decoded.([][]string)
	for i := range got {
		got[i] = append(got[i], "more")
		want[i] = append(want[i], "more")
		if len(got[i]) > 1 {
			got[i][0], want[i][0] = "another", "another"
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestShortWaysAreStrict has what is read in one piece, or without reflection, in
// forms that are never written.
func TestShortWaysAreStrict(t *testing.T) {
	times, counts := planOf(t, reflect.TypeFor[box[time.Time]]()), planOf(t, reflect.TypeFor[box[map[string]int]]())
	for _, test := range []struct {
		what    string
		plan    *Plan
		payload string
		want    error
	}{
		{"a time", times, "91 93 ce00010000 ce3b9ac9ff c0", nil},
		{"a second of nanoseconds", times, "91 93 ce00010000 ce3b9aca00 c0", ErrMalformed},
		{"seconds of two bytes in four", times, "91 93 ce0000ffff ce00010000 c0", ErrMalformed},
		{"nanoseconds of two bytes in four", times, "91 93 ce00010000 ce0000ffff c0", ErrMalformed},
		{"cut short", times, "91 93 ce00010000 ce00010000", ErrMalformed},
		{"a map", counts, "91 82 a161 01 a162 02", nil},
		{"a key twice", counts, "91 82 a161 01 a161 02", ErrMalformed},
		{"keys out of order", counts, "91 82 a162 01 a161 02", ErrMalformed},
		{"a long key first", counts, "91 82 a26161 01 a162 02", ErrMalformed},
	} {
		data := append(bytes.Clone(test.plan.shapes), unhex(strings.ReplaceAll(test.payload, " ", ""))...)
		if _, err := decodeValue(test.plan, data); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.what, err, test.want)
		}
	}
}

// TestSlicesHaveNoSpareCapacity has two copies of a decoded value grow.
func TestSlicesHaveNoSpareCapacity(t *testing.T) {
	p := planOf(t, reflect.TypeFor[box[[]int]]())
	for n := range 40 {
		decoded, err := decodeValue(p, mustEncode(t, p, box[[]int]{make([]int, n)}))
		if err != nil {
			t.Fatal(err)
		}
		v := decoded.(box[[]int]).V
		a, b := append(v, 1), append(v, 2)
		if a[n] != 1 || b[n] != 2 {
			t.Errorf("two copies of %d elements share what was appended", n)
		}
	}
}

// FuzzPlain reads the same payload with and without reflection.
func FuzzPlain(f *testing.F) {
	fast := compile(f, newTypes(reflect.TypeFor[plain]())).Name("root")
	slow := compile(f, newTypes(reflect.TypeFor[reflected]())).Name("root")
	if !bytes.Equal(fast.shapes, slow.shapes) {
		f.Fatal("the two types have other shapes")
	}
	for _, v := range []plain{{}, plainValue()} {
		f.Add(payloadOf(f, fast, mustEncode(f, fast, v)))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		data := append(bytes.Clone(fast.shapes), payload...)
		a, fastErr := decodeValue(fast, data)
		b, slowErr := decodeValue(slow, data)
		for _, kind := range []error{nil, ErrMalformed, ErrLimit, ErrOutdated} {
			if errors.Is(fastErr, kind) != errors.Is(slowErr, kind) {
				t.Fatalf("%v, and with reflection %v", fastErr, slowErr)
			}
		}
		if fastErr != nil {
			return
		}
		if again := mustEncode(t, fast, a); !bytes.Equal(again, data) {
			t.Errorf("encoded to %x, and not to %x", again, data)
		}
		if again := mustEncode(t, slow, b); !bytes.Equal(again, data) {
			t.Errorf("encoded with reflection to %x, and not to %x", again, data)
		}
	})
}
