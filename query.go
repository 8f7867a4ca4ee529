package pagestate

// This file holds lazy queries: a state saves which query and with which
// arguments, never what it found.

import (
	"context"
	"errors"
	"iter"
	"reflect"

	"github.com/pagestate/pagestate/internal/codec"
)

// A Query is a query that was registered, with its arguments. In a state it is
// saved as its name and arguments, and resumed without running: it runs when it
// is ranged over, and gives what there is then.
//
// Make one with the function that [RegisterQuery] returned. The zero Query can
// be saved, and finds nothing but an error. A Query is safe for concurrent use
// if the function that runs it is.
type Query[A, R any] struct {
	registered *registeredQuery[A, R]
	args       A
}

type registeredQuery[A, R any] struct {
	name string
	run  func(context.Context, A) iter.Seq2[R, error]
}

// All runs the query and yields its rows. An error is yielded once, with a zero
// R, and ends it; so does the end of the loop.
func (q Query[A, R]) All(ctx context.Context) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		if q.registered == nil {
			var none R
			yield(none, errors.New("pagestate: the query is zero; make one with the function that RegisterQuery returned"))
			return
		}
		for row, err := range q.registered.run(ctx, q.args) {
			if err != nil {
				var none R
				yield(none, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// Args returns the arguments of the query.
func (q Query[A, R]) Args() A { return q.args }

// RegisterQuery names a query, and returns the function that makes one with
// arguments. A must be a safe type.
//
//	todosOf := pagestate.RegisterQuery(r, "todos", func(ctx context.Context, list int) iter.Seq2[Todo, error] { … })
//	…
//	state.Todos = todosOf(state.List)
//	…
//	for todo, err := range state.Todos.All(ctx) { … }
//
// run is called by [Query.All], with its context, and should stop when the
// context ends or the loop does. To save a query that is not registered is an
// error; a token that names one is outdated.
func RegisterQuery[A, R any](r *Registry, name string, run func(context.Context, A) iter.Seq2[R, error]) func(A) Query[A, R] {
	q := &registeredQuery[A, R]{name, run}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reserveName(reflect.TypeFor[Query[A, R]](), name) {
		if run == nil {
			r.fault("%s: query %q has no function to run", reflect.TypeFor[Query[A, R]](), name)
		}
		r.queries[name] = q
		r.types.AddNamed(reflect.TypeFor[Query[A, R]](), codec.Named{
			Args: reflect.TypeFor[A](),
			Split: func(v reflect.Value) (string, reflect.Value, error) {
				q := v.Interface().(Query[A, R])
				if q.registered == nil || r.queries[q.registered.name] != any(q.registered) {
					return "", reflect.Value{}, errors.New("it is a query that is not registered here")
				}
				return q.registered.name, reflect.ValueOf(&q.args).Elem(), nil
			},
			Known: func(name string, _ reflect.Value) bool {
				_, ok := r.queries[name].(*registeredQuery[A, R])
				return ok
			},
			Join: func(v reflect.Value, name string, args reflect.Value) {
				q := Query[A, R]{r.queries[name].(*registeredQuery[A, R]), *args.Addr().Interface().(*A)}
				v.Set(reflect.ValueOf(q))
			},
		})
	}
	return func(args A) Query[A, R] { return Query[A, R]{q, args} }
}
