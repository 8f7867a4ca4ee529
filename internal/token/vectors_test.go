package token_test

// The known answers of docs/token.md, in testdata/vectors.json, and their maker.

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io"
	"iter"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/token"
	"github.com/pagestate/pagestate/internal/wire"
)

// The components of the vectors.
type (
	tokenCounter struct{ Count int }

	tokenTags map[string]bool

	tokenLines []string

	tokenText struct {
		ASCII, Empty, Unicode string
		Broken                []string // not UTF-8
		Lengths               []string // around where the header grows
		Markup                template.HTML
		Attr                  template.HTMLAttr
		Style                 template.CSS
		Script                template.JS
		Quoted                template.JSStr
		Link                  template.URL
		Images                template.Srcset
		Number                json.Number
		Raw                   json.RawMessage
		Renamed               string `state:"title"`
		Left                  string `state:"-"`
	}

	tokenNumbers struct {
		Bools    []bool
		Int      []int
		Int8     []int8
		Int16    []int16
		Int32    []int32
		Int64    []int64
		Uint     []uint
		Uint8    [1]struct{ Max uint8 }
		Uint16   []uint16
		Uint32   []uint32
		Uint64   []uint64
		Float32  []float32
		Float64  []float64
		Complex  complex64
		Complex2 complex128
	}

	tokenPoint struct{ X, Y int8 }

	tokenNode struct {
		Label string
		Left  *tokenNode
		Right *tokenNode
	}

	tokenTree struct {
		Points                []tokenPoint
		Root, NoRoot          *tokenNode
		Twice, ToNil, NoPtr   **int
		ToSlice               *[]string
		Names                 map[string]int
		Keyed                 map[int16]tokenPoint
		Grid                  map[tokenPoint][2]string
		Set                   map[bool]struct{}
		Nil, None             []string
		NilMap, NoMap         map[string]bool
		Blob, NilBlob, NoBlob []byte
		ID                    [16]byte
		Nothing               [0]string
		tokenEmbedded
	}

	tokenEmbedded struct{ Inner string }

	tokenStandard struct {
		Zero, UTC, India, Nepal, Greenwich, Past time.Time
		Wait                                     time.Duration
		Month                                    time.Month
		Ints                                     []big.Int
		Rats                                     []*big.Rat
		Floats                                   []*big.Float
		Addrs                                    []netip.Addr
		Port, NoPort                             netip.AddrPort
		Prefix, NoPrefix                         netip.Prefix
		Page, Mail, NoURL                        url.URL
		Link                                     *url.URL
	}

	tokenShape interface{ Corners() int }

	tokenSquare struct{ Side float64 }

	tokenMoney struct{ cents int64 }

	tokenHolder struct {
		Basics []any
		Others []any
		Shape  tokenShape
		Price  tokenMoney
		Prices map[tokenMoney]string
	}

	tokenNested []tokenNested

	tokenInner struct{ Name string }

	tokenVersioned struct {
		Inner  tokenInner
		Inners []*tokenInner
		Nested tokenNested
		Loop   map[string]tokenLoop
	}

	tokenLoop map[string]*tokenLoop

	tokenAuthor struct { // a model
		ID   int
		Name string
	}

	tokenISBN struct {
		Prefix uint16
		Number string
	}

	tokenBook struct { // a model
		ISBN  tokenISBN
		Title string
	}

	tokenReferences struct {
		Author, NoAuthor      tokenAuthor
		Editor, NoEditor      *tokenAuthor
		Twice, ToNil, NoTwice **tokenAuthor
		Authors               []tokenAuthor
		Readers               []*tokenAuthor
		Optional              []*tokenAuthor `state:",optional"`
		Values                map[string]tokenBook
		Pointers              map[int8]*tokenBook
		Pair                  [2]*tokenBook
		Held                  []any
	}

	tokenFilter struct {
		Text   string
		Author *tokenAuthor
	}

	tokenNamed struct {
		Search, NoSearch    pagestate.Query[tokenFilter, tokenAuthor]
		Titles              pagestate.Query[*tokenAuthor, string]
		Pages               []pagestate.Query[int, string]
		Page, ToZero, NoOne *pagestate.Query[int, string]
		Body, NoBody        pagestate.Block
		Parts               map[string]pagestate.Block
	}
)

func (tokenSquare) Corners() int { return 4 }

// The registry is one for all tests: a query or block can be sealed only with
// the one it comes from.
var (
	tokenRegistry = tokenNewRegistry()

	tokenSearch = pagestate.RegisterQuery(tokenRegistry, "search", tokenRun[tokenFilter, tokenAuthor])
	tokenTitles = pagestate.RegisterQuery(tokenRegistry, "titles", tokenRun[*tokenAuthor, string])
	tokenPage   = pagestate.RegisterQuery(tokenRegistry, "page é", tokenRun[int, string])
	tokenBlock  = pagestate.RegisterBlocks(tokenRegistry, "list.html", template.Must(template.New("list").Parse(`{{define "body"}}{{end}}{{define "a row"}}{{end}}`)))
)

func tokenRun[A, R any](context.Context, A) iter.Seq2[R, error] { return func(func(R, error) bool) {} }

func tokenNewRegistry() *pagestate.Registry {
	r := pagestate.NewRegistry()
	pagestate.Register[tokenCounter](r, "counter")
	pagestate.Register[tokenTags](r, "tags")
	pagestate.Register[tokenLines](r, "lines", pagestate.Compressed())
	pagestate.Register[tokenText](r, "text")
	pagestate.Register[tokenNumbers](r, "numbers")
	pagestate.Register[tokenTree](r, "tree")
	pagestate.Register[tokenStandard](r, "standard")
	pagestate.Register[tokenHolder](r, "holder")
	pagestate.Register[tokenSquare](r, "a square, é")
	pagestate.Register[tokenInner](r, "inner", pagestate.Schema(2))
	pagestate.Register[tokenVersioned](r, "versioned", pagestate.Schema(3))
	pagestate.Register[tokenReferences](r, "references")
	pagestate.Register[tokenNamed](r, "named")
	pagestate.RegisterModel(r, "author", pagestate.Model[int, tokenAuthor]{
		Key: func(a *tokenAuthor) int { return a.ID },
		Fetch: func(_ context.Context, ids []int) (rows []*tokenAuthor, err error) {
			for _, id := range ids {
				if id > 0 { // a row of another id is gone
					rows = append(rows, &tokenAuthor{ID: id})
				}
			}
			return rows, nil
		},
	})
	pagestate.RegisterModel(r, "a book, é", pagestate.Model[tokenISBN, tokenBook]{
		Key: func(b *tokenBook) tokenISBN { return b.ISBN },
		Fetch: func(_ context.Context, keys []tokenISBN) (rows []*tokenBook, err error) {
			for _, key := range keys {
				rows = append(rows, &tokenBook{ISBN: key})
			}
			return rows, nil
		},
	})
	pagestate.RegisterCodec(r, "money", pagestate.Codec[tokenMoney]{
		Encode: func(m tokenMoney) ([]byte, error) { return fmt.Appendf(nil, "%d¢", m.cents), nil },
		Decode: func(b []byte) (m tokenMoney, err error) {
			if _, err := fmt.Sscanf(string(b), "%d¢", &m.cents); err != nil || fmt.Sprintf("%d¢", m.cents) != string(b) {
				return m, errors.New("not money")
			}
			return m, nil
		},
	})
	return r
}

// tokenVector is one known answer. docs/token.md says what its fields mean.
type tokenVector struct {
	Name        string          `json:"name"`
	About       string          `json:"about"`
	Secret      tokenHex        `json:"secret"`
	Purpose     string          `json:"purpose"`
	Binding     byte            `json:"binding"`
	Session     string          `json:"session"`
	UserKind    byte            `json:"user_kind"`
	User        string          `json:"user"`
	Key         tokenHex        `json:"key"`
	Token       string          `json:"token"`
	LastSealed  int64           `json:"last_sealed"`
	FirstSealed int64           `json:"first_sealed"`
	Component   string          `json:"component"`
	Version     int             `json:"version"`
	ChildKey    string          `json:"child_key"`
	Parent      tokenHex        `json:"parent"`
	Instance    tokenHex        `json:"instance"`
	Revision    uint64          `json:"revision"`
	Shapes      tokenHex        `json:"shapes"`
	Payload     tokenHex        `json:"payload"`
	Compressed  bool            `json:"compressed"`
	State       json.RawMessage `json:"state"`

	value any // a *T, what State describes
}

type tokenHex []byte

func (h tokenHex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *tokenHex) UnmarshalText(b []byte) (err error) {
	*h, err = hex.AppendDecode(nil, b)
	return err
}

func tokenURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// tokenVectors are the vectors without what is derived or drawn: the key, the
// instance, the token, and what the state is encoded to.
func tokenVectors() []*tokenVector {
	const session = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	max1024 := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 8192), big.NewInt(1))
	third := new(big.Float).SetPrec(24).SetMode(big.ToZero).Quo(big.NewFloat(1), big.NewFloat(3))
	return []*tokenVector{
		{
			Name: "counter", About: "the smallest: one number, no purpose, no User function",
			Binding: 1, Session: session,
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "counter", Revision: 1,
			value: &tokenCounter{Count: 7},
			State: tokenJSON(`{"Count": 7}`),
		},
		{
			Name: "anonymous", About: "nobody is logged in where there is a User function; sealed again an hour later",
			Purpose: "shop", Binding: 1, Session: session, UserKind: 1,
			FirstSealed: 1770000000, LastSealed: 1770003600, Component: "counter", Revision: 2,
			value: &tokenCounter{Count: -1},
			State: tokenJSON(`{"Count": -1}`),
		},
		{
			Name: "unbound", About: "no session; a component that is not a struct",
			Purpose: "sh\x00op, é", Binding: 0, UserKind: 1,
			FirstSealed: 1770000000, LastSealed: 1770000001, Component: "tags", Revision: 300,
			value: &tokenTags{"z": true, "aa": false, "é": true, "": false},
			State: tokenJSON(`[["", false], ["z", true], ["aa", false], ["é", true]]`),
		},
		{
			Name: "compressed", About: "a component that is registered with Compressed",
			Binding: 1, Session: session, Compressed: true,
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "lines", Revision: 1,
			value: &tokenLines{"over and over", "over and over", "over and over again", "over and over", "over and over"},
			State: tokenJSON(`["over and over", "over and over", "over and over again", "over and over", "over and over"]`),
		},
		{
			Name: "text", About: "strings of all kinds; a SessionFunc and a named user",
			Binding: 2, Session: "scs:42", UserKind: 2, User: "zoë@example.org",
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "text", Revision: 1,
			value: &tokenText{
				ASCII: "plain", Unicode: "zażółć 🦆 \u2028\x00",
				Broken:  []string{"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80"},
				Lengths: []string{strings.Repeat("a", 31), strings.Repeat("b", 32), strings.Repeat("c", 255), strings.Repeat("d", 256)},
				Markup:  "<b>bold</b>", Attr: `class="a"`, Style: "color: red", Script: "f()", Quoted: `it\'s`, Link: "/a?b=c", Images: "a.png 2x",
				Number: "1e400", Raw: json.RawMessage(`{"a":1}`), Renamed: "saved as title", Left: "not saved",
			},
			State: tokenJSON(`{
				"ASCII": "plain", "Empty": "", "Unicode": "zażółć 🦆 \u2028\u0000",
				"Broken": [{"hex": "ff"}, {"hex": "61c3"}, {"hex": "eda080"}, {"hex": "c080"}],
				"Lengths": ["` + strings.Repeat("a", 31) + `", "` + strings.Repeat("b", 32) + `", "` + strings.Repeat("c", 255) + `", "` + strings.Repeat("d", 256) + `"],
				"Markup": "<b>bold</b>", "Attr": "class=\"a\"", "Style": "color: red", "Script": "f()", "Quoted": "it\\'s", "Link": "/a?b=c", "Images": "a.png 2x",
				"Number": "1e400", "Raw": {"hex": "7b2261223a317d"}, "title": "saved as title"
			}`),
		},
		{
			Name: "numbers", About: "every kind of number, around where its form grows",
			Binding: 1, Session: session,
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "numbers", Revision: 1,
			value: &tokenNumbers{
				Bools:   []bool{false, true},
				Int:     []int{0, 127, 128, -1, math.MaxInt32, math.MinInt32}, // as many bits as a Go of 32 has
				Int8:    []int8{math.MinInt8, math.MaxInt8},
				Int16:   []int16{math.MinInt16, math.MaxInt16},
				Int32:   []int32{math.MinInt32, math.MaxInt32},
				Int64:   []int64{0, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxInt64, -1, -32, -33, -128, -129, -32768, -32769, -1 << 31, -1<<31 - 1, math.MinInt64},
				Uint:    []uint{0, math.MaxUint32},
				Uint8:   [1]struct{ Max uint8 }{{math.MaxUint8}},
				Uint16:  []uint16{0, math.MaxUint16},
				Uint32:  []uint32{0, math.MaxUint32},
				Uint64:  []uint64{0, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxUint64},
				Float32: []float32{0, 1, -1.5, 1 << 100, float32(math.Inf(1))},
				Float64: []float64{0, math.Copysign(0, -1), 0.1, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(-1), math.NaN()},
				Complex: complex(0.5, -2), Complex2: complex(0.1, math.Inf(1)),
			},
			State: tokenJSON(`{
				"Bools": [false, true],
				"Int": [0, 127, 128, -1, 2147483647, -2147483648],
				"Int8": [-128, 127], "Int16": [-32768, 32767], "Int32": [-2147483648, 2147483647],
				"Int64": [0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9223372036854775807, -1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -9223372036854775808],
				"Uint": [0, 4294967295], "Uint8": [{"Max": 255}], "Uint16": [0, 65535], "Uint32": [0, 4294967295],
				"Uint64": [0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 18446744073709551615],
				"Float32": [0, 1, -1.5, 1267650600228229401496703205376, "inf"],
				"Float64": [0, -0.0, 0.1, 1.7976931348623157e308, 5e-324, "-inf", "nan"],
				"Complex": [0.5, -2], "Complex2": [0.1, "inf"]
			}`),
		},
		{
			Name: "tree", About: "structs, pointers, slices, arrays and maps, nil and empty ones apart",
			Binding: 1, Session: session, UserKind: 2, User: "7",
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "tree", Revision: 1,
			value: &tokenTree{
				Points: []tokenPoint{{1, -1}, {}},
				Root:   &tokenNode{Label: "top", Left: &tokenNode{Label: "left"}, Right: &tokenNode{Right: &tokenNode{Label: "far"}}},
				Twice:  new(new(5)), ToNil: new(*int), ToSlice: new([]string),
				Names: map[string]int{"b": 2, "a": 1, "aa": 3},
				Keyed: map[int16]tokenPoint{-1: {}, 1: {1, 1}, 300: {}, -300: {}},
				Grid:  map[tokenPoint][2]string{{1, 2}: {"x", ""}, {-1, 0}: {"", "y"}},
				Set:   map[bool]struct{}{true: {}, false: {}},
				None:  []string{}, NoMap: map[string]bool{},
				Blob: []byte{0, 255}, NoBlob: []byte{},
				ID:            [16]byte{0: 1, 15: 16},
				tokenEmbedded: tokenEmbedded{Inner: "in"},
			},
			State: tokenJSON(`{
				"Points": [{"X": 1, "Y": -1}, {"X": 0, "Y": 0}],
				"Root": {"Label": "top", "Left": {"Label": "left", "Left": null, "Right": null}, "Right": {"Label": "", "Left": null, "Right": {"Label": "far", "Left": null, "Right": null}}},
				"NoRoot": null, "Twice": [5], "ToNil": [null], "NoPtr": null, "ToSlice": [null],
				"Names": [["a", 1], ["b", 2], ["aa", 3]],
				"Keyed": [[1, {"X": 1, "Y": 1}], [300, {"X": 0, "Y": 0}], [-300, {"X": 0, "Y": 0}], [-1, {"X": 0, "Y": 0}]],
				"Grid": [[{"X": 1, "Y": 2}, ["x", ""]], [{"X": -1, "Y": 0}, ["", "y"]]],
				"Set": [[false, {}], [true, {}]],
				"Nil": null, "None": [], "NilMap": null, "NoMap": [],
				"Blob": {"hex": "00ff"}, "NilBlob": null, "NoBlob": {"hex": ""},
				"ID": {"hex": "01000000000000000000000000000010"}, "Nothing": [],
				"tokenEmbedded": {"Inner": "in"}
			}`),
		},
		{
			Name: "standard", About: "types of the standard library: times, big numbers, addresses, URLs",
			Binding: 1, Session: session,
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "standard", Revision: 1,
			value: &tokenStandard{
				UTC:       time.Date(2026, 2, 2, 2, 40, 0, 123456789, time.UTC),
				India:     time.Date(2026, 2, 2, 8, 10, 0, 0, time.FixedZone("IST", 19800)),
				Nepal:     time.Date(1919, 12, 31, 23, 59, 59, 999999999, time.FixedZone("LMT", 20476)),
				Greenwich: time.Date(1970, 1, 1, 0, 0, 0, 0, time.FixedZone("GMT", 0)),
				Past:      time.Date(-1000, 1, 1, 0, 0, 0, 0, time.FixedZone("", -3600)),
				Wait:      -90 * time.Second, Month: time.March,
				Ints: []big.Int{{}, *big.NewInt(-1), *big.NewInt(256), *max1024},
				Rats: []*big.Rat{new(big.Rat), big.NewRat(-22, 7), nil},
				Floats: []*big.Float{
					new(big.Float), big.NewFloat(1.5), big.NewFloat(-1024), third,
					new(big.Float).SetPrec(10).SetInf(true),
					new(big.Float).SetPrec(64).Neg(new(big.Float)),
				},
				Addrs: []netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("fe80::1%eth0")},
				Port:  netip.MustParseAddrPort("[2001:db8::1]:8080"), Prefix: netip.MustParsePrefix("192.0.2.1/24"),
				Page: *tokenURL("https://a:b@example.org:8443/x%2Fy?q=1&r#part%2F"), Mail: *tokenURL("mailto:a@example.org"),
				Link: tokenURL("//u@h?"),
			},
			State: tokenJSON(`{
				"Zero": [-62135596800, 0, null], "UTC": [1770000000, 123456789, null], "India": [1770000000, 0, 19800],
				"Nepal": [-1577943677, 999999999, 20476], "Greenwich": [0, 0, 0], "Past": [-93724124400, 0, -3600],
				"Wait": -90000000000, "Month": 3,
				"Ints": [0, -1, 256, ` + max1024.String() + `],
				"Rats": [[0, 1], [-22, 7], null],
				"Floats": [
					[0, 0, false, false, 0, 0], [53, 0, false, false, -1, 3], [53, 0, true, false, 10, 1], [24, 2, false, false, -24, 5592405],
					[10, 0, true, true, 0, 0], [64, 0, true, false, 0, 0]
				],
				"Addrs": ["", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0"],
				"Port": "[2001:db8::1]:8080", "NoPort": "", "Prefix": "192.0.2.1/24", "NoPrefix": "",
				"Page": ["https", "", "example.org:8443", "/x/y", "/x%2Fy", "q=1&r", "part/", "part%2F", ["a", "b"], false, false],
				"Mail": ["mailto", "a@example.org", "", "", "", "", "", "", null, false, false],
				"NoURL": ["", "", "", "", "", "", "", "", null, false, false],
				"Link": ["", "", "h", "", "", "", "", "", ["u"], true, false]
			}`),
		},
		{
			Name: "holder", About: "interfaces that hold basic and registered types; a codec",
			Binding: 1, Session: session,
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "holder", Revision: 1,
			value: &tokenHolder{
				Basics: []any{
					nil, true, 1, int8(2), int16(3), int32(4), int64(5), uint(6), uint8(7), uint16(8), uint32(9), uint64(10),
					float32(0.5), 0.25, complex64(1), complex128(2), "s", []byte("b"), time.Unix(1, 0).UTC(), time.Second,
					[]any{1, nil}, map[string]any{"k": "v"}, []any(nil),
				},
				Others: []any{tokenHolder{}, tokenInner{Name: "in"}, &tokenInner{}, (*tokenInner)(nil), tokenMoney{5}, &tokenSquare{Side: 1}},
				Shape:  tokenSquare{Side: 2}, Price: tokenMoney{1999},
				Prices: map[tokenMoney]string{{100}: "one", {20}: "fifth"},
			},
			State: tokenJSON(`{
				"Basics": [
					null, ["bool", true], ["int", 1], ["int8", 2], ["int16", 3], ["int32", 4], ["int64", 5], ["uint", 6], ["uint8", 7], ["uint16", 8], ["uint32", 9], ["uint64", 10],
					["float32", 0.5], ["float64", 0.25], ["complex64", [1, 0]], ["complex128", [2, 0]], ["string", "s"], ["[]byte", {"hex": "62"}], ["time.Time", [1, 0, null]], ["time.Duration", 1000000000],
					["[]any", [["int", 1], null]], ["map[string]any", [["k", ["string", "v"]]]], ["[]any", null]
				],
				"Others": [
					["holder", {"Basics": null, "Others": null, "Shape": null, "Price": {"hex": "30c2a2"}, "Prices": null}],
					["inner", {"Name": "in"}], ["*inner", {"Name": ""}], ["*inner", null], ["money", {"hex": "35c2a2"}], ["*a square, é", {"Side": 1}]
				],
				"Shape": ["a square, é", {"Side": 2}],
				"Price": {"hex": "31393939c2a2"},
				"Prices": [[{"hex": "3230c2a2"}, "fifth"], [{"hex": "313030c2a2"}, "one"]]
			}`),
		},
		{
			Name: "versioned", About: "schema versions, and types that hold themselves",
			Binding: 1, Session: session,
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "versioned", Version: 3, Revision: 70000,
			value: &tokenVersioned{
				Inner: tokenInner{Name: "a"}, Inners: []*tokenInner{{Name: "b"}, nil},
				Nested: tokenNested{{}, {{}, nil}},
				Loop:   map[string]tokenLoop{"x": {"y": &tokenLoop{"z": nil}}},
			},
			State: tokenJSON(`{
				"Inner": {"Name": "a"}, "Inners": [{"Name": "b"}, null],
				"Nested": [[], [[], null]],
				"Loop": [["x", [["y", [[["z", null]]]]]]]
			}`),
		},
		{
			Name: "references", About: "models, by value and by pointer: only their keys",
			Binding: 1, Session: session,
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "references", Revision: 1,
			value: &tokenReferences{
				Author: tokenAuthor{1, "not saved"}, Editor: &tokenAuthor{ID: 2},
				Twice: new(&tokenAuthor{ID: 300}), ToNil: new(*tokenAuthor),
				Authors:  []tokenAuthor{{ID: 1}, {}},
				Readers:  []*tokenAuthor{{ID: 2}, nil, {ID: 1}},
				Optional: []*tokenAuthor{{ID: 4}},
				Values:   map[string]tokenBook{"zero": {}, "a": {ISBN: tokenISBN{978, "1"}}},
				Pointers: map[int8]*tokenBook{-1: nil, 1: {ISBN: tokenISBN{979, ""}}},
				Pair:     [2]*tokenBook{1: {ISBN: tokenISBN{0, "2"}}},
				Held:     []any{tokenBook{ISBN: tokenISBN{978, "1"}}, tokenBook{}, &tokenAuthor{ID: 2}, (*tokenAuthor)(nil), tokenAuthor{ID: 3}},
			},
			State: tokenJSON(`{
				"Author": 1, "NoAuthor": null, "Editor": 2, "NoEditor": null, "Twice": [300], "ToNil": [null], "NoTwice": null,
				"Authors": [1, null], "Readers": [2, null, 1], "Optional": [4],
				"Values": [["a", {"Prefix": 978, "Number": "1"}], ["zero", null]],
				"Pointers": [[1, {"Prefix": 979, "Number": ""}], [-1, null]],
				"Pair": [null, {"Prefix": 0, "Number": "2"}],
				"Held": [["a book, é", {"Prefix": 978, "Number": "1"}], ["a book, é", null], ["*author", 2], ["*author", null], ["author", 3]]
			}`),
		},
		{
			Name: "named", About: "queries with their arguments, and blocks of templates",
			Binding: 1, Session: session,
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "named", Revision: 1,
			value: &tokenNamed{
				Search: tokenSearch(tokenFilter{"é", &tokenAuthor{ID: 5}}), Titles: tokenTitles(nil),
				Pages: []pagestate.Query[int, string]{tokenPage(0), {}, tokenPage(-1)},
				Page:  new(tokenPage(1)), ToZero: new(pagestate.Query[int, string]),
				Body: tokenBlock("body"), Parts: map[string]pagestate.Block{"x": tokenBlock("a row"), "": {}},
			},
			State: tokenJSON(`{
				"Search": ["search", {"Text": "é", "Author": 5}], "NoSearch": null, "Titles": ["titles", null],
				"Pages": [["page é", 0], null, ["page é", -1]], "Page": [["page é", 1]], "ToZero": [null], "NoOne": null,
				"Body": ["list.html", "body"], "NoBody": null, "Parts": [["", null], ["x", ["list.html", "a row"]]]
			}`),
		},
		{
			Name: "child", About: "a component under another: its key, and its parent's instance",
			Purpose: "shop", Binding: 1, Session: session, UserKind: 2, User: "zoë@example.org",
			FirstSealed: 1770000000, LastSealed: 1770000000, Component: "counter", Revision: 1,
			ChildKey: "row 3, é", Parent: tokenHex("\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf"),
			value: &tokenCounter{Count: 3},
			State: tokenJSON(`{"Count": 3}`),
		},
	}
}

// tokenJSON is s without the spaces between its values.
func tokenJSON(s string) json.RawMessage {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		panic(err)
	}
	return b.Bytes()
}

var tokenUpdate = flag.Bool("update", false, "seal the vectors that testdata/vectors.json lacks; delete one from it to have it sealed anew")

const tokenVectorsFile = "testdata/vectors.json"

func tokenReadVectors(t testing.TB) []*tokenVector {
	data, err := os.ReadFile(tokenVectorsFile)
	if errors.Is(err, os.ErrNotExist) && *tokenUpdate {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var vectors []*tokenVector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		v.State = tokenJSON(string(v.State))
	}
	return vectors
}

func tokenWriteVectors(t *testing.T, vectors []*tokenVector) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(vectors); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tokenVectorsFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestVectors compares every byte of the format with tokens that were sealed
// once and for all. If it fails, the format has changed: that takes a new
// format version, new vectors beside the old ones, and a reader for both.
func TestVectors(t *testing.T) {
	known := tokenReadVectors(t)
	m := tokenNewApp(t)
	var all []*tokenVector
	for _, want := range tokenVectors() {
		want.derive(t, m)
		i := slices.IndexFunc(known, func(v *tokenVector) bool { return v.Name == want.Name })
		if i < 0 {
			if !*tokenUpdate {
				t.Errorf("%s: not in %s; seal it with -update", want.Name, tokenVectorsFile)
				continue
			}
			want.seal(t)
			known = append(known, want)
			i = len(known) - 1
		}
		t.Run(want.Name, func(t *testing.T) { known[i].check(t, m, want) })
		all = append(all, known[i])
	}
	if len(all) != len(known) {
		t.Errorf("%s has %d vectors, and %d are known here", tokenVectorsFile, len(known), len(all))
	}
	if *tokenUpdate && !t.Failed() {
		tokenWriteVectors(t, all)
	}
}

// derive fills in what follows from the rest of v.
func (v *tokenVector) derive(t *testing.T, m *tokenApp) {
	v.Secret = tokenHex(token.PublishedSecret)
	key, err := v.keys().Key()
	if err != nil {
		t.Fatal(err)
	}
	v.Key = key
	v.Shapes, v.Payload = tokenEncode(t, m, v.value)
}

func (v *tokenVector) keys() *token.Keyring {
	keys := v.secrets().Keyring(v.owner())
	return &keys
}

func (v *tokenVector) secrets() *token.Secrets { return token.NewSecrets([][]byte{v.Secret}) }

func (v *tokenVector) owner() token.Owner {
	return token.Owner{
		Purpose:  v.Purpose,
		Binding:  token.BindingKind(v.Binding),
		Session:  v.Session,
		UserKind: token.UserKind(v.UserKind),
		User:     v.User,
	}
}

// tokenEncode returns the shapes and the payload of a *T.
func tokenEncode(t *testing.T, m *tokenApp, state any) (shapes, payload []byte) {
	sealed := tokenSeal(t, m, state)
	e, _, err := token.ParseEnvelope(sealed, tokenPlain(t, m, sealed))
	if err != nil {
		t.Fatal(err)
	}
	data := tokenUncompressed(t, e.Data)
	d := wire.Decoder{Data: data}
	n, err := d.ArrayHeader()
	if err != nil {
		t.Fatal(err)
	}
	for i := range n { // tables, and names between them
		if i%2 == 0 {
			_, err = d.Bytes()
		} else {
			_, err = d.String()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return data[:d.Pos], d.Rest()
}

// tokenIsCompressed reports whether data is compressed: then it is bytes, where
// shapes begin with an array.
func tokenIsCompressed(data []byte) bool {
	d := wire.Decoder{Data: data}
	return d.Kind() == wire.BytesKind
}

func tokenUncompressed(t *testing.T, data []byte) []byte {
	if !tokenIsCompressed(data) {
		return data
	}
	r := wire.NewReader(data)
	compressed := r.Bytes()
	rest, err := r.Rest()
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v, and %d bytes behind the compressed data", err, len(rest))
	}
	data, err = io.ReadAll(flate.NewReader(bytes.NewReader(compressed)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func tokenCompressed(t *testing.T, data []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return wire.AppendBytes(nil, out.Bytes())
}

func (v *tokenVector) envelope() *token.Envelope {
	return &token.Envelope{
		FirstSealed: time.Unix(v.FirstSealed, 0),
		LastSealed:  time.Unix(v.LastSealed, 0),
		Version:     uint64(v.Version),
		Key:         v.ChildKey,
		Parent:      token.InstanceID(append(slices.Clip(v.Parent), make([]byte, 16)...)),
		Instance:    token.InstanceID(v.Instance),
		Revision:    v.Revision,
		Data:        slices.Concat(v.Shapes, v.Payload),
	}
}

func (v *tokenVector) plain() []byte {
	e := v.envelope()
	return append(e.Head(v.Component, 0), e.Data...)
}

func (v *tokenVector) seal(t *testing.T) {
	id := token.NewInstanceID()
	v.Instance = id[:]
	e := v.envelope()
	if v.Compressed {
		e.Data = tokenCompressed(t, e.Data)
	}
	sealed, err := v.keys().Seal(append(e.Head(v.Component, 0), e.Data...), e.LastSealed)
	if err != nil {
		t.Fatal(err)
	}
	v.Token = sealed
}

// check compares v, as it stands in the file, with what this package makes of
// want, and opens its token.
func (v *tokenVector) check(t *testing.T, m *tokenApp, want *tokenVector) {
	want.Instance, want.Token = v.Instance, v.Token
	for i := range reflect.TypeFor[tokenVector]().NumField() - 1 { // all but value
		got := tokenField(t, v, i)
		if want := tokenField(t, want, i); got != want {
			t.Errorf("%s %s", reflect.TypeFor[tokenVector]().Field(i).Name, tokenDiff(got, want))
		}
	}
	if err := token.CheckForm(v.Token); err != nil {
		t.Fatal(err)
	}
	plain, err := v.keys().Open(v.Token)
	if err != nil {
		t.Fatal(err)
	}
	e, component, err := token.ParseEnvelope(v.Token, plain)
	if err != nil {
		t.Fatal(err)
	}
	if string(component) != v.Component {
		t.Errorf("the component is %q, want %q", component, v.Component)
	}
	if tokenIsCompressed(e.Data) != v.Compressed {
		t.Errorf("compressed: %t", !v.Compressed)
	}
	head := plain[:len(plain)-len(e.Data)]
	e.Data = tokenUncompressed(t, e.Data)
	if got := slices.Concat(head, e.Data); !bytes.Equal(got, v.plain()) {
		t.Errorf("the plaintext %s", tokenDiff(hex.EncodeToString(got), hex.EncodeToString(v.plain())))
	}
	if !reflect.DeepEqual(&e, v.envelope()) {
		t.Errorf("the envelope %s", tokenDiff(fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", v.envelope())))
	}
	m.now = e.LastSealed
	state, err := m.Open(t.Context(), tokenOwner, tokenOf(m.key, plain))
	if err != nil {
		t.Fatal(err)
	}
	// Equal states have equal bytes, and others have others.
	shapes, payload := tokenEncode(t, m, state)
	if !bytes.Equal(shapes, v.Shapes) {
		t.Errorf("the shapes of what was opened %s", tokenDiff(hex.EncodeToString(shapes), hex.EncodeToString(v.Shapes)))
	}
	if !bytes.Equal(payload, v.Payload) {
		t.Errorf("the payload of what was opened %s", tokenDiff(hex.EncodeToString(payload), hex.EncodeToString(v.Payload)))
	}
}

// tokenDiff says where two texts begin to differ, and no more of them.
func tokenDiff(got, want string) string {
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	from := max(0, at-20)
	return fmt.Sprintf("differs from character %d of %d on: got %.60q, want %.60q, from character %d", at, len(want), got[from:], want[from:], from)
}

func tokenField(t *testing.T, v *tokenVector, i int) string {
	text, err := json.Marshal(reflect.ValueOf(v).Elem().Field(i).Interface())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWorkedExample reads the tables of bytes in docs/token.md.
func TestWorkedExample(t *testing.T) {
	doc, err := os.ReadFile("../../docs/token.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## A token, byte by byte\n")
	section, _, _ = strings.Cut(section, "\n## ")
	row := regexp.MustCompile("^\\| (?:(\\d+) \\|)?[^`]*`([0-9a-f ]+)` \\|")
	var tables []string // each in hexadecimal
	for block := range strings.SplitSeq(section, "\n\n") {
		var table string
		for line := range strings.Lines(block) {
			cells := row.FindStringSubmatch(line)
			if cells == nil {
				continue
			}
			if offset := strconv.Itoa(len(table) / 2); cells[1] != "" && cells[1] != offset {
				t.Errorf("offset %s should be %s", cells[1], offset)
			}
			table += strings.ReplaceAll(cells[2], " ", "")
		}
		if table != "" {
			tables = append(tables, table)
		}
	}
	v := tokenReadVectors(t)[0]
	decoded, err := base64.URLEncoding.DecodeString(v.Token)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]byte{
		v.owner().Info(),
		slices.Concat(v.secrets().Extracted(), v.Key, v.Key),
		decoded,
		v.plain(),
	}
	if len(tables) != len(want) {
		t.Fatalf("%d tables of bytes, want %d", len(tables), len(want))
	}
	for i, table := range tables {
		if want := hex.EncodeToString(want[i]); table != want {
			t.Errorf("table %d %s", i, tokenDiff(table, want))
		}
	}
	if !strings.Contains(section, "\n"+v.Token+"\n") {
		t.Error("the token itself is another")
	}
}
