package pagestate

// This file holds models: types that a state refers to by key, and that are
// fetched again when it is resumed.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"

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
	// A row must have the key it was asked for, letter by letter. One that stands
	// for a missing key except for case, or for white space around it, is a
	// failure and not a missing row: the database compares keys in another way
	// than Go does, as with a collation that ignores case, or a column of type
	// CHAR. A missing key of which another spelling was found is asked for once
	// more, to know.
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
// What changes in a row is not saved: store it, or hold it in a type that is not
// a model until it is stored. Where a T, and not a *T, was changed, a warning is
// logged.
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

// errSpelling is a mistake of the program. Nobody knows then whether the row is
// gone. It names no key, since keys are private.
var errSpelling = errors.New("a row came back whose key differs from that of a missing one in case or white space alone; " +
	"have the database compare keys letter by letter, or give each row one spelling of its key")

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
	missing, others := len(keys), []*T(nil)
	for _, row := range found {
		if row == nil {
			continue
		}
		key := m.Key(row)
		before, asked := rows[key]
		if asked && before == nil {
			rows[key] = row
			missing--
		} else if !asked {
			others = append(others, row)
		}
	}
	if missing == 0 {
		return rows, nil
	}
	if m.otherSpelling(rows, others) {
		return nil, errSpelling
	}
	again := spelledLikeFound(rows)
	if len(again) == 0 {
		return rows, nil
	}
	more, err := m.fetchInto(ctx, again)
	if err != nil {
		return nil, err
	}
	maps.Copy(rows, more)
	return rows, nil
}

// spelledLikeFound returns the missing keys of which another spelling was found:
// the database may have taken both for one row, and returned it once. Asked for
// these alone, it shows that.
func spelledLikeFound(rows rowsByKey) (missing []any) {
	found := make(map[any]bool)
	for key, row := range rows {
		if row != nil {
			found[foldKey(key)] = true
		}
	}
	for key, row := range rows {
		if row == nil && found[foldKey(key)] {
			missing = append(missing, key)
		}
	}
	return missing
}

// otherSpelling reports whether one of the rows nobody asked for has the key of
// a missing one, spelled in another way.
func (m Model[K, T]) otherSpelling(rows rowsByKey, others []*T) bool {
	if len(others) == 0 {
		return false
	}
	missing := make(map[any]bool)
	for key, row := range rows {
		if row == nil {
			missing[foldKey(key)] = true
		}
	}
	for _, row := range others {
		if missing[foldKey(m.Key(row))] {
			return true
		}
	}
	return false
}

// foldKey returns a key that is the same for all spellings of the text in it: of
// its strings, and of arrays of bytes that are text.
func foldKey(key any) any {
	folded := reflect.New(reflect.TypeOf(key)).Elem()
	folded.Set(reflect.ValueOf(key))
	foldText(folded)
	return folded.Interface()
}

func foldText(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(foldString(v.String()))
	case reflect.Struct:
		for _, f := range v.Fields() {
			if f.CanSet() {
				foldText(f)
			}
		}
	case reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			foldBytes(v.Bytes())
			return
		}
		for i := range v.Len() {
			foldText(v.Index(i))
		}
	}
}

// foldString ignores the case of all letters, and white space and zero bytes
// around them.
func foldString(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return r == 0 || unicode.IsSpace(r) })
	return strings.ToLower(strings.ToUpper(s))
}

// foldBytes folds bytes that are printable ASCII, as a key of another kind hardly
// ever is: what it trims becomes zero.
func foldBytes(b []byte) {
	text := bytes.TrimRight(b, "\x00")
	if bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return
	}
	folded := foldString(string(text))
	clear(b)
	copy(b, folded)
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
		err := f.of(model).fetch(ctx, refs.Keys(model), m.registry.models[model])
		if err == errSpelling {
			return fmt.Errorf("pagestate: loading %s: model %q: %w", c.name, model.Name, err)
		}
		if err != nil {
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

// rowsByValue are copies of rows, by model and key. The same row may stand in
// several places, and may have been attached in several versions.
type rowsByValue map[rowID][]any

type rowID struct {
	model *codec.Plan
	key   any
}

// noteRows keeps copies of the rows that the state holds by value, to see later
// whether they were changed.
func (in *instance) noteRows() {
	in.rows = nil
	in.component.plan.FindRow(in.value, func(model *codec.Plan, row reflect.Value) bool {
		id, now := rowID{model, model.RowKey(row)}, row.Interface()
		if in.rows == nil {
			in.rows = make(rowsByValue)
		}
		known := copyOf(row, maxCopied).Interface()
		if reflect.DeepEqual(known, now) && !in.rows.has(id, now) { // what holds a function equals nothing
			in.rows[id] = append(in.rows[id], known)
		}
		return false
	})
}

// maxCopied is how deep a row is copied. Only a slice or map of interfaces may be
// part of itself.
const maxCopied = 16

// copyOf returns a copy of v with slices and maps of its own, since a handler may
// change an element in place. What stands behind a pointer is not the row's own,
// and no unexported field can be copied this way: v shares both.
func copyOf(v reflect.Value, depth int) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	if depth == 0 {
		return c
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := c.Field(i); f.CanSet() {
				f.Set(copyOf(f, depth-1))
			}
		}
	case reflect.Slice:
		if !v.IsNil() {
			c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			reflect.Copy(c, v)
			copyElements(c, depth-1)
		}
	case reflect.Array:
		copyElements(c, depth-1)
	case reflect.Map:
		if !v.IsNil() {
			c.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for it := v.MapRange(); it.Next(); {
				c.SetMapIndex(it.Key(), copyOf(it.Value(), depth-1))
			}
		}
	case reflect.Interface:
		if !v.IsNil() {
			c.Set(copyOf(v.Elem(), depth-1))
		}
	}
	return c
}

func copyElements(c reflect.Value, depth int) {
	if kind := c.Type().Elem().Kind(); kind <= reflect.Complex128 || kind == reflect.String {
		return // which share nothing
	}
	for i := range c.Len() {
		c.Index(i).Set(copyOf(c.Index(i), depth))
	}
}

func (r rowsByValue) has(id rowID, row any) bool {
	return slices.ContainsFunc(r[id], func(known any) bool { return reflect.DeepEqual(known, row) })
}

// changedRow returns the path to a row that is held by value and was changed, ""
// if there is none. A row that is another one now is saved, by its key.
func (in *instance) changedRow() string {
	if len(in.rows) == 0 {
		return ""
	}
	path, _ := in.component.plan.FindRow(in.value, func(model *codec.Plan, row reflect.Value) bool {
		id := rowID{model, model.RowKey(row)}
		return in.rows[id] != nil && !in.rows.has(id, row.Interface())
	})
	return strings.TrimPrefix(path, ".")
}

// rowChanged is logged with the path to such a row.
const rowChanged = "a row that is held by value was changed, and its key alone is saved: what changed is lost unless the handler has stored it; " +
	"hold a row that you store by pointer, and a draft in a type that is not a model"
