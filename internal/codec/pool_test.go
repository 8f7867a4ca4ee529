package codec

import (
	"bytes"
	"errors"
	"hash/maphash"
	"math/big"
	"reflect"
	"sync"
	"testing"
)

// pooled is a value that fills whatever an encoder and a decoder can hold.
type pooled struct {
	Text   string
	List   []string
	Counts map[[2]int]int
	Any    any
	Held   any
	Number big.Int
	Row    *refRow
	Rows   []*refRow `state:",optional"`
}

// TestReleasedHoldsNothing is what lets encoders and decoders serve one request
// after the other: what goes back into the pool is as new.
func TestReleasedHoldsNothing(t *testing.T) {
	p := refPlan[pooled](t)
	value := reflect.ValueOf(&pooled{
		Text:   "of another visitor",
		List:   []string{"also"},
		Counts: map[[2]int]int{{1, 2}: 3},
		Any:    item{"a"},
		Held:   refRow{ID: 3},
		Number: *big.NewInt(1 << 40),
		Row:    &refRow{ID: 1},
		Rows:   []*refRow{{ID: 2}},
	}).Elem()

	e := p.encoder([]byte("in front"), noLimit)
	if err := p.encode(e, value, nil); err != nil {
		t.Fatal(err)
	}
	data := append(appendShapes(nil, e.groups), e.buf[e.start:]...)
	e.trail, e.tooDeep, e.optional = []address{{}}, true, true // as of a value that was refused
	e.depth++
	e.sink = &drain{}
	everyFieldSet(t, reflect.ValueOf(*e))
	e.release()
	if !reflect.ValueOf(*e).IsZero() {
		t.Errorf("the encoder still holds %+v", *e)
	}

	drained := p.comparing(data)
	copy(drained.room[:], data)
	drained.hash = new(maphash.Hash)
	everyFieldSet(t, reflect.ValueOf(*drained))
	drained.release()
	if !reflect.ValueOf(*drained).IsZero() {
		t.Errorf("the drain still holds %+v", *drained)
	}

	d := new(decoder)
	if err := p.begin(d, data); err != nil {
		t.Fatal(err)
	}
	if err := p.node.decode(d, reflect.New(p.Type).Elem()); err != nil {
		t.Fatal(err)
	}
	d.direct, d.optional, d.views = &reference{}, true, views{}
	d.depth++
	everyFieldSet(t, reflect.ValueOf(*d))
	d.release()
	if !reflect.ValueOf(*d).IsZero() {
		t.Errorf("the decoder still holds %+v", *d)
	}
}

// TestRoomIsCleared: the room for what is compared or hashed outlasts the value.
func TestRoomIsCleared(t *testing.T) {
	p := compile(t, newTypes(reflect.TypeFor[struct{ Text string }]())).Name("root")
	for name, d := range map[string]*drain{
		"comparing": p.comparing([]byte("another")),
		"hashing":   p.hashing(new(maphash.Hash), noLimit),
	} {
		d.buf = append(d.buf, bytes.Repeat([]byte("secret"), atOnce)[:atOnce]...)
		d.release()
		if d.room != [atOnce]byte{} {
			t.Errorf("%s: %q is left", name, d.room)
		}
	}
}

// everyFieldSet tells a field of which the test would show nothing.
func everyFieldSet(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s.%s is not filled", v.Type(), v.Type().Field(i).Name)
		}
	}
}

// TestPlansAreUsedAtOnce encodes and decodes many values side by side, of which
// every other one is refused half-way.
func TestPlansAreUsedAtOnce(t *testing.T) {
	type secret struct {
		Text string
		List []string
		Any  any
	}
	p := compile(t, newTypes(reflect.TypeFor[secret]())).Name("root")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			text := string(bytes.Repeat([]byte{'a' + byte(i)}, 10+i))
			want := secret{text, []string{text, text}, text}
			for range 200 {
				data, err := p.Encode(nil, reflect.ValueOf(want), nil, noLimit)
				if err != nil {
					t.Error(err)
				}
				if _, err := p.Encode(nil, reflect.ValueOf(secret{text, nil, struct{}{}}), nil, noLimit); !errors.Is(err, ErrUnsavable) {
					t.Error(err)
				}
				var got secret
				if _, err := p.Decode(data, reflect.ValueOf(&got).Elem()); err != nil {
					t.Error(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
				if _, err := p.Decode(data[:len(data)-1], reflect.ValueOf(&got).Elem()); !errors.Is(err, ErrMalformed) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
