package token_test

// The tokens of testdata/changed.json, sealed by hand with tables and payloads
// that this package would write, or never would, and opened with the types of
// changedRegistry.

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fernet/fernet-go"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/token"
	"github.com/pagestate/pagestate/internal/wire"
)

type (
	changedPage struct {
		Title string
		Point changedPoint
		Lines []changedPoint
		Keys  map[changedPoint]bool
		Held  []any
	}

	changedPoint struct{ X, Y int8 }

	changedItem struct{ Name string }

	changedFlags []bool

	changedMap map[float64]bool

	changedTimes []time.Time

	changedNet struct {
		Ports    []netip.AddrPort
		Prefixes []netip.Prefix
	}
)

func changedRegistry() *pagestate.Registry {
	r := pagestate.NewRegistry()
	pagestate.Register[changedPage](r, "page")
	pagestate.Register[changedItem](r, "item", pagestate.Schema(2))
	pagestate.Register[changedFlags](r, "flags")
	pagestate.Register[changedMap](r, "map")
	pagestate.Register[changedNet](r, "net")
	pagestate.Register[changedTimes](r, "times")
	return r
}

// changedTable is a table: the signature of the type, and for each struct its
// names and signatures.
func changedTable(root string, structs ...[]string) []byte {
	b := wire.AppendArrayHeader(nil, 1+len(structs))
	b = wire.AppendString(b, root)
	for _, fields := range structs {
		b = wire.AppendArrayHeader(b, len(fields))
		for _, s := range fields {
			b = wire.AppendString(b, s)
		}
	}
	return b
}

// changedShapes takes the table of the component, and further names and tables.
func changedShapes(parts ...any) []byte {
	b := wire.AppendArrayHeader(nil, len(parts))
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			b = wire.AppendString(b, part)
		case []byte:
			b = wire.AppendBytes(b, part)
		}
	}
	return b
}

type changedVector struct {
	Name   string          `json:"name"`
	Token  string          `json:"token"`
	Result string          `json:"result"`
	State  json.RawMessage `json:"state,omitempty"`

	plain []byte
	text  func(key *fernet.Key) string // makes the token, if it is not simply plain, sealed
	value any                          // what State describes
}

func (v *changedVector) seal(key *fernet.Key) string {
	if v.text != nil {
		return v.text(key)
	}
	return tokenOf(key, v.plain)
}

// is adds what a token that opens holds, and as docs/token.md spells it in JSON.
func (v *changedVector) is(value any, state string) *changedVector {
	v.value, v.State = value, tokenJSON(state)
	return v
}

// changedFile is testdata/changed.json. docs/token.md says what its fields mean.
type changedFile struct {
	Secret   tokenHex               `json:"secret"`
	Purpose  string                 `json:"purpose"`
	Binding  byte                   `json:"binding"`
	Session  string                 `json:"session"`
	UserKind byte                   `json:"user_kind"`
	User     string                 `json:"user"`
	Now      int64                  `json:"now"`
	Types    map[string]changedType `json:"types"`
	Tokens   []*changedVector       `json:"tokens"`
}

type changedType struct {
	Version int      `json:"version"`
	Table   tokenHex `json:"table"`
}

var changedResults = map[string]error{"opened": nil, "invalid": pagestate.ErrInvalid, "outdated": pagestate.ErrOutdated, "expired": pagestate.ErrExpired, "too large": pagestate.ErrTooLarge}

func changedVectors() []*changedVector {
	type fields = []string
	var (
		point  = fields{"X", "c", "Y", "c"}
		item   = changedTable("v2;{0}", fields{"Name", "s"})
		vector = func(name, result string, component string, version int, shapes, payload []byte) *changedVector {
			return &changedVector{Name: name, Result: result, plain: slices.Concat(
				[]byte{token.FormatVersion}, []byte("\x00\x00\x00\x00\x69\x80\x0e\x80"), wire.AppendString(nil, component), []byte{byte(version)},
				unhexed("a0 c400 c410 000102030405060708090a0b0c0d0e0f 01"), shapes, payload)}
		}
		// page is a token of that component, of fields as they are given.
		page = func(name, result string, f fields, payload string, rest ...any) *changedVector {
			parts := append([]any{changedTable("{0}", f)}, rest...)
			return vector(name, result, "page", 0, changedShapes(parts...), unhexed(payload))
		}
		pages = func(name, result string, structs []fields, payload string) *changedVector {
			return vector(name, result, "page", 0, changedShapes(changedTable("{0}", structs...)), unhexed(payload))
		}
		flags = func(name, result, payload string) *changedVector {
			return vector(name, result, "flags", 0, changedShapes(changedTable("[b")), unhexed(payload))
		}
		// sealed is a token of another time when it was first sealed.
		sealed = func(name, result string, first int64, component string) *changedVector {
			v := vector(name, result, component, 0, changedShapes(changedTable("[b")), unhexed("90"))
			binary.BigEndian.PutUint64(v.plain[1:], uint64(first))
			return v
		}
		// compressed is a token of that component whose data is compressed.
		compressed = func(name, result, header, stream string) *changedVector {
			return vector(name, result, "page", 0, nil, unhexed(header+stream))
		}
		short = func(name, result, plain string) *changedVector {
			return &changedVector{Name: name, Result: result, plain: unhexed(plain)}
		}
		falses = strings.Repeat("c2", 100)
		title  = `{"Title": "t"}`

		hundred = make(changedFlags, 100)
	)
	return []*changedVector{
		// Fields come, go and change places.
		page("a field that the token lacks", "opened", fields{"Title", "s"}, "91 a174").is(&changedPage{Title: "t"}, title),
		page("no field at all", "opened", fields{}, "90").is(&changedPage{}, `{}`),
		page("a field that only the token has", "opened", fields{"Gone", "i", "Title", "s"}, "92 05 a174").is(&changedPage{Title: "t"}, title),
		page("a skipped field of another type than its value", "opened", fields{"Gone", "Y3;", "Title", "s"}, "92 82 02c0 01c0 a174").is(&changedPage{Title: "t"}, title),
		page("a skipped value in a longer form", "invalid", fields{"Gone", "i", "Title", "s"}, "92 cc05 a174"),
		page("a skipped extension", "invalid", fields{"Gone", "i", "Title", "s"}, "92 d40000 a174"),
		page("a skipped signalling NaN", "invalid", fields{"Gone", "f", "Title", "s"}, "92 ca7f800001 a174"),
		page("a skipped value nested too deep", "too large", fields{"Gone", "?", "Title", "s"}, "92"+strings.Repeat("91", 64)+"c0 a174"),
		page("a field of another kind", "outdated", fields{"Title", "Th"}, "91 a174"),
		pages("fields and structs in another order", "opened", []fields{{"Lines", "[{1}", "Point", "{1}", "Title", "s"}, {"Y", "c", "X", "c"}}, "93 91 920201 920403 a174").is(&changedPage{Title: "t", Point: changedPoint{3, 4}, Lines: []changedPoint{{1, 2}}}, `{"Title": "t", "Point": {"X": 3, "Y": 4}, "Lines": [{"X": 1, "Y": 2}]}`),
		pages("a struct behind a skipped field", "opened", []fields{{"Gone", "{1}", "Point", "{2}"}, {"A", "i"}, point}, "92 9105 920102").is(&changedPage{Point: changedPoint{1, 2}}, `{"Point": {"X": 1, "Y": 2}}`),
		pages("one struct for two", "outdated", []fields{{"Point", "{1}", "Lines", "[{2}"}, point, point}, "92 920102 90"),
		pages("two keys that become equal", "outdated", []fields{{"Keys", "m{1}b"}, {"X", "c", "Z", "c"}}, "91 82 920101 c2 920102 c2"),

		// A name twice.
		page("a field twice", "invalid", fields{"Title", "s", "Title", "s"}, "92 a174 a174"),
		page("a skipped field twice", "invalid", fields{"Gone", "i", "Gone", "i", "Title", "s"}, "93 05 05 a174"),
		page("a field without a name", "invalid", fields{"", "i", "Title", "s"}, "92 05 a174"),

		// Structs that are not there, in another order, or that nothing refers to.
		page("no such struct", "invalid", fields{"Point", "{9}"}, "91 920102"),
		page("no such struct in a skipped field", "invalid", fields{"Gone", "{9}", "Title", "s"}, "92 c0 a174"),
		pages("structs out of order", "invalid", []fields{{"Point", "{2}", "Gone", "{1}"}, {"A", "i"}, point}, "92 920102 9105"),
		pages("structs out of order behind skipped fields", "invalid", []fields{{"Gone", "{2}", "Too", "{1}", "Title", "s"}, {}, {}}, "93 90 90 a174"),
		pages("a struct that nothing refers to", "invalid", []fields{{"Title", "s"}, point}, "91 a174"),
		pages("a struct that only itself refers to", "invalid", []fields{{"Title", "s"}, {"Next", "*{1}"}}, "91 a174"),

		// Signatures of skipped fields.
		page("a skipped signature of a type in itself", "opened", fields{"Gone", "m<2:}{v7;[^2;", "Title", "s"}, "92 c0 a174").is(&changedPage{Title: "t"}, title),
		page("an unknown skipped signature", "outdated", fields{"Gone", "q", "Title", "s"}, "92 05 a174"),
		page("an empty skipped signature", "outdated", fields{"Gone", "", "Title", "s"}, "92 05 a174"),
		page("two types in a skipped signature", "outdated", fields{"Gone", "ii", "Title", "s"}, "92 05 a174"),
		page("half a type in a skipped signature", "outdated", fields{"Gone", "ms", "Title", "s"}, "92 c0 a174"),
		page("a leading zero in a skipped signature", "outdated", fields{"Gone", "Y03;", "Title", "s"}, "92 c403000000 a174"),
		page("a level too far out in a skipped signature", "outdated", fields{"Gone", "[^2;", "Title", "s"}, "92 c0 a174"),
		page("schema version 0 in a skipped signature", "outdated", fields{"Gone", "v0;i", "Title", "s"}, "92 05 a174"),
		page("a name of none in a skipped signature", "outdated", fields{"Gone", "<0:", "Title", "s"}, "92 c400 a174"),
		page("a name cut short in a skipped signature", "outdated", fields{"Gone", "<6:money", "Title", "s"}, "92 c400 a174"),

		// The types behind interfaces.
		page("a registered type", "opened", fields{"Held", "[?"}, "91 91 92 22 91a169", "item", item).is(&changedPage{Held: []any{changedItem{"i"}}}, `{"Held": [["item", {"Name": "i"}]]}`),
		page("a registered type with another field", "opened", fields{"Held", "[?"}, "91 91 92 22 9205a169", "item", changedTable("v2;{0}", fields{"Gone", "i", "Name", "s"})).is(&changedPage{Held: []any{changedItem{"i"}}}, `{"Held": [["item", {"Name": "i"}]]}`),
		page("a registered type of another schema version", "outdated", fields{"Held", "[?"}, "91 91 92 22 91a169", "item", changedTable("v1;{0}", fields{"Name", "s"})),
		page("a type that is not registered", "outdated", fields{"Held", "[?"}, "91 91 92 22 05", "gone", changedTable("i")),
		page("a type that nothing refers to", "invalid", fields{"Held", "[?"}, "91 90", "item", item),
		page("a type twice", "invalid", fields{"Held", "[?"}, "91 92 92 22 91a169 92 24 91a169", "item", item, "item", item),
		page("a type number too far", "invalid", fields{"Held", "[?"}, "91 91 92 24 91a169", "item", item),
		page("types out of order", "invalid", fields{"Held", "[?"}, "91 92 92 24 91a169 92 22 92c0c0", "net", changedTable("{0}", fields{"Ports", "[p", "Prefixes", "[x"}), "item", item),
		page("types out of order behind a skipped field", "opened", fields{"Gone", "?", "Held", "[?"}, "92 c0 91 92 24 91a169", "flags", changedTable("[b"), "item", item).is(&changedPage{Held: []any{changedItem{"i"}}}, `{"Held": [["item", {"Name": "i"}]]}`),
		page("a type behind a skipped field", "opened", fields{"Gone", "?", "Title", "s"}, "92 92 22 05 a174", "gone", changedTable("i")).is(&changedPage{Title: "t"}, title),
		page("a type that is not registered behind a skipped field, and held", "outdated", fields{"Gone", "?", "Held", "[?"}, "92 c0 91 92 22 05", "gone", changedTable("i")),
		page("a type of another kind behind a skipped field", "opened", fields{"Gone", "?", "Title", "s"}, "92 92 22 05 a174", "item", changedTable("i")).is(&changedPage{Title: "t"}, title),
		page("the component again behind a skipped field", "invalid", fields{"Gone", "?", "Title", "s"}, "92 c0 a174", "page", changedTable("{0}", fields{"Title", "s"})),
		page("a type twice behind a skipped field", "invalid", fields{"Gone", "?", "Title", "s"}, "92 c0 a174", "item", item, "item", item),
		page("a type that is not registered twice behind a skipped field", "invalid", fields{"Gone", "?", "Title", "s"}, "92 c0 a174", "gone", changedTable("i"), "gone", changedTable("s")),
		page("a type without a name behind a skipped field", "invalid", fields{"Gone", "?", "Title", "s"}, "92 c0 a174", "", changedTable("i")),
		page("a table that is none behind a skipped field", "invalid", fields{"Gone", "?", "Title", "s"}, "92 c0 a174", "gone", unhexed("c1")),
		page("a table of an unknown signature behind a skipped field", "outdated", fields{"Gone", "?", "Title", "s"}, "92 c0 a174", "gone", changedTable("q")),

		// The schema version of the component itself.
		vector("a schema version", "opened", "item", 2, changedShapes(item), unhexed("91 a169")).is(&changedItem{"i"}, `{"Name": "i"}`),
		vector("a schema version that the table lacks", "outdated", "item", 2, changedShapes(changedTable("{0}", fields{"Name", "s"})), unhexed("91 a169")),
		vector("another schema version in the table", "outdated", "item", 2, changedShapes(changedTable("v3;{0}", fields{"Name", "s"})), unhexed("91 a169")),
		vector("another schema version in the envelope", "outdated", "item", 1, changedShapes(item), unhexed("91 a169")),
		vector("a component that is not registered", "invalid", "gone", 0, changedShapes(changedTable("i")), unhexed("05")),

		// Which of two refusals counts.
		short("8 bytes of another format version", "invalid", "02 00000000000000"),
		short("9 bytes of another format version", "outdated", "02 0000000000000000"),
		short("nothing", "invalid", ""),
		flags("100 elements", "opened", "dc0064"+falses).is(&hundred, "["+strings.Repeat("false,", 99)+"false]"),
		flags("101 elements and 100 bytes", "invalid", "dc0065"+falses),
		flags("1048576 elements and 100 bytes", "invalid", "dd00100000"+falses),
		flags("1048577 elements and 100 bytes", "too large", "dd00100001"+falses),
		flags("4294967295 elements and 100 bytes", "too large", "ddffffffff"+falses),
		page("1048577 elements in a skipped field", "too large", fields{"Gone", "[b", "Title", "s"}, "92 dd00100001"+falses),
		page("1048577 values in a struct", "invalid", fields{"Title", "s"}, "dd00100001"+falses),
		vector("keys 0 and -0", "invalid", "map", 0, changedShapes(changedTable("mdb")), unhexed("82 cb0000000000000000 c2 cb8000000000000000 c2")),

		// Ages.
		sealed("first sealed 7 days ago", "opened", tokenNow.Unix()-7*24*3600, "flags").is(&changedFlags{}, "[]"),
		sealed("first sealed 7 days and a second ago", "expired", tokenNow.Unix()-7*24*3600-1, "flags"),
		sealed("first sealed a second after it was last sealed", "invalid", tokenNow.Unix()+1, "flags"),
		sealed("expired, of a component that is not registered", "expired", 0, "gone"),

		// Times of as many bits as there are, and more.
		vector("the last second", "opened", "times", 0, changedShapes(changedTable("[t")), unhexed("91 93 cf7fffffffffffffff 00 c0")).
			is(&changedTimes{time.Unix(math.MaxInt64, 0).UTC()}, `[[9223372036854775807, 0, null]]`),
		vector("a second of 64 bits without a sign", "invalid", "times", 0, changedShapes(changedTable("[t")), unhexed("91 93 cf8000000000000000 00 c0")),
		page("a skipped number of 64 bits without a sign", "opened", fields{"Gone", "i", "Title", "s"}, "92 cf8000000000000000 a174").is(&changedPage{Title: "t"}, title),

		// Addresses.
		vector("ports and prefixes", "opened", "net", 0, changedShapes(changedTable("{0}", fields{"Ports", "[p", "Prefixes", "[x"})), unhexed("92 93 c4020000 c4025000 c406c00002015000 96 c401ff c405c0000201ff c405c000020100 c405c000020120 c41120010db800000000000000000000000180 c41100000000000000000000ffffc000020160")).is(&changedNet{
			[]netip.AddrPort{{}, netip.AddrPortFrom(netip.Addr{}, 80), netip.MustParseAddrPort("192.0.2.1:80")},
			[]netip.Prefix{
				{}, netip.PrefixFrom(netip.MustParseAddr("192.0.2.1"), -1), netip.MustParsePrefix("192.0.2.1/0"), netip.MustParsePrefix("192.0.2.1/32"),
				netip.MustParsePrefix("2001:db8::1/128"), netip.PrefixFrom(netip.MustParseAddr("::ffff:192.0.2.1"), 96),
			},
		}, `{"Ports": ["", ":80", "192.0.2.1:80"], "Prefixes": ["", "192.0.2.1/", "192.0.2.1/0", "192.0.2.1/32", "2001:db8::1/128", "::ffff:192.0.2.1/96"]}`),
		// Compressed data, of 43 bytes, and with blocks of nothing in front.
		compressed("64 times as long as its compressed form", "opened", "c42b", titles2731).is(&changedPage{Title: strings.Repeat("t", 2731)}, `{"Title": "`+strings.Repeat("t", 2731)+`"}`),
		compressed("a byte more than 64 times as long as its compressed form", "too large", "c42b", titles2732),
		compressed("padded with an empty block", "opened", "c430 000000ffff", titles2732).is(&changedPage{Title: strings.Repeat("t", 2732)}, `{"Title": "`+strings.Repeat("t", 2732)+`"}`),

		changedPrefix(vector, "a prefix of 33 bits", "c405c000020121"),
		changedPrefix(vector, "a prefix of 129 bits", "c41120010db800000000000000000000000181"),
		changedPrefix(vector, "a prefix of 254 bits", "c405c0000201fe"),
		changedPrefix(vector, "a prefix of 0 bits without an address", "c40100"),
		changedPrefix(vector, "a prefix with a zone", "c412fe8000000000000000000000000000016140"),
	}
}

// Pages with titles of so many letters t, as DEFLATE streams.
const (
	titles2731 = "9b78846fd2e26a83da494b43324b725217164fbcc5b5ba64148c8251300a46c1281805a360148c82c10900"
	titles2732 = "9b78846fd2e26a83da494b43324b725217164fbcc5b5a664148c8251300a46c1281805a360148c82410a00"
)

func changedPrefix(vector func(string, string, string, int, []byte, []byte) *changedVector, name, prefix string) *changedVector {
	return vector(name, "invalid", "net", 0, changedShapes(changedTable("{0}", []string{"Ports", "[p", "Prefixes", "[x"})), unhexed("92 c0 91"+prefix))
}

func unhexed(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

const changedVectorsFile = "testdata/changed.json"

func TestChangedVectors(t *testing.T) { changedCheck(t, changedVectorsFile, changedVectors()) }

// changedCheck opens the tokens, and compares the file with them. Each token is sealed
// anew: neither its keys nor its bytes are drawn. If a token is accepted that was
// refused, or the other way round, the format has changed.
func changedCheck(t *testing.T, path string, vectors []*changedVector) {
	m := tokenAppFor(t, changedRegistry(), []byte(rand.Text()+rand.Text()), tokenNow, func(*pagestate.Options) {})
	owner := &tokenVector{Secret: tokenHex(token.PublishedSecret), Binding: 1, Session: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
	key, err := owner.keys().Key()
	if err != nil {
		t.Fatal(err)
	}
	file := changedFile{Secret: owner.Secret, Binding: owner.Binding, Session: owner.Session, Now: tokenNow.Unix(), Types: make(map[string]changedType)}
	for name, state := range map[string]any{
		"page": &changedPage{}, "item": &changedItem{}, "flags": &changedFlags{},
		"map": &changedMap{}, "net": &changedNet{}, "times": &changedTimes{},
	} {
		e, _, err := token.ParseEnvelope(tokenOf(m.key, nil), tokenPlain(t, m, tokenSeal(t, m, state)))
		if err != nil {
			t.Fatal(err)
		}
		d := wire.Decoder{Data: e.Data}
		if _, err := d.ArrayHeader(); err != nil {
			t.Fatal(err)
		}
		table, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		file.Types[name] = changedType{int(e.Version), table}
	}
	for _, v := range vectors {
		state, err := m.Open(t.Context(), tokenOwner, v.seal(m.key))
		want, known := changedResults[v.Result]
		if !known || !errors.Is(err, want) {
			t.Errorf("%s: got %v, want it %s", v.Name, err, v.Result)
		}
		if err == nil && !reflect.DeepEqual(state, v.value) {
			t.Errorf("%s: got %+v, want %+v", v.Name, state, v.value)
		}
		v.Token = v.seal((*fernet.Key)(key))
		file.Tokens = append(file.Tokens, v)
	}

	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(file); err != nil {
		t.Fatal(err)
	}
	if *tokenUpdate && !t.Failed() {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	saved, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(saved, b.Bytes()) {
		t.Errorf("%s %s", path, tokenDiff(string(saved), b.String()))
	}
}
