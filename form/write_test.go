package form_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
	"github.com/pagestate/pagestate/internal/testkit"
)

// written is a row of TestValues.
type written struct {
	name string
	run  func(*testing.T)
}

// query wants a box with v to be a query, and to come back from it.
func query[T any](v T, want string) written { return queryOf(v, want, v) }

// queryOf wants a box with v to be a query, and to come back as another.
func queryOf[T any](v T, want string, back T) written {
	return written{fmt.Sprintf("%T %s", v, want), func(t *testing.T) {
		values, err := form.Values(&box[T]{v}, "v")
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "query", values.Encode(), want)
		var again box[T]
		errs, err := form.Apply(&again, values, "v")
		if err != nil || len(errs) > 0 {
			t.Fatal(errs, err)
		}
		if !reflect.DeepEqual(again.V, back) {
			t.Errorf("came back as %#v, want %#v", again.V, back)
		}
	}}
}

func TestValues(t *testing.T) {
	at := time.Date(2024, 2, 29, 12, 30, 5, 250_000_000, time.UTC)
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	tests := []written{
		query("a b&c=é", "v=a+b%26c%3D%C3%A9"),
		query("a\nb", "v=a%0Ab"),
		queryOf("a\r\nb\rc", "v=a%0D%0Ab%0Dc", "a\nb\nc"),
		query("", ""),
		query(name("n"), "v=n"),
		query((*string)(nil), ""),
		query(new("x"), "v=x"),
		queryOf(new(""), "v=", nil),
		query(true, "v=true"),
		query(false, ""),
		query(new(false), "v=false"),
		query(0, ""),
		query(new(0), "v=0"),
		query((*int)(nil), ""),
		query(small(-128), "v=-128"),
		query(uint64(math.MaxUint64), "v=18446744073709551615"),
		query(3.5, "v=3.5"),
		query(1e21, "v=1000000000000000000000"),
		query(float32(0.1), "v=0.1"),
		query(math.SmallestNonzeroFloat64, "v=0."+strings.Repeat("0", 323)+"5"),
		query(math.MaxFloat64, "v=17976931348623157"+strings.Repeat("0", 292)),
		query(at, "v=2024-02-29T12%3A30%3A05.25Z"),
		queryOf(at.In(time.FixedZone("", 5400)), "v=2024-02-29T12%3A30%3A05.25Z", at),
		query(day, "v=2024-02-29"),
		query(time.Time{}, ""),
		query(&time.Time{}, "v=00%3A00%3A00"),
		query(time.Date(1, 1, 1, 12, 30, 0, 0, time.UTC), "v=12%3A30%3A00"),
		query(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), "v=0000-01-01"),
		query([]byte{0xfb, 0xff, 0}, "v=%2B%2F8A"),
		queryOf([]byte{}, "v=", nil),
		query([]byte(nil), ""),
		query([2]byte{1, 2}, "v=AQI%3D"),

		query([]string{"b", "", "a"}, "v=b&v=&v=a"),
		query([]string(nil), ""),
		queryOf([]string{}, "", nil),
		query([]int{0}, "v=0"),
		query([]*int{nil, new(0)}, "v=&v=0"),
		query([]time.Time{{}, day}, "v=00%3A00%3A00&v=2024-02-29"),
		query(&[]int{1}, "v=1"),
		query([2]int{0, 2}, "v=0&v=2"),
		query([2]int{}, ""),
		query([][]string{{"a"}, {"b", "c"}}, "v.0=a&v.1=b&v.1=c"),
		query([2][]int{1: {1}}, "v.1=1"),
		query([]item{{}, {Name: "b", Done: true}}, "v.0.done=false&v.0.name=&v.1.done=true&v.1.name=b"),
		queryOf([]item{{Name: "a", Price: 900}}, "v.0.done=false&v.0.name=a", []item{{Name: "a"}}),
		query([]tree{{"a", []tree{{"b", nil}}}}, "v.0.kids.0.name=b&v.0.name=a"),

		query(point{0, 5}, "v.y=5"),
		query(point{}, ""),
		query(&point{}, "v.x=0&v.y=0"),
		query((*point)(nil), ""),
		query(chain{V: 1, Next: &chain{Next: &chain{V: 3}}}, "v.next.next.v=3&v.next.v=0&v.v=1"),
		query([2]point{1: {0, 5}}, "v.1.y=5"),

		query(map[string]int{"b": 0, "": 3, "é&": 1}, "v.=3&v.b=0&v.%C3%A9%26=1"),
		query(map[small]bool{-1: true, 2: false}, "v.-1=true&v.2=false"),
		query(map[string][]int{"a": {1, 2}}, "v.a=1&v.a=2"),
		query(map[int]*int{17: nil}, "v.17="),
		queryOf(map[string]int{}, "", nil),
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

// A link that was shared is the same list, and gives away nothing else.
func TestValuesOfSomeFields(t *testing.T) {
	state := order{Word: "tea", Count: 3, Open: true, Items: []item{{Name: "pot"}}, Secret: "s", Role: "admin"}
	values, err := form.Values(state, "open", "word")
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "query", values.Encode(), "open=true&word=tea")
}

func TestValuesRefuses(t *testing.T) {
	cycle := &chain{V: 1}
	cycle.Next = cycle
	type wide struct{ L, R *wide }
	shared := &wide{}
	for range 40 {
		shared = &wide{shared, shared}
	}
	tests := []struct {
		name  string
		state any
		want  string
	}{
		{"UTF-8", box[[]string]{[]string{"", "secret\xff"}}, "box[[]string].v[1]: a string that is not valid UTF-8"},
		{"NaN", box[float64]{math.NaN()}, "box[float64].v: a form has neither NaN nor an infinity"},
		{"infinity", box[*float32]{new(float32(math.Inf(-1)))}, "box[*float32].v: a form has neither NaN nor an infinity"},
		{"year 10000", box[time.Time]{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "box[time.Time].v: a time before the year 0 or after 9999"},
		{"year -1 in UTC", box[time.Time]{time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))}, "box[time.Time].v: a time before the year 0 or after 9999"},
		{"empty element", box[[][]int]{[][]int{{1}, {}}}, "box[[][]int].v[1]: it holds nothing that a form could send, and would be missing"},
		{"empty entry", box[map[string][]int]{map[string][]int{"secret": nil}}, "box[map[string][]int].v[]: it holds nothing that a form could send, and would be missing"},
		{"pointer to nothing", box[*[]int]{new([]int)}, "box[*[]int].v: it holds nothing that a form could send, and would be missing"},
		{"a point in a key", box[map[string]int]{map[string]int{"secret.x": 1}}, "box[map[string]int].v[key]: a form cannot name it"},
		{"prototype as a key", box[map[string]int]{map[string]int{"__proto__": 1}}, "box[map[string]int].v[key]: a form cannot name it"},
		{"UTF-8 in a key", box[map[string]int]{map[string]int{"secret\xff": 1}}, "box[map[string]int].v[key]: a form cannot name it"},
		{"below a field", box[struct{ P []point }]{}, ""},
		{"cycle", box[*chain]{cycle}, ".v.next.next.next.next.next.next.next.next.next.…: over a limit: nested deeper than 64 levels"},
		{"many paths to nothing", box[*wide]{shared}, "it holds nothing that a form could send, and would be missing"},
		{"long", box[[]string]{slicesOf(strings.Repeat("x", 100_000), 1000)}, "box[[]string].v[10]: over a limit: more than 1048576 bytes of names and values"},
		{"no struct", map[string]int{}, "a form is made of a struct or of a pointer to one, and not of map[string]int"},
		{"nil", nil, "a form is made of a struct or of a pointer to one, and not of <nil>"},
		{"nil pointer", (*order)(nil), "a form is made of a struct or of a pointer to one, and not of a nil *form_test.order"},
		{"unknown field", order{}, `order has no public field with the saved name "v"; a tag such as state:"name,public" makes one`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			values, err := form.Values(test.state, "v")
			if test.want == "" {
				testkit.Want(t, "values", fmt.Sprint(values, err), "map[] <nil>")
				return
			}
			if err == nil {
				t.Fatalf("got %.100v", values)
			}
			if !strings.HasPrefix(err.Error(), "pagestate: ") || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("got  %q\nwant %q", err, test.want)
			}
			testkit.Want(t, "is ErrTooLarge", errors.Is(err, pagestate.ErrTooLarge), strings.Contains(test.want, "over a limit"))
		})
	}
}

func slicesOf[T any](v T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = v
	}
	return all
}
