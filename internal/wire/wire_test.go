package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Headers of so many.
type (
	array   int
	mapping int
)

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, Nil)
	case bool:
		if v {
			return append(b, True)
		}
		return append(b, False)
	case uint64:
		return AppendUint(b, v)
	case int64:
		return AppendInt(b, v)
	case string:
		return AppendString(b, v)
	case []byte:
		return AppendBytes(b, v)
	case array:
		return AppendArrayHeader(b, int(v))
	case mapping:
		return AppendMapHeader(b, int(v))
	}
	panic(fmt.Sprintf("%T", v))
}

// read reads the next value, whatever it is.
func read(d *Decoder) (v any, err error) {
	switch d.Kind() {
	case NilKind:
		d.Nil()
	case BoolKind:
		v, err = d.Bool()
	case UintKind:
		v, err = d.Uint()
	case IntKind:
		v, err = d.Int()
	case Float32Kind:
		v, err = d.Float32()
	case Float64Kind:
		v, err = d.Float64()
	case StringKind:
		var s []byte
		s, err = d.String()
		v = string(s)
	case BytesKind:
		v, err = d.Bytes()
	case ArrayKind:
		var n int
		n, err = d.ArrayHeader()
		v = array(n)
	case MapKind:
		var n int
		n, err = d.MapHeader()
		v = mapping(n)
	default:
		err = ErrMalformed
	}
	return v, err
}

var x = strings.Repeat("x", 1<<16)

// forms are values at both ends of each form, with what each begins with.
var forms = []struct {
	value any
	form  string
}{
	{nil, "c0"}, {false, "c2"}, {true, "c3"},
	{uint64(0), "00"}, {uint64(0x7f), "7f"},
	{uint64(0x80), "cc80"}, {uint64(0xff), "ccff"},
	{uint64(0x100), "cd0100"}, {uint64(0xffff), "cdffff"},
	{uint64(0x10000), "ce00010000"}, {uint64(0xffffffff), "ceffffffff"},
	{uint64(0x100000000), "cf0000000100000000"}, {uint64(math.MaxUint64), "cfffffffffffffffff"},
	{int64(-1), "ff"}, {int64(-32), "e0"},
	{int64(-33), "d0df"}, {int64(-0x80), "d080"},
	{int64(-0x81), "d1ff7f"}, {int64(-0x8000), "d18000"},
	{int64(-0x8001), "d2ffff7fff"}, {int64(-0x80000000), "d280000000"},
	{int64(-0x80000001), "d3ffffffff7fffffff"}, {int64(math.MinInt64), "d38000000000000000"},
	{"", "a0"}, {x[:31], "bf"}, {x[:32], "d920"}, {x[:255], "d9ff"}, {x[:256], "da0100"}, {x[:65535], "daffff"}, {x, "db00010000"},
	{[]byte{}, "c400"}, {[]byte(x[:255]), "c4ff"}, {[]byte(x[:256]), "c50100"}, {[]byte(x[:65535]), "c5ffff"}, {[]byte(x), "c600010000"},
	{array(0), "90"}, {array(15), "9f"}, {array(16), "dc0010"}, {array(65535), "dcffff"}, {array(65536), "dd00010000"}, {array(math.MaxInt32), "dd7fffffff"},
	{mapping(0), "80"}, {mapping(15), "8f"}, {mapping(16), "de0010"}, {mapping(65535), "deffff"}, {mapping(65536), "df00010000"}, {mapping(math.MaxInt32), "df7fffffff"},
}

// sizeOf is what the functions for sizes say of a value, 0 where there is none for it.
func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return stringSize(len(v))
	case []byte:
		return BytesSize(len(v))
	case array:
		return HeaderSize(int(v))
	case mapping:
		return HeaderSize(int(v))
	}
	return 0
}

func TestForms(t *testing.T) {
	for _, f := range forms {
		want := unhex(t, f.form)
		switch v := f.value.(type) {
		case string:
			want = append(want, v...)
		case []byte:
			want = append(want, v...)
		}
		got := appendValue([]byte("in front"), f.value)
		if got = got[len("in front"):]; !bytes.Equal(got, want) {
			t.Errorf("%T that begins with %s was written as %.9x", f.value, f.form, got)
		}
		if size := sizeOf(f.value); size != 0 && size != len(want) {
			t.Errorf("%s takes %d bytes, not %d", f.form, len(want), size)
		}
		d := Decoder{Data: append(want, Nil)}
		if v, err := read(&d); err != nil || !reflect.DeepEqual(v, f.value) || d.Left() != 1 {
			t.Errorf("%s: %v, %d bytes left", f.form, err, d.Left())
		}
		for cut := range min(len(want), 20) {
			d := Decoder{Data: want[:cut]}
			if _, err := read(&d); !errors.Is(err, ErrMalformed) || d.Pos != 0 {
				t.Errorf("%s, cut to %d bytes: %v, read to %d", f.form, cut, err, d.Pos)
			}
		}
	}
}

func TestFloats(t *testing.T) {
	for _, f := range []struct {
		form string
		want any // nil if it is malformed
	}{
		{"ca3fc00000", float32(1.5)},
		{"ca80000000", float32(math.Copysign(0, -1))},
		{"ca7f800001", nil}, // a signalling NaN
		{"ca3fc000", nil},
		{"cb3ff8000000000000", 1.5},
		{"cb3ff80000000000", nil},
	} {
		d := Decoder{Data: unhex(t, f.form)}
		if got, err := read(&d); (err == nil) != (f.want != nil) || err == nil && got != f.want {
			t.Errorf("%s: %v, %v", f.form, got, err)
		}
	}
}

// An int of 32 bits cannot hold every length, and every limit is lower.
func TestLongestHeaders(t *testing.T) {
	for form, want := range map[string]any{
		"dd80000000": array(math.MaxInt32),
		"ddffffffff": array(math.MaxInt32),
		"df80000000": mapping(math.MaxInt32),
		"dfffffffff": mapping(math.MaxInt32),
	} {
		d := Decoder{Data: unhex(t, form)}
		if got, err := read(&d); err != nil || got != want || d.Left() != 0 {
			t.Errorf("%s: %v, %v, %d bytes left", form, got, err, d.Left())
		}
	}
}

// What could be shorter, or is no value at all.
func TestMalformed(t *testing.T) {
	for _, form := range []string{
		"", "c1", "c70100", "c8000100", "c900000001 00", "d401", "d50102", "d6 01020304", "d7 0102030405060708", "d8",
		"cc7f", "cd00ff", "ce0000ffff", "cf00000000ffffffff",
		"d0e0", "d001", "d1ff80", "d2ffff8000", "d3ffffffff80000000",
		"d91f" + strings.Repeat("78", 31), "da0001 78", "db00000001 78", "dbffffffff 78", "db80000000",
		"c50001 78", "c600000001 78", "c6ffffffff 78",
		"dc000f", "dd0000ffff", "dd8000", "de000f", "df0000ffff", "df8000",
	} {
		d := Decoder{Data: unhex(t, form)}
		if v, err := read(&d); !errors.Is(err, ErrMalformed) || d.Pos != 0 {
			t.Errorf("%q was read as %v, to %d: %v", form, v, d.Pos, err)
		}
	}
	d := Decoder{Data: unhex(t, "cf8000000000000000")}
	if _, err := d.Int(); !errors.Is(err, ErrMalformed) || d.Pos != 0 {
		t.Errorf("2⁶³ as an int: %v, read to %d", err, d.Pos)
	}
}

func TestReader(t *testing.T) {
	r := NewReader(unhex(t, "a161 cc80 c40162 c0"))
	if s, u, b := r.String(), r.Uint(), r.Bytes(); string(s) != "a" || u != 128 || string(b) != "b" {
		t.Errorf("%q %d %q", s, u, b)
	}
	if rest, err := r.Rest(); err != nil || !bytes.Equal(rest, []byte{Nil}) {
		t.Errorf("%x, %v", rest, err)
	}

	r = NewReader(unhex(t, "01 a161"))
	if b, s, u := r.Bytes(), r.String(), r.Uint(); b != nil || s != nil || u != 0 {
		t.Errorf("read %q %q %d after an error", b, s, u)
	}
	if _, err := r.Rest(); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

// FuzzDecoder wants nothing to be read that would be written in another form.
func FuzzDecoder(f *testing.F) {
	for _, form := range forms {
		f.Add(appendValue(nil, form.value))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := Decoder{Data: b}
		v, err := read(&d)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || d.Pos != 0 {
				t.Errorf("%v, read to %d", err, d.Pos)
			}
			return
		}
		switch v.(type) {
		case float32, float64:
			return
		}
		if v == array(math.MaxInt32) || v == mapping(math.MaxInt32) {
			return // a longer one is read as that
		}
		if again := appendValue(nil, v); !bytes.Equal(again, b[:d.Pos]) {
			t.Errorf("%x was read as %x", b[:d.Pos], again)
		}
	})
}
