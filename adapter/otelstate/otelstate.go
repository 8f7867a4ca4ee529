// Package otelstate reports to OpenTelemetry what a middleware of pagestate does:
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

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/pagestate/pagestate"
)

// New returns an observer that records with meter:
//
//   - pagestate.open.duration and pagestate.seal.duration, histograms in seconds,
//     with the attribute pagestate.component;
//   - pagestate.token.size, a histogram of the sealed tokens in bytes, with the
//     same attribute;
//   - pagestate.refused, a counter of errors, with the attribute
//     pagestate.error.code.
//
// The values of the attributes are the names of the registered components and
// the codes of [pagestate.Status], so there are few. It records with the
// context of the request. It returns the meter's errors.
func New(meter metric.Meter) (pagestate.Observer, error) {
	opened, err1 := meter.Float64Histogram("pagestate.open.duration", metric.WithUnit("s"), buckets,
		metric.WithDescription("Time to make a state of a token, with Fetch and Load."))
	sealed, err2 := meter.Float64Histogram("pagestate.seal.duration", metric.WithUnit("s"), buckets,
		metric.WithDescription("Time to make a token of a state."))
	size, err3 := meter.Int64Histogram("pagestate.token.size", metric.WithUnit("By"), sizes,
		metric.WithDescription("Size of a token that was sealed."))
	refused, err4 := meter.Int64Counter("pagestate.refused", metric.WithUnit("{error}"),
		metric.WithDescription("Errors by code."))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return pagestate.Observer{}, fmt.Errorf("pagestate: making the metrics: %w", err)
	}
	return pagestate.Observer{
		Opened: func(ctx context.Context, e pagestate.Opened) {
			opened.Record(ctx, e.Took.Seconds(), component(e.Component))
		},
		Sealed: func(ctx context.Context, e pagestate.Sealed) {
			sealed.Record(ctx, e.Took.Seconds(), component(e.Component))
			size.Record(ctx, int64(e.Bytes), component(e.Component))
		},
		Refused: func(ctx context.Context, e pagestate.Refused) {
			refused.Add(ctx, 1, metric.WithAttributes(attribute.String("pagestate.error.code", e.Code)))
		},
	}, nil
}

// buckets go from ten microseconds, which is what a small state takes, to the
// second of a slow database.
var buckets = metric.WithExplicitBucketBoundaries(
	.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1)

// sizes go from a small state's to the default of MaxTokenBytes.
var sizes = metric.WithExplicitBucketBoundaries(
	256, 512, 1<<10, 2<<10, 3<<10, 4<<10, 8<<10, 16<<10, 32<<10, 64<<10, 128<<10, 256<<10)

func component(name string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("pagestate.component", name))
}
