package pagestate_test

// What a state may hold: the safe list, each type with its edge values, sealed
// and opened over HTTP; and what New refuses, each with the exact message.

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// holds is a component with one field, of the type to be tested.
type holds[T any] struct{ V T }

// safe is a type of the safe list with a value to be carried.
type safe struct {
	name     string
	register func(r *pagestate.Registry)
	page     http.Handler // attaches the value
	check    http.Handler // says whether it came back
}

// carries makes a case of a value, which comes back deeply equal, or so that
// same says it is.
func carries[T any](name string, value T, same ...func(got, want T) bool) safe {
	equal := func(got, want T) bool { return reflect.DeepEqual(got, want) }
	if len(same) > 0 {
		equal = same[0]
	}
	return safe{
		name:     name,
		register: func(r *pagestate.Registry) { pagestate.Register[holds[T]](r, name) },
		page: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			state := &holds[T]{value}
			if err := pagestate.Attach(r.Context(), state); err != nil {
				http.Error(w, err.Error(), 500)
				return
			}
			field, err := pagestate.Field(r.Context(), state)
			if err != nil {
				http.Error(w, err.Error(), 500)
				return
			}
			io.WriteString(w, string(field))
		}),
		check: pagestate.Handle(func(w http.ResponseWriter, r *http.Request, state *holds[T]) error {
			if !equal(state.V, value) {
				fmt.Fprintf(w, "got %#v, want %#v", state.V, value)
			}
			return nil
		}),
	}
}

type (
	celsius   float64
	octet     byte
	pair      struct{ A, B int16 }
	tree      []tree
	forest    map[string]forest
	node      struct{ Next *node }
	branching struct {
		Name  string
		Left  *branching
		Right *branching
		More  []branching
		Named map[string]branching
	}
	base struct{ ID int }
	// Stamped is embedded, exported.
	Stamped  struct{ At time.Time }
	document struct {
		base
		Stamped
		Title   string `state:"t"`
		Ignored any    `state:"-"`
		hidden  func()
	}
	shape  interface{ Area() float64 }
	square struct{ Side float64 }
	circle struct{ Radius float64 }
)

func (s square) Area() float64  { return s.Side * s.Side }
func (c *circle) Area() float64 { return math.Pi * c.Radius * c.Radius }

// chain is a list of n nodes.
func chain(n int) *node {
	var first *node
	for range n {
		first = &node{first}
	}
	return first
}

func rat(s string) *big.Rat {
	r, _ := new(big.Rat).SetString(s)
	return r
}

func sameFloat(a, b *big.Float) bool {
	return a.Prec() == b.Prec() && a.Mode() == b.Mode() && a.Signbit() == b.Signbit() && a.Cmp(b) == 0
}

func sameTime(a, b time.Time) bool {
	_, x := a.Zone()
	_, y := b.Zone()
	return a.Equal(b) && x == y && (a.Location() == time.UTC) == (b.Location() == time.UTC)
}

var safeList = []safe{
	carries("bool", true),
	carries("int max", math.MaxInt), carries("int min", math.MinInt),
	carries("int8 max", int8(math.MaxInt8)), carries("int8 min", [2]int8{math.MinInt8, -33}),
	carries("int16 max", int16(math.MaxInt16)), carries("int16 min", [2]int16{math.MinInt16, -129}),
	carries("int32 max", int32(math.MaxInt32)), carries("int32 min", [2]int32{math.MinInt32, -32769}),
	carries("int64 max", int64(math.MaxInt64)), carries("int64 min", [2]int64{math.MinInt64, math.MinInt32 - 1}),
	carries("uint max", uint(math.MaxUint)), carries("uint8 max", uint8(math.MaxUint8)),
	carries("uint16 max", uint16(math.MaxUint16)), carries("uint32 max", uint32(math.MaxUint32)),
	carries("uint64 max", uint64(math.MaxUint64)),
	carries("ints at the edges of their forms", []int{0, 1, 127, 128, 255, 256, 65535, 65536, 1<<31 - 1, -1, -32, -33, -128, -129}),
	carries("float32", [3]float32{math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(1))}),
	carries("float64", [3]float64{math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(-1)}),
	carries("NaN", math.Float64frombits(0x7ff8dead00000001), func(got, want float64) bool { return math.Float64bits(got) == math.Float64bits(want) }),
	carries("-0.0", math.Copysign(0, -1), func(got, want float64) bool { return math.Float64bits(got) == math.Float64bits(want) }),
	carries("complex64", complex(float32(1), float32(-2))),
	carries("complex128", complex(math.Inf(1), -0.5)),
	carries("string", "päge ☃ \x00 \xff\xfe not UTF-8"), carries("string empty", ""), carries("string long", strings.Repeat("long ", 20_000)),
	carries("[]byte", []byte{0, 1, 255}), carries("[]byte nil", []byte(nil)), carries("[]byte empty", []byte{}),
	carries("[]octet", []octet{1, 2}), carries("[3]octet", [3]octet{1, 2, 3}), carries("uuid", [16]byte{15: 1}),
	carries("[0]int", [0]int{}), carries("[2][2]string", [2][2]string{{"a"}, {"", "d"}}),
	carries("[]int nil", []int(nil)), carries("[]int empty", []int{}), carries("[][]string", [][]string{nil, {}, {"x"}}),
	carries("map nil", map[string]int(nil)), carries("map empty", map[string]int{}),
	carries("map[string]int", map[string]int{"b": 2, "a": 1, "": 0}),
	carries("map[int8]string", map[int8]string{-1: "x", 127: "y"}), carries("map[bool]int", map[bool]int{false: 1, true: 2}),
	carries("map[float64]int", map[float64]int{math.Inf(-1): 1, 2.5: 2}), carries("map[complex64]int", map[complex64]int{1i: 1}),
	carries("map[[2]int]string", map[[2]int]string{{1, 2}: "a", {2, 1}: "b"}), carries("map[pair]bool", map[pair]bool{{1, 2}: true}),
	carries("map[netip.Addr]int", map[netip.Addr]int{netip.MustParseAddr("::1"): 1, {}: 2}),
	carries("map of slices", map[string][]int{"nil": nil, "empty": {}}), carries("set", map[string]struct{}{"x": {}}),
	carries("pointer nil", (*int)(nil)), carries("pointer", new(7)), carries("pointer to pointer", new((*int)(nil))),
	carries("pointer to nil slice", new([]int(nil))), carries("pointer to nil map", new(map[string]int(nil))),
	carries("struct{}", struct{}{}), carries("anonymous struct", struct{ X, Y int }{1, 2}),
	carries("celsius", celsius(-273.15)), carries("time.Duration", time.Duration(math.MinInt64)),
	carries("time.Month", time.December), carries("time.Weekday", time.Saturday),
	carries("time zero", time.Time{}), carries("time UTC", time.Date(2026, 2, 28, 23, 59, 59, 999_999_999, time.UTC)),
	carries("time with offset", time.Date(1, 1, 1, 0, 0, 0, 1, time.FixedZone("LMT", -17762)), sameTime),
	carries("time far", time.Date(292277026, 1, 1, 0, 0, 0, 0, time.FixedZone("", 14*3600)), sameTime),
	carries("time local", time.Now().Round(0), sameTime),
	carries("big.Int", *new(big.Int).Lsh(big.NewInt(-7), 4000)), carries("*big.Int", new(big.Int).SetUint64(math.MaxUint64)),
	carries("big.Int zero", big.Int{}, func(got, want big.Int) bool { return got.Sign() == 0 }),
	carries("*big.Rat", rat("-355/113")), carries("*big.Rat zero", rat("0"), func(got, want *big.Rat) bool { return got.Cmp(want) == 0 }),
	carries("*big.Float", new(big.Float).SetPrec(200).SetMode(big.ToZero).SetFloat64(-1e-300), sameFloat),
	carries("*big.Float infinite", new(big.Float).SetInf(true), sameFloat), carries("*big.Float zero", new(big.Float), sameFloat),
	carries("*big.Float -0", new(big.Float).Neg(new(big.Float)), sameFloat),
	carries("netip.Addr", netip.MustParseAddr("fe80::1%eth0")), carries("netip.Addr zero", netip.Addr{}),
	carries("netip.Addr 4in6", netip.MustParseAddr("::ffff:1.2.3.4")), carries("netip.AddrPort", netip.MustParseAddrPort("[::1]:65535")),
	carries("netip.Prefix", netip.MustParsePrefix("10.0.0.0/8")), carries("netip.Prefix zero", netip.Prefix{}),
	carries("url.URL", url.URL{Scheme: "https", User: url.UserPassword("me", ""), Host: "h", Path: "/a b", RawPath: "/a%20b", ForceQuery: true, Fragment: "é"}),
	carries("*url.URL", &url.URL{Opaque: "x@y", User: url.User("u"), OmitHost: true, RawQuery: "q", RawFragment: "%41"}),
	carries("sql.NullString", sql.NullString{String: "x", Valid: true}), carries("sql.NullTime", sql.NullTime{}),
	carries("sql.Null", sql.Null[int64]{V: -1, Valid: true}),
	carries("json.RawMessage", json.RawMessage(`{"a":[1]}`)), carries("json.Number", json.Number("1e400")),
	carries("template.HTML", template.HTML("<b>")), carries("template.HTMLAttr", template.HTMLAttr(`a="b"`)),
	carries("template.CSS", template.CSS("a{}")), carries("template.JS", template.JS("1")), carries("template.JSStr", template.JSStr(`\n`)),
	carries("template.URL", template.URL("x:y")), carries("template.Srcset", template.Srcset("a 1x")),
	carries("tree", tree{nil, {}, {{}, nil}}), carries("forest", forest{"a": nil, "b": {"c": {}}}),
	carries("deep recursion", chain(62)),
	carries("branching", branching{Name: "root", Left: &branching{Right: &branching{}}, More: []branching{{}}, Named: map[string]branching{"x": {Name: "y"}}}),
	carries("document", document{base: base{1}, Stamped: Stamped{time.Unix(0, 0).UTC()}, Title: "t", hidden: nil}),
	carries("any nil", any(nil)), carries("any int64", any(int64(1))), carries("any uint8", any(uint8(1))), carries("any string", any("x")),
	carries("any []byte", any([]byte("x"))), carries("any time", any(time.Unix(1, 0).UTC())), carries("any duration", any(time.Hour)),
	carries("any nested", any(map[string]any{"a": []any{1, "x", nil, 2.5, true, map[string]any(nil)}})),
	carries("any component", any(square{2})), carries("any *component", any(&square{2})), carries("any nil *component", any((*square)(nil))),
	carries("interface", []shape{square{1}, &square{2}, &circle{3}, nil}),
	carries("component in component", []square{{3}}),
	carries("codec", json.Delim('[')), carries("codec pointer", new(json.Delim('{'))), carries("codec key", map[json.Delim]json.Delim{'}': ']'}),
	carries("codec in any", any(json.Delim('['))),
	carries("codec for regexp", []*regexp.Regexp{regexp.MustCompile("^a+$"), nil}, func(got, want []*regexp.Regexp) bool {
		return got[0].String() == want[0].String() && got[1] == nil
	}),
}

func TestSafeListIsCarried(t *testing.T) {
	if len(safeList) < 60 {
		t.Fatalf("the table has only %d types", len(safeList))
	}
	for _, c := range safeList {
		t.Run(c.name, func(t *testing.T) {
			r := pagestate.NewRegistry()
			c.register(r)
			registerParts(r)
			a := newApp(t, r, pagestate.Options{})
			a.mux.Handle("GET /", c.page)
			a.mux.Handle("POST /", c.check)
			b := a.browser()
			page := b.Get("/")
			if page.StatusCode != 200 {
				t.Fatal(page.Body)
			}
			res := b.Post("/", page.Field())
			testkit.Want(t, "status", res.StatusCode, 200)
			testkit.Want(t, "difference", res.Body, "")
			testkit.Want(t, "new token of the unchanged state", res.Token(), "")
		})
	}
}

// registerParts registers what stands in some of the values.
func registerParts(r *pagestate.Registry) {
	pagestate.Register[square](r, "square")
	pagestate.Register[circle](r, "circle")
	pagestate.RegisterCodec(r, "delim", pagestate.Codec[json.Delim]{
		Encode: func(d json.Delim) ([]byte, error) { return []byte(d.String()), nil },
		Decode: func(b []byte) (json.Delim, error) { return json.Delim(b[0]), nil },
	})
	pagestate.RegisterCodec(r, "regexp", pagestate.Codec[regexp.Regexp]{
		Encode: func(e regexp.Regexp) ([]byte, error) { return []byte(e.String()), nil },
		Decode: func(b []byte) (regexp.Regexp, error) {
			e, err := regexp.Compile(string(b))
			if err != nil {
				return regexp.Regexp{}, err
			}
			return *e, nil
		},
	})
}

// What follows cannot be saved.
type (
	embedsPointer struct{ *base }
	tagged        struct {
		A int `state:"x"`
		B int `state:"x"`
	}
	badOption struct {
		A int `state:"a,omitempty"`
	}
	unexported struct {
		a int `state:"a"`
	}
	WithComponent     struct{ pagestate.Component }
	pointsToComponent struct{ *WithComponent }
	items             struct{ Items []item }
	item              struct{ Conn *sql.DB }
	twoBad            struct{ A, B chan int }
	foreign           struct{ Inner bytes.Buffer }
)

// staticcheck would miss their use.
var (
	_ = unexported{a: 0}
	_ = binarily{id: [16]byte{}}
	_ = embedsMoney{money: money{}}
)

// What follows has fields, and saves none of them.
type (
	money struct {
		cents    int64
		currency string
	}
	texted     struct{ level int }
	binarily   struct{ id [16]byte }
	gobbed     struct{ n int }
	bag[K any] struct{ items []K }
	priced     struct {
		Name  string
		Price money
	}
	embedsMoney struct{ money }
	Money       struct{ cents int64 }
	EmbedsMoney struct{ Money }
	hiddenState struct{ step int }
	hiddenPage  struct {
		pagestate.Component
		step int
	}
	hiddenBelow struct {
		WithComponent
		step int
	}
	halfTagged struct {
		a int `state:"-"`
		b int
	}
	guarded struct {
		mu sync.Mutex
		n  int
	}
	beside struct {
		Nothing struct{}
		n       int
	}
)

func (t texted) MarshalText() ([]byte, error)     { return nil, nil }
func (t *texted) UnmarshalText([]byte) error      { return nil }
func (b binarily) MarshalBinary() ([]byte, error) { return nil, nil }
func (b *binarily) UnmarshalBinary([]byte) error  { return nil }
func (g gobbed) GobEncode() ([]byte, error)       { return nil, nil }
func (g *gobbed) GobDecode([]byte) error          { return nil }
func (h *hiddenPage) Load(context.Context) error  { return nil }

// And what follows has nothing to save.
type (
	allTagged struct {
		a, b int    `state:"-"`
		C    func() `state:"-"`
	}
	marker struct {
		_ [0]func()
		_ int
	}
	noCopy    struct{ lock struct{} }
	allLoaded struct {
		pagestate.Component
		Title string
		cache map[string]int
	}
)

func (l *allLoaded) Load(context.Context) error { l.Title = "loaded"; return nil }

var _ = []any{
	money{0, ""}, texted{0}, binarily{}, gobbed{0}, bag[int]{nil}, Money{0}, hiddenState{0}, hiddenPage{step: 0}, hiddenBelow{step: 0},
	halfTagged{0, 0}, &guarded{mu: sync.Mutex{}, n: 0}, beside{n: 0}, allTagged{0, 0, nil}, noCopy{struct{}{}}, allLoaded{cache: nil},
}

func TestRefusedTypes(t *testing.T) {
	const unsafeType = ` is not in the safe list; save it with RegisterModel, RegisterCodec or a Register of its own package, or leave it out with state:"-"`
	const badKey = " cannot be saved as a map key; use a scalar, a string, a netip or codec type, or an array or struct of these"
	const savesNothing = ` has fields, and none of them would be saved; export them, save it with RegisterModel, RegisterCodec or a Register of its own package, or leave it out with state:"-"`
	const noType = `; register one, or leave the field out with state:"-"`
	tests := []struct {
		register func(r *pagestate.Registry)
		want     string // without the prefix; several lines for several faults
	}{
		{one[items], `items.Items[].Conn: *sql.DB` + unsafeType},
		{field[chan int], `V: chan int` + unsafeType},
		{field[<-chan string], `V: <-chan string` + unsafeType},
		{field[func()], `V: func()` + unsafeType},
		{field[[]func(int) error], `V[]: func(int) error` + unsafeType},
		{field[uintptr], `V: uintptr` + unsafeType},
		{field[unsafe.Pointer], `V: unsafe.Pointer` + unsafeType},
		{field[sync.Mutex], `V: sync.Mutex` + unsafeType},
		{field[*sync.WaitGroup], `V: *sync.WaitGroup` + unsafeType},
		{field[sql.DB], `V: sql.DB` + unsafeType},
		{field[**sql.Tx], `V: **sql.Tx` + unsafeType},
		{field[regexp.Regexp], `V: regexp.Regexp` + unsafeType},
		{field[template.Template], `V: template.Template` + unsafeType},
		{field[map[string]*os.File], `V[]: *os.File` + unsafeType},
		{field[[3]bytes.Buffer], `V[]: bytes.Buffer` + unsafeType},
		{field[foreign], `V.Inner: bytes.Buffer` + unsafeType},
		{field[url.Userinfo], `V: url.Userinfo` + unsafeType},
		{field[time.Timer], `V: time.Timer` + unsafeType},
		{field[map[*int]bool], `V[key]: *int` + badKey},
		{field[map[any]bool], `V[key]: interface {}` + badKey},
		{field[map[time.Time]bool], `V[key]: time.Time` + badKey},
		{field[map[[1]*int]bool], `V[key]: [1]*int` + badKey},
		{field[map[struct{ C chan int }]bool], `V[key]: struct { C chan int }` + badKey},
		{field[error], `V: no registered type implements error` + noType},
		{field[shape], `V: no registered type implements pagestate_test.shape` + noType},
		{field[context.Context], `V: no registered type implements context.Context` + noType},
		{field[embedsPointer], `V.base: an embedded pointer to an unexported struct cannot be set; embed the struct itself, or leave it out with state:"-"`},
		{field[[1<<20 + 1]int], `V: an array of 1048577 elements, the most is 1048576`},
		{one[tagged], `tagged.B: its saved name "x" is that of A too; give one of them another in its state tag`},
		{one[badOption], `badOption.A: its state tag has the unknown option "omitempty"; there are optional, public and keep`},
		{one[unexported], `unexported.a: an unexported field cannot be saved; export it, or remove its state tag`},
		{field[money], `V: pagestate_test.money` + savesNothing},
		{field[*money], `V: *pagestate_test.money` + savesNothing},
		{field[[]money], `V[]: pagestate_test.money` + savesNothing},
		{field[[2]*money], `V[]: *pagestate_test.money` + savesNothing},
		{field[map[string]money], `V[]: pagestate_test.money` + savesNothing},
		{field[map[money]int], `V[key]: pagestate_test.money` + savesNothing},
		{field[map[money]struct{}], `V[key]: pagestate_test.money` + savesNothing},
		{field[priced], `V.Price: pagestate_test.money` + savesNothing},
		{field[struct{ n int }], `V: struct { n int }` + savesNothing},
		{field[texted], `V: pagestate_test.texted` + savesNothing},
		{field[binarily], `V: pagestate_test.binarily` + savesNothing},
		{field[gobbed], `V: pagestate_test.gobbed` + savesNothing},
		{field[bag[string]], `V: pagestate_test.bag[string]` + savesNothing},
		{field[embedsMoney], `V.money: pagestate_test.money` + savesNothing},
		{field[EmbedsMoney], `V.Money: pagestate_test.Money` + savesNothing},
		{field[struct{ A, B money }], `V.A: pagestate_test.money` + savesNothing + "\n" + `pagestate: V.B: pagestate_test.money` + savesNothing},
		{field[halfTagged], `V: pagestate_test.halfTagged` + savesNothing},
		{field[guarded], `V: pagestate_test.guarded` + savesNothing},
		{field[beside], `V: pagestate_test.beside` + savesNothing},
		{one[hiddenState], `hiddenState: pagestate_test.hiddenState` + savesNothing},
		{one[hiddenPage], `hiddenPage: pagestate_test.hiddenPage` + savesNothing},
		{one[hiddenBelow], `hiddenBelow: pagestate_test.hiddenBelow` + savesNothing},
		{func(r *pagestate.Registry) {
			pagestate.RegisterQuery(r, "x", func(context.Context, money) iter.Seq2[int, error] { return nil })
			pagestate.Register[holds[pagestate.Query[money, int]]](r, "y")
		}, `V.Args: pagestate_test.money` + savesNothing},
		{one[pointsToComponent], `pagestate_test.pointsToComponent: it embeds Component through a pointer, which may be nil; embed the struct itself`},
		{func(r *pagestate.Registry) { pagestate.Register[square](r, "x", nil) }, `pagestate_test.square: an option is nil`},
		{one[twoBad], `twoBad.A: chan int` + unsafeType + "\n" + `pagestate: twoBad.B: chan int` + unsafeType},
		{one[*square], `*pagestate_test.square: a pointer or interface type cannot be registered; register the type behind it`},
		{one[shape], `pagestate_test.shape: a pointer or interface type cannot be registered; register the type behind it`},
		{func(r *pagestate.Registry) { pagestate.Register[square](r, "") }, `pagestate_test.square: its name is empty`},
		{func(r *pagestate.Registry) { one[square](r); pagestate.Register[circle](r, "x") }, `pagestate_test.circle: its name "x" is taken by pagestate_test.square`},
		{func(r *pagestate.Registry) { one[square](r); pagestate.Register[square](r, "y") }, `pagestate_test.square: is registered as "x" already, and as "y"`},
		{func(r *pagestate.Registry) { pagestate.RegisterCodec(r, "x", pagestate.Codec[square]{}) }, `pagestate_test.square: codec "x" needs both Encode and Decode`},
		{func(r *pagestate.Registry) { pagestate.Register[square](r, "x", pagestate.Schema(-1)) }, `pagestate_test.square: the schema version -1 is negative`},
		{func(r *pagestate.Registry) {
			pagestate.Register[square](r, "x", pagestate.LoadWith(func(context.Context, *circle) error { return nil }))
		}, `pagestate_test.square: LoadWith is for pagestate_test.circle`},
		{func(r *pagestate.Registry) { pagestate.Register[square](r, "x", pagestate.LoadWith[square](nil)) }, `pagestate_test.square: the function of LoadWith is nil`},
		{func(r *pagestate.Registry) {
			pagestate.Register[loads](r, "x", pagestate.LoadWith(func(context.Context, *loads) error { return nil }))
		}, `pagestate_test.loads: it has a load already; use either a Load method or one LoadWith`},
	}
	for _, test := range tests {
		t.Run(test.want, func(t *testing.T) {
			// The name of a generic component holds that of its parameter.
			got := holdsName.ReplaceAllString(faultOf(t, test.register), "")
			testkit.Want(t, "message", got, "pagestate: "+test.want)
		})
	}
}

// TestTypesWithNothingToSave has types that save nothing and lose nothing.
func TestTypesWithNothingToSave(t *testing.T) {
	r := pagestate.NewRegistry()
	field[struct {
		Set    map[string]struct{}
		Tagged allTagged
		Marker []marker
		NoCopy *noCopy
		Base   WithComponent
		Left   money `state:"-"`
		Coded  *Money
		Row    texted
	}](r)
	pagestate.Register[struct{}](r, "empty")
	pagestate.Register[WithComponent](r, "component alone")
	pagestate.Register[allTagged](r, "all tagged")
	pagestate.Register[allLoaded](r, "all loaded")
	pagestate.RegisterCodec(r, "money", pagestate.Codec[Money]{
		Encode: func(m Money) ([]byte, error) { return nil, nil },
		Decode: func([]byte) (Money, error) { return Money{}, nil },
	})
	pagestate.RegisterModel(r, "texted", pagestate.Model[int, texted]{
		Key:   func(*texted) int { return 1 },
		Fetch: func(context.Context, []int) ([]*texted, error) { return nil, nil },
	})
	if _, err := pagestate.New(r, ordinary()); err != nil {
		t.Error(err)
	}
}

// faultOf is what New says to what register registers.
func faultOf(t *testing.T, register func(r *pagestate.Registry)) string {
	t.Helper()
	r := pagestate.NewRegistry()
	register(r)
	_, err := pagestate.New(r, ordinary())
	if err == nil {
		t.Fatal("accepted")
	}
	return err.Error()
}

var holdsName = regexp.MustCompile(`holds\[.*\]\.`)

type loads struct{ N int }

func (l *loads) Load(context.Context) error { return nil }

// one registers T, and field a component with a field of that type.
func one[T any](r *pagestate.Registry)   { pagestate.Register[T](r, "x") }
func field[T any](r *pagestate.Registry) { pagestate.Register[holds[T]](r, "x") }

// ordinary are options that New accepts.
func ordinary() pagestate.Options {
	return pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Cookie(http.Cookie{Name: "binding"})}
}

func TestNewReportsEveryFaultAtOnce(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[twoBad](r, "two")
	pagestate.Register[items](r, "two")
	_, err := pagestate.New(r, pagestate.Options{MaxAge: -1, MaxTokens: -1, NotBefore: time.Now().Add(time.Hour)})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, fault := range []string{
		"pagestate: twoBad.A: chan int", "pagestate: twoBad.B: chan int", `its name "two" is taken`,
		"Options.Secrets: there are 0", "Session", "Options.MaxAge", "Options.MaxTokens", "Options.NotBefore",
	} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("%q is missing in:\n%v", fault, err)
		}
	}
	for line := range strings.Lines(err.Error()) {
		testkit.Want(t, "prefix of "+line, strings.HasPrefix(line, "pagestate: "), true)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	hex := "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	tests := []struct {
		name string
		set  func(o *pagestate.Options)
		want string // "" if it is fine
	}{
		{"nothing wrong", func(o *pagestate.Options) {}, ""},
		{"eight secrets", func(o *pagestate.Options) { o.Secrets = slices.Repeat(o.Secrets, 8) }, ""},
		{"nine secrets", func(o *pagestate.Options) { o.Secrets = slices.Repeat(o.Secrets, 9) }, "Options.Secrets: there are 9; give 1 to 8"},
		{"a short secret", func(o *pagestate.Options) { o.Secrets = append(o.Secrets, testkit.NewSecret()[:31]) }, "Options.Secrets[1] is 31 bytes long"},
		{"eleven different bytes", func(o *pagestate.Options) { o.Secrets[0] = []byte(strings.Repeat("abcdefghijk", 4)) }, "Options.Secrets[0] has only 11 different bytes"},
		{"twelve different bytes", func(o *pagestate.Options) { o.Secrets[0] = []byte(strings.Repeat("abcdefghijkl", 4)) }, ""},
		{"a published secret", func(o *pagestate.Options) { o.Secrets[0] = unhex(hex) }, "Options.Secrets[0] is printed in the documentation"},
		{"a published secret as text", func(o *pagestate.Options) { o.Secrets[0] = []byte(hex) }, "Options.Secrets[0] is printed in the documentation"},
		{"no binding", func(o *pagestate.Options) { o.Session = nil }, "Session"},
		{"a guard that is a nil pointer", func(o *pagestate.Options) { o.Guard = (*nilGuard)(nil) }, "Options.Guard is a nil *pagestate_test.nilGuard"},
		{"no limit of life", func(o *pagestate.Options) { o.MaxLifetime = -1 }, ""},
		{"a negative age", func(o *pagestate.Options) { o.MaxAge = -1 }, "Options.MaxAge is negative"},
		{"a negative size", func(o *pagestate.Options) { o.MaxTokenBytes = -1 }, "Options.MaxTokenBytes is negative"},
		{"caching for all", func(o *pagestate.Options) { o.CacheControl = "public, max-age=60" }, "Options.CacheControl is \"public, max-age=60\", which lets caches share states"},
		{"caching in part", func(o *pagestate.Options) { o.CacheControl = `private="set-cookie"` }, "Options.CacheControl is "},
		{"caching with a line break", func(o *pagestate.Options) { o.CacheControl = "private\r\nSet-Cookie: a=b" }, "Options.CacheControl is "},
		{"a negative header", func(o *pagestate.Options) { o.MaxHeaderBytes = -1 }, "Options.MaxHeaderBytes is negative"},
		{"a negative number", func(o *pagestate.Options) { o.MaxTokens = -1 }, "Options.MaxTokens is -1"},
		{"a cut-off in the future", func(o *pagestate.Options) { o.NotBefore = time.Now().Add(time.Minute) }, "Options.NotBefore is in the future"},
		{"a nil source", func(o *pagestate.Options) { o.Sources = []pagestate.Source{nil} }, "Options.Sources has none"},
		{"a source without a name", func(o *pagestate.Options) { o.Sources = []pagestate.Source{pagestate.FormSource("")} }, "Options.Sources has none"},
		{"a JSON source without a path", func(o *pagestate.Options) { o.Sources = []pagestate.Source{pagestate.JSONSource()} }, "Options.Sources has none"},
		{"a JSON source in a form without a field", func(o *pagestate.Options) {
			o.Sources = []pagestate.Source{pagestate.JSONSource("state").InForm("")}
		}, "Options.Sources has none"},
		{"a JSON source of children without a path", func(o *pagestate.Options) {
			o.Sources = []pagestate.Source{pagestate.JSONSource("state").Children(nil, "token", "")}
		}, "Options.Sources has none"},
		{"a JSON source of children without a key", func(o *pagestate.Options) {
			o.Sources = []pagestate.Source{pagestate.JSONSource("state").Children([]string{"children"}, "", "")}
		}, "Options.Sources has none"},
		{"no source", func(o *pagestate.Options) { o.Sources = []pagestate.Source{} }, "Options.Sources has none"},
		{"too many tokens", func(o *pagestate.Options) { o.MaxTokens = 1001 }, "Options.MaxTokens is 1001"},
		{"tokens too large", func(o *pagestate.Options) { o.MaxTokenBytes = 1<<30 + 1 }, "Options.MaxTokenBytes is more than 1 GiB"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := ordinary()
			test.set(&o)
			_, err := pagestate.New(pagestate.NewRegistry(), o)
			if test.want == "" {
				testkit.Want(t, "error", err, nil)
			} else if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := pagestate.New(nil, ordinary()); err == nil {
		t.Error("a nil registry was accepted")
	}
}

func unhex(s string) (b []byte) {
	fmt.Sscanf(s, "%x", &b)
	return b
}

func TestRegisteringAfterNewPanics(t *testing.T) {
	r := pagestate.NewRegistry()
	for range 2 { // New may be called again
		if _, err := pagestate.New(r, ordinary()); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	pagestate.Register[square](r, "square")
}

func TestSealingWhatCannotBeSaved(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[holds[any]](r, "any")
	pagestate.Register[node](r, "node")
	pagestate.RegisterCodec(r, "delim", pagestate.Codec[json.Delim]{
		Encode: func(json.Delim) ([]byte, error) { return nil, errors.New("no delims today") },
		Decode: func([]byte) (json.Delim, error) { return 0, errors.New("nor back") },
	})
	mw, err := pagestate.New(r, ordinary())
	if err != nil {
		t.Fatal(err)
	}
	cycle := &node{}
	cycle.Next = cycle
	array := []any{nil}
	array[0] = array
	tests := []struct {
		name   string
		state  any
		want   string
		status int // 0 for 500
	}{
		{"a component that is not registered", &square{}, "pagestate_test.square is not a registered component", 0},
		{"nothing", nil, "needs a state", 0},
		{"a nil pointer", (*node)(nil), "node: give a pointer to the state", 0},
		{"a type that is not registered", &holds[any]{square{}}, "a pagestate_test.square, which is not registered", 0},
		{"a named basic type", &holds[any]{celsius(1)}, "a pagestate_test.celsius, which is not registered", 0},
		{"a cycle through a pointer", cycle, "cycle", 0},
		{"a cycle through a slice", &holds[any]{array}, "cycle", 0},
		{"what is nested too deep", chain(65), "deeper than 64", 413},
		{"what its codec refuses", &holds[any]{json.Delim('[')}, `codec "delim"`, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := mw.Seal(pagestate.Owner{Session: "s"}, test.state)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "pagestate: ") {
				t.Errorf("got %v, want %q", err, test.want)
			}
			status, _ := pagestate.Status(err)
			testkit.Want(t, "status", status, cmp.Or(test.status, 500))
		})
	}
	if _, err := mw.Seal(pagestate.Owner{Session: "s"}, chain(64)); err != nil {
		t.Error(err)
	}
}

type nilGuard struct{ pagestate.Guard }
