package pagestate_test

// What a thief of the secret can do: derive an owner's key, and seal whatever
// bytes he likes. Written from docs/token.md, and not from the package. What he
// tries with it is in instance_test.go.

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/fernet/fernet-go"
	"github.com/pagestate/pagestate/internal/wire"
)

// forger holds the key of one owner.
type forger struct {
	t   testing.TB
	key fernet.Key
}

// The kinds of binding and user in what a key is derived from.
const (
	forgedUnbound     = "\x00"
	forgedCookie      = "\x01"
	forgedSessionFunc = "\x02"
	forgedNoUsers     = "\x00"
	forgedNamedUser   = "\x02"
)

func newForger(t testing.TB, secret []byte, binding, session, kind, user string) *forger {
	return &forger{t, fernet.Key(keyFor(t, secret, "pagestate token", binding, session, kind, user))}
}

// keyFor is the key of an owner for one use.
func keyFor(t testing.TB, secret []byte, use, binding, session, kind, user string) []byte {
	var info []byte
	for _, part := range []string{use, "", binding, session, kind, user} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(part)))
		info = append(info, part...)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, string(info), 32)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// forgedSignature is that of a message for the visitor of a Cookie binding, in base64.
func forgedSignature(t testing.TB, secret []byte, session, message string) string {
	mac := hmac.New(sha256.New, keyFor(t, secret, "pagestate signature", forgedCookie, session, forgedNoUsers, ""))
	mac.Write([]byte(message))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// forgeParcel returns a parcel with that content for the visitor of a Cookie binding.
func forgeParcel(t testing.TB, secret []byte, session, id string, content []byte) string {
	signature, err := base64.RawURLEncoding.DecodeString(forgedSignature(t, secret, session, "parcel "+id+" "+string(content)))
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(append(content, signature...))
}

func (f *forger) seal(plain []byte) string {
	token, err := fernet.EncryptAndSignAtTime(plain, &f.key, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	return string(token)
}

// open returns what was sealed for the owner.
func (f *forger) open(token string) []byte {
	plain := fernet.VerifyAndDecrypt([]byte(token), 0, []*fernet.Key{&f.key})
	if plain == nil {
		f.t.Fatal("the token is not of this key: the forger has derived another")
	}
	return plain
}

// A forgedValue is a MessagePack value that can be changed and written again.
type forgedValue struct {
	leaf  []byte         // all of it, if nothing is inside
	kind  byte           // else: 'a' an array, 'm' a map, 'b' bytes that hold one value, 'e' an envelope
	inner []*forgedValue // keys and elements in turns, of a map
	lie   uint32         // added to the number of elements
}

// The values of an envelope, and the first 9 bytes ahead of them as one more.
const (
	envelopeHead = iota
	envelopeComponent
	envelopeVersion
	envelopeKey
	envelopeParent
	envelopeInstance
	envelopeRevision
	envelopeShapes
	envelopePayload
)

func forgedText(s string) *forgedValue { return &forgedValue{leaf: wire.AppendString(nil, s)} }
func forgedNumber(n int) *forgedValue  { return &forgedValue{leaf: wire.AppendUint(nil, uint64(n))} }

// parseForged takes what was sealed apart, the tables in the shapes too.
func parseForged(t testing.TB, plain []byte) *forgedValue {
	e := &forgedValue{kind: 'e', inner: []*forgedValue{{leaf: plain[:9]}}}
	for rest := plain[9:]; len(rest) > 0; {
		v, next := parseValue(t, rest)
		e.inner, rest = append(e.inner, v), next
	}
	shapes := e.inner[envelopeShapes]
	for i := 0; i < len(shapes.inner); i += 2 {
		r := wire.NewReader(shapes.inner[i].leaf)
		content := r.Bytes()
		if _, err := r.Rest(); err != nil {
			t.Fatal(err)
		}
		table, _ := parseValue(t, content)
		shapes.inner[i] = &forgedValue{kind: 'b', inner: []*forgedValue{table}}
	}
	return e
}

func parseValue(t testing.TB, b []byte) (v *forgedValue, rest []byte) {
	var n int
	var err error
	v = new(forgedValue)
	d := wire.Decoder{Data: b}
	switch d.Kind() {
	case wire.ArrayKind:
		v.kind = 'a'
		n, err = d.ArrayHeader()
	case wire.MapKind:
		v.kind = 'm'
		n, err = d.MapHeader()
		n *= 2
	case wire.NilKind:
		d.Nil()
	case wire.BoolKind:
		_, err = d.Bool()
	case wire.UintKind:
		_, err = d.Uint()
	case wire.IntKind:
		_, err = d.Int()
	case wire.Float32Kind:
		_, err = d.Float32()
	case wire.Float64Kind:
		_, err = d.Float64()
	case wire.StringKind:
		_, err = d.String()
	default:
		_, err = d.Bytes()
	}
	if err != nil {
		t.Fatal(err)
	}
	rest = d.Rest()
	if v.kind == 0 {
		v.leaf = b[:d.Pos]
	}
	for range n {
		var inner *forgedValue
		inner, rest = parseValue(t, rest)
		v.inner = append(v.inner, inner)
	}
	return v, rest
}

func (v *forgedValue) append(b []byte) []byte {
	var content []byte
	for _, inner := range v.inner {
		content = inner.append(content)
	}
	n := uint32(len(v.inner))
	switch v.kind {
	case 0:
		return append(b, v.leaf...)
	case 'a':
		b = wire.AppendArrayHeader(b, int(n+v.lie))
	case 'm':
		b = wire.AppendMapHeader(b, int(n/2+v.lie))
	case 'b':
		b = wire.AppendBytesHeader(b, len(content))
	}
	return append(b, content...)
}

func (v *forgedValue) clone() *forgedValue {
	c := &forgedValue{leaf: v.leaf, kind: v.kind, lie: v.lie, inner: make([]*forgedValue, len(v.inner))}
	for i, inner := range v.inner {
		c.inner[i] = inner.clone()
	}
	return c
}

// all returns v and everything inside it.
func (v *forgedValue) all() []*forgedValue {
	list := []*forgedValue{v}
	for _, inner := range v.inner {
		list = append(list, inner.all()...)
	}
	return list
}

// sortMaps puts the keys of every map in order, and drops those that are there
// twice: otherwise most changes to a map would be found out by that alone.
func (v *forgedValue) sortMaps() {
	for _, inner := range v.inner {
		inner.sortMaps()
	}
	if v.kind != 'm' {
		return
	}
	pairs := slices.Collect(slices.Chunk(v.inner, 2))
	key := func(pair []*forgedValue) []byte { return pair[0].append(nil) }
	slices.SortStableFunc(pairs, func(a, b []*forgedValue) int { return bytes.Compare(key(a), key(b)) })
	pairs = slices.CompactFunc(pairs, func(a, b []*forgedValue) bool { return bytes.Equal(key(a), key(b)) })
	v.inner = slices.Concat(pairs...)
}

// forgery reads what the fuzzer made as a list of changes. What it asks for
// when the list has ended is 0.
type forgery struct {
	script []byte
	seeds  []*forgedValue
}

func (f *forgery) next() int {
	if len(f.script) == 0 {
		return 0
	}
	n := f.script[0]
	f.script = f.script[1:]
	return int(n)
}

func (f *forgery) wide() int { return f.next()<<8 | f.next() }

// mostForged bounds how many values a forgery consists of.
const mostForged = 20_000

// forgedParent is the instance of the parent that forged children have.
var forgedParent = &forgedValue{leaf: wire.AppendBytes(nil, []byte("the parent's own"))}

// forge changes one of the seeds as the script says.
func forge(seeds []*forgedValue, which byte, child bool, script []byte) []byte {
	f := &forgery{script, seeds}
	e := seeds[int(which)%len(seeds)].clone()
	if child {
		e.inner[envelopeKey] = forgedText("child")
		e.inner[envelopeParent] = forgedParent.clone()
	}
	cut := -1
	sorted := f.next()%4 != 3
	for range 12 {
		if len(f.script) == 0 || len(e.all()) > mostForged {
			break
		}
		if f.next()%40 == 39 {
			cut = f.wide()
			continue
		}
		f.change(e)
	}
	if sorted {
		e.sortMaps()
	}
	plain := e.append(nil)
	if cut >= 0 {
		plain = plain[:cut%(len(plain)+1)]
	}
	return plain
}

// leaves are values that decide: at the end of a range, of a form of their own,
// or much longer than they are.
var leaves = [][]byte{
	unhex("c0"), unhex("c2"), unhex("c3"), unhex("00"), unhex("01"), unhex("7f"), unhex("cc80"), unhex("ff"), unhex("d080"),
	unhex("cfffffffffffffffff"), unhex("d38000000000000000"), unhex("cf7fffffffffffffff"), unhex("ceffffffff"), unhex("cdffff"), unhex("cd0001"),
	unhex("cb7ff8000000000000"), unhex("cb8000000000000000"), unhex("cb7ff0000000000001"), unhex("ca7f800001"), unhex("ca7fc00000"),
	unhex("90"), unhex("80"), unhex("a0"), unhex("c400"), unhex("c40100"), unhex("c4020001"), unhex("c40101"), unhex("92c0c0"), unhex("91c0"),
	unhex("ddffffffff"), unhex("df7fffffff"), unhex("dbffffffff"), unhex("c680000000"), unhex("dc0000"), unhex("d900"),
	unhex("c1"), unhex("d40001"), unhex("c70cff000000000000000000000000"), unhex("d6ff00000000"),
	wire.AppendString(nil, "forged"), wire.AppendString(nil, "elsewhere"), wire.AppendString(nil, "{0}"), wire.AppendString(nil, "?"), wire.AppendString(nil, "^1;"),
	wire.AppendString(nil, "item"), wire.AppendString(nil, "row"), wire.AppendString(nil, "money"), wire.AppendString(nil, "rows"), wire.AppendString(nil, "body"),
	unhex("960000c2c200c40100"), unhex("96cd200005c3c300c40100"), unhex("960100c2c2ce00010000c4020001"), unhex("92c4020001c4020001"),
	unhex("93d38000000000000000ce3b9ac9ffd280000000"), unhex("921391921481a0921390"), unhex("922090"), unhex("9221c0"), unhex("9222c0"), unhex("9223c0"),
}

// change does one thing to one value.
func (f *forgery) change(e *forgedValue) {
	all := e.inner[envelopePayload].all()
	if f.next()%8 > 5 {
		all = e.all()[1:] // without the envelope itself
	}
	v := all[f.wide()%len(all)]
	n := f.next()
	seed := f.seeds[n%len(f.seeds)]
	switch f.next() % 18 {
	case 0: // one element less
		if len(v.inner) > 0 {
			at := n % len(v.inner)
			v.inner = slices.Delete(slices.Clone(v.inner), at, at+1)
		}
	case 1: // one element several times
		if len(v.inner) > 0 {
			at := n % len(v.inner)
			times := min(1+f.next(), mostForged/len(v.inner[at].all()))
			v.inner = slices.Insert(slices.Clone(v.inner), at, slices.Repeat(v.inner[at:at+1], times)...)
		}
	case 2: // what stands elsewhere
		*v = *all[f.wide()%len(all)].clone()
	case 3: // what stands in another token
		theirs := seed.all()
		*v = *theirs[f.wide()%len(theirs)].clone()
	case 4: // inside of arrays
		for range 1 + n%80 {
			inner := *v
			*v = forgedValue{kind: 'a', inner: []*forgedValue{&inner}}
		}
	case 5, 6, 7:
		*v = forgedValue{leaf: leaves[n%len(leaves)]}
	case 8: // another length than it has
		v.lie += []uint32{1, math.MaxUint32, 1 << 8, 1 << 16, 1 << 20, 1<<20 + 1, 1 << 31}[n%7]
	case 9: // one bit
		if len(v.leaf) > 0 {
			v.leaf = bytes.Clone(v.leaf)
			v.leaf[f.next()%len(v.leaf)] ^= 1 << (n % 8)
		}
	case 10: // elements in another order
		if len(v.inner) > 1 {
			v.inner = slices.Clone(v.inner)
			a, b := n%len(v.inner), f.next()%len(v.inner)
			v.inner[a], v.inner[b] = v.inner[b], v.inner[a]
		}
	case 11: // any bytes at all
		n = min(n%32, len(f.script))
		*v = forgedValue{leaf: f.script[:n]}
		f.script = f.script[n:]
	case 12: // a number
		*v = forgedValue{leaf: wire.AppendUint(nil, uint64(n)<<(f.next()%57))}
	case 13: // much text, or many bytes
		if n%2 == 0 {
			*v = forgedValue{leaf: wire.AppendString(nil, string(make([]byte, n*n/8)))}
		} else {
			*v = forgedValue{leaf: wire.AppendBytes(nil, make([]byte, n*n/8))}
		}
	case 14: // a field that had another name when this was sealed
		forgeField(e, n, func(table []*forgedValue, at int, _ *forgedValue) []*forgedValue {
			table[at] = forgedText("Former")
			return table
		})
	case 15: // one that was not there
		forgeField(e, n, func(table []*forgedValue, at int, fields *forgedValue) []*forgedValue {
			fields.inner = slices.Delete(slices.Clone(fields.inner), at/2, at/2+1)
			return slices.Delete(table, at, at+2)
		})
	case 16:
		*e.inner[envelopeShapes] = *seed.inner[envelopeShapes].clone()
	case 17:
		*e.inner[envelopePayload] = *seed.inner[envelopePayload].clone()
	}
}

// forgeField changes the names of the component's fields, and what the payload
// has for them, while both are still lists of the same fields.
func forgeField(e *forgedValue, n int, do func(table []*forgedValue, at int, fields *forgedValue) []*forgedValue) {
	if len(e.inner) <= envelopePayload || len(e.inner[envelopeShapes].inner) == 0 {
		return
	}
	shapes, fields := e.inner[envelopeShapes].inner[0], e.inner[envelopePayload]
	if shapes.kind != 'b' || len(shapes.inner) == 0 || len(shapes.inner[0].inner) < 2 {
		return
	}
	table := shapes.inner[0].inner[1]
	if len(fields.inner) == 0 || len(table.inner) != 2*len(fields.inner) {
		return
	}
	table.inner = do(slices.Clone(table.inner), 2*(n%len(fields.inner)), fields)
}

// forgedData is what follows the head of an envelope: the shapes and the state.
func forgedData(plain []byte) (data []byte, err error) {
	r := wire.NewReader(plain[9:])
	_, _, _ = r.String(), r.Uint(), r.String() // component, version, key
	_, _, _ = r.Bytes(), r.Bytes(), r.Uint()   // parent, instance, revision
	return r.Rest()
}
