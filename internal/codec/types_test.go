package codec

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/big"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

//lint:file-ignore U1000 what is not saved is not read either

// What Compile refuses, and how it says so.

const (
	notSafe = ` is not in the safe list; save it with RegisterModel, RegisterCodec or a Register of its own package, or leave it out with state:"-"`
	noKey   = ` cannot be saved as a map key; use a scalar, a string, a netip or codec type, or an array or struct of these`
)

type (
	holder   struct{ Inner *holder2 }
	holder2  struct{ Items []map[string]holder3 }
	holder3  struct{ Conn *sql.DB }
	recursed struct {
		Next *recursed
		Bad  chan int
	}
	embedsPointer struct{ *hidden }
	embedsCodec   struct{ money }
	embedsTime    struct{ moment }
	moment        = time.Time
	taggedPrivate struct {
		a int `state:"a"`
		b int `state:""`
		c int
	}
	sameNames struct {
		A int `state:"x"`
		B int `state:"x"`
		x int
		C int `state:"A"`
	}
	sameAsDefault struct {
		A int
		B int `state:"A"`
	}
	unknownOptions struct {
		A int `state:",omitempty"`
		B int `state:"b,optional,publik"`
		C int `state:"c,"`
	}
	many struct {
		A chan int
		B []func()
		C map[string]*sql.DB
		D sync.Mutex
		E map[chan int]uintptr
	}
	everywhere struct {
		A, B  *sql.DB
		C     []*sql.DB
		D     [2]chan int
		E     map[string][]*sql.DB
		F, G  []chan int
		H     sync.Mutex
		I     *sync.Mutex
		J, K  holder3
		Upper [1]error
	}
	form struct{ File *multipart.FileHeader }
)

func TestFaults(t *testing.T) {
	tests := []struct {
		typ  reflect.Type
		want []string // without the name of the type
	}{
		{reflect.TypeFor[box[chan int]](), []string{".V: chan int" + notSafe}},
		{reflect.TypeFor[box[func()]](), []string{".V: func()" + notSafe}},
		{reflect.TypeFor[box[unsafe.Pointer]](), []string{".V: unsafe.Pointer" + notSafe}},
		{reflect.TypeFor[box[uintptr]](), []string{".V: uintptr" + notSafe}},
		{reflect.TypeFor[box[sync.Mutex]](), []string{".V: sync.Mutex" + notSafe}},
		{reflect.TypeFor[box[*sync.Mutex]](), []string{".V: *sync.Mutex" + notSafe}},
		{reflect.TypeFor[box[atomic.Int64]](), []string{".V: atomic.Int64" + notSafe}},
		{reflect.TypeFor[box[sync.Map]](), []string{".V: sync.Map" + notSafe}},
		{reflect.TypeFor[box[*sql.DB]](), []string{".V: *sql.DB" + notSafe}},
		{reflect.TypeFor[box[**sql.DB]](), []string{".V: **sql.DB" + notSafe}},
		{reflect.TypeFor[box[*sql.Rows]](), []string{".V: *sql.Rows" + notSafe}},
		{reflect.TypeFor[box[*regexp.Regexp]](), []string{".V: *regexp.Regexp" + notSafe}},
		{reflect.TypeFor[box[bytes.Buffer]](), []string{".V: bytes.Buffer" + notSafe}},
		{reflect.TypeFor[box[strings.Builder]](), []string{".V: strings.Builder" + notSafe}},
		{reflect.TypeFor[box[*time.Location]](), []string{".V: *time.Location" + notSafe}},
		{reflect.TypeFor[box[*url.Userinfo]](), []string{".V: *url.Userinfo" + notSafe}},
		{reflect.TypeFor[box[reflect.Value]](), []string{".V: reflect.Value" + notSafe}},
		{reflect.TypeFor[box[time.Timer]](), []string{".V: time.Timer" + notSafe}},
		{reflect.TypeFor[box[stamp]](), []string{".V: codec.stamp" + notSafe}},
		{reflect.TypeFor[box[number]](), []string{".V: codec.number" + notSafe}},
		{reflect.TypeFor[box[http.Handler]](), []string{`.V: no registered type implements http.Handler; register one, or leave the field out with state:"-"`}},
		{reflect.TypeFor[box[error]](), []string{`.V: no registered type implements error; register one, or leave the field out with state:"-"`}},
		{reflect.TypeFor[box[context.Context]](), []string{`.V: no registered type implements context.Context; register one, or leave the field out with state:"-"`}},
		{reflect.TypeFor[box[[]io.Reader]](), []string{`.V[]: no registered type implements io.Reader; register one, or leave the field out with state:"-"`}},

		{reflect.TypeFor[box[map[*int]bool]](), []string{".V[key]: *int" + noKey}},
		{reflect.TypeFor[box[map[any]bool]](), []string{".V[key]: interface {}" + noKey}},
		{reflect.TypeFor[box[map[time.Time]bool]](), []string{".V[key]: time.Time" + noKey}},
		{reflect.TypeFor[box[map[url.URL]bool]](), []string{".V[key]: url.URL" + noKey}},
		{reflect.TypeFor[box[map[chan int]bool]](), []string{".V[key]: chan int" + noKey}},
		{reflect.TypeFor[box[map[uintptr]bool]](), []string{".V[key]: uintptr" + noKey}},
		{reflect.TypeFor[box[map[unsafe.Pointer]bool]](), []string{".V[key]: unsafe.Pointer" + noKey}},
		{reflect.TypeFor[box[map[[2]*int]bool]](), []string{".V[key]: [2]*int" + noKey}},
		{reflect.TypeFor[box[map[box[time.Time]]bool]](), []string{".V[key]: codec.box[time.Time]" + noKey}},
		{reflect.TypeFor[box[map[atomic.Int64]bool]](), []string{".V[key]: atomic.Int64" + notSafe}},
		{reflect.TypeFor[box[map[string]map[any]chan int]](), []string{".V[][key]: interface {}" + noKey, ".V[][]: chan int" + notSafe}},

		{reflect.TypeFor[box[[MaxElements + 1]int]](), []string{".V: an array of 1048577 elements, the most is 1048576"}},
		{reflect.TypeFor[box[[MaxElements + 1]byte]](), []string{".V: an array of 1048577 elements, the most is 1048576"}},
		{reflect.TypeFor[box[[][2][MaxElements + 1]int]](), []string{".V[][]: an array of 1048577 elements, the most is 1048576"}},

		{reflect.TypeFor[embedsPointer](), []string{`.hidden: an embedded pointer to an unexported struct cannot be set; embed the struct itself, or leave it out with state:"-"`}},
		{reflect.TypeFor[embedsTime](), []string{`.moment: a time.Time cannot be reached in an embedded field that is unexported; give it a name, or leave it out with state:"-"`}},
		{reflect.TypeFor[embedsCodec](), []string{`.money: a codec cannot set an embedded field that is unexported; give it a name, or leave it out with state:"-"`}},
		{reflect.TypeFor[taggedPrivate](), []string{
			".a: an unexported field cannot be saved; export it, or remove its state tag",
			".b: an unexported field cannot be saved; export it, or remove its state tag",
		}},
		{reflect.TypeFor[sameNames](), []string{`.B: its saved name "x" is that of A too; give one of them another in its state tag`}},
		{reflect.TypeFor[sameAsDefault](), []string{`.B: its saved name "A" is that of A too; give one of them another in its state tag`}},
		{reflect.TypeFor[unknownOptions](), []string{
			`.A: its state tag has the unknown option "omitempty"; there are optional, public and keep`,
			`.B: its state tag has the unknown option "publik"; there are optional, public and keep`,
			`.C: its state tag has the unknown option ""; there are optional, public and keep`,
		}},

		{reflect.TypeFor[[]chan int](), []string{"[]: chan int" + notSafe}},
		{reflect.TypeFor[holder](), []string{".Inner.Items[][].Conn: *sql.DB" + notSafe}},
		{reflect.TypeFor[recursed](), []string{".Bad: chan int" + notSafe}},
		{reflect.TypeFor[many](), []string{
			".A: chan int" + notSafe,
			".B[]: func()" + notSafe,
			".C[]: *sql.DB" + notSafe,
			".D: sync.Mutex" + notSafe,
			".E[key]: chan int" + noKey,
			".E[]: uintptr" + notSafe,
		}},
		// Each place of a type is told, but what a struct holds only once.
		{reflect.TypeFor[everywhere](), []string{
			".A: *sql.DB" + notSafe,
			".B: *sql.DB" + notSafe,
			".C[]: *sql.DB" + notSafe,
			".D[]: chan int" + notSafe,
			".E[][]: *sql.DB" + notSafe,
			".F[]: chan int" + notSafe,
			".G[]: chan int" + notSafe,
			".H: sync.Mutex" + notSafe,
			".I: *sync.Mutex" + notSafe,
			".J.Conn: *sql.DB" + notSafe,
			`.Upper[]: no registered type implements error; register one, or leave the field out with state:"-"`,
		}},
		{reflect.TypeFor[form](), []string{".File: *multipart.FileHeader" + notSafe}},
	}
	for _, test := range tests {
		t.Run(test.typ.String(), func(t *testing.T) {
			var got []string
			for _, fault := range newTypes(test.typ).Compile() {
				got = append(got, fault.Error())
			}
			var want []string
			for _, fault := range test.want {
				want = append(want, TypeName(test.typ)+fault)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
		})
	}
}

// stamp and number have the fields of a safe type, but not its methods' secrets.
type (
	stamp  time.Time
	number big.Int
)

// The faults of all components are reported, in the order of registration.
func TestFaultsOfAllComponents(t *testing.T) {
	types := NewTypes()
	types.Add("b", reflect.TypeFor[recursed](), 0)
	types.Add("a", reflect.TypeFor[holder](), 2)
	types.Add("c", reflect.TypeFor[item](), 0)
	types.Add("d", reflect.TypeFor[embedsPointer](), 0)
	var got []string
	for _, fault := range types.Compile() {
		path, _, _ := strings.Cut(fault.Error(), ":")
		got = append(got, path)
	}
	if want := []string{"recursed.Bad", "holder.Inner.Items[][].Conn", "embedsPointer.hidden"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Unexported fields are skipped in the component's own package. A struct that
// is known in one package is not known in another.
func TestUnexportedFieldsOfOtherPackages(t *testing.T) {
	// multipart.Form holds a FileHeader, which has unexported fields.
	for _, order := range [][]string{{"form", "mine"}, {"mine", "form"}} {
		types := NewTypes()
		for _, name := range order {
			if name == "form" {
				types.Add(name, reflect.TypeFor[multipart.Form](), 0)
			} else {
				types.Add(name, reflect.TypeFor[form](), 0)
			}
		}
		want := "[form.File: *multipart.FileHeader" + notSafe + "]"
		if got := types.Compile(); fmt.Sprint(got) != want {
			t.Errorf("%v: got %v, want %s", order, got, want)
		}
	}

	// Through a component of its own package it is known wherever that stands.
	types := NewTypes()
	types.Add("form", reflect.TypeFor[multipart.Form](), 0)
	types.Add("mine", reflect.TypeFor[box[multipart.Form]](), 0)
	p := compile(t, types).Name("mine")
	v := box[multipart.Form]{multipart.Form{
		Value: map[string][]string{"a": {"b"}},
		File:  map[string][]*multipart.FileHeader{"f": {{Filename: "x", Size: 3}}},
	}}
	got, err := decodeValue(p, mustEncode(t, p, v))
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("got %+v and %v", got, err)
	}
}

func TestSafeTypes(t *testing.T) {
	type skipping struct {
		A    int
		mu   sync.Mutex
		conn *sql.DB
		Out  chan int `state:"-"`
		_    func()
		item
	}
	type ignoring struct {
		Plain
		A int `state:"Plain"`
	}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[skipping](), reflect.TypeFor[ignoring](),
		reflect.TypeFor[map[float64]int](), reflect.TypeFor[box[fmt.Stringer]](), reflect.TypeFor[box[interface{ IsNil() bool }]](),
		reflect.TypeFor[[MaxElements]int](), reflect.TypeFor[[MaxElements]byte](),
		reflect.TypeFor[http.Cookie](), reflect.TypeFor[http.Header](),
	} {
		types := newTypes(typ)
		types.ignored[reflect.TypeFor[Plain]()] = true
		types.Add("nillable", reflect.TypeFor[nillable](), 0)
		for _, fault := range types.Compile() {
			t.Error(fault)
		}
	}
}

type nillable struct{}

func (n *nillable) IsNil() bool { return n == nil }

func TestLookup(t *testing.T) {
	types := compile(t, newTypes(reflect.TypeFor[point]()))
	p := types.Name("root")
	if p.Type != reflect.TypeFor[point]() || types.Type(p.Type) != p {
		t.Errorf("got %+v", p)
	}
	if types.Name("none") != nil || types.Type(reflect.TypeFor[int]()) != nil {
		t.Error("found what is not registered")
	}
}

// What another package's struct keeps to itself is unknown, unless a tag leaves it out.
func TestKnown(t *testing.T) {
	type (
		open   struct{ A int }
		hidden struct{ A, b int }
		left   struct {
			A int
			b int `state:"-"`
		}
	)
	const here = "github.com/pagestate/pagestate/internal/codec"
	for _, test := range []struct {
		typ  reflect.Type
		own  string
		want bool
	}{
		{reflect.TypeFor[open](), "other", true},
		{reflect.TypeFor[hidden](), "other", false},
		{reflect.TypeFor[hidden](), here, true},
		{reflect.TypeFor[left](), "other", true},
	} {
		if got := NewTypes().Known(test.typ, test.own); got != test.want {
			t.Errorf("%v in %s: got %t, want %t", test.typ, test.own, got, test.want)
		}
	}
}

func TestLosesAll(t *testing.T) {
	type (
		hidden struct{ a int }
		tiny   int
	)
	for _, test := range []struct {
		typ  reflect.Type
		want bool
	}{
		{reflect.TypeFor[struct{ a int }](), true},
		{reflect.TypeFor[struct{ tiny }](), true},
		{reflect.TypeFor[struct {
			A hidden
			b int
		}](), true},
		{reflect.TypeFor[struct {
			A time.Time // saved by its own form
			b int
		}](), false},
		{reflect.TypeFor[struct {
			A point
			b int
		}](), false},
		{reflect.TypeFor[struct {
			A point
			B hidden
			c int
		}](), false},
		{reflect.TypeFor[struct {
			a int `state:"-"`
			_ int
		}](), false},
		{reflect.TypeFor[struct{}](), false},
	} {
		if got := NewTypes().LosesAll(test.typ); got != test.want {
			t.Errorf("%v: got %t, want %t", test.typ, got, test.want)
		}
	}
}

// Of an embedded struct that is unexported, the fields that can be set are cleared.
func TestClearField(t *testing.T) {
	type (
		tiny  int
		named struct{ N int }
		deep  struct{ D int }
		inner struct {
			deep
			tiny
			A    int
			kept named
		}
		outer struct {
			inner
			B int
		}
	)
	p := planOf(t, reflect.TypeFor[outer]())
	full := outer{inner{deep{1}, 2, 3, named{4}}, 5}
	for i, want := range []outer{
		{inner{deep{}, 2, 0, named{4}}, 5},
		{inner{deep{1}, 2, 3, named{4}}, 0},
	} {
		v := full
		p.ClearField(reflect.ValueOf(&v).Elem(), i)
		if v != want {
			t.Errorf("field %d: got %+v, want %+v", i, v, want)
		}
	}
}
