package bench_test

// This file measures the codec alone: a state to bytes and back, without keys
// and tokens.

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/pagestate/pagestate/internal/codec"
)

func BenchmarkCodec(b *testing.B) {
	b.Run("state=small", codecs[small](newSmall()))
	b.Run("state=medium", codecs[medium](newMedium()))
	b.Run("state=large", codecs[large](newLarge(largeRows)))
}

// codecs measures each codec with one type.
func codecs[T any](state *T) func(b *testing.B) {
	return func(b *testing.B) {
		plan := compile[T](b)
		b.Run("impl=pagestate", roundTrip(state, func() ([]byte, error) {
			return plan.Encode(nil, reflect.ValueOf(state).Elem(), nil, 8<<20)
		}, func(data []byte, into *T) error {
			_, err := plan.Decode(data, reflect.ValueOf(into).Elem())
			return err
		}))
		b.Run("impl=pagestate-Same", comparing(plan, state))
		enc, dec := strictCBOR(b)
		b.Run("impl=cbor", roundTrip(state, func() ([]byte, error) {
			return enc.Marshal(state)
		}, func(data []byte, into *T) error {
			return dec.Unmarshal(data, into)
		}))
		b.Run("impl=json", roundTrip(state, func() ([]byte, error) {
			return json.Marshal(state)
		}, func(data []byte, into *T) error {
			return json.Unmarshal(data, into)
		}))
	}
}

// comparing is the look at a state that has been saved, for whether it changed.
func comparing[T any](plan *codec.Plan, state *T) func(b *testing.B) {
	return func(b *testing.B) {
		value := reflect.ValueOf(state).Elem()
		data, err := plan.Encode(nil, value, nil, 8<<20)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if same, err := plan.Same(value, nil, data); err != nil || !same {
				b.Fatal(same, err)
			}
		}
	}
}

func compile[T any](tb testing.TB) *codec.Plan {
	tb.Helper()
	types := codec.NewTypes()
	types.Add("state", reflect.TypeFor[T](), 0)
	if faults := types.Compile(); faults != nil {
		tb.Fatal(faults)
	}
	return types.Type(reflect.TypeFor[T]())
}

// strictCBOR has what this project promises of its own codec: one form for each
// value, times to the nanosecond, and nothing accepted that was not written so.
func strictCBOR(tb testing.TB) (cbor.EncMode, cbor.DecMode) {
	tb.Helper()
	encoding := cbor.CoreDetEncOptions()
	encoding.Time = cbor.TimeRFC3339Nano
	enc, err := encoding.EncMode()
	if err != nil {
		tb.Fatal(err)
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8DecodeInvalid, // a string is any bytes, as here
		MaxArrayElements:  1 << 20,
		MaxNestedLevels:   64,
	}.DecMode()
	if err != nil {
		tb.Fatal(err)
	}
	return enc, dec
}

func roundTrip[T any](state *T, encode func() ([]byte, error), decode func([]byte, *T) error) func(b *testing.B) {
	return func(b *testing.B) {
		data, err := encode()
		if err != nil {
			b.Fatal(err)
		}
		back := new(T)
		if err := decode(data, back); err != nil {
			b.Fatal(err)
		}
		if !reflect.DeepEqual(back, state) {
			b.Fatal("another state was decoded than was encoded")
		}
		b.ReportAllocs()
		for b.Loop() {
			data, err := encode()
			if err != nil {
				b.Fatal(err)
			}
			if err := decode(data, new(T)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data)), "saved-B")
	}
}
