package pagestate_test

import (
	"context"
	"crypto/rand"
	"expvar"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/pagestate/pagestate"
)

// Visits is a component that is measured.
type Visits struct{ Count int }

// countIn returns an observer that counts in m for the standard library's
// expvar: how many tokens were opened and sealed, and in how many seconds, by
// component, and how many requests were refused, by code.
func countIn(m *expvar.Map) pagestate.Observer {
	group := func(name string) *expvar.Map {
		g := new(expvar.Map)
		m.Set(name, g)
		return g
	}
	opened, openedSeconds := group("opened"), group("opened_seconds")
	sealed, sealedSeconds := group("sealed"), group("sealed_seconds")
	refused := group("refused")
	return pagestate.Observer{
		Opened: func(_ context.Context, e pagestate.Opened) {
			opened.Add(e.Component, 1)
			openedSeconds.AddFloat(e.Component, e.Took.Seconds())
		},
		Sealed: func(_ context.Context, e pagestate.Sealed) {
			sealed.Add(e.Component, 1)
			sealedSeconds.AddFloat(e.Component, e.Took.Seconds())
		},
		Refused: func(_ context.Context, e pagestate.Refused) {
			refused.Add(e.Code, 1)
		},
	}
}

// Metrics for the standard library's expvar. A program has them published by
// expvar.NewMap, and serves expvar.Handler where nobody else can reach it.
func ExampleObserver() {
	metrics := new(expvar.Map) // or expvar.NewMap("pagestate")
	secret := make([]byte, 32)
	rand.Read(secret)
	registry := pagestate.NewRegistry()
	pagestate.Register[Visits](registry, "visits")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets:  [][]byte{secret},
		Session:  pagestate.Cookie(http.Cookie{Name: "page"}),
		Observer: countIn(metrics),
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}

	visitor := pagestate.Owner{Session: "a session"}
	token, err := mw.Seal(visitor, &Visits{Count: 1})
	if err != nil {
		panic(err)
	}
	for range 2 {
		if _, err := mw.Open(context.Background(), visitor, token); err != nil {
			panic(err)
		}
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Page-State", token) // and no cookie
	mw.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)

	for _, name := range []string{"opened", "sealed", "refused"} {
		fmt.Println(name, metrics.Get(name))
	}
	// Output:
	// opened {"visits": 2}
	// sealed {"visits": 1}
	// refused {"InvalidState": 1}
}
