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
	e.comparing, e.expected, e.hash, e.inKey = true, data, new(maphash.Hash), true
	room := new([atOnce]byte)
	copy(room[:], data)
	e.room = room
	everyFieldSet(t, reflect.ValueOf(*e))
	e.release()
	if e.room = nil; *room != [atOnce]byte{} || !reflect.ValueOf(*e).IsZero() {
		t.Errorf("the encoder still holds %+v, and in its room %q", *e, *room)
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
	for name, use := range map[string]func(e *encoder){
		"comparing": func(e *encoder) { e.comparing = true },
		"hashing":   func(e *encoder) { e.hash = new(maphash.Hash) },
	} {
		t.Run(name, func(t *testing.T) {
			e := p.draining(noLimit)
			use(e)
			e.buf = append(e.buf, bytes.Repeat([]byte("secret"), atOnce)[:atOnce]...)
			room := e.room
			e.release()
			if *room != [atOnce]byte{} {
				t.Errorf("%q is left", *room)
			}
		})
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
