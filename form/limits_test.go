package form_test

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
	"github.com/pagestate/pagestate/internal/testkit"
)

// limit is what the named fields may take.
const limit = 1 << 20

func TestLimits(t *testing.T) {
	deep := func(levels int, last string) url.Values {
		return url.Values{"v." + strings.Repeat("next.", levels-2) + last: {"1"}}
	}
	type wide struct {
		A int
		B [1000]int `state:"-"`
	}
	tests := []struct {
		name   string
		state  any
		values url.Values
		want   string // "" if it is accepted
	}{
		{"a million fields", &box[[]int]{}, elements("field%d", 1_000_000), ""},
		{"too many fields inside", &box[[]int]{}, elements("v.%d", 150_000), "more than 1048576 bytes of names and values"},
		{"too many unknown fields inside", &box[[]item]{}, elements("v.0.x%d", 150_000), "more than 1048576 bytes of names and values"},
		{"a million values", &box[[]string]{}, url.Values{"v": make([]string, 1_000_000)}, "more than 1048576 bytes of names and values"},
		{"many values", &box[[]string]{}, url.Values{"v": make([]string, limit/3)}, ""},
		{"one more value", &box[[]string]{}, url.Values{"v": make([]string, limit/3+1)}, "more than 1048576 bytes of names and values"},
		{"10 MB of one field", &box[string]{}, url.Values{"v": {strings.Repeat("x", 10<<20)}}, "more than 1048576 bytes of names and values"},
		{"10 MB of a number", &box[float64]{}, url.Values{"v": {strings.Repeat("1", 10<<20)}}, "more than 1048576 bytes of names and values"},
		{"10 MB of another field", &box[string]{}, url.Values{"w": {strings.Repeat("x", 10<<20)}}, ""},
		{"10 MB of a name", &box[chain]{}, url.Values{"v" + strings.Repeat(".next", 2<<20) + ".v": {"1"}}, "more than 1048576 bytes of names and values"},
		{"10 MB of another name", &box[chain]{}, url.Values{"w" + strings.Repeat(".next", 2<<20) + ".v": {"1"}}, ""},
		{"as long as can be", &box[string]{}, url.Values{"v": {strings.Repeat("x", limit-len("v=&"))}}, ""},
		{"longer", &box[string]{}, url.Values{"v": {strings.Repeat("x", limit-len("v=&")+1)}}, "more than 1048576 bytes of names and values"},
		{"as deep as can be", &box[chain]{}, deep(64, "v"), ""},
		{"deeper", &box[chain]{}, deep(65, "v"), "nested deeper than 64 levels"},
		{"a list as deep as can be", &box[chain]{}, deep(63, "list"), ""},
		{"a list that is deeper", &box[chain]{}, deep(64, "list"), "nested deeper than 64 levels"},
		{"very deep", &box[chain]{}, deep(200_000, "v"), "nested deeper than 64 levels"},
		{"very deep, and unknown", &box[chain]{}, url.Values{"v" + strings.Repeat(".next", 150_000) + ".x": {"1"}}, ""},
		{"a large struct", &box[*[1_000_000]point]{}, url.Values{"v.0.x": {"1"}}, "it takes more memory than its size allows"},
		{"large elements", &box[[]wide]{}, elements("v.%d.A", 1000), "it takes more memory than its size allows"},
		{"pointers to large elements", &box[[]*wide]{}, elements("v.%d.A", 1000), "it takes more memory than its size allows"},
		{"large entries", &box[map[int]wide]{}, elements("v.%d.A", 1000), "it takes more memory than its size allows"},
		{"a few large elements", &box[[]wide]{}, elements("v.%d.A", 50), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			was := reflect.ValueOf(test.state).Elem().IsZero()
			errs, err := form.Apply(test.state, test.values, "v")
			if test.want == "" {
				testkit.Want(t, "errors", fmt.Sprint(errs, err), "map[] <nil>")
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "pagestate: the state is over a limit: ") || !strings.HasSuffix(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			status, code := pagestate.Status(err)
			testkit.Want(t, "status", fmt.Sprint(status, " ", code), "413 StateTooLarge")
			testkit.Want(t, "unchanged", reflect.ValueOf(test.state).Elem().IsZero(), was)
		})
	}
}

// After an error that is none of the person's, nothing was set.
func TestLimitsLeaveEverything(t *testing.T) {
	state := order{Word: "was", Count: 7}
	_, err := form.Apply(&state, url.Values{"word": {strings.Repeat("x", limit)}, "count": {"8"}}, "count", "word")
	testkit.Want(t, "is ErrTooLarge", errors.Is(err, pagestate.ErrTooLarge), true)
	testkit.Want(t, "state", state.Word+fmt.Sprint(state.Count), "was7")
}

// What Values writes as deep as can be, Apply takes.
func TestDepthRoundTrip(t *testing.T) {
	for levels, want := range map[int]bool{63: true, 64: false} {
		var state box[*chain]
		for range levels {
			state.V = &chain{V: 1, Next: state.V}
		}
		values, err := form.Values(&state, "v")
		testkit.Want(t, fmt.Sprint(levels, " levels"), err == nil, want)
		var again box[*chain]
		if err == nil {
			_, err = form.Apply(&again, values, "v")
			testkit.Want(t, "comes back", err == nil && reflect.DeepEqual(state, again), true)
		}
	}
}

// elements are as many names with a value as a pattern gives.
func elements(pattern string, count int) url.Values {
	values := make(url.Values, count)
	for i := range count {
		values.Set(fmt.Sprintf(pattern, i), "1")
	}
	return values
}

// As much as can be sent takes no more memory than its size allows.
func TestApplyMemory(t *testing.T) {
	kids := make(url.Values)
	for i := range 5000 {
		kids.Set(fmt.Sprintf("v.%d", i)+strings.Repeat(".kids.0", 25)+".name", "")
	}
	tests := []struct {
		name   string
		state  any
		values url.Values
	}{
		{"list", &box[[]int]{}, elements("v.%d", 90_000)},
		{"repeated", &box[[]string]{}, url.Values{"v": make([]string, limit/3)}},
		{"pointers", &box[[]*int]{}, url.Values{"v": slicesOf("1", limit/4)}},
		{"structs", &box[[]item]{}, elements("v.%d.name", 60_000)},
		{"trees", &box[[]tree]{}, kids},
		{"map", &box[map[int]int]{}, elements("v.%d", 90_000)},
		{"maps", &box[[]map[string]string]{}, elements("v.%d.k", 80_000)},
		{"texts", &box[[]map[string]string]{}, url.Values{"v.0.k": {strings.Repeat("\r\n", limit/2-10)}}},
		{"problems", &box[map[int]uint8]{}, func() url.Values {
			values := elements("v.%d", 80_000)
			for name := range values {
				values.Set(name, "-1")
			}
			return values
		}()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			size := 0
			for name, texts := range test.values {
				for _, text := range texts {
					size += len(name) + len(text) + 2
				}
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := form.Apply(test.state, test.values, "v"); err != nil {
				t.Error(err)
			}
			runtime.ReadMemStats(&after)
			// The documented budget, and what is needed to put the names in order.
			if used, most := after.TotalAlloc-before.TotalAlloc, uint64(4<<20+(64+60)*size); used > most {
				t.Errorf("%d bytes took %d, the most is %d", size, used, most)
			} else {
				t.Logf("%d bytes took %d", size, used)
			}
		})
	}
}
