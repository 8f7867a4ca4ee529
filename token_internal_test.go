//go:build ignore

package pagestate

// This file holds the tests of docs/token.md: the known answers in testdata,
// a reader in another language, and what a Fernet library leaves to its caller.

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"iter"
	"math"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fernet/fernet-go"
	"github.com/tinylib/msgp/msgp"
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
		Search, NoSearch    Query[tokenFilter, tokenAuthor]
		Titles              Query[*tokenAuthor, string]
		Pages               []Query[int, string]
		Page, ToZero, NoOne *Query[int, string]
		Body, NoBody        Block
		Parts               map[string]Block
	}
)

func (tokenSquare) Corners() int { return 4 }

// The registry is one for all tests: a query or block can be sealed only with
// the one it comes from.
var (
	tokenRegistry = tokenNewRegistry()

	tokenSearch = RegisterQuery(tokenRegistry, "search", tokenRun[tokenFilter, tokenAuthor])
	tokenTitles = RegisterQuery(tokenRegistry, "titles", tokenRun[*tokenAuthor, string])
	tokenPage   = RegisterQuery(tokenRegistry, "page é", tokenRun[int, string])
	tokenBlock  = RegisterBlocks(tokenRegistry, "list.html", template.Must(template.New("list").Parse(`{{define "body"}}{{end}}{{define "a row"}}{{end}}`)))
)

func tokenRun[A, R any](context.Context, A) iter.Seq2[R, error] { return func(func(R, error) bool) {} }

func tokenNewRegistry() *Registry {
	r := NewRegistry()
	Register[tokenCounter](r, "counter")
	Register[tokenTags](r, "tags")
	Register[tokenLines](r, "lines", Compressed())
	Register[tokenText](r, "text")
	Register[tokenNumbers](r, "numbers")
	Register[tokenTree](r, "tree")
	Register[tokenStandard](r, "standard")
	Register[tokenHolder](r, "holder")
	Register[tokenSquare](r, "a square, é")
	Register[tokenInner](r, "inner", Schema(2))
	Register[tokenVersioned](r, "versioned", Schema(3))
	Register[tokenReferences](r, "references")
	Register[tokenNamed](r, "named")
	RegisterModel(r, "author", Model[int, tokenAuthor]{
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
	RegisterModel(r, "a book, é", Model[tokenISBN, tokenBook]{
		Key: func(b *tokenBook) tokenISBN { return b.ISBN },
		Fetch: func(_ context.Context, keys []tokenISBN) (rows []*tokenBook, err error) {
			for _, key := range keys {
				rows = append(rows, &tokenBook{ISBN: key})
			}
			return rows, nil
		},
	})
	RegisterCodec(r, "money", Codec[tokenMoney]{
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

func tokenPtr[T any](v T) *T { return &v }

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
				Twice:  tokenPtr(tokenPtr(5)), ToNil: new(*int), ToSlice: new([]string),
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
				Twice: tokenPtr(&tokenAuthor{ID: 300}), ToNil: new(*tokenAuthor),
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
				Pages: []Query[int, string]{tokenPage(0), {}, tokenPage(-1)},
				Page:  tokenPtr(tokenPage(1)), ToZero: new(Query[int, string]),
				Body: tokenBlock("body"), Parts: map[string]Block{"x": tokenBlock("a row"), "": {}},
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
	m := tokenMiddleware(t)
	var all []*tokenVector
	for _, want := range tokenVectors() {
		want.derive(t, m)
		i := slices.IndexFunc(known, func(v *tokenVector) bool { return v.Name == want.Name })
		if i < 0 {
			if !*tokenUpdate {
				t.Errorf("%s: not in %s; seal it with -update", want.Name, tokenVectorsFile)
				continue
			}
			want.seal(t, m)
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
func (v *tokenVector) derive(t *testing.T, m *Middleware) {
	v.Secret = tokenHex(publishedSecrets[0])
	key, err := v.keys(t).key(0)
	if err != nil {
		t.Fatal(err)
	}
	v.Key = key[:]
	v.Shapes, v.Payload = tokenEncode(t, m, v.value)
}

func (v *tokenVector) keys(t *testing.T) *keyring {
	s := v.secrets()
	key, err := s.derive(0, v.info())
	if err != nil {
		t.Fatal(err)
	}
	return &keyring{m: &Middleware{secrets: s}, slot: s.slot(v.info()), keys: []*ownerKey{key}}
}

func (v *tokenVector) secrets() *secrets { return newSecrets([][]byte{v.Secret}) }

func (v *tokenVector) info() []byte {
	return appendKeyInfo(nil, v.Purpose, v.Binding, v.Session, v.UserKind, v.User)
}

// tokenEncode returns the shapes and the payload of a *T.
func tokenEncode(t *testing.T, m *Middleware, state any) (shapes, payload []byte) {
	token := tokenSeal(t, m, state)
	e, err := m.parseEnvelope(token, tokenPlain(t, m, token))
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.decompressData(e.data)
	if err != nil {
		t.Fatal(err)
	}
	payload, err = msgp.Skip(data)
	if err != nil {
		t.Fatal(err)
	}
	return data[:len(data)-len(payload)], payload
}

func (v *tokenVector) envelope(m *Middleware) *envelope {
	return &envelope{
		firstSealed: time.Unix(v.FirstSealed, 0),
		lastSealed:  time.Unix(v.LastSealed, 0),
		component:   m.registry.named([]byte(v.Component)),
		version:     uint64(v.Version),
		key:         v.ChildKey,
		parent:      instanceID(append(slices.Clip(v.Parent), make([]byte, instanceBytes)...)),
		instance:    instanceID(v.Instance),
		revision:    v.Revision,
		data:        slices.Concat(v.Shapes, v.Payload),
	}
}

func (v *tokenVector) plain(m *Middleware) []byte {
	e := v.envelope(m)
	return append(e.appendHead(nil), e.data...)
}

func (v *tokenVector) seal(t *testing.T, m *Middleware) {
	id := newInstanceID()
	v.Instance = id[:]
	plain := v.plain(m)
	if v.Compressed {
		plain = compressData(plain, len(plain)-len(v.Shapes)-len(v.Payload))
	}
	token, err := v.keys(t).encrypt(plain, time.Unix(v.LastSealed, 0))
	if err != nil {
		t.Fatal(err)
	}
	v.Token = token
}

// check compares v, as it stands in the file, with what this package makes of
// want, and opens its token.
func (v *tokenVector) check(t *testing.T, m *Middleware, want *tokenVector) {
	want.Instance, want.Token = v.Instance, v.Token
	for i := range reflect.TypeFor[tokenVector]().NumField() - 1 { // but for value
		got := tokenField(t, v, i)
		if want := tokenField(t, want, i); got != want {
			t.Errorf("%s %s", reflect.TypeFor[tokenVector]().Field(i).Name, tokenDiff(got, want))
		}
	}
	if err := checkForm(v.Token); err != nil {
		t.Fatal(err)
	}
	plain, err := v.keys(t).decrypt(v.Token)
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.parseEnvelope(v.Token, plain)
	if err != nil {
		t.Fatal(err)
	}
	if isCompressed(e.data) != v.Compressed {
		t.Errorf("compressed: %t", !v.Compressed)
	}
	head := plain[:len(plain)-len(e.data)]
	if e.data, err = m.decompressData(e.data); err != nil {
		t.Fatal(err)
	}
	if got := slices.Concat(head, e.data); !bytes.Equal(got, v.plain(m)) {
		t.Errorf("the plaintext %s", tokenDiff(hex.EncodeToString(got), hex.EncodeToString(v.plain(m))))
	}
	if !reflect.DeepEqual(&e, v.envelope(m)) {
		t.Errorf("the envelope %s", tokenDiff(fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", v.envelope(m))))
	}
	m.opt.Clock = func() time.Time { return e.lastSealed }
	state, err := m.Open(context.Background(), tokenOwner, tokenOf(m.tokenKey(t), plain))
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

// The rest of this file works on tokens of one owner, at one time.
var (
	tokenOwner = Owner{Session: "s"}
	tokenNow   = time.Unix(1770000000, 0)
)

// tokenMiddleware returns a middleware of its own secret whose clock stands at
// tokenNow, or where a test moves it.
func tokenMiddleware(t testing.TB) *Middleware {
	secret := make([]byte, 32)
	rand.Read(secret)
	return tokenMiddlewareOf(t, secret)
}

func tokenMiddlewareOf(t testing.TB, secret []byte) *Middleware {
	m, err := New(tokenRegistry, Options{
		Secrets: [][]byte{secret},
		Session: SessionFunc(func(*http.Request) string { return tokenOwner.Session }),
		Clock:   func() time.Time { return tokenNow },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *Middleware) tokenKey(t testing.TB) *fernet.Key {
	key, err := m.newKeyring(tokenOwner).key(0)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func tokenSeal(t testing.TB, m *Middleware, state any) string {
	token, err := m.Seal(tokenOwner, state)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// tokenPlain is what a token of m holds.
func tokenPlain(t testing.TB, m *Middleware, token string) []byte {
	plain, err := m.newKeyring(tokenOwner).decrypt(token)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// tokenOpens returns the error of opening a token.
func tokenOpens(m *Middleware, token string) error {
	_, err := m.Open(context.Background(), tokenOwner, token)
	return err
}

// tokenIs reports a token that is not refused with want.
func tokenIs(t *testing.T, m *Middleware, token string, want error, what string, args ...any) {
	t.Helper()
	if err := tokenOpens(m, token); !errors.Is(err, want) {
		t.Errorf("%s: got the error %v, want %v", fmt.Sprintf(what, args...), err, want)
	}
}

// tokenMalformed reports a token that is refused later than by its form, if at
// all: nothing of it may be decoded.
func tokenMalformed(t *testing.T, m *Middleware, token, what string, args ...any) {
	t.Helper()
	tokenIs(t, m, token, ErrInvalid, what, args...)
	if checkForm(token) == nil {
		t.Errorf("%s: the form is accepted", fmt.Sprintf(what, args...))
	}
}

// tokenSign makes a token of a body, whatever it is: the MAC is right.
func tokenSign(key *fernet.Key, body []byte) string {
	mac := hmac.New(sha256.New, key[:16])
	mac.Write(body)
	return base64.URLEncoding.EncodeToString(mac.Sum(slices.Clip(body)))
}

// tokenBody encrypts blocks that are padded already, if at all.
func tokenBody(key *fernet.Key, seconds uint64, blocks []byte) []byte {
	body := binary.BigEndian.AppendUint64([]byte{0x80}, seconds)
	iv := []byte("it is not random")
	body = append(body, iv...)
	block, err := aes.NewCipher(key[16:])
	if err != nil {
		panic(err)
	}
	encrypted := make([]byte, len(blocks))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(encrypted, blocks)
	return append(body, encrypted...)
}

func tokenPad(plain []byte) []byte {
	n := fernetBlock - len(plain)%fernetBlock
	return append(slices.Clip(plain), bytes.Repeat([]byte{byte(n)}, n)...)
}

// tokenOf is a good token of whatever it holds.
func tokenOf(key *fernet.Key, plain []byte) string {
	return tokenSign(key, tokenBody(key, uint64(tokenNow.Unix()), tokenPad(plain)))
}

// TestTokenOf keeps the tests below from passing because their tokens are bad
// in another way than they mean.
func TestTokenOf(t *testing.T) {
	m := tokenMiddleware(t)
	plain := tokenPlain(t, m, tokenSeal(t, m, &tokenCounter{Count: 7}))
	state, err := m.Open(context.Background(), tokenOwner, tokenOf(m.tokenKey(t), plain))
	if err != nil || state.(*tokenCounter).Count != 7 {
		t.Errorf("got %v, %v", state, err)
	}
}

// tokenPadded returns tokens that end in no, one and two padding characters.
func tokenPadded(t *testing.T, m *Middleware) (tokens [3]string) {
	for i := range 3 {
		token := tokenSeal(t, m, &tokenText{ASCII: strings.Repeat("x", i*fernetBlock)})
		tokens[padding(token)] = token
	}
	if slices.Contains(tokens[:], "") {
		t.Fatal("a number of padding characters is missing")
	}
	return tokens
}

func TestTokenBase64(t *testing.T) {
	m := tokenMiddleware(t)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for n, token := range tokenPadded(t, m) {
		if err := tokenOpens(m, token); err != nil {
			t.Fatal(err)
		}
		bare := strings.TrimRight(token, "=")
		tokenMalformed(t, m, token+"=", "%d padding characters and one more", n)
		if n == 0 {
			continue
		}
		tokenMalformed(t, m, bare, "%d padding characters missing", n)
		tokenMalformed(t, m, token[:len(token)-1], "one of %d padding characters missing", n)
		last := strings.IndexByte(alphabet, bare[len(bare)-1])
		for bits := 1; bits < 1<<(2*n); bits++ {
			other := bare[:len(bare)-1] + alphabet[last|bits:][:1] + token[len(bare):]
			if decoded, err := base64.URLEncoding.DecodeString(other); err != nil || !strings.HasPrefix(token, base64.URLEncoding.EncodeToString(decoded)) {
				t.Fatal("not another form of the same token")
			}
			tokenMalformed(t, m, other, "padding bits %b of %d", bits, 2*n)
		}
	}
}

func TestTokenStandardAlphabet(t *testing.T) {
	m := tokenMiddleware(t)
	var minus, underscore bool
	for !minus || !underscore {
		token := tokenSeal(t, m, &tokenCounter{})
		if strings.Contains(token, "-") {
			tokenMalformed(t, m, strings.ReplaceAll(token, "-", "+"), "+ for -")
			minus = true
		}
		if strings.Contains(token, "_") {
			tokenMalformed(t, m, strings.ReplaceAll(token, "_", "/"), "/ for _")
			underscore = true
		}
	}
}

// TestTokenAround repeats each string 64 times as well: so much garbage leaves
// a token of a good length.
func TestTokenAround(t *testing.T) {
	m := tokenMiddleware(t)
	foreign := []string{"\x00", "\r", "\n", "\r\n", " ", "\t", "=", "==", "!!x", "!", "+", "/", "*", ",", "\"", "\u00a0", "\ufeff", "\xff", "."}
	for _, token := range tokenPadded(t, m) {
		for i := range len(token) + 1 {
			for _, s := range foreign {
				tokenMalformed(t, m, token[:i]+s+token[i:], "%q in front of character %d of %d", s, i, len(token))
				s64 := strings.Repeat(s, 64)
				tokenMalformed(t, m, token[:i]+s64+token[i:], "64 times %q in front of character %d of %d", s, i, len(token))
			}
			for _, n := range []int{1, 2, 3, 4, 64} {
				tokenIs(t, m, token[:i]+strings.Repeat("A", n)+token[i:], ErrInvalid, "%d times A in front of character %d of %d", n, i, len(token))
			}
		}
		tokenIs(t, m, token+token, ErrInvalid, "twice the token")
	}
	tokenMalformed(t, m, "", "an empty token")
}

func TestTokenDamaged(t *testing.T) {
	m := tokenMiddleware(t)
	for _, token := range tokenPadded(t, m) {
		for i := range len(token) {
			damaged := []byte(token)
			for bit := range 8 {
				damaged[i] = token[i] ^ 1<<bit
				if err := tokenOpens(m, string(damaged)); !errors.Is(err, ErrInvalid) {
					t.Errorf("bit %d of character %d: %v", bit, i, err)
				}
			}
		}
		for _, i := range []int{0, 1, 11, 12, 33, 34, len(token) / 2, len(token) - 44, len(token) - 3, len(token) - 2, len(token) - 1} {
			damaged := []byte(token)
			for c := range 256 {
				damaged[i] = byte(c)
				if err := tokenOpens(m, string(damaged)); !errors.Is(err, ErrInvalid) && byte(c) != token[i] {
					t.Errorf("%q for character %d: %v", c, i, err)
				}
			}
		}
	}
}

func TestTokenCut(t *testing.T) {
	m := tokenMiddleware(t)
	for _, token := range tokenPadded(t, m) {
		for i := range len(token) {
			tokenIs(t, m, token[:i], ErrInvalid, "cut to %d characters", i)
			tokenIs(t, m, token[i+1:], ErrInvalid, "without the first %d", i+1)
			tokenIs(t, m, token[:i]+token[i+1:], ErrInvalid, "without character %d", i)
		}
	}
}

func TestTokenAge(t *testing.T) {
	m := tokenMiddleware(t)
	token := tokenSeal(t, m, &tokenCounter{})
	m.opt.MaxLifetime = 48 * time.Hour
	resealed := tokenResealAt(t, m, token, tokenNow.Add(24*time.Hour))
	tests := []struct {
		token string
		after time.Duration // on the clock, after tokenNow
		want  error
	}{
		{token, 0, nil},
		{token, 999 * time.Millisecond, nil},
		{token, -60 * time.Second, nil},
		{token, -60*time.Second - time.Nanosecond, ErrInvalid}, // the second before
		{token, -61 * time.Second, ErrInvalid},
		{token, -24 * time.Hour, ErrInvalid},
		{token, 24 * time.Hour, nil},
		{token, 24*time.Hour + time.Second - time.Nanosecond, nil},
		{token, 24*time.Hour + time.Second, ErrExpired},
		{token, 24*time.Hour + time.Minute, ErrExpired},
		{token, 1e6 * time.Hour, ErrExpired},
		{resealed, 24*time.Hour - time.Minute, nil},
		{resealed, 24*time.Hour - time.Minute - time.Second, ErrInvalid},
		{resealed, 48 * time.Hour, nil},
		{resealed, 48*time.Hour + time.Second, ErrExpired}, // by its lifetime and its age
	}
	for _, test := range tests {
		m.opt.Clock = func() time.Time { return tokenNow.Add(test.after) }
		if err := tokenOpens(m, test.token); !errors.Is(err, test.want) {
			t.Errorf("after %v: got the error %v, want %v", test.after, err, test.want)
		}
	}
}

func tokenResealAt(t *testing.T, m *Middleware, token string, now time.Time) string {
	clock := m.opt.Clock
	defer func() { m.opt.Clock = clock }()
	m.opt.Clock = func() time.Time { return now }
	token, err := m.Reseal(context.Background(), tokenOwner, token, &tokenCounter{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenLifetime(t *testing.T) {
	m := tokenMiddleware(t)
	m.opt.MaxLifetime = 30 * time.Hour
	token := tokenResealAt(t, m, tokenSeal(t, m, &tokenCounter{}), tokenNow.Add(20*time.Hour))
	at := func(d time.Duration) { m.opt.Clock = func() time.Time { return tokenNow.Add(d) } }
	at(30 * time.Hour)
	tokenIs(t, m, token, nil, "at the end of its lifetime")
	at(30*time.Hour + time.Second)
	tokenIs(t, m, token, ErrExpired, "after its lifetime")
	m.opt.MaxLifetime = -1
	tokenIs(t, m, token, nil, "without a limit to its lifetime")
	m.opt.NotBefore = tokenNow
	tokenIs(t, m, token, nil, "first sealed at the cut-off")
	m.opt.NotBefore = tokenNow.Add(time.Second)
	tokenIs(t, m, token, ErrExpired, "first sealed before the cut-off")
}

// TestTokenTimes sets the two times of a token to what only a holder of the
// secret can: whatever does not fit into a signed number, or lies far off.
func TestTokenTimes(t *testing.T) {
	m := tokenMiddleware(t)
	key := m.tokenKey(t)
	plain := tokenPlain(t, m, tokenSeal(t, m, &tokenCounter{}))
	now := uint64(tokenNow.Unix())
	tests := []struct {
		last, first uint64
		want        error
	}{
		{now, now, nil},
		{now, now - 1, nil},
		{now + 60, now + 60, nil},
		{now + 61, now, ErrInvalid},
		{now, now + 1, ErrInvalid},
		{0, 0, ErrExpired},
		{now, 0, ErrExpired},
		{0, now, ErrInvalid},
		{253402300799, now, ErrInvalid},
		{253402300800, 253402300801, ErrInvalid},
		{1<<63 - 1, now, ErrInvalid},
		{1 << 63, now, ErrInvalid},
		{1<<64 - 1, now, ErrInvalid},
		{now, 1<<63 - 1, ErrInvalid},
		{now, 1 << 63, ErrInvalid},
		{now, 1<<64 - 1, ErrInvalid},
		{1 << 63, 1 << 63, ErrInvalid},
		{1<<64 - 1, 1<<64 - 1, ErrInvalid},
		{1<<64 - 62135596800, 1<<64 - 62135596800, ErrInvalid}, // the year 1
	}
	for _, test := range tests {
		binary.BigEndian.PutUint64(plain[1:], test.first)
		token := tokenSign(key, tokenBody(key, test.last, tokenPad(plain)))
		tokenIs(t, m, token, test.want, "last sealed at %d, first at %d", test.last, test.first)
	}
}

// TestTokenSizes makes tokens of every size under a valid MAC.
func TestTokenSizes(t *testing.T) {
	m := tokenMiddleware(t)
	key := m.tokenKey(t)
	// Every whole number of these blocks is padded by one byte.
	body := tokenBody(key, uint64(tokenNow.Unix()), bytes.Repeat([]byte{1}, 3*fernetBlock))
	const head = fernetOverhead - sha256.Size
	for n := range len(body) + 1 {
		if n > head && (n-head)%fernetBlock == 0 {
			tokenIs(t, m, tokenSign(key, body[:n]), ErrInvalid, "a body of %d bytes", n)
		} else {
			tokenMalformed(t, m, tokenSign(key, body[:n]), "a body of %d bytes", n)
		}
	}
	tokenMalformed(t, m, base64.URLEncoding.EncodeToString(make([]byte, sha256.Size)), "nothing but a MAC")
	for n := range 3 * fernetBlock {
		plain := bytes.Repeat([]byte{formatVersion}, n)
		tokenIs(t, m, tokenOf(key, plain), ErrInvalid, "%d bytes encrypted", n)
	}
}

func TestTokenVersion(t *testing.T) {
	m := tokenMiddleware(t)
	key := m.tokenKey(t)
	body := tokenBody(key, uint64(tokenNow.Unix()), tokenPad(tokenPlain(t, m, tokenSeal(t, m, &tokenCounter{}))))
	for v := range 256 {
		body[0] = byte(v)
		if v != 0x80 {
			tokenIs(t, m, tokenSign(key, body), ErrInvalid, "Fernet version %#x", v)
		}
	}
}

// TestTokenPadding takes plaintexts of which a lenient reader sees an envelope
// in spite of the padding behind it.
func TestTokenPadding(t *testing.T) {
	m := tokenMiddleware(t)
	key := m.tokenKey(t)
	plain := tokenAligned(t, m)
	repeat := func(n int) []byte { return slices.Concat(plain, bytes.Repeat([]byte{byte(n)}, n)) }
	now := uint64(tokenNow.Unix())
	token := func(blocks []byte) string { return tokenSign(key, tokenBody(key, now, blocks)) }
	tokenIs(t, m, token(repeat(16)), nil, "padding as it should be")
	tokenIs(t, m, token(plain), ErrInvalid, "no padding, and a last byte of 0")
	for n := 32; n < 256; n += 16 {
		tokenIs(t, m, token(repeat(n)), ErrInvalid, "%d bytes of padding", n)
	}
	for c := range 256 {
		other := repeat(16)
		other[len(other)-1] = byte(c)
		if c != 16 && c != 1 {
			tokenIs(t, m, token(other), ErrInvalid, "a last byte of %d", c)
		}
		other = repeat(16)
		other[len(other)-16] = byte(c)
		if c != 16 {
			tokenIs(t, m, token(other), ErrInvalid, "a first byte of padding of %d", c)
		}
	}
	short := slices.Repeat([]byte{16}, 15)
	tokenIs(t, m, token(append(short, 17)), ErrInvalid, "more padding than there is")
}

// tokenAligned is a plaintext that fills its blocks and ends in a 0.
func tokenAligned(t *testing.T, m *Middleware) []byte {
	for i := range fernetBlock {
		plain := tokenPlain(t, m, tokenSeal(t, m, &tokenNumbers{Int8: make([]int8, i)}))
		if len(plain)%fernetBlock == 0 && plain[len(plain)-1] == 0 {
			return plain
		}
	}
	t.Fatal("no plaintext fills its blocks")
	return nil
}

// tokenPieces are the fields of a good plaintext, in their order. A test puts
// other bytes in the place of one.
type tokenPieces struct {
	format, firstSealed, component, version, key, parent, instance, revision, data []byte
}

func (p tokenPieces) join() []byte {
	return slices.Concat(p.format, p.firstSealed, p.component, p.version, p.key, p.parent, p.instance, p.revision, p.data)
}

func tokenNewPieces(t *testing.T, m *Middleware) tokenPieces {
	shapes, payload := tokenEncode(t, m, &tokenCounter{Count: 7})
	return tokenPieces{
		format:      []byte{formatVersion},
		firstSealed: binary.BigEndian.AppendUint64(nil, uint64(tokenNow.Unix())),
		component:   []byte("\xa7counter"),
		version:     []byte{0},
		key:         []byte("\xa3row"),
		parent:      []byte("\xc4\x10parent's bytes.."),
		instance:    []byte("\xc4\x10sixteen bytes..."),
		revision:    []byte{1},
		data:        append(shapes, payload...),
	}
}

func TestEnvelope(t *testing.T) {
	m := tokenMiddleware(t)
	key := m.tokenKey(t)
	good := tokenNewPieces(t, m)
	const none = "\xc4\x00"
	tests := []struct {
		what   string
		change func(p *tokenPieces)
		want   error
	}{
		{"nothing changed", func(p *tokenPieces) {}, nil},
		{"no parent", func(p *tokenPieces) { p.key, p.parent = []byte{0xa0}, []byte(none) }, nil},
		{"a child with an empty key", func(p *tokenPieces) { p.key = []byte{0xa0} }, ErrInvalid},
		{"a large revision", func(p *tokenPieces) { p.revision = []byte("\xcf\x00\x00\x00\x01\x00\x00\x00\x00") }, nil},

		{"an unknown component", func(p *tokenPieces) { p.component = []byte("\xa7Counter") }, ErrInvalid},
		{"the beginning of a component's name", func(p *tokenPieces) { p.component = []byte("\xa6counte") }, ErrInvalid},
		{"the end of a component's name", func(p *tokenPieces) { p.component = []byte("\xa6ounter") }, ErrInvalid},
		{"more than a component's name", func(p *tokenPieces) { p.component = []byte("\xa8counter2") }, ErrInvalid},
		{"less than a component's name behind more", func(p *tokenPieces) { p.component = []byte("\xa82counter") }, ErrInvalid},
		{"a component of no name", func(p *tokenPieces) { p.component = []byte("\xa0") }, ErrInvalid},
		{"a codec", func(p *tokenPieces) { p.component = []byte("\xa5money") }, ErrInvalid},
		{"a model", func(p *tokenPieces) { p.component = []byte("\xa6author") }, ErrInvalid},
		{"a query", func(p *tokenPieces) { p.component = []byte("\xa6search") }, ErrInvalid},
		{"blocks", func(p *tokenPieces) { p.component = []byte("\xa9list.html") }, ErrInvalid},
		{"another schema version", func(p *tokenPieces) { p.version = []byte{1} }, ErrOutdated},
		{"a huge schema version", func(p *tokenPieces) { p.version = []byte("\xcf\xff\xff\xff\xff\xff\xff\xff\xff") }, ErrOutdated},

		{"the component in a longer form", func(p *tokenPieces) { p.component = []byte("\xd9\x07counter") }, ErrInvalid},
		{"the component in the longest form", func(p *tokenPieces) { p.component = []byte("\xdb\x00\x00\x00\x07counter") }, ErrInvalid},
		{"the component as bytes", func(p *tokenPieces) { p.component = []byte("\xc4\x07counter") }, ErrInvalid},
		{"the schema version in a longer form", func(p *tokenPieces) { p.version = []byte("\xcc\x00") }, ErrInvalid},
		{"the schema version as a signed number", func(p *tokenPieces) { p.version = []byte("\xd0\x00") }, ErrInvalid},
		{"a negative schema version", func(p *tokenPieces) { p.version = []byte("\xff") }, ErrInvalid},
		{"the schema version as a float", func(p *tokenPieces) { p.version = []byte("\xca\x00\x00\x00\x00") }, ErrInvalid},
		{"the schema version as nil", func(p *tokenPieces) { p.version = []byte("\xc0") }, ErrInvalid},
		{"the key in a longer form", func(p *tokenPieces) { p.key = []byte("\xd9\x03row") }, ErrInvalid},
		{"the key as nil", func(p *tokenPieces) { p.key = []byte("\xc0") }, ErrInvalid},
		{"the parent in a longer form", func(p *tokenPieces) { p.parent = []byte("\xc5\x00\x10parent's bytes..") }, ErrInvalid},
		{"the parent as a string", func(p *tokenPieces) { p.parent = []byte("\xb0parent's bytes..") }, ErrInvalid},
		{"the parent as nil", func(p *tokenPieces) { p.parent = []byte("\xc0") }, ErrInvalid},
		{"a parent of 15 bytes", func(p *tokenPieces) { p.parent = []byte("\xc4\x0fparent's bytes.") }, ErrInvalid},
		{"a parent of 17 bytes", func(p *tokenPieces) { p.parent = []byte("\xc4\x11parent's bytes...") }, ErrInvalid},
		{"the instance in a longer form", func(p *tokenPieces) { p.instance = []byte("\xc6\x00\x00\x00\x10sixteen bytes...") }, ErrInvalid},
		{"a key without a parent", func(p *tokenPieces) { p.parent = []byte(none) }, ErrInvalid},
		{"an empty parent in a longer form", func(p *tokenPieces) { p.key, p.parent = []byte{0xa0}, []byte("\xc5\x00\x00") }, ErrInvalid},
		{"no instance", func(p *tokenPieces) { p.instance = []byte(none) }, ErrInvalid},
		{"an instance of 15 bytes", func(p *tokenPieces) { p.instance = []byte("\xc4\x0fsixteen bytes..") }, ErrInvalid},
		{"an instance of 17 bytes", func(p *tokenPieces) { p.instance = []byte("\xc4\x11sixteen bytes....") }, ErrInvalid},
		{"revision 0", func(p *tokenPieces) { p.revision = []byte{0} }, ErrInvalid},
		{"the last revision, which has no next", func(p *tokenPieces) { p.revision = []byte("\xcf\xff\xff\xff\xff\xff\xff\xff\xff") }, ErrInvalid},
		{"the revision in a longer form", func(p *tokenPieces) { p.revision = []byte("\xcc\x01") }, ErrInvalid},
		{"the revision in the longest form", func(p *tokenPieces) { p.revision = []byte("\xcf\x00\x00\x00\x00\x00\x00\x00\x01") }, ErrInvalid},
		{"the revision as a signed number", func(p *tokenPieces) { p.revision = []byte("\xd0\x01") }, ErrInvalid},
		{"a negative revision", func(p *tokenPieces) { p.revision = []byte("\xff") }, ErrInvalid},

		{"a string that never ends", func(p *tokenPieces) { p.component = []byte("\xdb\xff\xff\xff\xff") }, ErrInvalid},
		{"a string of 2 GiB", func(p *tokenPieces) { p.component = []byte("\xdb\x80\x00\x00\x00") }, ErrInvalid},
		{"bytes of 2 GiB", func(p *tokenPieces) { p.parent = []byte("\xc6\x80\x00\x00\x00") }, ErrInvalid},
		{"bytes that never end", func(p *tokenPieces) { p.instance = []byte("\xc6\xff\xff\xff\xff") }, ErrInvalid},
		{"no shapes", func(p *tokenPieces) { p.data = p.data[len(p.data)-2:] }, ErrInvalid},
		{"no data", func(p *tokenPieces) { p.data = nil }, ErrInvalid},
		{"two payloads", func(p *tokenPieces) { p.data = append(slices.Clip(p.data), 0x91, 7) }, ErrInvalid},
	}
	for _, test := range tests {
		p := good
		test.change(&p)
		tokenIs(t, m, tokenOf(key, p.join()), test.want, "%s", test.what)
	}
}

// TestFormatVersion takes what another release may have sealed. Its key is the
// same, so it is told from a forgery whatever stands behind its version.
func TestFormatVersion(t *testing.T) {
	m := tokenMiddleware(t)
	key := m.tokenKey(t)
	for v := range 256 {
		p := tokenNewPieces(t, m)
		p.format[0] = byte(v)
		var want error
		if v != formatVersion {
			want = ErrOutdated
		}
		tokenIs(t, m, tokenOf(key, p.join()), want, "format version %d", v)
	}
	for n := range 20 {
		want := ErrInvalid // no version of the format has less than both
		if n >= 9 {
			want = ErrOutdated
		}
		tokenIs(t, m, tokenOf(key, bytes.Repeat([]byte{2}, n)), want, "%d bytes of format version 2", n)
	}
}

// TestChildEnvelope compares the token of a child with one put together here.
func TestChildEnvelope(t *testing.T) {
	m := tokenMiddleware(t)
	var tokens [2]string
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parent, child := &tokenTags{}, &tokenCounter{Count: 3}
		if err := errors.Join(Attach(r.Context(), parent), Attach(r.Context(), child, Under(parent, "row 3, é"))); err != nil {
			t.Error(err)
			return
		}
		for i, state := range []any{parent, child} {
			var err error
			if tokens[i], err = Token(r.Context(), state); err != nil {
				t.Error(err)
			}
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if t.Failed() {
		return
	}
	parent, err := m.parseEnvelope(tokens[0], tokenPlain(t, m, tokens[0]))
	if err != nil {
		t.Fatal(err)
	}
	plain := tokenPlain(t, m, tokens[1])
	p := tokenNewPieces(t, m)
	p.key = []byte("\xa9row 3, é")
	p.parent = append([]byte("\xc4\x10"), parent.instance[:]...)
	shapes, payload := tokenEncode(t, m, &tokenCounter{Count: 3})
	p.data = append(shapes, payload...)
	drawn := len(p.join()) - len(p.data) - len(p.revision) - instanceBytes
	p.instance = append([]byte("\xc4\x10"), plain[drawn:][:instanceBytes]...)
	if want := p.join(); !bytes.Equal(plain, want) {
		t.Errorf("the child's plaintext %s", tokenDiff(hex.EncodeToString(plain), hex.EncodeToString(want)))
	}
	if parent.key != "" || parent.parent != (instanceID{}) || parent.revision != 1 {
		t.Errorf("the parent has the key %q, the parent %x and revision %d", parent.key, parent.parent, parent.revision)
	}
}

// TestNamesInTokens puts other names and keys in the place of those that were
// sealed.
func TestNamesInTokens(t *testing.T) {
	m := tokenMiddleware(t)
	key := m.tokenKey(t)
	references := &tokenReferences{Editor: &tokenAuthor{ID: 99}}
	search := &tokenNamed{Search: tokenSearch(tokenFilter{Text: "text"})}
	page := &tokenNamed{Page: tokenPtr(tokenPage(7))}
	body := &tokenNamed{Body: tokenBlock("body")}
	tests := []struct {
		what     string
		state    any
		old, new string
		want     error
	}{
		{"nothing changed in a reference", references, "c", "c", nil},
		{"another key", references, "\xc0c\xc0", "\xc0b\xc0", nil},
		{"a reference without a key", references, "\xc0c\xc0", "\xc0\x00\xc0", ErrInvalid},
		{"a key in an array", references, "\xc0c\xc0", "\xc0\x91c\xc0", ErrInvalid},
		{"a key of another kind", references, "\xc0c\xc0", "\xc0\xa1c\xc0", ErrInvalid},
		{"a row that is gone", references, "\xc0c\xc0", "\xc0\xff\xc0", ErrStale},
		{"another name of a model", references, "&6:author", "&6:Author", ErrOutdated},
		{"a shorter name of a model", references, "&6:author", "&5:author", ErrOutdated},
		{"another type of key", references, "&6:authori", "&6:authorl", ErrOutdated},

		{"nothing changed in a query", search, "search", "search", nil},
		{"an unknown query", search, "\xa6search", "\xa6Search", ErrOutdated},
		{"a query of no name", search, "\xa6search", "\xa0", ErrOutdated},
		{"a query with other arguments", search, "\xa6search", "\xa6titles", ErrOutdated},
		{"the name of a component", search, "\xa6search", "\xa6holder", ErrOutdated},
		{"a name in a longer form", search, "\xa6search", "\xd9\x06search", ErrInvalid},
		{"a name as bytes", search, "\xa6search", "\xc4\x06search", ErrInvalid},
		{"a query and one value more", search, "\x92\xa6search", "\x93\xa6search", ErrInvalid},
		{"arguments of another type", search, "\x92\xa4text", "\x92\x01", ErrInvalid},
		{"a query without the array around it", page, "\x91\x92\xa7page é", "\x92\xa7page é", ErrInvalid},

		{"nothing changed in a block", body, "list.html", "list.html", nil},
		{"another block", body, "\xa4body", "\xa5a row", nil},
		{"an unknown block", body, "\xa4body", "\xa4Body", ErrOutdated},
		{"the name of the set for a block", body, "\xa4body", "\xa9list.html", ErrOutdated},
		{"a block of no name", body, "\xa4body", "\xa0", ErrOutdated},
		{"a path", body, "\xa4body", "\xab/etc/passwd", ErrOutdated},
		{"an unknown set", body, "\xa9list.html", "\xa9list.htm_", ErrOutdated},
		{"a query for a set", body, "\xa9list.html", "\xa6search", ErrOutdated},
	}
	for _, test := range tests {
		plain := tokenPlain(t, m, tokenSeal(t, m, test.state))
		// The last one: names of fields stand in front of the payload.
		at := bytes.LastIndex(plain, []byte(test.old))
		if at < 0 {
			t.Errorf("%s: the token does not hold %q", test.what, test.old)
			continue
		}
		changed := slices.Concat(plain[:at], []byte(test.new), plain[at+len(test.old):])
		tokenIs(t, m, tokenOf(key, changed), test.want, "%s", test.what)
	}
}

// TestWorkedExample reads the tables of bytes in docs/token.md.
func TestWorkedExample(t *testing.T) {
	doc, err := os.ReadFile("docs/token.md")
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
	token, err := base64.URLEncoding.DecodeString(v.Token)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]byte{
		v.info(),
		slices.Concat(v.secrets().extracted[0], v.Key, v.Key),
		token,
		v.plain(tokenMiddleware(t)),
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

func TestEnvelopeCut(t *testing.T) {
	m := tokenMiddleware(t)
	key := m.tokenKey(t)
	for _, v := range tokenVectors() {
		plain := tokenPlain(t, m, tokenSeal(t, m, v.value))
		for i := range plain {
			tokenIs(t, m, tokenOf(key, plain[:i]), ErrInvalid, "%s: cut to %d bytes of %d", v.Name, i, len(plain))
		}
		for _, c := range []byte{0, 1, 0x80, 0x90, 0xa0, 0xc0, 0xff} {
			tokenIs(t, m, tokenOf(key, append(slices.Clip(plain), c)), ErrInvalid, "%s: %#x behind it", v.Name, c)
		}
	}
}

// FuzzOpen is given what a holder of the secret can seal.
func FuzzOpen(f *testing.F) {
	m := tokenMiddleware(f)
	key := m.tokenKey(f)
	for _, v := range tokenVectors() {
		f.Add(tokenPlain(f, m, tokenSeal(f, m, v.value)))
	}
	for _, v := range tokenReadVectors(f) {
		f.Add(v.plain(m))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		state, err := m.Open(context.Background(), tokenOwner, tokenOf(key, plain))
		if err != nil {
			return
		}
		token, err := m.Seal(tokenOwner, state)
		if err != nil {
			t.Fatalf("a state that was opened cannot be sealed: %v\n%.200s", err, fmt.Sprintf("%+v", state))
		}
		if err := tokenOpens(m, token); err != nil {
			t.Fatalf("a token that was sealed cannot be opened: %v\n%.200s", err, fmt.Sprintf("%+v", state))
		}
	})
}

// FuzzToken is given what a browser can send. Its secret is fixed, and so is
// the token, because a fuzz target runs in several processes.
func FuzzToken(f *testing.F) {
	secret := sha256.Sum256([]byte("a secret for one test"))
	m := tokenMiddlewareOf(f, secret[:])
	var good []string
	for _, v := range tokenReadVectors(f) {
		good = append(good, tokenOf(m.tokenKey(f), v.plain(m)))
		f.Add(good[len(good)-1])
	}
	f.Fuzz(func(t *testing.T, token string) {
		if tokenOpens(m, token) == nil && !slices.Contains(good, token) {
			t.Fatalf("a token of %d characters opens: %.100q", len(token), token)
		}
	})
}

const tokenPython = "/usr/bin/python3" // the one that Debian's packages are for

// TestAnotherLanguageOpensTokens runs a reader that was written from
// docs/token.md alone. It checks the vectors, opens a token of a secret it has
// not seen before, and makes one that this package opens.
func TestAnotherLanguageOpensTokens(t *testing.T) {
	if out, err := exec.Command(tokenPython, "-c", "import cryptography, msgpack").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("install python3-cryptography and python3-msgpack: %v\n%s", err, out)
		}
		t.Skipf("%s has no cryptography or no msgpack; apt-get install python3-cryptography python3-msgpack", tokenPython)
	}
	t.Log(tokenRunPython(t, "--check", tokenVectorsFile))

	secret := make([]byte, 32)
	rand.Read(secret)
	m := tokenMiddlewareOf(t, secret)
	m.opt.Clock = time.Now // the reader seals by it
	m.opt.Purpose = "shop"
	owner := Owner{Session: "s é", User: "zoë"}
	first, err := m.Seal(owner, &tokenText{ASCII: "from Go", Broken: []string{"\xff"}, Raw: json.RawMessage("{}")})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "secret.key")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--secret-file", file, "--purpose", "shop", "--binding", "2", "--session", owner.Session, "--user-kind", "2", "--user", owner.User, first}
	var opened tokenVector
	if err := json.Unmarshal([]byte(tokenRunPython(t, args...)), &opened); err != nil {
		t.Fatal(err)
	}
	if opened.Component != "text" || opened.Revision != 1 || !bytes.Contains(opened.State, []byte(`"from Go"`)) {
		t.Errorf("the reader saw component %q in revision %d, with state %.200s", opened.Component, opened.Revision, opened.State)
	}

	second := tokenRunPython(t, append(args, "--reseal", "--set", `ASCII="from Python, é"`)...)
	state, err := m.Open(context.Background(), owner, second)
	if err != nil {
		t.Fatal(err)
	}
	want := &tokenText{ASCII: "from Python, é", Broken: []string{"\xff"}, Raw: json.RawMessage("{}")}
	if !reflect.DeepEqual(state, want) {
		t.Errorf("opened %+v, want %+v", state, want)
	}
}

func tokenRunPython(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(tokenPython, append([]string{"testdata/open.py"}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONUTF8=1")
	var out, failure strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		t.Fatalf("open.py: %v\n%s", err, failure.String())
	}
	return strings.TrimSpace(out.String())
}

// TestWhoseKeysAreRemembered: of those who got or opened a token, and of nobody
// who only tried.
func TestWhoseKeysAreRemembered(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	elsewhere := tokenMiddlewareOf(t, secret)
	token := tokenSeal(t, elsewhere, &tokenCounter{Count: 1})
	rest := len(elsewhere.newKeyring(Owner{}).appendInfo(nil)) // what is not the session
	long := Owner{Session: strings.Repeat("s", 256-rest)}
	longer := Owner{Session: long.Session + "s"}
	sealFor := func(o Owner) string {
		token, err := elsewhere.Seal(o, &tokenCounter{})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	open := func(o Owner, token string, want error) func(*Middleware) {
		return func(m *Middleware) {
			if _, err := m.Open(t.Context(), o, token); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	}
	for name, c := range map[string]struct {
		do   func(*Middleware)
		want int
	}{
		"nobody yet":        {func(*Middleware) {}, 0},
		"who seals":         {func(m *Middleware) { tokenSeal(t, m, &tokenCounter{}) }, 1},
		"who opens":         {open(tokenOwner, token, nil), 1},
		"who tries another": {open(Owner{Session: "stranger"}, token, ErrInvalid), 0},
		"who tries nothing": {open(tokenOwner, token[:len(token)-4], ErrInvalid), 0},
		"a long one":        {open(long, sealFor(long), nil), 1},
		"a longer one":      {open(longer, sealFor(longer), nil), 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := tokenMiddlewareOf(t, secret)
			for range 3 {
				c.do(m)
			}
			if got := m.secrets.known(); got != c.want {
				t.Errorf("%d keys are remembered, want %d", got, c.want)
			}
		})
	}
}

// known is how many keys are remembered.
func (s *secrets) known() (n int) {
	for i := range s.remembered {
		if s.remembered[i].Load() != nil {
			n++
		}
	}
	return n
}

// TestRememberedKeysAreUsed: of each secret, as long as no other owner comes.
func TestRememberedKeysAreUsed(t *testing.T) {
	older, newer := []byte(rand.Text()+rand.Text()), []byte(rand.Text()+rand.Text())
	m := tokenMiddlewareOf(t, older)
	token := tokenSeal(t, m, &tokenCounter{})
	m.secrets = newSecrets([][]byte{newer, older})
	for secret, do := range []func(){
		func() { tokenSeal(t, m, &tokenCounter{}) },
		func() { tokenIs(t, m, token, nil, "the older one") },
	} {
		do()
		for range 2 {
			k := m.newKeyring(tokenOwner)
			for i := range secret + 1 {
				if _, err := k.key(i); err != nil {
					t.Fatal(err)
				}
			}
			if k.keys[secret] != k.slot.Load() {
				t.Errorf("the key of secret %d is derived again", secret)
			}
		}
	}
}

// TestRememberedKeysAreBounded has more owners than are remembered.
func TestRememberedKeysAreBounded(t *testing.T) {
	m := tokenMiddleware(t)
	for i := range 5000 {
		if _, err := m.Seal(Owner{Session: strconv.Itoa(i)}, &tokenCounter{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.secrets.known(); n < 1000 || n > 1024 {
		t.Errorf("%d keys are remembered", n)
	}
}
