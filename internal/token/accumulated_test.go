package token_test

// One hash over ten thousand tokens, of drawn states, owners and times. The known
// answers of the other files show what each byte is for; this one shows that none of
// them has changed.

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/pagestate/pagestate"
)

const (
	accumulatedFile  = "testdata/accumulated.txt"
	accumulatedSeals = 10_000
)

// TestAccumulated seals with a generator that is the same in each run. Compressed is
// left out: releases of Go may compress to other bytes.
func TestAccumulated(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := drawn{rand.New(rand.NewPCG(1, 2))}
	m := tokenAppOf(t, []byte("accumulated, and nowhere else: !#"), tokenNow, func(o *pagestate.Options) { o.Purpose = "accumulated" })
	states := []func() any{
		func() any { return draw[tokenCounter](d) },
		func() any { return draw[tokenTags](d) },
		func() any { return draw[tokenText](d) },
		func() any { return draw[tokenNumbers](d) },
		func() any { return draw[tokenTree](d) },
		func() any { return draw[tokenStandard](d) },
		func() any { return draw[tokenHolder](d) },
		func() any { return draw[tokenVersioned](d) },
	}
	hash := sha256.New()
	var (
		owner  pagestate.Owner
		state  func() any
		sealed string
		err    error
	)
	for n := range accumulatedSeals {
		if n%3 == 0 { // another instance, of another owner
			m.now = tokenNow.Add(time.Duration(d.IntN(1e9)) * time.Second)
			owner = pagestate.Owner{Session: d.text() + "s", User: d.text()}
			state = states[n/3%len(states)]
			sealed, err = m.Seal(owner, state())
		} else {
			m.now = m.now.Add(time.Minute)
			sealed, err = m.Reseal(t.Context(), owner, sealed, state())
		}
		if err != nil {
			t.Fatal(err)
		}
		hash.Write([]byte(sealed))
	}
	got := hex.AppendEncode(nil, hash.Sum(nil))
	if *tokenUpdate {
		if err := os.WriteFile(accumulatedFile, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(accumulatedFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, bytes.TrimSpace(want)) {
		t.Errorf("%d seals have the hash %s, and %s says %s", accumulatedSeals, got, accumulatedFile, want)
	}
}

// drawn draws values.
type drawn struct{ *rand.Rand }

func draw[T any](d drawn) *T {
	state := new(T)
	d.fill(reflect.ValueOf(state).Elem(), 0)
	return state
}

// text is a short string, and not always UTF-8.
func (d drawn) text() string {
	const letters = "aZ09 é¢\x00\x1f\xff\"<&"
	var b []byte
	for range d.IntN(40) {
		b = append(b, letters[d.IntN(len(letters))])
	}
	return string(b)
}

// bits is a number of any length.
func (d drawn) bits() uint64 { return d.Uint64() >> d.IntN(64) }

func (d drawn) fill(v reflect.Value, depth int) {
	if v.CanInterface() && d.fillStandard(v) {
		return
	}
	many := d.IntN(4) / (1 + depth/2)
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(d.IntN(2) == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(d.bits()) << (64 - v.Type().Bits()) >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(d.bits() << (64 - v.Type().Bits()) >> (64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(d.float())
	case reflect.Complex64, reflect.Complex128:
		v.SetComplex(complex(d.float(), d.float()))
	case reflect.String:
		v.SetString(d.text())
	case reflect.Pointer:
		if many > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			d.fill(v.Elem(), depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			d.fill(v.Index(i), depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), many, many))
		for i := range many {
			d.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range many {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			d.fill(key, depth+1)
			d.fill(value, depth+1)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); (f.IsExported() || f.Anonymous) && f.Tag.Get("state") != "-" {
				d.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Interface:
		d.fillInterface(v)
	}
}

// fillInterface draws what the interfaces of the vectors may hold.
func (d drawn) fillInterface(v reflect.Value) {
	values := []any{tokenSquare{d.float()}, d.text(), int64(d.bits()), d.IntN(2) == 0}
	if v.NumMethod() > 0 {
		values = values[:1]
	}
	if i := d.IntN(len(values) + 1); i < len(values) {
		v.Set(reflect.ValueOf(values[i]))
	}
}

func (d drawn) float() float64 {
	if d.IntN(4) == 0 {
		return float64(d.IntN(100))
	}
	return math.Ldexp(float64(float32(d.NormFloat64())), d.IntN(20))
}

// fillStandard draws values of types whose fields are not exported.
func (d drawn) fillStandard(v reflect.Value) bool {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = time.Unix(int64(d.bits()>>24), int64(d.IntN(1e9))).In(time.FixedZone("", d.IntN(100)*900-36000))
	case *big.Int:
		p.SetUint64(d.bits())
		p.Lsh(p, uint(d.IntN(100)))
	case *big.Rat:
		p.SetFrac64(int64(d.bits()>>1), int64(d.bits()>>1)+1)
	case *big.Float:
		p.SetPrec(uint(1 + d.IntN(100))).SetUint64(d.bits())
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{byte(d.bits()), 2, 3, 4})
	case *netip.AddrPort:
		*p = netip.AddrPortFrom(netip.AddrFrom16([16]byte{1, byte(d.bits()), 15: 9}), uint16(d.bits()))
	case *netip.Prefix:
		*p = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(d.bits())}), d.IntN(33))
	case *url.URL:
		*p = url.URL{Scheme: "https", Host: "example.com", Path: "/" + d.text(), Fragment: d.text()}
	case *tokenMoney:
		p.cents = int64(d.bits())
	default:
		return false
	}
	return true
}
