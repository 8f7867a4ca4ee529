package pagestate_test

// What a page may see and change of a state.

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"html/template"
	"io"
	"iter"
	"math"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// publicBox has one public field.
type publicBox[T any] struct {
	V T `state:",public"`
}

type (
	publicName  string
	publicCount int8
	publicPoint struct {
		X int `state:"x"`
		Y int `state:"y,keep"`
	}
	publicTree struct {
		Name string
		Kids []publicTree
	}
	publicNode struct{ Left, Right *publicNode }

	// publicHidden has fields that are not saved.
	publicHidden struct {
		Shown  int
		Out    int `state:"-"`
		hidden int
	}

	publicForm struct {
		pagestate.Component
		Last   string `state:"z,public"`
		Secret string
		First  string   `state:"a,public,keep"`
		Tags   []string `state:"tags,public"`
		Role   string   `state:"role"`
		note   string
	}
)

func TestPublicJSON(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 59, 58, 123456700, time.UTC)
	tests := []struct {
		state any
		want  string
	}{
		{publicForm{Last: "l", Secret: "s", First: "f", Role: "admin", note: "n"}, `{"z":"l","a":"f","tags":null}`},
		{&publicForm{}, `{"z":"","a":"","tags":null}`},
		{struct{ A int }{1}, `{}`},
		{struct{}{}, `{}`},
		{counter{}, `{}`},
		{publicBox[bool]{true}, `{"V":true}`},
		{publicBox[int]{-5}, `{"V":-5}`},
		{publicBox[uint8]{255}, `{"V":255}`},
		{publicBox[int64]{math.MinInt64}, `{"V":-9223372036854775808}`},
		{publicBox[uint64]{math.MaxUint64}, `{"V":18446744073709551615}`},
		{publicBox[publicCount]{-7}, `{"V":-7}`},
		{publicBox[time.Duration]{time.Second}, `{"V":1000000000}`},
		{publicBox[time.Month]{time.May}, `{"V":5}`},
		{publicBox[float64]{0.1}, `{"V":0.1}`},
		{publicBox[float32]{0.1}, `{"V":0.1}`},
		{publicBox[float64]{1e21}, `{"V":1e+21}`},
		{publicBox[string]{"<b a=\"1\">&\u2028\u2029é\x00"}, `{"V":"\u003cb a=\"1\"\u003e\u0026\u2028\u2029é\u0000"}`},
		{publicBox[publicName]{"n"}, `{"V":"n"}`},
		{publicBox[[]byte]{[]byte{0xfb, 0xff, 0}}, `{"V":"+/8A"}`},
		{publicBox[[]byte]{[]byte{}}, `{"V":""}`},
		{publicBox[[]byte]{nil}, `{"V":null}`},
		{publicBox[json.RawMessage]{json.RawMessage(`{}`)}, `{"V":"e30="}`},
		{publicBox[[2]byte]{[2]byte{1, 2}}, `{"V":"AQI="}`},
		{publicBox[time.Time]{at}, `{"V":"2024-02-29T23:59:58.1234567Z"}`},
		{publicBox[time.Time]{at.In(time.FixedZone("x", -90*60))}, `{"V":"2024-02-29T22:29:58.1234567-01:30"}`},
		{publicBox[time.Time]{at.In(time.FixedZone("a minute and a second", 61))}, `{"V":"2024-02-29T23:59:58.1234567Z"}`},
		{publicBox[time.Time]{at.In(time.FixedZone("a day", 86400))}, `{"V":"2024-02-29T23:59:58.1234567Z"}`},
		{publicBox[time.Time]{}, `{"V":"0001-01-01T00:00:00Z"}`},
		{publicBox[[2]int]{[2]int{1, 2}}, `{"V":[1,2]}`},
		{publicBox[[]int]{[]int{}}, `{"V":[]}`},
		{publicBox[[]int]{nil}, `{"V":null}`},
		{publicBox[map[string]int]{map[string]int{"b": 1, "<": 2, "": 3}}, `{"V":{"":3,"\u003c":2,"b":1}}`},
		{publicBox[map[publicCount]bool]{map[publicCount]bool{-1: true, 10: true, 9: false}}, `{"V":{"-1":true,"10":true,"9":false}}`},
		{publicBox[map[uint64]int]{map[uint64]int{math.MaxUint64: 1}}, `{"V":{"18446744073709551615":1}}`},
		{publicBox[map[string]struct{}]{map[string]struct{}{"a": {}}}, `{"V":{"a":{}}}`},
		{publicBox[map[string]int]{nil}, `{"V":null}`},
		{publicBox[publicPoint]{publicPoint{1, 2}}, `{"V":{"x":1,"y":2}}`},
		{publicBox[*publicPoint]{&publicPoint{1, 2}}, `{"V":{"x":1,"y":2}}`},
		{publicBox[*publicPoint]{nil}, `{"V":null}`},
		{publicBox[publicHidden]{publicHidden{1, 2, 3}}, `{"V":{"Shown":1}}`},
		{publicBox[publicTree]{publicTree{"a", []publicTree{{"b", nil}}}}, `{"V":{"Name":"a","Kids":[{"Name":"b","Kids":null}]}}`},
		{struct {
			A int `state:"<a>,public"`
		}{1}, `{"\u003ca\u003e":1}`},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%T", test.state), func(t *testing.T) {
			got, err := pagestate.PublicJSON(test.state)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "JSON", string(got), test.want)
			testkit.Want(t, "is JSON", json.Valid(got), true)
		})
	}
}

func TestPublicJSONRefuses(t *testing.T) {
	cycle := &publicNode{}
	cycle.Left = cycle
	wide := &publicNode{}
	for range 40 {
		wide = &publicNode{wide, wide}
	}
	tests := []struct {
		name  string
		state any
		want  string
	}{
		{"nil", nil, "pagestate: public fields are those of a struct or of a pointer to one, and not of <nil>"},
		{"nil pointer", (*publicForm)(nil), "pagestate: public fields are those of a struct or of a pointer to one, and not of a nil *pagestate_test.publicForm"},
		{"pointer to pointer", new(*publicForm), "pagestate: public fields are those of a struct or of a pointer to one, and not of **pagestate_test.publicForm"},
		{"no struct", map[string]int{}, "pagestate: public fields are those of a struct or of a pointer to one, and not of map[string]int"},
		{"UTF-8", publicForm{Tags: []string{"", "secret\xff"}}, "pagestate: publicForm.tags[1]: a string that is not valid UTF-8"},
		{"UTF-8 in a key", publicBox[map[string]int]{map[string]int{"secret\xff": 1}}, "pagestate: publicBox[map[string]int].V[key]: it is not valid UTF-8"},
		{"prototype", publicBox[map[string]int]{map[string]int{"__proto__": 1}}, "pagestate: publicBox[map[string]int].V[key]: in a script it would set the object's prototype"},
		{"below a key", publicBox[map[string]string]{map[string]string{"secret": "\xff"}}, "pagestate: publicBox[map[string]string].V[]: a string that is not valid UTF-8"},
		{"NaN", publicBox[float64]{math.NaN()}, "pagestate: publicBox[float64].V: JSON has neither NaN nor an infinity"},
		{"infinity", publicBox[[]float32]{[]float32{float32(math.Inf(-1))}}, "pagestate: publicBox[[]float32].V[0]: JSON has neither NaN nor an infinity"},
		{"year 10000", publicBox[time.Time]{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "pagestate: publicBox[time.Time].V: a time before the year 0 or after 9999"},
		{"year -1", publicBox[time.Time]{time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}, "pagestate: publicBox[time.Time].V: a time before the year 0 or after 9999"},
		{"cycle", publicBox[*publicNode]{cycle}, "pagestate: publicBox[*github.com/pagestate/pagestate_test.publicNode].V.Left.Left.Left.Left.Left.Left.Left.Left…: over a limit: nested deeper than 64 levels, or part of a cycle"},
		{"many paths to one value", publicBox[*publicNode]{wide}, "over a limit: more than 1048576 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := pagestate.PublicJSON(test.state)
			if err == nil {
				t.Fatalf("got %s", got)
			}
			testkit.Want(t, "JSON", len(got), 0)
			if !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("got  %q\nwant %q", err, test.want)
			}
		})
	}
}

// publicAccepts is a row of TestApplyPublic.
type publicAccepts struct {
	name string
	run  func(t *testing.T)
}

// publicValue wants data to set a box from was to be.
func publicValue[T any](data string, was, be T) publicAccepts {
	return publicAccepts{fmt.Sprintf("%T %.20s", be, data), func(t *testing.T) {
		state := publicBox[T]{was}
		if err := pagestate.ApplyPublic(&state, []byte(data)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(state.V, be) {
			t.Errorf("got %#v, want %#v", state.V, be)
		}
	}}
}

func TestApplyPublic(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 59, 58, 120000000, time.UTC)
	tests := []publicAccepts{
		publicValue(`{}`, 7, 7),
		publicValue(" {\t\"V\" :\r\n 5 } ", 7, 5),
		publicValue(`{"\u0056":5}`, 7, 5),
		publicValue(`{"V":true}`, false, true),
		publicValue(`{"V":-128}`, publicCount(0), publicCount(-128)),
		publicValue(`{"V":-0}`, 7, 0),
		publicValue(`{"V":18446744073709551615}`, uint64(0), uint64(math.MaxUint64)),
		publicValue(`{"V":9007199254740993}`, int64(0), int64(9007199254740993)),
		publicValue(`{"V":1e3}`, 0.0, 1000.0),
		publicValue(`{"V":0.1}`, float32(0), float32(0.1)),
		publicValue(`{"V":60}`, time.Duration(0), time.Duration(60)),
		publicValue(`{"V":"a\u0000\ud83d\ude00\\ud800"}`, "b", "a\x00\U0001F600\\ud800"),
		publicValue(`{"V":"n"}`, publicName(""), publicName("n")),
		publicValue(`{"V":"+/8A"}`, []byte("was"), []byte{0xfb, 0xff, 0}),
		publicValue(`{"V":""}`, []byte("was"), []byte{}),
		publicValue(`{"V":null}`, []byte("was"), nil),
		publicValue(`{"V":"e30="}`, json.RawMessage(nil), json.RawMessage("{}")),
		publicValue(`{"V":"AQI="}`, [2]byte{}, [2]byte{1, 2}),
		publicValue(`{"V":"AQI="}`, [2]publicByte{}, [2]publicByte{1, 2}),
		publicValue(`{"V":"AQI="}`, []publicByte(nil), []publicByte{1, 2}),
		publicValue(`{"V":"2024-02-29T23:59:58.120Z"}`, time.Time{}, at),
		publicValue(`{"V":"2024-02-29T23:59:58.120000000+00:00"}`, time.Time{}, at),
		publicValue(`{"V":[1,2]}`, [2]int{3, 4}, [2]int{1, 2}),
		publicValue(`{"V":[]}`, [0]int{}, [0]int{}),
		publicValue(`{"V":[1,2,3]}`, []int{3}, []int{1, 2, 3}),
		publicValue(`{"V":[]}`, []int{3}, []int{}),
		publicValue(`{"V":null}`, []int{3}, nil),
		publicValue(`{"V":{"b":2,"":3}}`, map[string]int{"a": 1}, map[string]int{"b": 2, "": 3}),
		publicValue(`{"V":{"-1":true}}`, map[publicCount]bool{}, map[publicCount]bool{-1: true}),
		publicValue(`{"V":{"0":1}}`, map[uint16]int(nil), map[uint16]int{0: 1}),
		publicValue(`{"V":{"a":null}}`, map[string]*int(nil), map[string]*int{"a": nil}),
		publicValue(`{"V":{}}`, map[string]int{"a": 1}, map[string]int{}),
		publicValue(`{"V":null}`, map[string]int{"a": 1}, nil),
		publicValue(`{"V":{"y":5}}`, publicPoint{1, 2}, publicPoint{0, 5}),
		publicValue(`{"V":{"y":5}}`, &publicPoint{1, 2}, &publicPoint{0, 5}),
		publicValue(`{"V":null}`, &publicPoint{1, 2}, nil),
		publicValue(`{"V":{"Shown":1}}`, publicHidden{2, 2, 2}, publicHidden{1, 0, 0}),
		publicValue(`{"V":{"Kids":[{"Name":"b"}]}}`, publicTree{"a", nil}, publicTree{"", []publicTree{{"b", nil}}}),
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

type publicByte byte

// A time keeps its offset; where the server stands is not seen.
func TestApplyPublicTime(t *testing.T) {
	local := time.Local
	time.Local = time.FixedZone("here", 7200)
	defer func() { time.Local = local }()
	var state publicBox[time.Time]
	if err := pagestate.ApplyPublic(&state, []byte(`{"V":"2024-01-02T03:04:05.000000001+02:00"}`)); err != nil {
		t.Fatal(err)
	}
	name, offset := state.V.Zone()
	testkit.Want(t, "zone", name, "")
	testkit.Want(t, "offset", offset, 7200)
	testkit.Want(t, "time", state.V.Equal(time.Date(2024, 1, 2, 1, 4, 5, 1, time.UTC)), true)
}

// What a pointer, slice or map of the state held may be held elsewhere too.
func TestApplyPublicReplaces(t *testing.T) {
	point, list, set := &publicPoint{1, 2}, []int{1, 2}, map[string]int{"a": 1}
	state := struct {
		P *publicPoint   `state:",public"`
		L []int          `state:",public"`
		M map[string]int `state:",public"`
	}{point, list, set}
	if err := pagestate.ApplyPublic(&state, []byte(`{"P":{"x":9},"L":[9,9],"M":{"a":9}}`)); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "state", fmt.Sprint(*state.P, state.L, state.M), "{9 0} [9 9] map[a:9]")
	testkit.Want(t, "held elsewhere", fmt.Sprint(*point, list, set), "{1 2} [1 2] map[a:1]")
}

func TestApplyPublicSetsOnlyWhatIsNamed(t *testing.T) {
	state := publicForm{Last: "l", Secret: "s", First: "f", Tags: []string{"t"}, Role: "user", note: "n"}
	if err := pagestate.ApplyPublic(&state, []byte(`{"a":"new"}`)); err != nil {
		t.Fatal(err)
	}
	now := publicForm{Last: "l", Secret: "s", First: "new", Tags: []string{"t"}, Role: "user", note: "n"}
	testkit.Want(t, "state", fmt.Sprintf("%+v", state), fmt.Sprintf("%+v", now))
}

// Each of these names a field that would be good, and then one that is not.
func TestApplyPublicRefuses(t *testing.T) {
	long := strings.Repeat("é", 100)
	tests := []struct {
		name string
		data string
		want string // behind the error that it is
	}{
		{"not public", `"role":"admin"`, `publicForm: malformed data: a name that is no public field`},
		{"not public and not renamed", `"Secret":"x"`, `publicForm: malformed data: a name that is no public field`},
		{"unexported", `"note":"x"`, `publicForm: malformed data: a name that is no public field`},
		{"embedded", `"Component":{}`, `publicForm: malformed data: a name that is no public field`},
		{"Go name", `"First":"x"`, `publicForm: malformed data: a name that is no public field`},
		{"upper case", `"A":"x"`, `publicForm: malformed data: a name that is no public field`},
		{"another letter of the same case class", `"tagſ":[]`, `publicForm: malformed data: a name that is no public field`},
		{"dotted", `"tags.0":"x"`, `publicForm: malformed data: a name that is no public field`},
		{"empty", `"":"x"`, `publicForm: malformed data: a name that is no public field`},
		{"prototype", `"__proto__":{"role":"admin"}`, `publicForm: malformed data: a name that is no public field`},
		{"long", `"` + long + `":1`, `publicForm: malformed data: a name that is no public field`},
		{"line break", `"a\nb\u202e":1`, `publicForm: malformed data: a name that is no public field`},
		{"twice", `"z":"x"`, `publicForm.z: malformed data: it is there twice`},
		{"twice, escaped", `"\u007a":"x"`, `publicForm.z: malformed data: it is there twice`},

		{"null for a string", `"a":null`, `publicForm.a: malformed data: null, where a string belongs`},
		{"object for a string", `"a":{"secret":"secret"}`, `publicForm.a: malformed data: an object, where a string belongs`},
		{"number for a string", `"a":1234567`, `publicForm.a: malformed data: a number, where a string belongs`},
		{"string for an array", `"tags":"secret"`, `publicForm.tags: malformed data: a string, where an array belongs`},
		{"object for an array", `"tags":{}`, `publicForm.tags: malformed data: an object, where an array belongs`},
		{"boolean in an array", `"tags":["",true]`, `publicForm.tags[1]: malformed data: a boolean, where a string belongs`},
		{"high surrogate", `"a":"\ud800"`, `publicForm.a: malformed data: a string with half a surrogate pair`},
		{"low surrogate", `"a":"\udc00"`, `publicForm.a: malformed data: a string with half a surrogate pair`},
		{"surrogates in the wrong order", `"a":"\uDC00\uD800"`, `publicForm.a: malformed data: a string with half a surrogate pair`},
		{"high surrogate and text", `"a":"\ud800\\dc00"`, `publicForm.a: malformed data: a string with half a surrogate pair`},
		{"two low surrogates", `"a":"\udc00\udc00"`, `publicForm.a: malformed data: a string with half a surrogate pair`},
		{"two high surrogates", `"a":"\udbff\udbff"`, `publicForm.a: malformed data: a string with half a surrogate pair`},
		{"surrogate in a name", `"a\udfff":""`, `publicForm: malformed data: a string with half a surrogate pair`},
		{"UTF-8", "\"a\":\"secret\xff\"", `publicForm: malformed data: not valid UTF-8`},
		{"UTF-8 in a name", "\"a\xff\":1", `publicForm: malformed data: not valid UTF-8`},
		{"surrogate as UTF-8", "\"a\":\"\xed\xa0\x80\"", `publicForm: malformed data: not valid UTF-8`},
		{"no string", `a:1`, `publicForm: malformed data: not one JSON object`},
		{"control character", "\"a\":\"\n\"", `publicForm: malformed data: not one JSON object`},
		{"comma", `"a":"",`, `publicForm: malformed data: not one JSON object`},
		{"trailing brace", `"a":""}`, `publicForm: malformed data: not one JSON object`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			publicRefused(t, `{"z":"new",`+test.data+`}`, test.want)
		})
	}
}

func TestApplyPublicRefusesDocuments(t *testing.T) {
	const notOne = `publicForm: malformed data: not one JSON object`
	for _, data := range []string{
		``, ` `, `null`, `[]`, `[{"z":"new"}]`, `"z"`, `1`, `true`,
		`{"z":"new"`, `{"z":"new"}}`, `{"z":"new"}x`, `{"z":"new"}{"a":"b"}`, `{"z":"new"} {}`, "{\"z\":\"new\"}\x00", `{"z":"new"}//`,
		"\ufeff" + `{"z":"new"}`, `{"z":"new","a":}`, `{'z':'new'}`, `{"z":"new"/**/}`, `{"z":NaN}`, `{"z":undefined}`,
		`{"z":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
	} {
		t.Run(fmt.Sprintf("%.20q", data), func(t *testing.T) { publicRefused(t, data, notOne) })
	}
	publicRefused(t, "\xfe\xff\x00{\x00}", `publicForm: malformed data: not valid UTF-8`)
}

// publicRefused wants a publicForm to refuse data, and to be as it was.
func publicRefused(t *testing.T, data, text string) {
	t.Helper()
	fresh := func() *publicForm {
		return &publicForm{Last: "l", Secret: "s", First: "f", Tags: []string{"t"}, Role: "user", note: "n"}
	}
	state := fresh()
	err := pagestate.ApplyPublic(state, []byte(data))
	if err == nil {
		t.Fatal("accepted")
	}
	testkit.Want(t, "error", err.Error(), "pagestate: the state is not valid here: "+text)
	testkit.Want(t, "status", publicStatus(err), "400 InvalidState")
	testkit.Want(t, "unchanged", reflect.DeepEqual(state, fresh()), true)
}

func publicStatus(err error) string {
	status, code := pagestate.Status(err)
	return fmt.Sprintf("%d %s", status, code)
}

// What a client sends does not come into the log, whatever part of the JSON it is.
func TestApplyPublicLogsNothingThatWasSent(t *testing.T) {
	type page struct {
		pagestate.Component
		Text   string                    `state:",public"`
		At     time.Time                 `state:",public"`
		Count  int                       `state:",public"`
		Raw    []byte                    `state:",public"`
		Counts map[string]int            `state:",public"`
		ByID   map[int]string            `state:",public"`
		Points map[string][]*publicPoint `state:",public"`
	}
	r := pagestate.NewRegistry()
	pagestate.Register[page](r, "page")
	a := newApp(t, r, pagestate.Options{Session: pagestate.Unbound()})
	a.mux.Handle("POST /", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, p *page) error {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		return pagestate.ApplyPublic(p, sent)
	}))
	token, err := a.mw.Seal(pagestate.Owner{}, &page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{
		`{"@":1}`, `{"@":1,"@":2}`, `{"@"}`, `{"@":}`, `@`, `"@"`, `{"Text":"@"`, `{"Text":"@\ud800"}`, `{"Text":["@"]}`,
		`{"Text":"@","Text":"@"}`, `{"At":"@"}`, `{"Count":"@"}`, `{"Count":{"@":1}}`, `{"Raw":"@"}`, `{"Raw":["@"]}`,
		`{"Counts":{"@":"@"}}`, `{"Counts":{"@":1,"@":1}}`, `{"Counts":{"@":1.5}}`, `{"Counts":["@"]}`,
		`{"ByID":{"@":""}}`, `{"ByID":{"1@":""}}`,
		`{"Points":{"@":[{"@":1}]}}`, `{"Points":{"@":[{"x":"@"}]}}`, `{"Points":{"@":[{"x":1,"x":1}]}}`, `{"Points":{"@":{"@":1}}}`,
	} {
		a.log.Reset()
		req := a.browser().Request("POST", "/", strings.NewReader(strings.ReplaceAll(data, "@", private)))
		req.Header.Set("Page-State", token)
		got := a.browser().Send(req)
		testkit.Want(t, data+": status", got.StatusCode, 400)
		testkit.WantText(t, data+": the log", a.log.String(), "InvalidState")
		wantNothingSecret(t, a.log.String()+got.Body, nil)
	}
}

// publicMismatch is a row of TestApplyPublicRefusesValues.
type publicMismatch struct {
	name string
	run  func(t *testing.T)
}

// publicNo wants a public field of type T to refuse a value.
func publicNo[T any](value, text string) publicMismatch {
	typ := reflect.TypeFor[T]().String()
	return publicMismatch{fmt.Sprintf("%s %.20s", typ, value), func(t *testing.T) {
		var state publicBox[T]
		err := pagestate.ApplyPublic(&state, []byte(`{"V":`+value+`}`))
		if err == nil {
			t.Fatalf("accepted as %v", state.V)
		}
		testkit.Want(t, "is ErrInvalid", errors.Is(err, pagestate.ErrInvalid), true)
		if !strings.HasSuffix(err.Error(), "].V"+text) {
			t.Errorf("got  %q\nwant %q", err, text)
		}
		testkit.Want(t, "unchanged", reflect.ValueOf(state).IsZero(), true)
	}}
}

func TestApplyPublicRefusesValues(t *testing.T) {
	const (
		base64 = ": malformed data: a string that is not base64"
		rfc    = ": malformed data: a string that is not a time as in RFC 3339"
	)
	tests := []publicMismatch{
		publicNo[bool](`null`, ": malformed data: null, where a boolean belongs"),
		publicNo[bool](`0`, ": malformed data: a number, where a boolean belongs"),
		publicNo[bool](`"true"`, ": malformed data: a string, where a boolean belongs"),
		publicNo[int](`null`, ": malformed data: null, where a number belongs"),
		publicNo[int](`"1"`, ": malformed data: a string, where a number belongs"),
		publicNo[int](`true`, ": malformed data: a boolean, where a number belongs"),
		publicNo[int](`[1]`, ": malformed data: an array, where a number belongs"),
		publicNo[int](`1.0`, ": malformed data: a number that is no int"),
		publicNo[int](`1e2`, ": malformed data: a number that is no int"),
		publicNo[int8](`128`, ": malformed data: a number that is no int8"),
		publicNo[int8](`-129`, ": malformed data: a number that is no int8"),
		publicNo[publicCount](`128`, ": malformed data: a number that is no int8"),
		publicNo[int64](`9223372036854775808`, ": malformed data: a number that is no int64"),
		publicNo[uint](`-1`, ": malformed data: a number that is no uint"),
		publicNo[uint8](`256`, ": malformed data: a number that is no uint8"),
		publicNo[uint8](`1.5`, ": malformed data: a number that is no uint8"),
		publicNo[uint64](`18446744073709551616`, ": malformed data: a number that is no uint64"),
		publicNo[float32](`1e39`, ": malformed data: a number that is no float32"),
		publicNo[float64](`1e309`, ": malformed data: a number that is no float64"),
		publicNo[float64](`null`, ": malformed data: null, where a number belongs"),
		publicNo[time.Duration](`"1s"`, ": malformed data: a string, where a number belongs"),
		publicNo[json.Number](`1`, ": malformed data: a number, where a string belongs"),
		publicNo[[]byte](`"AQI"`, base64),
		publicNo[[]byte](`"AQJ="`, base64), // not all bits behind the last byte are zero
		publicNo[[]byte](`"AQ\nI="`, base64),
		publicNo[[]byte](`"AQI=\r\n"`, base64),
		publicNo[[]byte](`"-_8A"`, base64),
		publicNo[[]byte](`[1,2]`, ": malformed data: an array, where a string belongs"),
		publicNo[[2]byte](`"AQ=="`, ": malformed data: 1 bytes, where 2 belong"),
		publicNo[[2]byte](`"AQID"`, ": malformed data: 3 bytes, where 2 belong"),
		publicNo[[2]byte](`null`, ": malformed data: null, where a string belongs"),
		publicNo[time.Time](`null`, ": malformed data: null, where a string belongs"),
		publicNo[time.Time](`0`, ": malformed data: a number, where a string belongs"),
		publicNo[time.Time](`""`, rfc),
		publicNo[time.Time](`"2024-01-02"`, rfc),
		publicNo[time.Time](`"2024-01-02T03:04:05"`, rfc),
		publicNo[time.Time](`"2024-01-02 03:04:05Z"`, rfc),
		publicNo[time.Time](`"2024-01-02t03:04:05z"`, rfc),
		publicNo[time.Time](`"2024-01-02T3:04:05Z"`, rfc),
		publicNo[time.Time](`"2024-01-02T03:04:05,5Z"`, rfc),
		publicNo[time.Time](`"2024-01-02T03:04:05.Z"`, rfc),
		publicNo[time.Time](`"2024-01-02T03:04:05.1234567891Z"`, rfc),
		publicNo[time.Time](`"2024-01-02T03:04:05.0000000000Z"`, rfc),
		publicNo[time.Time](`"2024-01-02T03:04:05.`+strings.Repeat("0", 4096+9)+`Z"`, rfc),
		publicNo[time.Time](`"2024-01-02T03:04:05.`+strings.Repeat("0", 1e6)+`Z"`, rfc),
		publicNo[time.Time](`"2024-01-02T03:04:05+24:00"`, rfc),
		publicNo[time.Time](`"2024-01-02T03:04:05+00:60"`, rfc),
		publicNo[time.Time](`"2024-01-02T03:04:05-00:00"`, rfc),
		publicNo[time.Time](`"2024-02-30T03:04:05Z"`, rfc),
		publicNo[time.Time](`"2016-12-31T23:59:60Z"`, rfc),
		publicNo[time.Time](`"12024-01-02T03:04:05Z"`, rfc),
		publicNo[time.Time](`"`+strings.Repeat("0", 1000)+`"`, rfc),
		publicNo[[2]int](`null`, ": malformed data: null, where an array belongs"),
		publicNo[[2]int](`[1]`, ": malformed data: 1 elements, where 2 belong"),
		publicNo[[2]int](`[1,2,3]`, ": malformed data: more than 2 elements"),
		publicNo[[2]int](`[1,null]`, "[1]: malformed data: null, where a number belongs"),
		publicNo[[]int](`[1,null]`, "[1]: malformed data: null, where a number belongs"),
		publicNo[[]int](`{"0":1}`, ": malformed data: an object, where an array belongs"),
		publicNo[*int](`"1"`, ": malformed data: a string, where a number belongs"),
		publicNo[publicPoint](`null`, ": malformed data: null, where an object belongs"),
		publicNo[publicPoint](`[1,2]`, ": malformed data: an array, where an object belongs"),
		publicNo[publicPoint](`{"x":1,"X":2}`, `: malformed data: a name that is no field`),
		publicNo[publicPoint](`{"x":1,"x":2}`, `.x: malformed data: it is there twice`),
		publicNo[*publicPoint](`{"x":"1"}`, `.x: malformed data: a string, where a number belongs`),
		publicNo[publicHidden](`{"Out":1}`, `: malformed data: a name that is no field`),
		publicNo[publicHidden](`{"hidden":1}`, `: malformed data: a name that is no field`),
		publicNo[map[string]int](`[]`, ": malformed data: an array, where an object belongs"),
		publicNo[map[string]int](`{"a":1,"a":1}`, `[]: malformed data: it is there twice`),
		publicNo[map[string]int](`{"a":"secret"}`, `[]: malformed data: a string, where a number belongs`),
		publicNo[map[string]int](`{"`+strings.Repeat("k", 50)+`":null}`, `[]: malformed data: null, where a number belongs`),
		publicNo[map[string]int](`{"__proto__":1}`, `[]: malformed data: a key that cannot be used: in a script it would set the object's prototype`),
		publicNo[map[string]int](`{"\ud800":1}`, `: malformed data: a string with half a surrogate pair`),
		publicNo[map[int8]int](`{"a":1}`, `[]: malformed data: a key that is no int8`),
		publicNo[map[int8]int](`{"":1}`, `[]: malformed data: a key that is no int8`),
		publicNo[map[int8]int](`{"128":1}`, `[]: malformed data: a key that is no int8`),
		publicNo[map[int8]int](`{"01":1}`, `[]: malformed data: a key that is no int8`),
		publicNo[map[int8]int](`{"+1":1}`, `[]: malformed data: a key that is no int8`),
		publicNo[map[int8]int](`{"-0":1}`, `[]: malformed data: a key that is no int8`),
		publicNo[map[uint8]int](`{"1":1,"1":2}`, `[]: malformed data: it is there twice`),
		publicNo[map[string]publicPoint](`{"a":{"z":1}}`, `[]: malformed data: a name that is no field`),
		publicNo[[][]map[string][]publicPoint](`[[],[{"k":[{},{"x":"1"}]}]]`, `[1][0][][1].x: malformed data: a string, where a number belongs`),
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

func TestApplyPublicRefusesStates(t *testing.T) {
	const through = "pagestate: public fields can be set through a pointer to a struct, and not through "
	for _, test := range []struct {
		state any
		want  string
	}{
		{nil, through + "<nil>"},
		{publicForm{}, through + "pagestate_test.publicForm"},
		{(*publicForm)(nil), through + "a nil *pagestate_test.publicForm"},
		{new(*publicForm), through + "**pagestate_test.publicForm"},
		{new(int), through + "*int"},
		{map[string]int{}, through + "map[string]int"},
	} {
		err := pagestate.ApplyPublic(test.state, []byte(`{}`))
		if err == nil {
			t.Errorf("%T: accepted", test.state)
			continue
		}
		testkit.Want(t, "error", err.Error(), test.want)
		testkit.Want(t, "status", publicStatus(err), "500 StateError")
	}
}

func TestPublicLimits(t *testing.T) {
	const most = 1 << 20
	nested := func(levels int) (publicBox[publicTree], string) {
		state, text := publicTree{}, `{"Name":"","Kids":null}`
		for range levels {
			state = publicTree{Kids: []publicTree{state}}
			text = `{"Name":"","Kids":[` + text + `]}`
		}
		return publicBox[publicTree]{state}, `{"V":` + text + `}`
	}
	sized := func(size int) (publicBox[string], string) {
		text := strings.Repeat("x", size-len(`{"V":""}`))
		return publicBox[string]{text}, `{"V":"` + text + `"}`
	}

	t.Run("depth", func(t *testing.T) {
		state, text := nested(31) // two levels each, and those of the box and of the last
		publicFits(t, &state, text, "")
	})
	t.Run("depth+1", func(t *testing.T) {
		state, text := nested(31)
		last := &state.V
		for len(last.Kids) > 0 {
			last = &last.Kids[0]
		}
		last.Kids = []publicTree{}
		publicFits(t, &state, strings.Replace(text, "null", "[]", 1), "nested deeper than 64 levels")
	})
	t.Run("size", func(t *testing.T) {
		state, text := sized(most)
		publicFits(t, &state, text, "")
	})
	t.Run("size+1", func(t *testing.T) {
		state, text := sized(most + 1)
		publicFits(t, &state, text, "more than 1048576 bytes")
	})
	t.Run("size with spaces", func(t *testing.T) {
		var state publicBox[int]
		text := `{"V":1` + strings.Repeat(" ", most) + `}`
		err := pagestate.ApplyPublic(&state, []byte(text))
		testkit.Want(t, "is ErrTooLarge", errors.Is(err, pagestate.ErrTooLarge), true)
	})
}

// publicFits wants the JSON of state to be text, and to be taken back, or both
// to be over the limit.
func publicFits[T any](t *testing.T, state *publicBox[T], text, limit string) {
	t.Helper()
	got, err := pagestate.PublicJSON(state)
	var again publicBox[T]
	applied := pagestate.ApplyPublic(&again, []byte(text))
	if limit == "" {
		if err != nil || applied != nil {
			t.Fatalf("PublicJSON: %v, ApplyPublic: %v", err, applied)
		}
		testkit.Want(t, "JSON", string(got) == text, true)
		testkit.Want(t, "state", reflect.DeepEqual(again, *state), true)
		return
	}
	if err == nil || !strings.Contains(err.Error(), limit) {
		t.Errorf("PublicJSON: got %v", err)
	}
	if applied == nil || !strings.Contains(applied.Error(), limit) {
		t.Errorf("ApplyPublic: got %v", applied)
	}
	testkit.Want(t, "status", publicStatus(applied), "413 StateTooLarge")
	testkit.Want(t, "unchanged", reflect.ValueOf(again).IsZero(), true)
}

// Many values can be one and the same in memory.
func TestPublicJSONMemory(t *testing.T) {
	var state publicBox[[]string]
	long := strings.Repeat("x", 100_000)
	for range 1000 {
		state.V = append(state.V, long)
	}
	used := publicAllocated(func() {
		_, err := pagestate.PublicJSON(&state)
		testkit.Want(t, "refused", err != nil, true)
	})
	if used > 20<<20 {
		t.Errorf("it took %d bytes", used)
	}
}

// A few bytes of JSON can stand for a large struct.
func TestApplyPublicMemory(t *testing.T) {
	type wide struct{ A [1000]int }
	repeat := func(open, part, end string) string {
		return `{"V":` + open + strings.TrimSuffix(strings.Repeat(part+",", 500_000/len(part)), ",") + end + `}`
	}
	entries := func(value string) string {
		var b strings.Builder
		for i := range 500_000 / (len(value) + 10) {
			fmt.Fprintf(&b, `"%d":%s,`, i, value)
		}
		return `{"V":{` + strings.TrimSuffix(b.String(), ",") + `}}`
	}
	tests := []struct {
		name    string
		state   any
		data    string
		refused bool
	}{
		{"slice of structs", new(publicBox[[]wide]), repeat("[", "{}", "]"), true},
		{"slice of pointers", new(publicBox[[]*wide]), repeat("[", "{}", "]"), true},
		{"map of structs", new(publicBox[map[int]wide]), entries("{}"), true},
		{"slice of maps", new(publicBox[[]map[int8][100]byte]), repeat("[", `{"1":"`+strings.Repeat("A", 134)+`=="}`, "]"), false},
		{"slice of small maps", new(publicBox[[]map[int]string]), repeat("[", `{"1":""}`, "]"), false},
		{"map", new(publicBox[map[int]int]), entries("1"), false},
		{"slice of ints", new(publicBox[[]int]), repeat("[", "1", "]"), false},
		{"slice of strings", new(publicBox[[]string]), repeat("[", `""`, "]"), false},
		{"slice of empty slices", new(publicBox[[][]int]), repeat("[", `[]`, "]"), false},
		{"slice of empty maps", new(publicBox[[]map[string]int]), repeat("[", `{}`, "]"), false},
		{"slice of empty structs", new(publicBox[[]struct{}]), repeat("[", `{}`, "]"), false},
		{"slice of times", new(publicBox[[]time.Time]), repeat("[", `"2024-01-02T03:04:05+01:00"`, "]"), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var err error
			used := publicAllocated(func() { err = pagestate.ApplyPublic(test.state, []byte(test.data)) })
			testkit.Want(t, "refused", err != nil, test.refused)
			testkit.Want(t, "is ErrTooLarge", errors.Is(err, pagestate.ErrTooLarge), test.refused)
			if most := publicAllowance(len(test.data)); used > most {
				t.Errorf("%d bytes took %d, the most is %d", len(test.data), used, most)
			}
		})
	}
}

// publicAllowance is the documented budget, and what reading the JSON takes.
func publicAllowance(size int) uint64 { return uint64(4<<20 + (64+40)*size) }

func publicAllocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// publicLoud has every method that an encoder of another package might call.
type publicLoud string

func (publicLoud) MarshalJSON() ([]byte, error)   { panic("MarshalJSON was called") }
func (publicLoud) MarshalText() ([]byte, error)   { panic("MarshalText was called") }
func (publicLoud) MarshalBinary() ([]byte, error) { panic("MarshalBinary was called") }
func (publicLoud) String() string                 { panic("String was called") }
func (*publicLoud) UnmarshalJSON([]byte) error    { panic("UnmarshalJSON was called") }
func (*publicLoud) UnmarshalText([]byte) error    { panic("UnmarshalText was called") }
func (*publicLoud) UnmarshalBinary([]byte) error  { panic("UnmarshalBinary was called") }
func (*publicLoud) Set(string) error              { panic("Set was called") }
func (*publicLoud) Scan(any) error                { panic("Scan was called") }

type publicLoudStruct struct{ V publicLoud }

func (publicLoudStruct) MarshalJSON() ([]byte, error) { panic("MarshalJSON was called") }
func (*publicLoudStruct) UnmarshalJSON([]byte) error  { panic("UnmarshalJSON was called") }

func TestPublicCallsNoMethods(t *testing.T) {
	type everywhere struct {
		A publicLoud
		B *publicLoud
		C []publicLoud
		D map[publicLoud]publicLoud
		E [1]publicLoud
		F publicLoudStruct
		G []publicLoudStruct
		H map[string]*publicLoudStruct
	}
	const text = `{"V":{"A":"a","B":"b","C":["c"],"D":{"d":"d"},"E":["e"],"F":{"V":"f"},"G":[{"V":"g"}],"H":{"h":{"V":"h"}}}}`
	var state publicBox[everywhere]
	if err := pagestate.ApplyPublic(&state, []byte(text)); err != nil {
		t.Fatal(err)
	}
	got, err := pagestate.PublicJSON(&state)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "JSON", string(got), text)
}

type (
	publicMoney   struct{ Cents int64 }
	publicCents   int64
	publicInner   struct{ Markup template.HTML }
	publicMiddle  struct{ Parts []map[string]*publicInner }
	publicEmbeds  struct{ publicPoint }
	publicTwice   struct{ A, B template.HTML }
	publicAround  struct{ Inner publicComponent }
	publicPointer *publicPointer
	publicBadName struct {
		P int `state:"__proto__"`
	}
	publicBadText struct {
		P int `state:"\xff"`
	}
	publicComponent struct {
		pagestate.Component
		N int
	}
)

// publicFault is a type that no public field may have.
type publicFault struct {
	register func(*pagestate.Registry)
	state    any
	want     []string // behind the name of the type
}

func publicBad[T any](faults ...string) publicFault {
	var want []string
	for _, fault := range faults {
		want = append(want, ".V"+fault)
	}
	return publicBadState[publicBox[T]](want...)
}

func publicBadState[T any](faults ...string) publicFault {
	return publicFault{
		register: func(r *pagestate.Registry) { pagestate.Register[T](r, "state") },
		state:    new(T),
		want:     faults,
	}
}

const (
	publicTrusted  = " cannot be public: the page could write what html/template trusts; make it a string"
	publicFormless = " cannot be public: it has no form in JSON; give the page a string or a number"
	publicNoForm   = " cannot be public: it has no form in JSON"
	publicForeign  = " cannot be public: it has unexported fields of another package; give the page a type of your own"
	publicLost     = ` cannot be public: it has fields, and none of them would be there; export them, or leave it out with state:"-"`
	publicOpen     = " cannot be public: the page could choose its type; give it one"
	publicNoKey    = " cannot be public: its keys are neither strings nor whole numbers"
	publicEmbedded = ": an embedded field cannot be public; give it a name"
	publicCustom   = " cannot be public: the page could write what its codec reads; give it a string or a number"
	publicRow      = " cannot be public: the page could choose the row; give it what it may see of it"
	publicNamed    = " cannot be public: the page could choose what is run or rendered"
)

// The faults that New finds are those that PublicJSON and ApplyPublic refuse in
// a type that nobody registered.
func TestPublicFaults(t *testing.T) {
	type embeds struct {
		publicPoint `state:",public"`
	}
	type embedsComponent struct {
		pagestate.Component `state:",public"`
	}
	type badName struct {
		A int `state:"__proto__,public"`
	}
	type private struct {
		_ int `state:",public"`
	}
	type unknown struct {
		A int `state:",public,redonly"`
	}
	type sameName struct {
		A int `state:"x,public"`
		B int `state:"x"`
	}
	for _, test := range []publicFault{
		publicBad[template.HTML](": template.HTML" + publicTrusted),
		publicBad[template.HTMLAttr](": template.HTMLAttr" + publicTrusted),
		publicBad[template.CSS](": template.CSS" + publicTrusted),
		publicBad[template.JS](": template.JS" + publicTrusted),
		publicBad[template.JSStr](": template.JSStr" + publicTrusted),
		publicBad[template.URL](": template.URL" + publicTrusted),
		publicBad[template.Srcset](": template.Srcset" + publicTrusted),
		publicBad[*template.HTML](": template.HTML" + publicTrusted),
		publicBad[[]template.HTML]("[]: template.HTML" + publicTrusted),
		publicBad[[2]template.HTML]("[]: template.HTML" + publicTrusted),
		publicBad[map[string]template.HTML]("[]: template.HTML" + publicTrusted),
		publicBad[map[template.HTML]int]("[key]: template.HTML" + publicTrusted),
		publicBad[publicMiddle](".Parts[][].Markup: template.HTML" + publicTrusted),
		publicBad[any](": interface {}" + publicOpen),
		publicBad[[]any]("[]: interface {}" + publicOpen),
		publicBad[fmt.Stringer](": fmt.Stringer" + publicOpen),
		publicBad[complex64](": complex64" + publicNoForm),
		publicBad[complex128](": complex128" + publicNoForm),
		publicBad[chan int](": chan int" + publicNoForm),
		publicBad[func()](": func()" + publicNoForm),
		publicBad[uintptr](": uintptr" + publicNoForm),
		publicBad[unsafe.Pointer](": unsafe.Pointer" + publicNoForm),
		publicBad[big.Int](": big.Int" + publicFormless),
		publicBad[*big.Int](": big.Int" + publicFormless),
		publicBad[big.Rat](": big.Rat" + publicFormless),
		publicBad[big.Float](": big.Float" + publicFormless),
		publicBad[netip.Addr](": netip.Addr" + publicFormless),
		publicBad[netip.AddrPort](": netip.AddrPort" + publicFormless),
		publicBad[netip.Prefix](": netip.Prefix" + publicFormless),
		publicBad[url.URL](": url.URL" + publicFormless),
		publicBad[os.File](": os.File" + publicForeign),
		publicBad[regexp.Regexp](": regexp.Regexp" + publicForeign),
		publicBad[pagestate.Component](": pagestate.Component" + publicForeign),
		publicBad[pagestate.Query[int, string]](": pagestate.Query[int,string]" + publicForeign),
		publicBad[money](": pagestate_test.money" + publicLost),
		publicBad[[]*texted]("[]: pagestate_test.texted" + publicLost),
		publicBad[map[string]priced]("[].Price: pagestate_test.money" + publicLost),
		publicBad[**int](": **int cannot be public: null could mean either pointer; use one"),
		publicBad[publicPointer](": pagestate_test.publicPointer cannot be public: null could mean either pointer; use one"),
		publicBad[map[bool]int](": map[bool]int" + publicNoKey),
		publicBad[map[float64]int](": map[float64]int" + publicNoKey),
		publicBad[map[publicPoint]int](": map[pagestate_test.publicPoint]int" + publicNoKey),
		publicBad[map[[2]byte]int](": map[[2]uint8]int" + publicNoKey),
		publicBad[publicEmbeds](".publicPoint" + publicEmbedded),
		publicBad[publicAround](".Inner.Component" + publicEmbedded),
		publicBad[publicBadName](`.P: its saved name "__proto__" cannot be public: in a script it would set the object's prototype`),
		publicBad[publicBadText](`.P: its saved name "\xff" cannot be public: it is not valid UTF-8`),
		publicBadState[embeds](".publicPoint" + publicEmbedded),
		publicBadState[embedsComponent](".Component" + publicEmbedded),
		publicBadState[badName](`.A: its saved name "__proto__" cannot be public: in a script it would set the object's prototype`),
		publicBadState[private]("._: an unexported field cannot be saved; export it, or remove its state tag"),
		publicBadState[unknown](`.A: its state tag has the unknown option "redonly"; there are optional, public and keep`),
		publicBadState[sameName](`.B: its saved name "x" is that of A too; give one of them another in its state tag`),
	} {
		typ := reflect.TypeOf(test.state).Elem()
		t.Run(typ.String(), func(t *testing.T) {
			fault := "pagestate: " + typ.Name() + test.want[0]
			testkit.Want(t, "New", publicNew(test.register), fault)
			_, err := pagestate.PublicJSON(test.state)
			testkit.Want(t, "PublicJSON", fmt.Sprint(err), fault)
			err = pagestate.ApplyPublic(test.state, []byte(`{}`))
			testkit.Want(t, "ApplyPublic", fmt.Sprint(err), fault)
			testkit.Want(t, "is ErrInvalid", errors.Is(err, pagestate.ErrInvalid), false)
		})
	}
}

// publicNew returns the faults of what register registers.
func publicNew(register func(*pagestate.Registry)) string {
	r := pagestate.NewRegistry()
	register(r)
	_, err := pagestate.New(r, pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Unbound()})
	return fmt.Sprint(err)
}

// Which types have a codec only New can know.
func TestPublicFaultsOfCodecs(t *testing.T) {
	type state struct {
		A publicMoney             `state:",public"`
		B []*publicMoney          `state:",public"`
		C map[publicCents]int     `state:",public"`
		D []publicCents           `state:",public"`
		E struct{ F publicMoney } `state:",public"`
		G publicMoney
		H [2]publicByte `state:",public"`
	}
	got := publicNew(func(r *pagestate.Registry) {
		pagestate.Register[state](r, "state")
		pagestate.RegisterCodec(r, "money", publicCodec[publicMoney]())
		pagestate.RegisterCodec(r, "cents", publicCodec[publicCents]())
		pagestate.RegisterCodec(r, "byte", publicCodec[publicByte]())
	})
	testkit.Want(t, "New", got, strings.Join([]string{
		"pagestate: state.A: pagestate_test.publicMoney" + publicCustom,
		"pagestate: state.B[]: pagestate_test.publicMoney" + publicCustom,
		"pagestate: state.C[key]: pagestate_test.publicCents" + publicCustom,
		"pagestate: state.D[]: pagestate_test.publicCents" + publicCustom,
		"pagestate: state.E.F: pagestate_test.publicMoney" + publicCustom,
		"pagestate: state.H[]: pagestate_test.publicByte" + publicCustom,
	}, "\n"))
}

type publicRowType struct{ ID int }

// Nor can anything else know which types are models.
func TestPublicFaultsOfReferences(t *testing.T) {
	type query = pagestate.Query[int, string]
	type state struct {
		Row    publicRowType                   `state:",public"`
		Rows   []*publicRowType                `state:",public"`
		Deep   map[string][]publicRowType      `state:",public,optional"`
		Query  query                           `state:",public"`
		Block  *pagestate.Block                `state:",public"`
		Inside struct{ Block pagestate.Block } `state:",public"`
		Free   *publicRowType
	}
	got := publicNew(func(r *pagestate.Registry) {
		pagestate.Register[state](r, "state")
		pagestate.RegisterBlocks(r, "blocks", template.New(""))
		pagestate.RegisterQuery(r, "query", func(context.Context, int) iter.Seq2[string, error] { return nil })
		pagestate.RegisterModel(r, "row", pagestate.Model[int, publicRowType]{
			Key:   func(row *publicRowType) int { return row.ID },
			Fetch: func(context.Context, []int) ([]*publicRowType, error) { return nil, nil },
		})
	})
	testkit.Want(t, "New", got, strings.Join([]string{
		"pagestate: state.Row: pagestate_test.publicRowType" + publicRow,
		"pagestate: state.Rows[]: pagestate_test.publicRowType" + publicRow,
		"pagestate: state.Deep[][]: pagestate_test.publicRowType" + publicRow,
		"pagestate: state.Query: pagestate.Query[int,string]" + publicNamed,
		"pagestate: state.Block: pagestate.Block" + publicNamed,
		"pagestate: state.Inside.Block: pagestate.Block" + publicNamed,
	}, "\n"))

	for _, state := range []any{new(publicBox[query]), new(publicBox[pagestate.Block])} {
		_, err := pagestate.PublicJSON(state)
		testkit.Want(t, "PublicJSON", strings.HasSuffix(fmt.Sprint(err), publicForeign), true)
		err = pagestate.ApplyPublic(state, []byte("{}"))
		testkit.Want(t, "ApplyPublic", strings.HasSuffix(fmt.Sprint(err), publicForeign), true)
	}
}

func publicCodec[T any]() pagestate.Codec[T] {
	return pagestate.Codec[T]{
		Encode: func(T) ([]byte, error) { return nil, nil },
		Decode: func([]byte) (v T, err error) { return v, nil },
	}
}

// A fault of one field is told for each of them, and wherever the struct stands.
func TestPublicFaultsAreAllTold(t *testing.T) {
	type inner struct {
		Markup template.HTML `state:",public"`
	}
	type state struct {
		A, B  template.HTML `state:",public"`
		Inner inner
		Plain template.HTML
		Twice publicTwice `state:",public"`
	}
	got := publicNew(func(r *pagestate.Registry) { pagestate.Register[state](r, "state") })
	// A and B share a tag, and so a saved name: they have none of their own.
	testkit.Want(t, "New", got, strings.Join([]string{
		"pagestate: state.A: template.HTML" + publicTrusted,
		"pagestate: state.B: template.HTML" + publicTrusted,
		"pagestate: state.Inner.Markup: template.HTML" + publicTrusted,
		"pagestate: state.Twice.A: template.HTML" + publicTrusted,
	}, "\n"))
}

// What New accepts, the other two do too.
func TestPublicFieldsOfRegisteredTypes(t *testing.T) {
	type state struct {
		pagestate.Component
		Form   publicForm             `state:"-"`
		Hidden publicHidden           `state:",public"`
		Tree   []publicTree           `state:",public"`
		Named  map[string]publicPoint `state:"named,public,optional"`
	}
	testkit.Want(t, "New", publicNew(func(r *pagestate.Registry) {
		pagestate.Register[state](r, "state")
		pagestate.Register[publicPoint](r, "point")
	}), "<nil>")
	got, err := pagestate.PublicJSON(state{})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "JSON", string(got), `{"Hidden":{"Shown":0},"Tree":null,"named":null}`)
}

// Whatever a field holds, a page reads it as it is, and nothing of it as markup.
func TestPublicJSONInPages(t *testing.T) {
	page := template.Must(template.New("").Parse(
		`<script>const a = {{.Script}};</script><script type="application/json">{{.Script}}</script>` +
			`<p data-public="{{.Text}}" x-data='{{.Text}}' data-bare={{.Text}} onclick="f({{.Script}})">`))
	parts := regexp.MustCompile(`(?s)^<script>const a = (.*?);</script><script type="application/json">(.*?)</script>` +
		`<p data-public="(.*?)" x-data='(.*?)' data-bare=(\S*) onclick="f\((.*?)\)">$`)
	for _, text := range []string{
		`plain`, `</script><script>alert(1)</script>`, `<!--<script>`, `]]>`, `"' onclick=alert(1) x='`, "`${alert(1)}`", `{{.}}`,
		`&quot;&#34;&lt;`, `\`, `\u003c`, "\u2028\u2029", "a\x00b\tc\r\nd", "é😀\u202e", ` > `,
	} {
		state := publicForm{Last: text, Tags: []string{text}}
		b, err := pagestate.PublicJSON(&state)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := page.Execute(&out, map[string]any{"Script": template.JS(b), "Text": string(b)}); err != nil {
			t.Fatal(err)
		}
		found := parts.FindStringSubmatch(out.String())
		if found == nil {
			t.Errorf("%q: it broke out of its place: %s", text, out.String())
			continue
		}
		for i, part := range found[1:] {
			if i < 2 {
				testkit.Want(t, "script", strings.ContainsAny(part, "<>&\u2028\u2029"), false)
			} else {
				part = html.UnescapeString(part)
			}
			var again publicForm
			if err := pagestate.ApplyPublic(&again, []byte(part)); err != nil {
				t.Errorf("%q in place %d: %v", text, i, err)
			}
			testkit.Want(t, "text", again.Last, text)
			testkit.Want(t, "element", again.Tags[0], text)
		}
	}
}

// A script posts what its user changed; the rest of the state is out of reach.
func TestPublicFieldsOverHTTP(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[publicForm](r, "form")
	a := newApp(t, r, pagestate.Options{})
	a.mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		form := &publicForm{Last: "last", Role: "user"}
		if err := pagestate.Attach(r.Context(), form); err != nil {
			t.Error(err)
		}
		field, err := form.StateField()
		if err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, field)
	})
	a.mux.Handle("PATCH /", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, form *publicForm) error {
		body := new(bytes.Buffer)
		if _, err := body.ReadFrom(r.Body); err != nil {
			return err
		}
		if err := pagestate.ApplyPublic(form, body.Bytes()); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "%s %s %s", form.First, form.Last, form.Role)
		return err
	}))

	b := a.browser()
	token := b.Get("/").Field()
	for _, test := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"a":"first"}`, 200, "first last user"},
		{`{"z":"changed","role":"admin"}`, 400, `"code":"InvalidState"`},
		{`{"z":"` + strings.Repeat("x", 1<<20) + `"}`, 413, `"code":"StateTooLarge"`},
		{`{"tags":["x"]}`, 200, "first last user"},
	} {
		req := b.Request("PATCH", "/", strings.NewReader(test.body))
		req.Header.Set("Page-State", token)
		res := b.Send(req)
		testkit.Want(t, "status", res.StatusCode, test.status)
		testkit.Want(t, "body", strings.Contains(res.Body, test.want), true)
		if res.Token() != "" {
			token = res.Token()
		}
	}
}

func TestPublicConcurrently(t *testing.T) {
	shared := &publicForm{First: "f"}
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 100 {
				b, err := pagestate.PublicJSON(shared)
				if err != nil {
					t.Fatal(err)
				}
				if err := pagestate.ApplyPublic(new(publicForm), b); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// publicSum is an array of bytes, which encoding/json writes as numbers unless
// it is told otherwise; the package is not told, and must not ask.
type publicSum [4]byte

func (s publicSum) MarshalJSON() ([]byte, error) { return json.Marshal(s[:]) }

func (s *publicSum) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	sum, err := base64.StdEncoding.DecodeString(text)
	copy(s[:], sum)
	return err
}

// publicRich has everything that a public field may hold, and is written by
// encoding/json as by PublicJSON.
type publicRich struct {
	Private string               `state:"private" json:"-"`
	Bool    bool                 `state:"bool,public" json:"bool"`
	Int     int                  `state:"int,public" json:"int"`
	Small   publicCount          `state:"small,public" json:"small"`
	Uint    uint64               `state:"uint,public" json:"uint"`
	Float   float64              `state:"float,public" json:"float"`
	Single  float32              `state:"single,public" json:"single"`
	Text    publicName           `state:"text,public" json:"text"`
	Bytes   []byte               `state:"bytes,public" json:"bytes"`
	Sum     publicSum            `state:"sum,public" json:"sum"`
	Time    time.Time            `state:"time,public" json:"time"`
	For     time.Duration        `state:"for,public" json:"for"`
	List    []string             `state:"list,public" json:"list"`
	Pair    [2]int8              `state:"pair,public" json:"pair"`
	Words   map[publicName][]int `state:"words,public" json:"words"`
	Numbers map[int16]*string    `state:"numbers,public" json:"numbers"`
	Nested  publicRichNested     `state:"nested,public" json:"nested"`
	Empty   []struct{}           `state:"empty,public" json:"empty"`
}

type publicRichNested struct {
	Name string              `state:"name" json:"name"`
	Out  int                 `state:"-" json:"-"`
	Next *publicRichNested   `state:"next" json:"next"`
	All  []publicRichNested  `state:"all" json:"all"`
	Map  map[string]struct{} `state:"map" json:"map"`
	When *time.Time          `state:"when" json:"when"`
}

func newPublicRich() *publicRich {
	text, at := "s", time.Date(2024, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	return &publicRich{
		Private: "private", Bool: true, Int: 1, Small: 2, Uint: 3, Float: 4.5, Single: 5.5, Text: "t", Bytes: []byte("b"),
		Sum: publicSum{1, 2, 3, 4}, Time: at, For: time.Second, List: []string{"l"}, Pair: [2]int8{6, 7},
		Words: map[publicName][]int{"w": {8}}, Numbers: map[int16]*string{9: &text, 10: nil},
		Nested: publicRichNested{Name: "n", Out: 11, Next: &publicRichNested{Out: 12}, Map: map[string]struct{}{"m": {}}, When: &at},
		Empty:  []struct{}{{}},
	}
}

// Whatever the data: no panic, bounded memory, and a state that is as it was or
// that has just what encoding/json reads from the data, and nothing private.
func FuzzApplyPublic(f *testing.F) {
	all, err := pagestate.PublicJSON(newPublicRich())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(all)
	for _, seed := range []string{
		`{}`, `{"bool":false,"int":-9,"float":1e300}`, `{"text":"\ud83d\ude00"}`, `{"bytes":null,"sum":"AAAAAA=="}`,
		`{"time":"2024-02-29T23:59:58.1+01:30"}`, `{"numbers":{"-1":"x","7":null}}`, `{"pair":[1,-1]}`, `{"empty":[{},{}]}`,
		`{"nested":{"next":{"next":null},"all":[{"name":"<&>"},{}],"map":{"a":{}},"when":"0000-01-01T00:00:00Z"}}`,
		`{"private":"x"}`, `{"int":1,"int":2}`, `{"int":1}x`, `{"words":{"__proto__":[]}}`, `{"text":"\udc00"}`, `{"list":["",null]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		state := newPublicRich()
		var err error
		used := publicAllocated(func() { err = pagestate.ApplyPublic(state, data) })
		if most := publicAllowance(len(data)); used > most {
			t.Errorf("%d bytes took %d, the most is %d", len(data), used, most)
		}
		if err != nil {
			testkit.Want(t, "an error of the page", errors.Is(err, pagestate.ErrInvalid) || errors.Is(err, pagestate.ErrTooLarge), true)
			testkit.Want(t, "unchanged", reflect.DeepEqual(state, newPublicRich()), true)
			return
		}
		publicMatches(t, state, data)
	})
}

// publicMatches wants state to be a new publicRich to which data was applied.
func publicMatches(t *testing.T, state *publicRich, data []byte) {
	var named map[string]json.RawMessage
	if err := json.Unmarshal(data, &named); err != nil {
		t.Fatalf("accepted %q: %v", data, err)
	}
	var read publicRich
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatalf("accepted %q: %v", data, err)
	}
	expected := newPublicRich()
	from, to := reflect.ValueOf(read), reflect.ValueOf(expected).Elem()
	for i := range to.NumField() {
		if _, ok := named[to.Type().Field(i).Tag.Get("json")]; ok {
			to.Field(i).Set(from.Field(i))
		}
	}
	wanted, err := json.Marshal(expected)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pagestate.PublicJSON(state)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, wanted) {
		t.Errorf("got  %s\nwant %s", got, wanted)
	}
	testkit.Want(t, "private field", state.Private, "private")
}
