// Package otelstate tells OpenTelemetry what a middleware of pagestate does:
//
//	observer, err := otelstate.New(otel.Meter("example.com/shop"))
//	… pagestate.Options{Observer: observer, …}
//
// It holds the names of the metrics, and no more. What is told, and when, is
// documented with [pagestate.Observer].
package otelstate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/pagestate/pagestate"
)

// New returns an observer that records with meter:
//
//   - pagestate.open.duration and pagestate.seal.duration, histograms in seconds,
//     with the attribute pagestate.component;
//   - pagestate.refused, a counter of errors, with the attribute
//     pagestate.error.code.
//
// The values of the attributes are the names of the registered components and
// the codes of [pagestate.Status], so there are few. It returns the meter's
// errors.
func New(meter metric.Meter) (pagestate.Observer, error) {
	opened, err1 := meter.Float64Histogram("pagestate.open.duration", metric.WithUnit("s"), buckets,
		metric.WithDescription("Time to make a state of a token, with Fetch and Load."))
	sealed, err2 := meter.Float64Histogram("pagestate.seal.duration", metric.WithUnit("s"), buckets,
		metric.WithDescription("Time to make a token of a state."))
	refused, err3 := meter.Int64Counter("pagestate.refused", metric.WithUnit("{error}"),
		metric.WithDescription("Errors by code."))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("pagestate: making the metrics: %w", err)
	}
	return &observer{opened, sealed, refused}, nil
}

// buckets go from ten microseconds, which is what a small state takes, to the
// second of a slow database.
var buckets = metric.WithExplicitBucketBoundaries(
	.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1)

type observer struct {
	opened, sealed metric.Float64Histogram
	refused        metric.Int64Counter
}

func (o *observer) Opened(component string, took time.Duration) { record(o.opened, component, took) }

func (o *observer) Sealed(component string, took time.Duration) { record(o.sealed, component, took) }

func record(h metric.Float64Histogram, component string, took time.Duration) {
	h.Record(context.Background(), took.Seconds(), metric.WithAttributes(attribute.String("pagestate.component", component)))
}

func (o *observer) Refused(code string) {
	o.refused.Add(context.Background(), 1, metric.WithAttributes(attribute.String("pagestate.error.code", code)))
}
