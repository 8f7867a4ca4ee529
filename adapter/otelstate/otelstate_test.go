package otelstate_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/adapter/otelstate"
	"github.com/pagestate/pagestate/pagestatetest"
)

type counter struct {
	pagestate.Component
	Count int
}

func TestMetrics(t *testing.T) {
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	observer, err := otelstate.New(provider.Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	registry := pagestate.NewRegistry()
	pagestate.Register[counter](registry, "counter")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets:  [][]byte{secret},
		Session:  pagestate.Cookie(http.Cookie{Name: "pagestate"}),
		Observer: observer,
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		c := &counter{}
		if err := pagestate.Attach(r.Context(), c); err != nil {
			t.Error(err)
		}
		field, _ := c.StateField()
		io.WriteString(w, string(field))
	})
	mux.Handle("POST /", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		c.Count++
		return nil
	}))
	server := httptest.NewServer(mw.Handler(mux))
	defer server.Close()
	browser := pagestatetest.NewBrowser(t, server)
	page := browser.Get("/")
	page.Call("POST", "/", nil)
	page.Call("POST", "/", nil)
	browser.Page().Call("POST", "/", nil)

	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				got = append(got, fmt.Sprintf("%s %s %s: %d, took time: %t", m.Name, m.Unit, p.Attributes.Encoded(encoder), p.Count, p.Sum > 0))
			}
		case metricdata.Histogram[int64]:
			for _, p := range data.DataPoints {
				got = append(got, fmt.Sprintf("%s %s %s: %d, of bytes: %t", m.Name, m.Unit, p.Attributes.Encoded(encoder), p.Count, p.Sum > 0))
			}
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				got = append(got, fmt.Sprintf("%s %s %s: %d", m.Name, m.Unit, p.Attributes.Encoded(encoder), p.Value))
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"pagestate.open.duration s pagestate.component=counter: 2, took time: true",
		"pagestate.refused {error} pagestate.error.code=MissingState: 1",
		"pagestate.seal.duration s pagestate.component=counter: 3, took time: true",
		"pagestate.token.size By pagestate.component=counter: 3, of bytes: true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// brokenMeter cannot make a counter.
type brokenMeter struct{ noop.Meter }

func (brokenMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return nil, errors.New("no more counters")
}

func TestMeterThatFails(t *testing.T) {
	if _, err := otelstate.New(brokenMeter{}); err == nil || err.Error() != "pagestate: making the metrics: no more counters" {
		t.Errorf("got %v", err)
	}
}

var encoder = attribute.DefaultEncoder()
