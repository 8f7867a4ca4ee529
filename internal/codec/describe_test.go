package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/pagestate/pagestate/internal/wire"
)

// What data says of itself, and that it says it whatever it is.

func TestDescribe(t *testing.T) {
	tests := []struct {
		value any // of a type that is registered as "root"
		want  string
	}{
		{box[bool]{true}, "V=true"},
		{box[int]{-70000}, "V=-70000"},
		{box[uint64]{1 << 63}, "V=9223372036854775808"},
		{box[float32]{1.5}, "V=1.5"},
		{box[complex128]{1 - 2i}, "V=(1-2i)"},
		{box[string]{"a \"b\"\n\x1b[31m\u202e\x9bé\xff"}, `V="a \"b\"\n\x1b[31m\u202e\x9bé\xff"`},
		{box[[]byte]{[]byte(`{"a":1}`)}, `V="{\"a\":1}"`},
		{box[[]byte]{[]byte("a\x00")}, "V=0x6100"},
		{box[[]byte]{}, "V=nil"},
		{box[[]byte]{[]byte("\xff")}, "V=0xff"},
		{box[[2]byte]{[2]byte{1, 2}}, "V=0x0102"},
		{box[[]int]{[]int{1, -1}}, "V=[1, -1]"},
		{box[[]int]{}, "V=nil"},
		{box[[2]bool]{[2]bool{true}}, "V=[true, false]"},
		{box[map[string]int]{map[string]int{"a": 1, "b": 2}}, `V={"a": 1, "b": 2}`},
		{box[*int]{new(3)}, "V=3"},
		{box[**int]{new((*int)(nil))}, "V=&nil"},
		{box[point]{point{1, 2}}, "V={X: 1, Y: 2}"},
		{box[tree]{tree{nil, {}, {{}}}}, "V=[nil, [], [[]]]"},
		{box[time.Time]{time.Unix(1e9, 5).UTC()}, "V=2001-09-09T01:46:40.000000005Z"},
		{box[time.Duration]{time.Second}, "V=1000000000"},
		{box[big.Int]{bigInt("-123456789012345678901234567890")}, "V=-123456789012345678901234567890"},
		{box[*big.Rat]{big.NewRat(-22, 7)}, "V=-22/7"},
		{box[big.Float]{*big.NewFloat(-0.25)}, "V=-0.25"},
		{box[big.Float]{*new(big.Float).SetMantExp(big.NewFloat(1), 60000)}, "V=0x.8p+60001"},
		{box[big.Float]{*new(big.Float).SetMantExp(big.NewFloat(1), 999)}, "V=5.357543035931337e+300"},
		{box[big.Float]{*new(big.Float).SetMantExp(big.NewFloat(1), 1000)}, "V=0x.8p+1001"},
		{box[big.Float]{*new(big.Float).SetMantExp(big.NewFloat(1), -1001)}, "V=4.666318092516094e-302"},
		{box[big.Float]{*new(big.Float).SetMantExp(big.NewFloat(1), -1002)}, "V=0x.8p-1001"},
		{box[netip.Addr]{netip.MustParseAddr("fe80::1%\x1b")}, `V="fe80::1%\x1b"`},
		{box[netip.AddrPort]{netip.MustParseAddrPort("1.2.3.4:80")}, `V="1.2.3.4:80"`},
		{box[netip.Prefix]{netip.MustParsePrefix("10.0.0.0/8")}, "V=10.0.0.0/8"},
		{box[url.URL]{parseURL("https://a/b?c")}, `V="https://a/b?c"`},
		{box[money]{money{100}}, `V=money "100"`},
		{box[any]{}, "V=nil"},
		{box[[]any]{[]any{true, 1, 1.5, "s", []any{nil}, map[string]any{"k": 1}}}, `V=[true, 1, 1.5, "s", [nil], {"k": 1}]`},
		{box[[]any]{[]any{int8(2), []byte("b"), time.Second, float32(1), complex64(1)}}, `V=[int8(2), []uint8("b"), time.Duration(1000000000), float32(1), complex64((1+0i))]`},
		{box[[]any]{[]any{item{"i"}, &item{"j"}, (*item)(nil), celsius(20), money{3}, &money{4}}}, `V=[item {Name: "i"}, *item {Name: "j"}, *item nil, celsius 20, money "3", *money "4"]`},
		{celsius(20), "=20"},
		{[]item{{"a"}, {"b"}}, `=[{Name: "a"}, {Name: "b"}]`},
		{struct {
			A string `state:"<b>\n"`
			B struct {
				C int `state:"x y"`
			}
		}{A: "a"}, `<b>` + "\n" + `="a" B={"x y": 0}`},
		{struct {
			B struct {
				C int `state:"_a"`
				D int `state:"-a"`
				E int `state:".a"`
				F int `state:"é"`
				G int `state:"1"`
				H int `state:"a/b"`
				I int `state:"\xff"`
			}
		}{}, `B={_a: 0, -a: 0, .a: 0, é: 0, 1: 0, "a/b": 0, "\xff": 0}`},
	}
	for _, test := range tests {
		types := NewTypes()
		types.Add("root", reflect.TypeOf(test.value), 2)
		for _, other := range []reflect.Type{reflect.TypeFor[item](), reflect.TypeFor[celsius]()} {
			if other != reflect.TypeOf(test.value) {
				types.Add(strings.ToLower(other.Name()), other, 3)
			}
		}
		types.AddCustom("money", reflect.TypeFor[money](), moneyCodec)
		p := compile(t, types).Name("root")
		data := mustEncode(t, p, test.value)
		d, err := Describe("root", data)
		if err != nil {
			t.Errorf("%s: %v", test.want, err)
			continue
		}
		var got []string
		total := 0
		for _, f := range d.Fields {
			got = append(got, f.Name+"="+f.Value)
			total += f.Bytes
		}
		if text := strings.Join(got, " "); text != test.want {
			t.Errorf("got %s, want %s", text, test.want)
		}
		if header := len(data) - d.Shapes - total; header < 0 || header > 1 {
			t.Errorf("%s: shapes of %d and fields of %d bytes, in %d", test.want, d.Shapes, total, len(data))
		}
	}
}

// A row is told by its model and key, what is saved by name by that name.
func TestDescribeReferences(t *testing.T) {
	p := refPlan[box[[]any]](t)
	data := mustEncode(t, p, box[[]any]{[]any{
		refRow{ID: 1}, &refRow{ID: 2}, (*refRow)(nil), refPair{struct{ A, B uint8 }{3, 4}},
	}})
	d, err := Describe("root", data)
	if want := "[row 1, row 2, nil, pair {A: 3, B: 4}]"; err != nil || d.Fields[0].Value != want {
		t.Errorf("got %v %v, want %s", d, err, want)
	}

	p = refPlan[box[[]refNamed]](t)
	named := refNamed{"known", refArgs{&refRow{ID: 1}, map[int]refRow{2: {ID: 2}}, refRow{ID: 3}}}
	data = mustEncode(t, p, box[[]refNamed]{slices.Repeat([]refNamed{named}, 3)})
	d, err = Describe("root", data)
	one := "known({Row: row 1, Rows: {2: row 2}, Any: row 3})"
	if want := "[" + one + ", " + one + ", " + one + "]"; err != nil || d.Fields[0].Value != want {
		t.Errorf("got %v %v, want %s", d, err, want)
	}
}

// The vectors of package token are told without their types, which are not here.
func TestDescribeVectors(t *testing.T) {
	text, err := os.ReadFile("../token/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Component, Shapes, Payload string
		State                            json.RawMessage
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("there are none")
	}
	for _, v := range vectors {
		d, err := Describe(v.Component, unhex(v.Shapes+v.Payload))
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		var got, want []string
		var state map[string]json.RawMessage
		if json.Unmarshal(v.State, &state) != nil {
			want = []string{""} // it is no struct
		}
		for name := range state {
			want = append(want, name)
		}
		for _, f := range d.Fields {
			got = append(got, f.Name)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: fields %q, want %q", v.Name, got, want)
		}
	}
}

// Each number of a basic type is read as that type.
func TestBasicSpellings(t *testing.T) {
	for i, typ := range basicTypes {
		types := NewTypes()
		types.Add("root", reflect.TypeFor[box[any]](), 0)
		compile(t, types)
		s := new(signer)
		sig := s.spell(types.basics[i])
		if want, err := newSpelling(sig); err != nil || !reflect.DeepEqual(basicSpellings[i], want) {
			t.Errorf("%s has the signature %s: %v", typ, sig, err)
		}
	}
}

// Values that stand beside each other count once each, however many they are.
func TestDescribeMany(t *testing.T) {
	many := make([]any, 2*maxAround)
	for i := range many {
		many[i] = []any{money{1}, item{"i"}, i}[i%3]
	}
	types := NewTypes()
	types.Add("root", reflect.TypeFor[box[[]any]](), 0)
	types.Add("item", reflect.TypeFor[item](), 0)
	types.AddCustom("money", reflect.TypeFor[money](), moneyCodec)
	p := compile(t, types).Name("root")
	if _, err := Describe("root", mustEncode(t, p, box[[]any]{many})); err != nil {
		t.Error(err)
	}
}

func TestTextsAreCutAtTheirEnd(t *testing.T) {
	for _, test := range []struct {
		v    any
		over bool // the text is longer than MaxText
	}{
		{box[string]{strings.Repeat("a", MaxText-len(`""`))}, false},
		{box[string]{strings.Repeat("a", MaxText-len(`""`)+1)}, true},
		{box[[]string]{[]string{strings.Repeat("a", MaxText-len(`[""]`))}}, false},
		{box[[]string]{[]string{strings.Repeat("a", MaxText-len(`[""]`)+1)}}, true},
	} {
		p := planOf(t, reflect.TypeOf(test.v))
		d, err := Describe("root", mustEncode(t, p, test.v))
		if err != nil {
			t.Fatal(err)
		}
		text, cut := strings.CutSuffix(d.Fields[0].Value, "…")
		if len(text) != MaxText || cut != test.over {
			t.Errorf("%T: %d bytes of text, cut: %t, want %d bytes and %t", test.v, len(text), cut, MaxText, test.over)
		}
	}
}

func TestLongTextsAreCut(t *testing.T) {
	for _, v := range []any{
		box[string]{strings.Repeat("é\x00", MaxText)},
		box[[]byte]{bytes.Repeat([]byte{0}, 2*MaxText)},
		box[[]string]{slices.Repeat([]string{"abc"}, MaxText)},
	} {
		p := planOf(t, reflect.TypeOf(v))
		d, err := Describe("root", mustEncode(t, p, v))
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Fields[0].Value; len(got) > MaxText+len("…") || !strings.HasSuffix(got, "…") {
			t.Errorf("%T: %d bytes that end in %q", v, len(got), got[len(got)-5:])
		}
	}
}

// described is data of a component with a table of no structs.
func described(signature, payload string) []byte {
	return append(appendShapes(nil, []*Plan{rootedIn(signature)}), unhex(payload)...)
}

func rootedIn(signature string) *Plan {
	return &Plan{Name: "other", encodedTable: table{root: signature}.append(nil)}
}

func TestDescribeErrors(t *testing.T) {
	deep := strings.Repeat
	for _, test := range []struct {
		what string
		data []byte
		want error
	}{
		{"nothing", nil, ErrMalformed},
		{"a table of nothing", append(wire.AppendBytes([]byte{0x91}, nil), 0xc0), ErrMalformed},
		{"no payload", described("i", ""), ErrMalformed},
		{"no empty array", described("(0)i", ""), ErrMalformed},
		{"a nil of what has none", described("i", "c0"), ErrMalformed},
		{"a component that nothing holds", append(appendShapes(nil, []*Plan{rootedIn("i"), rootedIn("i")}), 1), ErrMalformed},
		{"more than a payload", described("i", "0101"), ErrMalformed},
		{"another value", described("s", "01"), ErrMalformed},
		{"a longer form", described("i", "cc01"), ErrMalformed},
		{"an array of another length", described("(2)i", "9101"), ErrMalformed},
		{"an array longer than an int", described("(9223372036854775807)i", "9101"), ErrMalformed},
		{"more elements than bytes", described("[i", "dd0fffffff"), ErrLimit},
		{"an unknown type number", described("?", "92 15 01"), ErrMalformed},
		{"a type that is not there", described("?", "92 22 01"), ErrMalformed},
		{"a signature of a newer release", described("q", "01"), ErrOutdated},
		{"a number with a zero in front", described("[^01;", "90"), ErrOutdated},
		{"a length with a zero in front", described("(01)i", "9101"), ErrOutdated},
		{"a name's length with a zero in front", described("<01:a", "01"), ErrOutdated},
		{"a struct that is not there", described("{0}", "90"), ErrMalformed},
		{"a signature of very many levels", described(deep("*", 5000)+"i", "01"), ErrLimit},
		{"values in one another", described("[^1;", deep("91", 100)+"90"), ErrLimit},
		{"a key of a model that is itself", described("&1:a^1;", "01"), ErrLimit},
	} {
		_, err := Describe("root", test.data)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.what, err, test.want)
		}
	}
}

// FuzzDescribe wants whatever a type accepts to be told, in text that a terminal can
// take, and no panic for anything else.
func FuzzDescribe(f *testing.F) {
	p := planOf(f, reflect.TypeFor[rich]())
	f.Add(mustEncode(f, p, rich{}))
	f.Add(mustEncode(f, p, richValue()))
	for _, test := range payloads {
		f.Add(withShapes(p, unhex(test.payload)))
	}
	for _, sig := range []string{"[^1;", "&1:a^1;", "*v1;^1;", "m<2:}{s", "(3)f", "@*{0}", "Th", "n"} {
		f.Add(described(sig, "9101"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Describe("root", data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLimit) && !errors.Is(err, ErrOutdated) {
				t.Errorf("%v is not an error of the package", err)
			}
			v := reflect.New(p.Type).Elem()
			if _, other := p.Decode(data, v); other == nil && bytes.HasPrefix(data, p.shapes) {
				t.Errorf("the type accepts %x: %v", data, err)
			}
			return
		}
		for _, field := range d.Fields {
			if len(field.Value) > MaxText+len("…") {
				t.Errorf("%d bytes of text", len(field.Value))
			}
			if i := strings.IndexFunc(field.Value, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("%q in the text", field.Value[i:])
			}
		}
	})
}
