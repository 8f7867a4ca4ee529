package pagestate

// This file holds models: types that a state refers to by key, and that are
// fetched again when it is resumed.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"sync"

	"github.com/pagestate/pagestate/internal/codec"
)

// A Model says how rows of type T are saved and come back: by a key alone. See
// [RegisterModel].
type Model[K comparable, T any] struct {
	// Key returns the key of a row. The zero key means that the row has not
	// been saved yet, and cannot be referred to. It must not call this package.
	Key func(*T) K

	// Fetch returns the rows with the given keys, in any order. Each key is
	// given once, and never the zero key. A row that is missing is just absent
	// from the result. So is one that the visitor may not see: ctx is that of
	// the request, so Fetch can scope to tenant and user. Rows that were not
	// asked for, that come twice, or that are nil are ignored.
	//
	// Its errors are those of a [Loader]: [ErrStale], sql.ErrNoRows and what
	// Options.IsStale accepts mean that what the state refers to is gone, the
	// error of a context or [ErrUnavailable] that the database did not answer,
	// [ErrForbidden] that the visitor may not see it; any other is a failure.
	Fetch func(ctx context.Context, keys []K) ([]*T, error)
}

// RegisterModel makes every *T and T in a state a reference: wherever it
// stands, its key alone is saved, and the row is fetched again when the state
// is resumed. There is one Fetch per model for a whole state, and what a
// request has fetched it does not fetch again: the same row is the same pointer
// everywhere.
//
// [Attach] fetches nothing: the first page shows the rows as it was given them,
// so give it whole ones.
//
// If a row is missing the state is stale, and the request is answered with 410.
// With the tag option optional the field is nil instead, and an element of a
// slice or map so tagged is dropped:
//
//	Assignee *User   `state:",optional"`
//	Items    []*Todo `state:",optional"`
//
// K must be a safe type without pointers, interfaces and floats. If it is a
// struct, a new field is zero in old tokens and a removed one is dropped, which
// makes another key: change the name of the model with it. What T holds is not
// looked at. A state refers to at most 10,000 rows.
func RegisterModel[K comparable, T any](r *Registry, name string, m Model[K, T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	typ := reflect.TypeFor[T]()
	if !r.reserve(typ, name) {
		return
	}
	if m.Key == nil || m.Fetch == nil {
		r.fault("%s: model %q needs both Key and Fetch", typ, name)
	}
	plan := r.types.AddModel(name, typ, codec.Model{
		Key: reflect.TypeFor[K](),
		KeyOf: func(p reflect.Value) reflect.Value {
			return reflect.ValueOf(m.Key(p.Convert(reflect.TypeFor[*T]()).Interface().(*T)))
		},
	})
	r.models[plan] = m.fetchInto
}

// fetch is [Model.Fetch] without its types.
type fetch func(ctx context.Context, keys []any) (rowsByKey, error)

// rowsByKey holds pointers to rows, and nil for those that are missing.
type rowsByKey map[any]any

// fetchInto fetches the rows of some keys.
func (m Model[K, T]) fetchInto(ctx context.Context, keys []any) (rowsByKey, error) {
	rows := make(rowsByKey, len(keys))
	typed := make([]K, len(keys))
	for i, key := range keys {
		rows[key] = nil
		typed[i] = key.(K)
	}
	found, err := m.Fetch(ctx, typed)
	if err != nil {
		return nil, err
	}
	for _, row := range found {
		if row == nil {
			continue
		}
		key := m.Key(row)
		if before, asked := rows[key]; asked && before == nil {
			rows[key] = row
		}
	}
	return rows, nil
}

// fetched is what one request has fetched. It is safe for concurrent use.
type fetched struct {
	mu     sync.Mutex
	models map[*codec.Plan]*fetchedRows
}

func (f *fetched) of(model *codec.Plan) *fetchedRows {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.models == nil {
		f.models = make(map[*codec.Plan]*fetchedRows)
	}
	if f.models[model] == nil {
		f.models[model] = new(fetchedRows)
	}
	return f.models[model]
}

// row returns what fetch has put there, nil for a row that is missing.
func (f *fetched) row(model *codec.Plan, key any) any {
	rows := f.of(model)
	rows.mu.Lock()
	defer rows.mu.Unlock()
	return rows.byKey[key]
}

// fetchedRows are those of one model.
type fetchedRows struct {
	mu    sync.Mutex // held during Fetch, so that two goroutines do not fetch one row
	byKey rowsByKey
}

// fetch fetches the rows of those keys that have not been asked for yet.
func (f *fetchedRows) fetch(ctx context.Context, keys []any, fetch fetch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys = f.missing(keys)
	if len(keys) == 0 {
		return nil
	}
	rows, err := fetch(ctx, keys)
	if err != nil {
		return err
	}
	if f.byKey == nil {
		f.byKey = rows
	} else {
		maps.Copy(f.byKey, rows)
	}
	return nil
}

func (f *fetchedRows) missing(keys []any) []any {
	if len(f.byKey) == 0 {
		return keys
	}
	var missing []any
	for _, key := range keys {
		if _, ok := f.byKey[key]; !ok {
			missing = append(missing, key)
		}
	}
	return missing
}

// resolve fetches what a state of the component refers to, and puts it there.
func (m *Middleware) resolve(ctx context.Context, c *component, refs codec.References, f *fetched) error {
	if refs.Empty() {
		return nil
	}
	for _, model := range refs.Models() {
		if err := f.of(model).fetch(ctx, refs.Keys(model), m.registry.models[model]); err != nil {
			return m.applicationError(ctx, c, fmt.Errorf("fetching rows of model %q: %w", model.Name, err))
		}
	}
	err := refs.Resolve(f.row)
	var missing *codec.Missing
	if errors.As(err, &missing) {
		return &StaleError{Component: c.name, Reference: fmt.Sprintf("%s %v", missing.Model, missing.Key), Err: err}
	}
	return err
}
