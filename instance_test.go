package pagestate_test

// What somebody can do who has the secret, and so can seal whatever he likes. How
// tokens are forged is in instance_forge_test.go.

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"iter"
	"log/slog"
	"math"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/internal/wire"
)

// forgedState has a field of each kind that can be saved.
type forgedState struct {
	pagestate.Component
	Bool bool
	Int  int
	Ints struct {
		A int8
		B int16
		C int32
		D int64
	}
	Uints struct {
		A uint
		B uint8
		C uint16
		D uint32
		E uint64
	}
	Floats struct {
		A float32
		B float64
		C complex64
		D complex128
	}
	Text     string
	Named    forgedTrap
	Traps    map[forgedTrap]*forgedTrap
	Bytes    []byte
	ID       [16]byte
	Array    [2]forgedPoint
	Slice    [][]int
	Map      map[string]map[int8]bool
	Floating map[float64]struct{}
	Keys     map[forgedPoint][]string
	Pointer  **int
	Tree     forgedTree
	List     *forgedList
	When     []time.Time
	Lasting  time.Duration
	Month    time.Month
	Whole    *big.Int
	Ratio    big.Rat
	Real     big.Float
	Addr     netip.Addr
	Port     netip.AddrPort
	Prefix   map[netip.Prefix]int
	URL      *url.URL
	Null     sql.Null[string]
	Nulls    struct {
		A sql.NullInt64
		B sql.NullTime
	}
	JSON    json.RawMessage
	Number  json.Number
	Trusted struct {
		A template.HTML
		B template.JS
		C template.Srcset
	}
	Any     any
	More    []any
	Shown   fmt.Stringer
	Item    forgedItem
	Items   []*forgedItem
	Money   forgedMoney
	Prices  map[forgedMoney]*forgedMoney
	Row     *forgedRow
	Rows    []*forgedRow `state:",optional"`
	Value   forgedRow
	Words   map[string]*forgedWord
	Query   pagestate.Query[forgedArgs, int]
	Queries []pagestate.Query[forgedArgs, int]
	Block   pagestate.Block
	Blocks  map[string]pagestate.Block
	Loaded  []string
}

type (
	forgedPoint struct{ X, Y int8 }
	forgedTree  []forgedTree
	forgedList  struct {
		Next *forgedList
		Any  any
	}
	forgedItem struct {
		Name string
		Row  *forgedRow
		Any  any
	}
	forgedMoney struct{ cents int64 }
	forgedRow   struct {
		ID   int
		Text string
	}
	forgedWord struct{ Key forgedKey }
	forgedKey  struct{ Language, Word string }
	forgedArgs struct {
		Row   *forgedRow
		Least int
		More  []string
	}
)

func (i forgedItem) String() string   { return i.Name }
func (m *forgedMoney) String() string { return strconv.FormatInt(m.cents, 10) }
func (r *forgedRow) String() string   { return r.Text }

// forgedTrap is saved as the text it is. Whatever runs one of its methods runs
// what nobody registered.
type forgedTrap string

func (*forgedTrap) UnmarshalText([]byte) error    { panic("a method of a value ran") }
func (*forgedTrap) UnmarshalJSON([]byte) error    { panic("a method of a value ran") }
func (*forgedTrap) UnmarshalBinary([]byte) error  { panic("a method of a value ran") }
func (*forgedTrap) GobDecode([]byte) error        { panic("a method of a value ran") }
func (*forgedTrap) Scan(any) error                { panic("a method of a value ran") }
func (forgedTrap) MarshalText() ([]byte, error)   { panic("a method of a value ran") }
func (forgedTrap) MarshalJSON() ([]byte, error)   { panic("a method of a value ran") }
func (forgedTrap) MarshalBinary() ([]byte, error) { panic("a method of a value ran") }
func (forgedTrap) Load(context.Context) error     { panic("a method of a value ran") }

// forgedApp is an application, what of it ran, and a thief of its secret.
type forgedApp struct {
	*forger
	*pagestate.Middleware
	handler http.Handler
	rows    func(forgedArgs) pagestate.Query[forgedArgs, int]
	body    func(block string) pagestate.Block
	seeds   []*forgedValue
	former  int    // how many seeds are of today's version; the others are of the former
	parent  string // a token for those of children
	log     bytes.Buffer
	ran     forgedRuns
	opened  []*forgedState // by the last request

	goroutines int // in the beginning
}

// forgedRuns is what of the application ran in one request.
type forgedRuns struct {
	loads, queries, blocks int
	steps                  int            // of Migrate
	fetches                map[string]int // by model
	faults                 []string
}

func (a *forgedApp) fault(format string, args ...any) {
	a.ran.faults = append(a.ran.faults, fmt.Sprintf(format, args...))
}

var forgedOwner = pagestate.Owner{Session: "session", User: "thief"}

func newForgedApp(t testing.TB) *forgedApp {
	secret := []byte("a secret for one test, fixed, since fuzzing takes several processes")
	a := &forgedApp{forger: newForger(t, secret, forgedSessionFunc, forgedOwner.Session, forgedNamedUser, forgedOwner.User)}
	options := pagestate.Options{
		Secrets:        [][]byte{secret},
		Session:        pagestate.SessionFunc(func(*http.Request) string { return forgedOwner.Session }),
		User:           func(*http.Request) string { return forgedOwner.User },
		MaxHeaderBytes: 256 << 10,
		Logger:         slog.New(slog.NewTextHandler(&a.log, nil)),
	}
	a.start(t, options, a.registerFormer)
	var former []*forgedValue
	for _, state := range a.states() {
		former = append(former, a.seed(t, formerOf(state)))
	}
	a.start(t, options, a.registerToday)
	for _, state := range a.states() {
		a.seeds = append(a.seeds, a.seed(t, state))
	}
	a.former = len(a.seeds)
	a.seeds = append(a.seeds, former...)
	parent := a.seeds[0].clone()
	parent.inner[envelopeInstance] = forgedParent
	a.parent = a.seal(parent.append(nil))
	a.goroutines = runtime.NumGoroutine()
	return a
}

// start has a release answer, which registers its component so.
func (a *forgedApp) start(t testing.TB, o pagestate.Options, register func(r *pagestate.Registry)) {
	r := a.registry()
	register(r)
	mw, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	a.Middleware, a.handler = mw, mw.Handler(pagestate.Handle(a.serve))
}

func (a *forgedApp) seed(t testing.TB, state any) *forgedValue {
	token, err := a.Seal(forgedOwner, state)
	if err != nil {
		t.Fatal(err)
	}
	return parseForged(t, a.open(token))
}

// forgedFormer is what a forgedState was in its first version.
type forgedFormer forgedState

func formerOf(s *forgedState) *forgedFormer {
	former := forgedFormer(*s)
	former.Any = formerAny(s.Any)
	for i, v := range former.More {
		former.More[i] = formerAny(v)
	}
	return &former
}

func formerAny(v any) any {
	switch s := v.(type) {
	case forgedState:
		return *formerOf(&s)
	case *forgedState:
		return formerOf(s)
	}
	return v
}

func (a *forgedApp) registerFormer(r *pagestate.Registry) {
	pagestate.Register[forgedFormer](r, "forged")
}

func (a *forgedApp) registerToday(r *pagestate.Registry) {
	migrate := pagestate.Migrate(0, func(_ context.Context, former *forgedFormer) (*forgedState, error) {
		a.ran.steps++
		s := forgedState(*former)
		return &s, nil
	})
	pagestate.Register[forgedState](r, "forged", pagestate.Schema(1), migrate, pagestate.LoadWith(func(_ context.Context, s *forgedState) error {
		a.ran.loads++
		s.Loaded = []string{"loaded"}
		return nil
	}))
}

func (a *forgedApp) registry() *pagestate.Registry {
	r := pagestate.NewRegistry()
	pagestate.Register[forgedItem](r, "item", pagestate.Schema(2), pagestate.LoadWith(func(context.Context, *forgedItem) error {
		a.ran.loads++
		return nil
	}))
	pagestate.RegisterCodec(r, "money", pagestate.Codec[forgedMoney]{
		Encode: func(m forgedMoney) ([]byte, error) { return strconv.AppendInt(nil, m.cents, 10), nil },
		Decode: func(b []byte) (forgedMoney, error) {
			cents, err := strconv.ParseInt(string(b), 10, 64)
			return forgedMoney{cents}, err
		},
	})
	pagestate.RegisterModel(r, "row", pagestate.Model[int, forgedRow]{
		Key: func(r *forgedRow) int { return r.ID },
		Fetch: func(_ context.Context, ids []int) ([]*forgedRow, error) {
			forgedFetch(a, "row", ids)
			var rows []*forgedRow
			for _, id := range ids {
				if id%7 != 0 { // else it is gone
					rows = append(rows, &forgedRow{id, "from the database"})
				}
			}
			return rows, nil
		},
	})
	pagestate.RegisterModel(r, "word", pagestate.Model[forgedKey, forgedWord]{
		Key: func(w *forgedWord) forgedKey { return w.Key },
		Fetch: func(_ context.Context, keys []forgedKey) ([]*forgedWord, error) {
			forgedFetch(a, "word", keys)
			var words []*forgedWord
			for _, key := range keys {
				if key.Word == "" {
					return nil, pagestate.ErrUnavailable
				}
				words = append(words, &forgedWord{key})
			}
			return words, nil
		},
	})
	a.rows = pagestate.RegisterQuery(r, "rows", func(context.Context, forgedArgs) iter.Seq2[int, error] {
		return func(func(int, error) bool) { a.ran.queries++ }
	})
	a.body = pagestate.RegisterBlocks(r, "body", template.Must(template.New("").Funcs(template.FuncMap{
		"ran": func() string { a.ran.blocks++; return "" },
	}).Parse(`{{define "head"}}{{ran}}{{end}}{{define "foot"}}{{ran}}{{end}}`)))

	// The thief knows these names too, and they must be of no use to him: what
	// is of another type, and what another registry has.
	pagestate.RegisterQuery(r, "other", func(context.Context, string) iter.Seq2[int, error] { panic("a query of another type ran") })
	elsewhere := pagestate.NewRegistry()
	pagestate.RegisterQuery(elsewhere, "elsewhere", func(context.Context, forgedArgs) iter.Seq2[int, error] { panic("a query of another registry ran") })
	return r
}

// forgedFetch checks what a Fetch was asked for.
func forgedFetch[K comparable](a *forgedApp, model string, keys []K) {
	if a.ran.fetches == nil {
		a.ran.fetches = make(map[string]int)
	}
	a.ran.fetches[model]++
	seen := make(map[K]bool, len(keys))
	var zero K
	for _, key := range keys {
		if seen[key] || key == zero {
			a.fault("the fetch of %s got a key twice, or none", model)
		}
		seen[key] = true
	}
	if len(keys) == 0 || len(keys) > 10_000 {
		a.fault("the fetch of %s got %d keys", model, len(keys))
	}
}

// states are what seeds are made of.
func (a *forgedApp) states() []*forgedState {
	row, other := &forgedRow{ID: 1}, &forgedRow{ID: -300}
	word := &forgedWord{forgedKey{"en", "word"}}
	number, nothing := 5, (*int)(nil)
	address, _ := url.Parse("https://a:b@example.com/d?e#f")
	full := func() *forgedState {
		s := &forgedState{
			Bool: true, Int: -70_000, Text: "text", Named: "named", Traps: map[forgedTrap]*forgedTrap{"a": new(forgedTrap("b")), "c": nil},
			Bytes: []byte{1, 2}, ID: [16]byte{1, 15: 2}, Array: [2]forgedPoint{{1, 2}, {-1, -2}}, Slice: [][]int{{1, 300}, {}, nil},
			Map: map[string]map[int8]bool{"a": {1: true, -1: false}, "b": nil}, Floating: map[float64]struct{}{1: {}, math.Inf(1): {}},
			Keys: map[forgedPoint][]string{{1, 2}: {"x"}, {}: {}}, Pointer: new(&number),
			Tree: forgedTree{nil, {}, {{}}}, List: &forgedList{Next: &forgedList{Any: []any{1}}},
			When: []time.Time{time.Unix(1e9, 5).UTC(), time.Unix(-1, 0).In(time.FixedZone("", 7200)), {}}, Lasting: time.Hour, Month: time.May,
			Whole: new(big.Int).Lsh(big.NewInt(-3), 200), Ratio: *big.NewRat(-22, 7), Real: *big.NewFloat(-0.1),
			Addr: netip.MustParseAddr("fe80::1%a"), Port: netip.MustParseAddrPort("1.2.3.4:80"), Prefix: map[netip.Prefix]int{netip.MustParsePrefix("10.0.0.0/8"): 1},
			URL: address, Null: sql.Null[string]{V: "v", Valid: true}, JSON: json.RawMessage(`{"a":1}`), Number: "12",
			Any: &forgedItem{Name: "i"}, Shown: row, Money: forgedMoney{100}, Prices: map[forgedMoney]*forgedMoney{{1}: {2}, {3}: nil},
			Item: forgedItem{"item", row, *other}, Items: []*forgedItem{{Name: "a"}, nil},
			Row: row, Rows: []*forgedRow{row, nil, {ID: 14}, other}, Value: *other, Words: map[string]*forgedWord{"a": word, "b": nil},
			Query: a.rows(forgedArgs{row, 1, []string{"a"}}), Queries: []pagestate.Query[forgedArgs, int]{a.rows(forgedArgs{}), {}},
			Block: a.body("head"), Blocks: map[string]pagestate.Block{"a": a.body("foot"), "b": {}},
		}
		s.Ints.A, s.Ints.B, s.Ints.C, s.Ints.D = -1, -200, 70_000, math.MinInt64
		s.Uints.A, s.Uints.B, s.Uints.C, s.Uints.D, s.Uints.E = 1, 200, 300, 70_000, math.MaxUint64
		s.Floats.A, s.Floats.B, s.Floats.C, s.Floats.D = 1.5, math.Pi, 1-2i, complex(math.NaN(), 0)
		s.Nulls.A = sql.NullInt64{Int64: 1, Valid: true}
		s.Trusted.A, s.Trusted.B, s.Trusted.C = "<b>", "x()", "a 1x"
		return s
	}
	states := []*forgedState{{}, full(), {Pointer: &nothing, Whole: new(big.Int), URL: new(url.URL)}}
	for _, v := range []any{
		true, 1, int8(-1), int16(300), int32(-70_000), int64(1 << 40), uint(1), uint8(2), uint16(300), uint32(1 << 31), uint64(1 << 63),
		float32(1.5), 2.5, complex64(1i), 2i, "text", []byte{1}, time.Unix(1, 2).UTC(), time.Second, []any{nil, []any{}}, map[string]any{"a": map[string]any{}},
		forgedItem{"a", row, &forgedItem{Any: 1}}, &forgedItem{}, forgedMoney{1}, &forgedMoney{2}, row, *row, word, forgedState{Int: 1}, &forgedState{Any: row},
	} {
		states = append(states, &forgedState{Any: v, More: []any{v, nil, v}})
	}
	every := full()
	for _, s := range states[3:] {
		every.More = append(every.More, s.Any)
	}
	gone := &forgedState{Row: &forgedRow{ID: 7}}
	return append(states, every, gone)
}

// serve opens what it can, and uses all of it.
func (a *forgedApp) serve(w http.ResponseWriter, r *http.Request, s *forgedState) error {
	a.opened = append(a.opened, s)
	if r.URL.Path == "/child" {
		child, err := pagestate.Child[forgedState](r.Context(), s, "child", nil)
		if err != nil {
			return err
		}
		a.opened = append(a.opened, child)
	}
	for _, s := range a.opened {
		if !slices.Equal(s.Loaded, []string{"loaded"}) {
			a.fault("load did not run")
		}
		for _, q := range append(s.Queries, s.Query) {
			for range q.All(r.Context()) {
			}
		}
		for _, b := range s.Blocks {
			b.HTML(nil)
		}
		s.Block.HTML(nil)
	}
	return nil
}

// send acts with a forged token or, for a child, opens it below a parent that
// is genuine.
func (a *forgedApp) send(token string, child bool) *httptest.ResponseRecorder {
	a.log.Reset()
	a.ran, a.opened = forgedRuns{}, nil
	r := httptest.NewRequest("POST", "/", nil)
	if child {
		r.URL.Path = "/child"
		r.Header.Add("Page-State", a.parent)
	}
	r.Header.Add("Page-State", token)
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w
}

// attack sends what was forged, and checks that nothing came of it that the
// application did not register, and no more than its size allows.
func (a *forgedApp) attack(t *testing.T, plain []byte, child bool) {
	token := a.seal(plain)
	var w *httptest.ResponseRecorder
	used := sourceAllocated(func() { w = a.send(token, child) })
	if most := forgedMemory(len(plain)); used > most {
		t.Errorf("a forgery of %d bytes took %d bytes of memory, more than %d", len(plain), used, most)
	}
	// The runtime and the fuzzer have some of their own, which come and go.
	if n := runtime.NumGoroutine(); n > a.goroutines+20 {
		t.Errorf("%d goroutines, and %d in the beginning", n, a.goroutines)
	}
	for _, fault := range a.ran.faults {
		t.Error(fault)
	}
	tokens := 1
	if child {
		tokens = 2
	}
	for model, n := range a.ran.fetches {
		if n > tokens {
			t.Errorf("%d fetches of %s", n, model)
		}
	}
	if a.ran.steps > tokens {
		t.Errorf("%d steps", a.ran.steps)
	}
	if a.ran.loads > tokens {
		t.Errorf("%d loads", a.ran.loads)
	}
	switch w.Code {
	case 200:
		for _, s := range a.opened {
			a.isWhole(t, s)
		}
	case 400, 409, 410, 413, 503:
		if strings.Contains(a.log.String(), "level=ERROR") {
			t.Errorf("status %d, and logged as an error: %s", w.Code, &a.log)
		}
	default:
		if !a.hasGrown(plain) {
			t.Errorf("status %d: %s", w.Code, &a.log)
		}
	}
}

// hasGrown reports whether a state was refused when it was sealed, as it may be
// if structs of the token have fewer fields than today's.
func (a *forgedApp) hasGrown(plain []byte) bool {
	today := a.seeds[0].inner[envelopeShapes].inner[0].append(nil)
	return strings.Contains(a.log.String(), "over a limit") && !bytes.Contains(plain, today)
}

// isWhole checks that a state which was accepted is one that can be sealed, and
// comes back.
func (a *forgedApp) isWhole(t *testing.T, s *forgedState) {
	var data [2][]byte
	for i := range data {
		token, err := a.Seal(forgedOwner, s)
		if err != nil {
			t.Fatalf("accepted, but not sealed: %v", err)
		}
		if data[i], err = forgedData(a.open(token)); err != nil {
			t.Fatal(err)
		}
		state, err := a.Open(t.Context(), forgedOwner, token)
		if err != nil {
			t.Fatalf("sealed, but not opened: %v", err)
		}
		s = state.(*forgedState)
	}
	if !bytes.Equal(data[0], data[1]) {
		t.Errorf("sealed as %x, and then as %x", data[0], data[1])
	}
}

// forgedMemory is what a request with a forged token may allocate: what the state
// and its shapes may together, the token in its forms, and what any request does.
func forgedMemory(plain int) int64 { return int64(1<<20 + 64*plain + 32*plain + 64<<10) }

// TestForgedSeeds keeps FuzzForged from passing because nothing it sends is
// accepted.
func TestForgedSeeds(t *testing.T) {
	a := newForgedApp(t)
	for i, state := range slices.Repeat(a.states(), 2) {
		for _, child := range []bool{false, true} {
			status := 200
			if state.Row != nil && state.Row.ID == 7 {
				status = 410
			} else if i >= a.former && holdsItself(state) {
				status = 409
			}
			plain := forge(a.seeds, byte(i), child, nil)
			testkit.Want(t, fmt.Sprintf("seed %d, child %v", i, child), a.send(a.seal(plain), child).Code, status)
			a.attack(t, plain, child)
		}
	}
	a.send(a.seal(a.seeds[1].append(nil)), false)
	testkit.Want(t, "what ran", fmt.Sprint(a.ran), "{1 2 2 0 map[row:1 word:1] []}")
	a.send(a.seal(a.seeds[a.former+1].append(nil)), false)
	testkit.Want(t, "what ran", fmt.Sprint(a.ran), "{1 2 2 1 map[row:1 word:1] []}")
}

func holdsItself(s *forgedState) bool {
	return slices.ContainsFunc(s.More, func(v any) bool {
		_, value := v.(forgedState)
		_, pointer := v.(*forgedState)
		return value || pointer
	})
}

// FuzzForged has a thief of the secret change what was sealed, as the script
// says, and send it: as the token of the component that acts or, if child is
// odd, as that of a child. Without a script he sends raw.
func FuzzForged(f *testing.F) {
	a := newForgedApp(f)
	for i := range a.seeds {
		f.Add(byte(i), byte(0), []byte{1}, []byte{})
		f.Add(byte(i), byte(1), []byte{1}, []byte{})
	}
	for op := range byte(18) {
		f.Add(byte(1), byte(0), []byte{1, 0, 0, 30 + op, 3, op, 5, 0, 1, op, op}, []byte{})
	}
	f.Add(byte(0), byte(0), []byte{}, a.seeds[1].append(nil))
	f.Fuzz(func(t *testing.T, which, child byte, script, raw []byte) {
		plain := raw
		if len(script) > 0 {
			plain = forge(a.seeds, which, child%2 == 1, script)
		}
		a.attack(t, plain, child%2 == 1)
	})
}

// TestForgedOrder has forgeries with two faults each: the first that is looked
// for decides, and nothing behind it is done.
func TestForgedOrder(t *testing.T) {
	a := newForgedApp(t)
	format := func(e *forgedValue) {
		e.inner[envelopeHead].leaf = append([]byte{2}, e.inner[envelopeHead].leaf[1:]...)
	}
	old := func(e *forgedValue) {
		e.inner[envelopeHead].leaf = append(e.inner[envelopeHead].leaf[:1:1], make([]byte, 8)...)
	}
	head := func(e *forgedValue) { e.inner[envelopeRevision] = forgedNumber(0) }
	unknown := func(e *forgedValue) { e.inner[envelopeComponent] = forgedText("unknown") }
	version := func(e *forgedValue) { e.inner[envelopeVersion] = forgedNumber(7) }
	broken := func(e *forgedValue) { e.inner = append(e.inner, forgedNumber(0)) }
	gone := a.former - 1 // the last seed of today is of a row that is gone
	tests := []struct {
		name          string
		seed          int
		first, second func(e *forgedValue)
		code          string
		ran           string
	}{
		{"format before head", 0, format, head, "OutdatedState", "{0 0 0 0 map[] []}"},
		{"head before age", 0, head, old, "InvalidState", "{0 0 0 0 map[] []}"},
		{"age before component", 0, old, unknown, "ExpiredState", "{0 0 0 0 map[] []}"},
		{"version before payload", 0, version, broken, "OutdatedState", "{0 0 0 0 map[] []}"},
		{"payload before rows", gone, broken, broken, "InvalidState", "{0 0 0 0 map[] []}"},
		{"rows before load", gone, func(*forgedValue) {}, func(*forgedValue) {}, "StaleComponentState", "{0 0 0 0 map[row:1] []}"},
		{"rows before a step", len(a.seeds) - 1, func(*forgedValue) {}, func(*forgedValue) {}, "StaleComponentState", "{0 0 0 0 map[row:1] []}"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := a.seeds[test.seed].clone()
			test.second(e)
			test.first(e)
			body := a.send(a.seal(e.append(nil)), false).Body.String()
			testkit.Want(t, "answer is "+test.code, strings.Contains(body, test.code), true)
			testkit.Want(t, "what ran", fmt.Sprint(a.ran), test.ran)
		})
	}
}

// TestForgedForNobody has a token whose key was derived without a session. No
// visitor is without one on purpose, but where there is no binding.
func TestForgedForNobody(t *testing.T) {
	o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}}
	a := newCounterApp(t, o)
	const session = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	plain := newForger(t, o.Secrets[0], forgedCookie, session, forgedNoUsers, "").open(mustSeal(t, a.mw, pagestate.Owner{Session: session}, &counter{}))
	token := newForger(t, o.Secrets[0], forgedCookie, "", forgedNoUsers, "").seal(plain)
	_, err := a.mw.Open(t.Context(), pagestate.Owner{}, token)
	testkit.Want(t, "Open", errors.Is(err, pagestate.ErrInvalid), true)
	testkit.Want(t, "status", a.browser().Call("POST", "/show", token).StatusCode, 400)
}

// A limitCase is two forged states of one component: one at a limit, and one
// beyond it.
type limitCase struct {
	name     string
	register func(r *pagestate.Registry)
	zero     any
	at, over []byte // payloads
}

func limitOf[T any](name string, at, over []byte) limitCase {
	return limitCase{name, func(r *pagestate.Registry) { pagestate.Register[T](r, "state") }, new(T), at, over}
}

// limitMany is an array of n values.
func limitMany(n int, value ...byte) []byte {
	return append(wire.AppendArrayHeader(nil, n), bytes.Repeat(value, n)...)
}

func limitNested(n int) []byte { return append(bytes.Repeat([]byte{0x91}, n), 0xc0) }

// limitNumber is a big.Int with a magnitude of n bytes.
func limitNumber(n int) []byte {
	return wire.AppendBytes(nil, append([]byte{0}, bytes.Repeat([]byte{0xff}, n)...))
}

func limitFloat(precision uint64, exponent int64) []byte {
	b := append(wire.AppendUint([]byte{0x96}, precision), 0, 0xc2, 0xc2)
	return append(wire.AppendInt(b, exponent), limitNumber(1)...)
}

type (
	limitTree   []limitTree
	limitChain  struct{ Next *limitChain }
	limitRows   []*forgedRow
	limitEmpty  []struct{}
	limitHollow []map[int8]string // of one entry each
)

// Of n hollow elements, in 3 bytes each behind a header of 3, these fit into the
// budget of 1 MiB and 64 times the payload. Each map takes 48 bytes, room for 8
// entries of 25, and 16 for its key and its element each; the slice takes 24, and
// with a quarter more 10 for each, rounded up to 16.
const limitHollows = (1<<20 + 64*3 - 24 - 15) / (48 + 208 + 2*16 + 10 - 64*3)

// TestLimitsOfForgeries sends states at each limit and beyond it, which only a
// holder of the secret can make: what seals keeps to the limits too.
func TestLimitsOfForgeries(t *testing.T) {
	for _, test := range []limitCase{
		limitOf[limitTree]("depth of slices", limitNested(64), limitNested(65)),
		limitOf[limitChain]("depth of structs", limitNested(64), limitNested(65)),
		limitOf[limitEmpty]("elements", limitMany(1<<20, 0x90), limitMany(1<<20+1, 0x90)),
		limitOf[limitRows]("references", limitMany(10_000, 1), limitMany(10_001, 1)),
		limitOf[limitHollow]("memory", limitMany(limitHollows, 0x81, 0, 0xa0), limitMany(limitHollows+1, 0x81, 0, 0xa0)),
		limitOf[big.Int]("a whole number", limitNumber(1024), limitNumber(1025)),
		limitOf[big.Float]("precision", limitFloat(8192, 0), limitFloat(8193, 0)),
		limitOf[big.Float]("exponent", limitFloat(8, 65_536), limitFloat(8, 65_537)),
		limitOf[big.Float]("negative exponent", limitFloat(8, -65_536), limitFloat(8, -65_537)),
	} {
		t.Run(test.name, func(t *testing.T) {
			r := pagestate.NewRegistry()
			test.register(r)
			fetched := 0
			pagestate.RegisterModel(r, "row", pagestate.Model[int, forgedRow]{
				Key: func(r *forgedRow) int { return r.ID },
				Fetch: func(_ context.Context, ids []int) ([]*forgedRow, error) {
					fetched++
					return []*forgedRow{{ID: 1}}, nil
				},
			})
			o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Unbound(), MaxTokenBytes: 4 << 20}
			a := newApp(t, r, o)
			ran := 0
			a.mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) { ran++ })
			thief := newForger(t, o.Secrets[0], forgedUnbound, "", forgedNoUsers, "")
			e := parseForged(t, thief.open(mustSeal(t, a.mw, pagestate.Owner{}, test.zero)))
			send := func(payload []byte) testkit.Answer {
				e.inner[envelopePayload] = &forgedValue{leaf: payload}
				return a.browser().Post("/", thief.seal(e.append(nil)))
			}
			testkit.Want(t, "at the limit", send(test.at).StatusCode, 200)
			testkit.Want(t, "handlers", ran, 1)
			fetched = 0
			over := send(test.over)
			testkit.Want(t, "over it", over.StatusCode, 413)
			testkit.Want(t, "code", strings.Contains(over.Body, "StateTooLarge"), true)
			testkit.Want(t, "handlers", ran, 1)
			testkit.Want(t, "fetches", fetched, 0)
		})
	}
}

type forgedWide struct {
	Row *forgedRow
	Pad [1000]int8
}

// TestForgedTableMemory has a table that names one field of a large struct: what
// the others take is more than their bytes, of which there are none.
func TestForgedTableMemory(t *testing.T) {
	type state struct{ Wide map[uint16]forgedWide }
	row := &forgedRow{ID: 1}
	r := pagestate.NewRegistry()
	pagestate.Register[state](r, "state")
	pagestate.RegisterModel(r, "row", pagestate.Model[int, forgedRow]{
		Key:   func(r *forgedRow) int { return r.ID },
		Fetch: func(context.Context, []int) ([]*forgedRow, error) { return []*forgedRow{row}, nil },
	})
	o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Unbound()}
	m := newApp(t, r, o).mw
	thief := newForger(t, o.Secrets[0], forgedUnbound, "", forgedNoUsers, "")
	e := parseForged(t, thief.open(mustSeal(t, m, pagestate.Owner{}, new(state))))
	wide := e.inner[envelopeShapes].inner[0].inner[0].inner[2]
	wide.inner = wide.inner[:2] // Row, and its signature
	for _, n := range []int{1, 300, 950, 10_000} {
		payload := wire.AppendMapHeader([]byte{0x91}, n)
		for i := range n {
			payload = append(wire.AppendUint(payload, uint64(i)), 0x91, 1)
		}
		e.inner[envelopePayload] = &forgedValue{leaf: payload}
		plain := e.append(nil)
		token := thief.seal(plain)
		var err error
		used := sourceAllocated(func() { _, err = m.Open(t.Context(), pagestate.Owner{}, token) })
		if most := forgedMemory(len(plain)); used > most {
			t.Errorf("a payload of %d bytes took %d bytes of memory, more than %d", len(payload), used, most)
		}
		if err != nil && !errors.Is(err, pagestate.ErrTooLarge) {
			t.Error(err)
		}
		testkit.Want(t, fmt.Sprintf("opened with %d", n), err == nil, n <= 300)
	}
}
