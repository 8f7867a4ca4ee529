package form_test

import (
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
	"github.com/pagestate/pagestate/internal/testkit"
)

type (
	rich struct {
		pagestate.Component
		Private string
		Bool    bool            `state:"bool,public"`
		Int     int             `state:"int,public"`
		Small   int8            `state:"small,public"`
		Uint    uint64          `state:"uint,public"`
		Float   float64         `state:"float,public"`
		Single  float32         `state:"single,public"`
		Text    string          `state:"text,public"`
		Bytes   []byte          `state:"bytes,public"`
		Sum     [4]byte         `state:"sum,public"`
		Time    time.Time       `state:"time,public"`
		List    []string        `state:"list,public"`
		Pair    [2]int8         `state:"pair,public"`
		Maybe   []*float64      `state:"maybe,public"`
		Words   map[name][]int  `state:"words,public"`
		Numbers map[int16]*bool `state:"numbers,public"`
		Nested  richNested      `state:"nested,public"`
		Grid    [][2]time.Time  `state:"grid,public"`
		Other   string          `state:"other,public"` // public, and not named
	}
	richNested struct {
		Name string              `state:"name"`
		Out  int                 `state:"-"`
		Next *richNested         `state:"next"`
		All  []richNested        `state:"all"`
		Map  map[string]struct{} `state:"map"`
		When *time.Time          `state:"when"`
	}
)

var richNames = []string{
	"bool", "int", "small", "uint", "float", "single", "text", "bytes", "sum", "time",
	"list", "pair", "maybe", "words", "numbers", "nested", "grid",
}

// newRich has in every field what a form could not have put there.
func newRich() *rich {
	return &rich{
		Private: "private", Other: "other", Bool: true, Int: 1, Small: 2, Uint: 3, Float: 4.5, Single: 5.5, Text: "t\r", Bytes: []byte{},
		Sum: [4]byte{1}, Time: time.Date(2024, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)), List: []string{}, Pair: [2]int8{6, 7},
		Maybe: []*float64{}, Words: map[name][]int{"w": {}}, Numbers: map[int16]*bool{},
		Nested: richNested{Name: "n\r", Out: 11, Next: &richNested{Out: 12}}, Grid: [][2]time.Time{},
	}
}

// Whatever the form: no panic, no field that was not named, each field made of
// the form or as it was, and what was made of it comes back from Values.
func FuzzApply(f *testing.F) {
	for _, seed := range []string{
		"", "private=x&Private=x&other=x&Other=x", "bool=on&int=-9&small=128&uint=1&float=1e300&single=.1", "text=a%0D%0A%0Db&text=2",
		"bytes=AQI=&sum=AQIDBA==&time=2024-W09&grid.0=12:30&grid.0=2024-02&grid.1.1=", "list=a&list=&list.0=b", "list.1=b&list.0=%FF",
		"pair=1&pair=-1&maybe=&maybe=1,5", "pair.1=1&maybe.0=1&maybe.2=1", "words.a=1&words.a=2&words.=3&numbers.-1=&numbers.7=on&numbers.x=1",
		"nested.name=a&nested.next.next.when=2024-02-29&nested.all.0.name=b&nested.all.1.next.name=c&nested.map.k=1&nested.Out=1&nested=x",
		"time=2024-02-29T12:30:05.25%2B01:30&nested.when=00:00&nested.next.when=", "float=NaN&list.999999999=1&int=1e999999999&nested.next.next.next.x=1",
		"text=a%00b&=x&.=&a.b.c=&nested..name=x&grid.0.0=0000-01-01&grid.0.2=x&uint=-1", "grid.0.0=00:00&grid.0.1=&nested.next.all.0.all.0.name=%ED%A0%80",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, _ := url.ParseQuery(query) // what it could read
		state := newRich()
		errs, err := form.Apply(state, values, richNames...)
		if err != nil {
			testkit.Want(t, "is ErrTooLarge", errors.Is(err, pagestate.ErrTooLarge), true)
			testkit.Want(t, "unchanged", reflect.DeepEqual(state, newRich()), true)
			return
		}
		testkit.Want(t, "Private", state.Private, "private")
		testkit.Want(t, "Other", state.Other, "other")
		comesBack(t, state, madeOf(t, state, errs))
	})
}

// madeOf returns which fields a form has made: those without a problem. It wants
// the others to be as they were.
func madeOf(t *testing.T, state *rich, errs form.Errors) (made []string) {
	failed := make(map[string]bool)
	for name := range errs {
		top, _, _ := strings.Cut(name, ".")
		testkit.Want(t, "is named: "+top, slices.Contains(richNames, top), true)
		failed[top] = true
	}
	for _, name := range richNames {
		if !failed[name] {
			made = append(made, name)
			continue
		}
		got, was := fieldOf(state, name).Interface(), fieldOf(newRich(), name).Interface()
		testkit.Want(t, "unchanged: "+name, reflect.DeepEqual(got, was), true)
	}
	return made
}

// fieldOf is the field with a saved name.
func fieldOf(state *rich, name string) reflect.Value {
	v := reflect.ValueOf(state).Elem()
	for f := range v.Type().Fields() {
		if f.Tag.Get("state") == name+",public" {
			return v.FieldByIndex(f.Index)
		}
	}
	panic(name)
}

// comesBack wants the fields that a form made to be the same after Values and
// Apply.
func comesBack(t *testing.T, state *rich, made []string) {
	if len(made) == 0 {
		return
	}
	values, err := form.Values(state, made...)
	if errors.Is(err, pagestate.ErrTooLarge) {
		return // true is longer than 1
	}
	if err != nil {
		t.Fatal(err)
	}
	var again, want rich
	for _, name := range made {
		fieldOf(&want, name).Set(fieldOf(state, name))
	}
	errs, err := form.Apply(&again, values, made...)
	if err != nil || len(errs) > 0 {
		t.Fatalf("%v was not taken: %v, %v", values, errs, err)
	}
	if !reflect.DeepEqual(again, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", values, again, want)
	}
}
