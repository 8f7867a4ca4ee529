package publicjson

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestAsEncodingJSON wants what encoding/json writes, byte for byte.
func TestAsEncodingJSON(t *testing.T) {
	type state struct {
		Text   string    `state:",public"`
		Float  float64   `state:",public"`
		Single float32   `state:",public"`
		At     time.Time `state:",public"`
	}
	var states []state
	var all strings.Builder
	for r := range rune(0x3000) {
		all.WriteRune(r)
	}
	for _, text := range []string{
		"", "plain", all.String(), "\u2028", "a\u2029b", "\u202a\u2027", "\u2128", "</script>", "\U0001F600", strings.Repeat("é\"", 99),
	} {
		states = append(states, state{Text: text})
	}
	for _, f := range []float64{
		0, math.Copysign(0, -1), 1, -1.5, 1e-6, 9.999999e-7, 1e-7, 1.5e-10, 1e-100, 1e20, 1e21, 9.99e20, 1e22, 1e100, 1.0 / 3,
		math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 100, 1e9,
	} {
		states = append(states, state{Float: f}, state{Float: -f})
		if single := float32(f); !math.IsInf(float64(single), 0) {
			states = append(states, state{Single: single}, state{Single: -single})
		}
	}
	for _, offset := range []int{0, 3600, -90 * 60, 23*3600 + 59*60, -23*3600 - 59*60} {
		at := time.Date(2024, 2, 29, 23, 59, 58, 120_000, time.FixedZone("", offset))
		states = append(states, state{At: at}, state{At: at.UTC()}, state{At: time.Date(9999, 12, 31, 0, 0, 0, 999_999_999, at.Location())})
	}
	p, err := Of(reflect.TypeFor[state]())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		got, err := p.Encode(reflect.ValueOf(s))
		want, wantErr := json.Marshal(s)
		if err := errors.Join(err, wantErr); err != nil || string(got) != string(want) {
			t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
		}
	}
}

// TestCompiledOnce is what makes small states cheap.
func TestCompiledOnce(t *testing.T) {
	type state struct {
		Text string `state:",public"`
	}
	type refused struct {
		Any any `state:",public"`
	}
	once, _ := Of(reflect.TypeFor[state]())
	again, err := Of(reflect.TypeFor[state]())
	if once != again || err != nil {
		t.Errorf("%p and %p, %v", once, again, err)
	}
	_, fault := Of(reflect.TypeFor[refused]())
	_, another := Of(reflect.TypeFor[refused]())
	if fault == nil || fault != another {
		t.Errorf("%v and %v", fault, another)
	}
	v := reflect.ValueOf(&state{"x"}).Elem()
	if n := testing.AllocsPerRun(100, func() {
		p, _ := Of(v.Type())
		if _, err := p.Encode(v); err != nil {
			t.Error(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations to write a string, the most is 1", n)
	}
}
