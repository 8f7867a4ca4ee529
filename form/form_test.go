package form_test

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
	"github.com/pagestate/pagestate/internal/testkit"
)

// box has one public field.
type box[T any] struct {
	V T `state:"v,public"`
}

type (
	name  string
	small int8

	point struct {
		X int `state:"x"`
		Y int `state:"y"`
	}
	item struct {
		Name  string `state:"name"`
		Done  bool   `state:"done"`
		Price int    `state:"-"`
	}
	tree struct {
		Name string `state:"name"`
		Kids []tree `state:"kids"`
	}
	chain struct {
		V    int    `state:"v"`
		List []int  `state:"list"`
		Next *chain `state:"next"`
	}
	order struct {
		pagestate.Component
		Word   string `state:"word,public"`
		Count  int    `state:"count,public"`
		Open   bool   `state:"open,public"`
		Items  []item `state:"items,public"`
		Secret string
		Role   string `state:"role"`
	}
)

// parse reads a query, in which + and % are not special and ; is none.
func parse(t testing.TB, query string) url.Values {
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// accepts is a row of TestApply.
type accepts struct {
	name string
	run  func(*testing.T)
}

// value wants a query to set a box from was to be.
func value[T any](query string, was, be T) accepts {
	return accepts{fmt.Sprintf("%T %.40s", be, query), func(t *testing.T) {
		state := box[T]{was}
		errs, err := form.Apply(&state, parse(t, query), "v")
		if err != nil || len(errs) > 0 || errs == nil {
			t.Fatalf("%#v, %v", errs, err)
		}
		if !reflect.DeepEqual(state.V, be) {
			t.Errorf("got %#v, want %#v", state.V, be)
		}
	}}
}

func TestApply(t *testing.T) {
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	at := func(hour, minute, second, nano int) time.Time {
		return day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second + time.Duration(nano))
	}
	zeroDay := func(hour, minute, second, nano int) time.Time {
		return time.Date(1, 1, 1, hour, minute, second, nano, time.UTC)
	}
	tests := []accepts{
		value("v=", "was", ""),
		value("", "was", ""),
		value("v=+a+b+", "was", " a b "),
		value("v=a%0D%0Ab%0Dc%0Ad%0D%0D%0A", "", "a\nb\nc\nd\n\n"),
		value("v=n", name(""), name("n")),
		value("v=x", (*string)(nil), new("x")),
		value("v=", new("was"), nil),
		value("", new("was"), nil),

		value("v=on", false, true),
		value("v=true", false, true),
		value("v=1", false, true),
		value("v=off", true, false),
		value("v=false", true, false),
		value("v=0", true, false),
		value("v=", true, false),
		value("", true, false),
		value("v=0", (*bool)(nil), new(false)),
		value("v=", new(true), nil),

		value("v=-128", small(0), small(-128)),
		value("v=%2B7", 0, 7),
		value("v=007", 0, 7),
		value("v=-0", 7, 0),
		value("v=+7%C2%A0", 0, 7),
		value("v=9223372036854775807", int64(0), int64(math.MaxInt64)),
		value("v=-9223372036854775808", int64(0), int64(math.MinInt64)),
		value("v=18446744073709551615", uint64(0), uint64(math.MaxUint64)),
		value("v=%2B255", uint8(0), uint8(255)),
		value("v=", 7, 0),
		value("v=+", new(7), nil),
		value("v=0", (*int)(nil), new(0)),
		value("v=60", time.Duration(0), time.Duration(60)),
		value("v=3.50", 0.0, 3.5),
		value("v=-1e3", 0.0, -1000.0),
		value("v=.5", 0.0, 0.5),
		value("v=1e-999999999", 7.0, 0.0),
		value("v=0.1", float32(0), float32(0.1)),
		value("v=", 7.5, 0.0),
		value("v=", new(7.5), nil),

		value("v=2024-02-29", time.Time{}, day),
		value("v=2024-02-29T12:30", time.Time{}, at(12, 30, 0, 0)),
		value("v=2024-02-29T12:30:05", time.Time{}, at(12, 30, 5, 0)),
		value("v=2024-02-29T12:30:05.5", time.Time{}, at(12, 30, 5, 500_000_000)),
		value("v=2024-02-29T12:30:05.123456789", time.Time{}, at(12, 30, 5, 123456789)),
		value("v=2024-02-29T12:30:05Z", time.Time{}, at(12, 30, 5, 0)),
		value("v=2024-02-29T12:30:05.25%2B01:30", time.Time{}, at(11, 0, 5, 250_000_000)),
		value("v=2024-02", time.Time{}, time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)),
		value("v=2024-W09", time.Time{}, time.Date(2024, 2, 26, 0, 0, 0, 0, time.UTC)),
		value("v=2020-W53", time.Time{}, time.Date(2020, 12, 28, 0, 0, 0, 0, time.UTC)),
		value("v=2025-W01", time.Time{}, time.Date(2024, 12, 30, 0, 0, 0, 0, time.UTC)),
		value("v=12:30", day, zeroDay(12, 30, 0, 0)),
		value("v=12:30:05", day, zeroDay(12, 30, 5, 0)),
		value("v=12:30:05.001", day, zeroDay(12, 30, 5, 1_000_000)),
		value("v=00:00", day, time.Time{}),
		value("v=00:00", (*time.Time)(nil), &time.Time{}),
		value("v=", day, time.Time{}),
		value("v=", &day, nil),
		value("", &day, nil),

		value("v=%2B/8A", []byte("was"), []byte{0xfb, 0xff, 0}),
		value("v=", []byte("was"), nil),
		value("v=AQI=", [2]byte{}, [2]byte{1, 2}),
		value("v=", [2]byte{1, 2}, [2]byte{}),

		value("v=a&v=b&v=", []string{"was"}, []string{"a", "b", ""}),
		value("v=a", []string(nil), []string{"a"}),
		value("", []string{"was"}, nil),
		value("v.1=b&v.0=a", []string(nil), []string{"a", "b"}),
		value("v=3&v=&v=1", []int(nil), []int{3, 0, 1}),
		value("v=3&v=", []*int(nil), []*int{new(3), nil}),
		value("v=on&v=false", []bool(nil), []bool{true, false}),
		value("v=2024-02-29&v=12:30", []time.Time(nil), []time.Time{day, zeroDay(12, 30, 0, 0)}),
		value("v=1&v=2", &[]int{7}, &[]int{1, 2}),
		value("", &[]int{7}, nil),
		value("v=1&v=2", [2]int{7, 7}, [2]int{1, 2}),
		value("v.1=2", [2]int{7, 7}, [2]int{0, 2}),
		value("v.6=on&v.0=on", [7]bool{1: true}, [7]bool{0: true, 6: true}),
		value("", [2]int{7, 7}, [2]int{}),
		value("v.0=a&v.1=b&v.1=c", [][]string(nil), [][]string{{"a"}, {"b", "c"}}),
		value("v.1.x=1", [2]point{{7, 7}, {7, 7}}, [2]point{1: {X: 1}}),

		value("v.x=1", point{7, 7}, point{X: 1}),
		value("v.x=1", &point{7, 7}, &point{X: 1}),
		value("v.x=", (*point)(nil), &point{}),
		value("", &point{7, 7}, nil),
		value("v.v=1&v.next.next.v=3", chain{}, chain{V: 1, Next: &chain{Next: &chain{V: 3}}}),
		value("v.0.name=b&v.0.kids.0.name=c", []tree(nil), []tree{{"b", []tree{{"c", nil}}}}),

		value("v.b=2&v.=3", map[string]int{"a": 1}, map[string]int{"b": 2, "": 3}),
		value("v.-1=on", map[small]bool(nil), map[small]bool{-1: true}),
		value("v.17=3&v.18=", map[int]*int(nil), map[int]*int{17: new(3), 18: nil}),
		value("v.a.x=1", map[string]point(nil), map[string]point{"a": {X: 1}}),
		value("v.a=1&v.a=2", map[string][]int(nil), map[string][]int{"a": {1, 2}}),
		value("", map[string]int{"a": 1}, nil),
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

// The elements of a list come in any order, and more than ten of them too.
func TestApplyOrdersByNumber(t *testing.T) {
	values, want := url.Values{}, []int{}
	for i := range 120 {
		values.Set(fmt.Sprintf("v.%d", i), fmt.Sprint(i))
		want = append(want, i)
	}
	var state box[[]int]
	if errs, err := form.Apply(&state, values, "v"); err != nil || len(errs) > 0 {
		t.Fatal(errs, err)
	}
	testkit.Want(t, "list", fmt.Sprint(state.V), fmt.Sprint(want))
}

// What the elements held that a form cannot reach goes with them: it must not
// end up in another element.
func TestApplyMakesElementsAnew(t *testing.T) {
	state := order{Items: []item{{Name: "ring", Price: 900}, {Name: "pen", Price: 2}}}
	was := state.Items
	errs, err := form.Apply(&state, parse(t, "items.0.name=pen&items.1.name=ring&items.1.done=on&items.0.price=0"), "items")
	if err != nil || len(errs) > 0 {
		t.Fatal(errs, err)
	}
	testkit.Want(t, "items", fmt.Sprint(state.Items), "[{pen false 0} {ring true 0}]")
	testkit.Want(t, "what held them", fmt.Sprint(was), "[{ring false 900} {pen false 2}]")
}

func TestApplyPassesOver(t *testing.T) {
	was := func() order {
		return order{Word: "was", Count: 7, Open: true, Items: []item{{Name: "old", Price: 9}}, Secret: "s", Role: "user"}
	}
	now := was()
	now.Word, now.Items = "new", []item{{Name: "n"}}
	for _, other := range []string{
		"", "page_state=token", "save=", "Secret=x", "role=admin", "Role=admin", "Word=x", "WORD=x", "word%00=x",
		"count=8", "open=", "count=x", "Component=x", "Component.x=x", "=x", ".=x", ".word=x", "word.=x", "word.0=x", "word.x=x", "word[0]=x",
		"items=x", "items.=x", "items.add=", "items.0=x", "items.0.=x", "items.0.remove=", "items.0.price=1", "items.0.Price=1", "items.0.Name=x",
		"items.00.name=x", "items.-1.name=x", "items.+1.name=x", "items.1e3.name=x", "items.0x1.name=x", "items.1_0.name=x", "items..name=x",
		"items.%D9%A1.name=x", "items.0.name.x=x", "items[1].name=x", "items.1.=x", "items.1.remove=", "items.999999999=x", "%FF=x",
	} {
		t.Run(other, func(t *testing.T) {
			state := was()
			errs, err := form.Apply(&state, parse(t, "word=new&items.0.name=n&"+other), "word", "items")
			testkit.Want(t, "errors", fmt.Sprint(errs, err), "map[] <nil>")
			testkit.Want(t, "state", fmt.Sprintf("%+v", state), fmt.Sprintf("%+v", now))
		})
	}
	t.Run("a name without a value", func(t *testing.T) {
		state := was()
		errs, err := form.Apply(&state, url.Values{"word": {}}, "word")
		testkit.Want(t, "errors", fmt.Sprint(errs, err), "map[] <nil>")
		testkit.Want(t, "word", state.Word, "")
	})
	t.Run("keys that cannot be one", func(t *testing.T) {
		state := box[map[string]map[int8]int]{}
		errs, err := form.Apply(&state, parse(t, "v.__proto__.1=1&v.%FF.1=1&v.a.x=1&v.a.01=1&v.a.%2B1=1&v.a.128=1&v.a=1&v.a.b.1=1&v.a.1=2"), "v")
		testkit.Want(t, "errors", fmt.Sprint(errs, err), "map[] <nil>")
		testkit.Want(t, "map", fmt.Sprint(state.V), "map[a:map[1:2]]")
	})
}

// refused is a row of TestApplyProblems.
type refused struct {
	name string
	run  func(*testing.T)
}

// problem wants a query to be refused with problems, each as "field: kind min max",
// and a box to stay as it was. A field that follows it is set all the same.
func problem[T any](query string, was T, problems ...string) refused {
	return refused{fmt.Sprintf("%T %.40s", was, query), func(t *testing.T) {
		state := struct {
			V    T      `state:"v,public"`
			Next string `state:"next,public"`
		}{was, "was"}
		decoder := form.Decoder{Message: func(p form.Problem) string {
			return strings.TrimSpace(fmt.Sprint(p.Kind, " ", p.Min, " ", p.Max))
		}}
		errs, err := decoder.Apply(&state, parse(t, "next=new&"+query), "v", "next")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for field, message := range errs {
			got = append(got, field+": "+message)
		}
		if !maps.Equal(set(got), set(problems)) {
			t.Errorf("got %q, want %q", got, problems)
		}
		testkit.Want(t, "unchanged", reflect.DeepEqual(state.V, was), true)
		testkit.Want(t, "the next field", state.Next, "new")
	}}
}

func set(all []string) map[string]bool {
	m := make(map[string]bool)
	for _, s := range all {
		m[s] = true
	}
	return m
}

func TestApplyProblems(t *testing.T) {
	was := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	tests := []refused{
		problem("v=%FF", "was", "v: unreadable"),
		problem("v=a%ED%A0%80", new("was"), "v: unreadable"),
		problem("v=a&v=b", "was", "v: sent twice"),
		problem("v=&v=", "was", "v: sent twice"),
		problem("v=x&v=a%FF", []string{"was"}, "v: unreadable"),

		problem("v=false&v=true", true, "v: sent twice"),
		problem("v=yes", true, "v: not a boolean"),
		problem("v=ON", true, "v: not a boolean"),
		problem("v=True", false, "v: not a boolean"),
		problem("v=2", new(true), "v: not a boolean"),

		problem("v=x", 7, "v: not a whole number"),
		problem("v=1&v=2", 7, "v: sent twice"),
		problem("v=1.0", 7, "v: not a whole number"),
		problem("v=1e3", 7, "v: not a whole number"),
		problem("v=1e999999999", 7, "v: not a whole number"),
		problem("v=1,000", 7, "v: not a whole number"),
		problem("v=1_000", 7, "v: not a whole number"),
		problem("v=1+000", 7, "v: not a whole number"),
		problem("v=0x10", 7, "v: not a whole number"),
		problem("v=NaN", 7, "v: not a whole number"),
		problem("v=-", 7, "v: not a whole number"),
		problem("v=--1", 7, "v: not a whole number"),
		problem("v=%D9%A3", 7, "v: not a whole number"), // an Arabic digit
		problem("v=%FF", 7, "v: not a whole number"),
		problem("v=128", small(7), "v: number out of range -128 127"),
		problem("v=-129", new(small(7)), "v: number out of range -128 127"),
		problem("v=9223372036854775808", int64(7), "v: number out of range -9223372036854775808 9223372036854775807"),
		problem("v=256", uint8(7), "v: number out of range 0 255"),
		problem("v=-1", uint8(7), "v: number out of range 0 255"),
		problem("v=-x", uint8(7), "v: not a whole number"),
		problem("v=-", uint8(7), "v: not a whole number"),
		problem("v=%2B%2B1", uint8(7), "v: not a whole number"),
		problem("v=18446744073709551616", uint64(7), "v: number out of range 0 18446744073709551615"),

		problem("v=x", 7.5, "v: not a number"),
		problem("v=NaN", 7.5, "v: not a number"),
		problem("v=Inf", 7.5, "v: not a number"),
		problem("v=-infinity", 7.5, "v: not a number"),
		problem("v=0x1p-2", 7.5, "v: not a number"),
		problem("v=1_0.5", 7.5, "v: not a number"),
		problem("v=.", 7.5, "v: not a number"),
		problem("v=1.2.3", 7.5, "v: not a number"),
		problem("v=e", 7.5, "v: not a number"),
		problem("v=3,50", 7.5, "v: number with a comma"),
		problem("v=1.234,50", 7.5, "v: number with a comma"),
		problem("v=1,234.50", new(7.5), "v: number with a comma"),
		problem("v=1e999999999", 7.5, "v: number out of range -1.7976931348623157e+308 1.7976931348623157e+308"),
		problem("v=-1e39", float32(7.5), "v: number out of range -3.4028235e+38 3.4028235e+38"),

		problem("v=x", was, "v: not a date or time"),
		problem("v=2023-02-29", was, "v: not a date or time"),
		problem("v=2024-2-9", was, "v: not a date or time"),
		problem("v=02/29/2024", was, "v: not a date or time"),
		problem("v=29.02.2024", was, "v: not a date or time"),
		problem("v=12345-01-01", was, "v: not a date or time"),
		problem("v=-2024-01-01", was, "v: not a date or time"),
		problem("v=2024-13", was, "v: not a date or time"),
		problem("v=2024-W00", was, "v: not a date or time"),
		problem("v=2021-W53", was, "v: not a date or time"),
		problem("v=2024-W9", was, "v: not a date or time"),
		problem("v=2024-W%2B9", was, "v: not a date or time"),
		problem("v=0000-W00", was, "v: not a date or time"),
		problem("v=x-W05", was, "v: not a date or time"),
		problem("v=2024-W09-1", was, "v: not a date or time"),
		problem("v="+strings.Repeat("2024-02-29T12:30:05.", 40_000), was, "v: not a date or time"),
		problem("v=2024-02-29T12:30:05."+strings.Repeat("0", 1_000_000)+"Z", was, "v: not a date or time"),
		problem("v=-W", was, "v: not a date or time"),
		problem("v=24:00", was, "v: not a date or time"),
		problem("v=12:60", was, "v: not a date or time"),
		problem("v=12:30:60", was, "v: not a date or time"),
		problem("v=1:30", was, "v: not a date or time"),
		problem("v=12:30:05,5", was, "v: not a date or time"),
		problem("v=2024-02-29+12:30", was, "v: not a date or time"),
		problem("v=2024-02-29T12", was, "v: not a date or time"),
		problem("v=2024-02-29T24:00", was, "v: not a date or time"),
		problem("v=2024-02-29T12:30Z", was, "v: not a date or time"),
		problem("v=2024-02-29T12:30:05.1234567891", was, "v: not a date or time"),
		problem("v=2024-02-29T12:30:05%2B24:00", was, "v: not a date or time"),
		problem("v=0000-01-01T00:00:00%2B01:00", was, "v: not a date or time"),
		problem("v=9999-12-31T23:59:59-01:00", was, "v: not a date or time"),
		problem("v=2024-02-29&v=2024-02-29", &was, "v: sent twice"),

		problem("v=x", []byte("was"), "v: unreadable"),
		problem("v=AQI", []byte("was"), "v: unreadable"),
		problem("v=AQI=", [3]byte{1}, "v: unreadable"),

		problem("v=1&v=x&v=y", []int{7}, "v: not a whole number"),
		problem("v.0=1&v.1=x&v.2=y", []int{7}, "v.1: not a whole number", "v.2: not a whole number"),
		problem("v=1&v.0=1", []int{7}, "v: sent twice"),
		problem("v.0=1&v.0=2", []int{7}, "v.0: sent twice"),
		problem("v.0=1&v.2=2", []int{7}, "v: list with a gap"),
		problem("v.1=1", []string{"was"}, "v: list with a gap"),
		problem("v.999999999=1", []string{"was"}, "v: list with a gap"),
		problem("v.99999999999999999999999=1", []string{"was"}, "v: list with a gap"),
		problem("v.0=1&v.1=2&v.3=3&v.4=4", []string{"was"}, "v: list with a gap"),
		problem("v=1", [2]int{7, 7}, "v: wrong number of elements 2 2"),
		problem("v=1&v=2&v=3", [2]int{7, 7}, "v: wrong number of elements 2 2"),
		problem("v.2=1", [2]int{7, 7}, "v: wrong number of elements  2"),
		problem("v.0=x&v.1=3", [2]int{7, 7}, "v.0: not a whole number"),
		problem("v.0.0=1&v.0.2=1&v.1.0=x", [][]int{{7}}, "v.0: list with a gap", "v.1.0: not a whole number"),
		problem("v.0.name=a&v.2.name=c", []item{{Name: "was"}}, "v: list with a gap"),
		problem("v.0.name=a&v.1.name=b&v.1.done=x", []item{{Name: "was"}}, "v.1.done: not a boolean"),
		problem("v.x=1&v.y=z", point{7, 7}, "v.y: not a whole number"),
		problem("v.x=a&v.y=b", &point{7, 7}, "v.x: not a whole number", "v.y: not a whole number"),
		problem("v.17=x&v.18=1", map[int]int{1: 7}, "v.17: not a whole number"),
		problem("v.a=1&v.a-b=1&v.a.0=2", map[string][]int{"was": nil}, "v.a: sent twice"), // a-b sorts between them
		problem("v.next.next.v=x", chain{V: 7}, "v.next.next.v: not a whole number"),
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

// A person is told of every problem, in words.
func TestMessages(t *testing.T) {
	state := struct {
		Whole  int       `state:",public"`
		Small  uint8     `state:",public"`
		Number float64   `state:",public"`
		Amount float64   `state:",public"`
		Time   time.Time `state:",public"`
		Bool   bool      `state:",public"`
		Text   string    `state:",public"`
		Twice  string    `state:",public"`
		List   []int     `state:",public"`
		Pair   [2]int    `state:",public"`
		Days   [7]bool   `state:",public"`
	}{}
	values := parse(t, "Whole=1,000&Small=256&Number=x&Amount=3,50&Time=x&Bool=x&Text=%FF&Twice=a&Twice=b&List.1=1&Pair=1&Days.7=on")
	errs, err := form.Apply(&state, values, "Whole", "Small", "Number", "Amount", "Time", "Bool", "Text", "Twice", "List", "Pair", "Days")
	if err != nil {
		t.Fatal(err)
	}
	want := form.Errors{
		"Whole":  "Enter a whole number in digits alone, such as 1500.",
		"Small":  "Enter a number from 0 to 255.",
		"Number": "Enter a number, such as 12.50.",
		"Amount": "Enter the number without commas, and with a point before decimals, such as 1500.25.",
		"Time":   "Enter a date such as 2024-12-31, or a time such as 18:30.",
		"Bool":   "Choose yes or no.",
		"Text":   "This could not be read. Enter it again.",
		"Twice":  "Enter one value only.",
		"List":   "A part of this list is missing. Reload the page and try again.",
		"Pair":   "Enter exactly 2.",
		"Days":   "Enter no more than 7.",
	}
	for field, message := range want {
		testkit.Want(t, field, errs[field], message)
	}
	testkit.Want(t, "errors", len(errs), len(want))
}

func TestApplyMistakes(t *testing.T) {
	type pointed struct {
		A int           `state:"a.b,public"`
		B []box[int]    `state:"b,public"`
		C map[int]*dots `state:"c,public"`
		D point         `state:"d,public"`
	}
	type interfaced struct {
		V any `state:",public"`
	}
	tests := []struct {
		name   string
		state  any
		fields []string
		want   string
	}{
		{"no fields", &order{}, nil, "name the fields that the form has"},
		{"unknown", &order{}, []string{"nothing"}, `order has no public field with the saved name "nothing"; a tag such as state:"name,public" makes one`},
		{"not public", &order{}, []string{"word", "role"}, `order has no public field with the saved name "role"; a tag such as state:"name,public" makes one`},
		{"not public and not renamed", &order{}, []string{"Secret"}, `order has no public field with the saved name "Secret"; a tag such as state:"name,public" makes one`},
		{"Go name", &order{}, []string{"Word"}, `order has no public field with the saved name "Word"; a tag such as state:"name,public" makes one`},
		{"embedded", &order{}, []string{"Component"}, `order has no public field with the saved name "Component"; a tag such as state:"name,public" makes one`},
		{"below a field", &order{}, []string{"items.0.name"}, `order has no public field with the saved name "items.0.name"; a tag such as state:"name,public" makes one`},
		{"empty", &order{}, []string{""}, `order has no public field with the saved name ""; a tag such as state:"name,public" makes one`},
		{"twice", &order{}, []string{"word", "count", "word"}, `the field "word" is named twice`},
		{"a point in a name", &pointed{}, []string{"a.b"}, "pointed.a.b: a form cannot name it, since its saved name has a point; give it another in its state tag"},
		{"a point below a field", &pointed{}, []string{"d", "c"}, "pointed.c.in.x.y: a form cannot name it, since its saved name has a point; give it another in its state tag"},
		{"refused type", &interfaced{}, []string{"V"}, "interfaced.V: interface {} cannot be public: the page could choose its type; give it one"},
		{"nil", nil, []string{"word"}, "a form can be applied through a pointer to a struct, and not through <nil>"},
		{"nil pointer", (*order)(nil), []string{"word"}, "a form can be applied through a pointer to a struct, and not through a nil *form_test.order"},
		{"struct", order{}, []string{"word"}, "a form can be applied through a pointer to a struct, and not through form_test.order"},
		{"pointer to pointer", new(*order), []string{"word"}, "a form can be applied through a pointer to a struct, and not through **form_test.order"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			errs, err := form.Apply(test.state, parse(t, "word=new"), test.fields...)
			if err == nil {
				t.Fatal("accepted")
			}
			testkit.Want(t, "error", err.Error(), "pagestate: "+test.want)
			testkit.Want(t, "errors", len(errs), 0)
			status, code := pagestate.Status(err)
			testkit.Want(t, "status", fmt.Sprint(status, code), "500StateError")
			if s, ok := test.state.(*order); ok && s != nil {
				testkit.Want(t, "word", s.Word, "")
			}
		})
	}
	t.Run("other fields of such a type", func(t *testing.T) {
		var state pointed
		errs, err := form.Apply(&state, parse(t, "d.x=1"), "b", "d")
		testkit.Want(t, "errors", fmt.Sprint(errs, err), "map[] <nil>")
		testkit.Want(t, "field", state.D.X, 1)
	})
}

type dots struct {
	Up *dots `state:"up"`
	In struct {
		X int `state:"x.y"`
	} `state:"in"`
}

// The errors of a form may be kept in a state, as when it is shown again after a
// redirect.
func TestErrorsInState(t *testing.T) {
	type page struct {
		pagestate.Component
		Age    int `state:"age,public"`
		Errors form.Errors
	}
	registry := pagestate.NewRegistry()
	pagestate.Register[page](registry, "page")
	mw, err := pagestate.New(registry, pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Unbound()})
	if err != nil {
		t.Fatal(err)
	}
	p := &page{}
	if p.Errors, err = form.Apply(p, parse(t, "age=x"), "age"); err != nil {
		t.Fatal(err)
	}
	token, err := mw.Seal(pagestate.Owner{}, p)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := mw.Open(t.Context(), pagestate.Owner{}, token)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "error", opened.(*page).Errors["age"], "Enter a whole number in digits alone, such as 1500.")
}

// No method of a type is called.
type loud string

func (loud) MarshalText() ([]byte, error)  { panic("MarshalText was called") }
func (loud) String() string                { panic("String was called") }
func (*loud) UnmarshalText([]byte) error   { panic("UnmarshalText was called") }
func (*loud) UnmarshalParam(string) error  { panic("UnmarshalParam was called") }
func (*loud) Scan(any) error               { panic("Scan was called") }
func (*loud) Set(string) error             { panic("Set was called") }
func (*loud) UnmarshalForm([]string) error { panic("UnmarshalForm was called") }

func TestNoMethodsAreCalled(t *testing.T) {
	var state box[map[loud][]loud]
	errs, err := form.Apply(&state, parse(t, "v.a=b"), "v")
	testkit.Want(t, "errors", fmt.Sprint(errs, err), "map[] <nil>")
	values, err := form.Values(&state, "v")
	testkit.Want(t, "values", fmt.Sprint(values, err), "map[v.a:[b]] <nil>")
}

func TestConcurrently(t *testing.T) {
	type fresh struct {
		V []point `state:"v,public"`
	}
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			var state fresh
			errs, err := form.Apply(&state, parse(t, "v.0.x=1"), "v")
			testkit.Want(t, "errors", fmt.Sprint(errs, err), "map[] <nil>")
			values, err := form.Values(&state, "v")
			testkit.Want(t, "values", fmt.Sprint(values, err), "map[v.0.x:[1] v.0.y:[0]] <nil>")
		})
	}
}
