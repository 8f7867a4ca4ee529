package integration_test

// Types of other modules in a state, and types that say how they want to be
// saved: nobody asks them.

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/uuid"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
	"github.com/shopspring/decimal"
)

// Document is a row with a key of another module's type.
type Document struct {
	ID    uuid.UUID
	Title string
}

// Desk has UUIDs wherever a type can stand.
type Desk struct {
	ID       uuid.UUID
	Parent   *uuid.UUID
	Maybe    uuid.NullUUID
	Recent   []uuid.UUID
	Titles   map[uuid.UUID]string
	Document *Document
	Any      any
}

func TestUUIDWorksAsItIs(t *testing.T) {
	id, other := uuid.New(), uuid.New()
	documents := map[uuid.UUID]*Document{id: {id, "tea"}}
	registry := pagestate.NewRegistry()
	pagestate.Register[Desk](registry, "desk")
	pagestate.RegisterModel(registry, "document", pagestate.Model[uuid.UUID, Document]{
		Key: func(d *Document) uuid.UUID { return d.ID },
		Fetch: func(_ context.Context, ids []uuid.UUID) (found []*Document, err error) {
			for _, id := range ids {
				found = append(found, documents[id])
			}
			return found, nil
		},
	})
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/", func(*http.Request) *Desk {
		return &Desk{id, &other, uuid.NullUUID{UUID: id, Valid: true}, []uuid.UUID{id, other}, map[uuid.UUID]string{id: "one"}, documents[id], documents[id]}
	})
	action(a, "/", func(_ *http.Request, d *Desk) (string, error) {
		testkit.Want(t, "field", d.ID, id)
		testkit.Want(t, "behind a pointer", *d.Parent, other)
		testkit.Want(t, "nullable", d.Maybe, uuid.NullUUID{UUID: id, Valid: true})
		testkit.Want(t, "elements", [2]uuid.UUID(d.Recent), [2]uuid.UUID{id, other})
		testkit.Want(t, "map key", d.Titles[id], "one")
		testkit.Want(t, "model key", d.Document, documents[id])
		testkit.Want(t, "in an interface", d.Any, any(documents[id]))
		return "", nil
	})
	desk := a.browser().Get("/")
	wantStatus(t, call(desk, "/"), http.StatusOK)
	delete(documents, id)
	wantRefused(t, call(desk, "/"), pagestate.ErrStale)
}

// Invoice has decimals wherever a type can stand.
type Invoice struct {
	Total    decimal.Decimal
	Discount *decimal.Decimal
	Prices   []decimal.Decimal
	ByName   map[string]decimal.Decimal
	Left     map[decimal.Decimal]int // Go finds no key in it, since two equal decimals are two pointers
}

func TestDecimalIsRefused(t *testing.T) {
	type Cart struct{ Total decimal.Decimal }
	registry := pagestate.NewRegistry()
	pagestate.Register[Cart](registry, "cart")
	_, err := pagestate.New(registry, pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Unbound()})
	testkit.Want(t, "fault", fmt.Sprint(err),
		`pagestate: Cart.Total: decimal.Decimal is not in the safe list; save it with RegisterModel, RegisterCodec or a Register of its own package, or leave it out with state:"-"`)
}

// maxDecimal bounds what Decode spends on digits.
const maxDecimal = 64

// registerDecimal refuses exponents: a few bytes could mean a number that takes
// gigabytes to write out.
func registerDecimal(registry *pagestate.Registry) {
	pagestate.RegisterCodec(registry, "decimal", pagestate.Codec[decimal.Decimal]{
		Encode: func(d decimal.Decimal) ([]byte, error) { return []byte(d.String()), nil },
		Decode: func(b []byte) (decimal.Decimal, error) {
			for _, c := range b {
				if len(b) > maxDecimal || c == 'e' || c == 'E' {
					return decimal.Decimal{}, errors.New("no decimal of ours")
				}
			}
			return decimal.NewFromString(string(b))
		},
	})
}

func TestDecimalWithCodec(t *testing.T) {
	discount := decimal.RequireFromString("-0.10")
	registry := pagestate.NewRegistry()
	pagestate.Register[Invoice](registry, "invoice")
	registerDecimal(registry)
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/", func(*http.Request) *Invoice {
		return &Invoice{
			Total:    decimal.RequireFromString("12.345678901234567890"),
			Discount: &discount,
			Prices:   []decimal.Decimal{decimal.NewFromInt(3), {}},
			ByName:   map[string]decimal.Decimal{"tea": decimal.RequireFromString("2.50")},
			Left:     map[decimal.Decimal]int{decimal.NewFromInt(3): 7},
		}
	})
	action(a, "/", func(_ *http.Request, c *Invoice) (string, error) {
		return fmt.Sprintln(c.Total, c.Discount, c.Prices, c.ByName, c.Left), nil
	})
	res := wantBody(t, call(a.browser().Get("/"), "/"), "12.34567890123456789 -0.1 [3 0] map[tea:2.5] map[3:7]\n")
	testkit.Want(t, "unchanged", res.Header.Get("Page-State"), "")
}

func TestEqualDecimalsAsKeys(t *testing.T) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Invoice](registry, "invoice")
	registerDecimal(registry)
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/", func(*http.Request) *Invoice {
		return &Invoice{Left: map[decimal.Decimal]int{decimal.NewFromInt(3): 7, decimal.NewFromInt(3): 8}}
	})
	pagestatetest.Refused(t, a.browser().Get("/").Response, errOther)
	testkit.WantText(t, "log", a.log.String(), "Invoice.Left[key]", "two keys have the same saved form")
}

// Loud wants to be saved in its own ways, and panics if it is asked.
type Loud string

func (Loud) MarshalJSON() ([]byte, error)      { panic("MarshalJSON") }
func (Loud) MarshalText() ([]byte, error)      { panic("MarshalText") }
func (Loud) MarshalBinary() ([]byte, error)    { panic("MarshalBinary") }
func (Loud) GobEncode() ([]byte, error)        { panic("GobEncode") }
func (Loud) MarshalMsg([]byte) ([]byte, error) { panic("MarshalMsg") }
func (Loud) Value() (driver.Value, error)      { panic("Value") }
func (Loud) String() string                    { panic("String") }
func (Loud) GoString() string                  { panic("GoString") }
func (Loud) Error() string                     { panic("Error") }

func (*Loud) UnmarshalJSON([]byte) error          { panic("UnmarshalJSON") }
func (*Loud) UnmarshalText([]byte) error          { panic("UnmarshalText") }
func (*Loud) UnmarshalBinary([]byte) error        { panic("UnmarshalBinary") }
func (*Loud) GobDecode([]byte) error              { panic("GobDecode") }
func (*Loud) UnmarshalMsg([]byte) ([]byte, error) { panic("UnmarshalMsg") }
func (*Loud) Scan(any) error                      { panic("Scan") }

// LoudRow is a model, and LoudPage a component, that are just as loud.
type LoudRow struct {
	Loud
	Key Loud
}

type LoudPage struct {
	Loud
	Name   Loud
	Names  []Loud
	ByName map[Loud]*Loud
	Row    *LoudRow
	Args   pagestate.Query[Loud, Loud]
	Filled Loud
}

func TestMethodsOfValuesAreNotCalled(t *testing.T) {
	name := Loud("name")
	registry := pagestate.NewRegistry()
	pagestate.Register[LoudPage](registry, "page", pagestate.LoadWith(func(_ context.Context, p *LoudPage) error {
		p.Filled = "loaded"
		return nil
	}))
	pagestate.RegisterModel(registry, "row", pagestate.Model[Loud, LoudRow]{
		Key:   func(r *LoudRow) Loud { return r.Key },
		Fetch: func(_ context.Context, keys []Loud) ([]*LoudRow, error) { return []*LoudRow{{Key: keys[0]}}, nil },
	})
	query := pagestate.RegisterQuery(registry, "query", func(_ context.Context, name Loud) iter.Seq2[Loud, error] {
		return func(yield func(Loud, error) bool) { yield(name, nil) }
	})
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/", func(*http.Request) *LoudPage {
		return &LoudPage{name, name, []Loud{name}, map[Loud]*Loud{name: &name}, &LoudRow{Key: name}, query(name), ""}
	})
	action(a, "/", func(_ *http.Request, p *LoudPage) (string, error) {
		p.Name += "r"
		return string(p.Loud + p.Name + p.Names[0] + *p.ByName[name] + p.Row.Key + p.Args.Args() + p.Filled), nil
	})
	res := wantBody(t, call(a.browser().Get("/"), "/"), "namenamernamenamenamenameloaded")
	testkit.Want(t, "sealed again", res.Header.Get("Page-State") != "", true)
}

// Reminder is due every day at the same time on the clocks of a place.
type Reminder struct {
	pagestate.Component
	Next  time.Time
	Place string // as in "Europe/Berlin"
}

// tomorrow counts on in the place's own time: Next came back with an offset
// alone, which does not know when the clocks change.
func (r *Reminder) tomorrow() error {
	place, err := time.LoadLocation(r.Place)
	if err != nil {
		return err
	}
	r.Next = r.Next.In(place).AddDate(0, 0, 1)
	return nil
}

func TestTimesAcrossAChangeOfClocks(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	registry := pagestate.NewRegistry()
	pagestate.Register[Reminder](registry, "reminder")
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/", func(*http.Request) *Reminder {
		return &Reminder{Next: time.Date(2026, 10, 24, 9, 0, 0, 0, berlin), Place: "Europe/Berlin"}
	})
	action(a, "/", func(_ *http.Request, r *Reminder) (string, error) {
		testkit.Want(t, "with the offset alone", r.Next.AddDate(0, 0, 1).In(berlin).Hour(), 8)
		return "", r.tomorrow()
	})
	action(a, "/next", func(_ *http.Request, r *Reminder) (string, error) {
		return r.Next.Format(time.RFC3339), nil
	})
	answer := call(a.browser().Get("/"), "/")
	wantStatus(t, answer, http.StatusOK)
	testkit.Want(t, "the day after", call(answer, "/next").Text, "2026-10-25T09:00:00+01:00")
}
