package token_test

// What is sealed: envelopes that only a holder of the secret can make.

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/token"
)

// tokenPieces are the fields of a good plaintext, in their order. A test puts
// other bytes in the place of one.
type tokenPieces struct {
	format, firstSealed, component, version, key, parent, instance, revision, data []byte
}

func (p tokenPieces) join() []byte {
	return slices.Concat(p.format, p.firstSealed, p.component, p.version, p.key, p.parent, p.instance, p.revision, p.data)
}

func tokenNewPieces(t *testing.T, m *tokenApp) tokenPieces {
	shapes, payload := tokenEncode(t, m, &tokenCounter{Count: 7})
	return tokenPieces{
		format:      []byte{token.FormatVersion},
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

func TestIsChild(t *testing.T) {
	parent, other := token.InstanceID{1}, token.InstanceID{2}
	child := &token.Envelope{Key: "row", Parent: parent}
	for _, tt := range []struct {
		parent token.InstanceID
		key    string
		want   bool
	}{
		{parent, "row", true},
		{parent, "column", false},
		{other, "row", false},
		{other, "column", false},
	} {
		if got := child.IsChild(tt.parent, tt.key); got != tt.want {
			t.Errorf("the child %q of %v: %t", tt.key, tt.parent, got)
		}
	}
}

func TestEnvelope(t *testing.T) {
	m := tokenNewApp(t)
	key := m.key
	good := tokenNewPieces(t, m)
	const none = "\xc4\x00"
	tests := []struct {
		what   string
		change func(p *tokenPieces)
		want   error
	}{
		{"nothing changed", func(p *tokenPieces) {}, nil},
		{"no parent", func(p *tokenPieces) { p.key, p.parent = []byte{0xa0}, []byte(none) }, nil},
		{"a child with an empty key", func(p *tokenPieces) { p.key = []byte{0xa0} }, pagestate.ErrInvalid},
		{"a large revision", func(p *tokenPieces) { p.revision = []byte("\xcf\x00\x00\x00\x01\x00\x00\x00\x00") }, nil},

		{"an unknown component", func(p *tokenPieces) { p.component = []byte("\xa7Counter") }, pagestate.ErrInvalid},
		{"the beginning of a component's name", func(p *tokenPieces) { p.component = []byte("\xa6counte") }, pagestate.ErrInvalid},
		{"the end of a component's name", func(p *tokenPieces) { p.component = []byte("\xa6ounter") }, pagestate.ErrInvalid},
		{"more than a component's name", func(p *tokenPieces) { p.component = []byte("\xa8counter2") }, pagestate.ErrInvalid},
		{"less than a component's name behind more", func(p *tokenPieces) { p.component = []byte("\xa82counter") }, pagestate.ErrInvalid},
		{"a component of no name", func(p *tokenPieces) { p.component = []byte("\xa0") }, pagestate.ErrInvalid},
		{"a codec", func(p *tokenPieces) { p.component = []byte("\xa5money") }, pagestate.ErrInvalid},
		{"a model", func(p *tokenPieces) { p.component = []byte("\xa6author") }, pagestate.ErrInvalid},
		{"a query", func(p *tokenPieces) { p.component = []byte("\xa6search") }, pagestate.ErrInvalid},
		{"blocks", func(p *tokenPieces) { p.component = []byte("\xa9list.html") }, pagestate.ErrInvalid},
		{"another schema version", func(p *tokenPieces) { p.version = []byte{1} }, pagestate.ErrOutdated},
		{"a huge schema version", func(p *tokenPieces) { p.version = []byte("\xcf\xff\xff\xff\xff\xff\xff\xff\xff") }, pagestate.ErrOutdated},

		{"the component in a longer form", func(p *tokenPieces) { p.component = []byte("\xd9\x07counter") }, pagestate.ErrInvalid},
		{"the component in the longest form", func(p *tokenPieces) { p.component = []byte("\xdb\x00\x00\x00\x07counter") }, pagestate.ErrInvalid},
		{"the component as bytes", func(p *tokenPieces) { p.component = []byte("\xc4\x07counter") }, pagestate.ErrInvalid},
		{"the schema version in a longer form", func(p *tokenPieces) { p.version = []byte("\xcc\x00") }, pagestate.ErrInvalid},
		{"the schema version as a signed number", func(p *tokenPieces) { p.version = []byte("\xd0\x00") }, pagestate.ErrInvalid},
		{"a negative schema version", func(p *tokenPieces) { p.version = []byte("\xff") }, pagestate.ErrInvalid},
		{"the schema version as a float", func(p *tokenPieces) { p.version = []byte("\xca\x00\x00\x00\x00") }, pagestate.ErrInvalid},
		{"the schema version as nil", func(p *tokenPieces) { p.version = []byte("\xc0") }, pagestate.ErrInvalid},
		{"the key in a longer form", func(p *tokenPieces) { p.key = []byte("\xd9\x03row") }, pagestate.ErrInvalid},
		{"the key as nil", func(p *tokenPieces) { p.key = []byte("\xc0") }, pagestate.ErrInvalid},
		{"the parent in a longer form", func(p *tokenPieces) { p.parent = []byte("\xc5\x00\x10parent's bytes..") }, pagestate.ErrInvalid},
		{"the parent as a string", func(p *tokenPieces) { p.parent = []byte("\xb0parent's bytes..") }, pagestate.ErrInvalid},
		{"the parent as nil", func(p *tokenPieces) { p.parent = []byte("\xc0") }, pagestate.ErrInvalid},
		{"a parent of 15 bytes", func(p *tokenPieces) { p.parent = []byte("\xc4\x0fparent's bytes.") }, pagestate.ErrInvalid},
		{"a parent of 17 bytes", func(p *tokenPieces) { p.parent = []byte("\xc4\x11parent's bytes...") }, pagestate.ErrInvalid},
		{"the instance in a longer form", func(p *tokenPieces) { p.instance = []byte("\xc6\x00\x00\x00\x10sixteen bytes...") }, pagestate.ErrInvalid},
		{"a key without a parent", func(p *tokenPieces) { p.parent = []byte(none) }, pagestate.ErrInvalid},
		{"an empty parent in a longer form", func(p *tokenPieces) { p.key, p.parent = []byte{0xa0}, []byte("\xc5\x00\x00") }, pagestate.ErrInvalid},
		{"no instance", func(p *tokenPieces) { p.instance = []byte(none) }, pagestate.ErrInvalid},
		{"an instance of 15 bytes", func(p *tokenPieces) { p.instance = []byte("\xc4\x0fsixteen bytes..") }, pagestate.ErrInvalid},
		{"an instance of 17 bytes", func(p *tokenPieces) { p.instance = []byte("\xc4\x11sixteen bytes....") }, pagestate.ErrInvalid},
		{"revision 0", func(p *tokenPieces) { p.revision = []byte{0} }, pagestate.ErrInvalid},
		{"the last revision, which has no next", func(p *tokenPieces) { p.revision = []byte("\xcf\xff\xff\xff\xff\xff\xff\xff\xff") }, pagestate.ErrInvalid},
		{"the revision in a longer form", func(p *tokenPieces) { p.revision = []byte("\xcc\x01") }, pagestate.ErrInvalid},
		{"the revision in the longest form", func(p *tokenPieces) { p.revision = []byte("\xcf\x00\x00\x00\x00\x00\x00\x00\x01") }, pagestate.ErrInvalid},
		{"the revision as a signed number", func(p *tokenPieces) { p.revision = []byte("\xd0\x01") }, pagestate.ErrInvalid},
		{"a negative revision", func(p *tokenPieces) { p.revision = []byte("\xff") }, pagestate.ErrInvalid},

		{"a string that never ends", func(p *tokenPieces) { p.component = []byte("\xdb\xff\xff\xff\xff") }, pagestate.ErrInvalid},
		{"a string of 2 GiB", func(p *tokenPieces) { p.component = []byte("\xdb\x80\x00\x00\x00") }, pagestate.ErrInvalid},
		{"bytes of 2 GiB", func(p *tokenPieces) { p.parent = []byte("\xc6\x80\x00\x00\x00") }, pagestate.ErrInvalid},
		{"bytes that never end", func(p *tokenPieces) { p.instance = []byte("\xc6\xff\xff\xff\xff") }, pagestate.ErrInvalid},
		{"no shapes", func(p *tokenPieces) { p.data = p.data[len(p.data)-2:] }, pagestate.ErrInvalid},
		{"no data", func(p *tokenPieces) { p.data = nil }, pagestate.ErrInvalid},
		{"two payloads", func(p *tokenPieces) { p.data = append(slices.Clip(p.data), 0x91, 7) }, pagestate.ErrInvalid},
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
	m := tokenNewApp(t)
	key := m.key
	for v := range 256 {
		p := tokenNewPieces(t, m)
		p.format[0] = byte(v)
		var want error
		if v != token.FormatVersion {
			want = pagestate.ErrOutdated
		}
		tokenIs(t, m, tokenOf(key, p.join()), want, "format version %d", v)
	}
	for n := range 20 {
		want := pagestate.ErrInvalid // no version of the format has less than both
		if n >= 9 {
			want = pagestate.ErrOutdated
		}
		tokenIs(t, m, tokenOf(key, bytes.Repeat([]byte{2}, n)), want, "%d bytes of format version 2", n)
	}
}

// TestChildEnvelope compares the token of a child with one put together here.
func TestChildEnvelope(t *testing.T) {
	m := tokenNewApp(t)
	var tokens [2]string
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parent, child := &tokenTags{}, &tokenCounter{Count: 3}
		if err := errors.Join(pagestate.Attach(r.Context(), parent), pagestate.Attach(r.Context(), child, pagestate.Under(parent, "row 3, é"))); err != nil {
			t.Error(err)
			return
		}
		for i, state := range []any{parent, child} {
			var err error
			if tokens[i], err = pagestate.Token(r.Context(), state); err != nil {
				t.Error(err)
			}
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if t.Failed() {
		return
	}
	parent, _, err := token.ParseEnvelope(tokens[0], tokenPlain(t, m, tokens[0]))
	if err != nil {
		t.Fatal(err)
	}
	plain := tokenPlain(t, m, tokens[1])
	p := tokenNewPieces(t, m)
	p.key = []byte("\xa9row 3, é")
	p.parent = append([]byte("\xc4\x10"), parent.Instance[:]...)
	shapes, payload := tokenEncode(t, m, &tokenCounter{Count: 3})
	p.data = append(shapes, payload...)
	drawn := len(p.join()) - len(p.data) - len(p.revision) - len(parent.Instance)
	p.instance = append([]byte("\xc4\x10"), plain[drawn:][:len(parent.Instance)]...)
	if want := p.join(); !bytes.Equal(plain, want) {
		t.Errorf("the child's plaintext %s", tokenDiff(hex.EncodeToString(plain), hex.EncodeToString(want)))
	}
	if parent.Key != "" || parent.Parent != (token.InstanceID{}) || parent.Revision != 1 {
		t.Errorf("the parent has the key %q, the parent %x and revision %d", parent.Key, parent.Parent, parent.Revision)
	}
}

func TestEnvelopeCut(t *testing.T) {
	m := tokenNewApp(t)
	key := m.key
	for _, v := range tokenVectors() {
		plain := tokenPlain(t, m, tokenSeal(t, m, v.value))
		for i := range plain {
			tokenIs(t, m, tokenOf(key, plain[:i]), pagestate.ErrInvalid, "%s: cut to %d bytes of %d", v.Name, i, len(plain))
		}
		for _, c := range []byte{0, 1, 0x80, 0x90, 0xa0, 0xc0, 0xff} {
			tokenIs(t, m, tokenOf(key, append(slices.Clip(plain), c)), pagestate.ErrInvalid, "%s: %#x behind it", v.Name, c)
		}
	}
}

// TestNamesInTokens puts other names and keys in the place of those that were
// sealed.
func TestNamesInTokens(t *testing.T) {
	m := tokenNewApp(t)
	key := m.key
	references := &tokenReferences{Editor: &tokenAuthor{ID: 99}}
	search := &tokenNamed{Search: tokenSearch(tokenFilter{Text: "text"})}
	page := &tokenNamed{Page: new(tokenPage(7))}
	body := &tokenNamed{Body: tokenBlock("body")}
	tests := []struct {
		what     string
		state    any
		old, new string
		want     error
	}{
		{"nothing changed in a reference", references, "c", "c", nil},
		{"another key", references, "\xc0c\xc0", "\xc0b\xc0", nil},
		{"a reference without a key", references, "\xc0c\xc0", "\xc0\x00\xc0", pagestate.ErrInvalid},
		{"a key in an array", references, "\xc0c\xc0", "\xc0\x91c\xc0", pagestate.ErrInvalid},
		{"a key of another kind", references, "\xc0c\xc0", "\xc0\xa1c\xc0", pagestate.ErrInvalid},
		{"a row that is gone", references, "\xc0c\xc0", "\xc0\xff\xc0", pagestate.ErrStale},
		{"another name of a model", references, "&6:author", "&6:Author", pagestate.ErrOutdated},
		{"a shorter name of a model", references, "&6:author", "&5:author", pagestate.ErrOutdated},
		{"another type of key", references, "&6:authori", "&6:authorl", pagestate.ErrOutdated},

		{"nothing changed in a query", search, "search", "search", nil},
		{"an unknown query", search, "\xa6search", "\xa6Search", pagestate.ErrOutdated},
		{"a query of no name", search, "\xa6search", "\xa0", pagestate.ErrOutdated},
		{"a query with other arguments", search, "\xa6search", "\xa6titles", pagestate.ErrOutdated},
		{"the name of a component", search, "\xa6search", "\xa6holder", pagestate.ErrOutdated},
		{"a name in a longer form", search, "\xa6search", "\xd9\x06search", pagestate.ErrInvalid},
		{"a name as bytes", search, "\xa6search", "\xc4\x06search", pagestate.ErrInvalid},
		{"a query and one value more", search, "\x92\xa6search", "\x93\xa6search", pagestate.ErrInvalid},
		{"arguments of another type", search, "\x92\xa4text", "\x92\x01", pagestate.ErrInvalid},
		{"a query without the array around it", page, "\x91\x92\xa7page é", "\x92\xa7page é", pagestate.ErrInvalid},

		{"nothing changed in a block", body, "list.html", "list.html", nil},
		{"another block", body, "\xa4body", "\xa5a row", nil},
		{"an unknown block", body, "\xa4body", "\xa4Body", pagestate.ErrOutdated},
		{"the name of the set for a block", body, "\xa4body", "\xa9list.html", pagestate.ErrOutdated},
		{"a block of no name", body, "\xa4body", "\xa0", pagestate.ErrOutdated},
		{"a path", body, "\xa4body", "\xab/etc/passwd", pagestate.ErrOutdated},
		{"an unknown set", body, "\xa9list.html", "\xa9list.htm_", pagestate.ErrOutdated},
		{"a query for a set", body, "\xa9list.html", "\xa6search", pagestate.ErrOutdated},
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
