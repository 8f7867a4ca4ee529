package pagestate_test

// Models over HTTP: which rows are fetched, how often, for whom, and what a
// missing one means.

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

type modelTodo struct {
	ID    int
	Title string
	Blob  []byte   `json:",omitempty"`
	calls chan int // what a model holds is not looked at
}

func (m *modelTodo) String() string { return m.Title }

// modelDB is a table of todos. It counts what is asked of it.
type modelDB struct {
	mu      sync.Mutex
	titles  map[int]string
	fetches [][]int
	answer  func(ctx context.Context, rows []*modelTodo) ([]*modelTodo, error) // nil means rows
}

func newModelDB(ids ...int) *modelDB {
	db := &modelDB{titles: make(map[int]string)}
	for _, id := range ids {
		db.titles[id] = fmt.Sprint("todo ", id)
	}
	return db
}

// row is what a handler has that has just read it.
func (db *modelDB) row(id int) *modelTodo { return &modelTodo{ID: id, Title: db.titles[id]} }

func (db *modelDB) fetch(ctx context.Context, ids []int) ([]*modelTodo, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.fetches = append(db.fetches, slices.Clone(ids))
	var rows []*modelTodo
	for _, id := range slices.Backward(ids) { // any order will do
		if title, ok := db.titles[id]; ok {
			rows = append(rows, &modelTodo{ID: id, Title: title})
		}
	}
	if db.answer != nil {
		return db.answer(ctx, rows)
	}
	return rows, nil
}

func (db *modelDB) delete(ids ...int) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, id := range ids {
		delete(db.titles, id)
	}
}

// fetched returns the keys of each fetch since the last call.
func (db *modelDB) fetched() string {
	db.mu.Lock()
	defer db.mu.Unlock()
	fetches := fmt.Sprint(db.fetches)
	db.fetches = nil
	return fetches
}

func (db *modelDB) register(r *pagestate.Registry) {
	pagestate.RegisterModel(r, "todo", pagestate.Model[int, modelTodo]{
		Key:   func(todo *modelTodo) int { return todo.ID },
		Fetch: db.fetch,
	})
}

// modelApp has a page that attaches what state returns, and an action on it.
func modelApp[T any](t *testing.T, r *pagestate.Registry, o pagestate.Options, state func() *T, act func(http.ResponseWriter, *T)) *browser {
	t.Helper()
	a := newApp(t, r, o)
	a.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := state()
		if err := pagestate.Attach(r.Context(), s); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		field, err := pagestate.Field(r.Context(), s)
		if err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		fmt.Fprint(w, field)
	})
	a.mux.Handle("POST /act", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, s *T) error {
		act(w, s)
		return nil
	}))
	return a.browser()
}

// modelPlace is a place where references to the todos 1 and 2 stand.
type modelPlace struct {
	name string
	run  func(t *testing.T, db *modelDB)
}

// modelStands seals value, and expects the rows with these keys in it when it
// is resumed.
func modelStands[V any](name string, value V, rows func(V) []*modelTodo, keys string) modelPlace {
	return modelPlace{name, func(t *testing.T, db *modelDB) {
		r := pagestate.NewRegistry()
		db.register(r)
		pagestate.Register[holds[V]](r, "holds")
		pagestate.Register[modelInner](r, "inner")
		var ids []int
		seen := make(map[int]*modelTodo)
		b := modelApp(t, r, pagestate.Options{}, func() *holds[V] { return &holds[V]{value} }, func(w http.ResponseWriter, s *holds[V]) {
			ids = nil
			for _, todo := range rows(s.V) {
				ids = append(ids, todo.ID)
				if before := seen[todo.ID]; before != nil && before.Title != todo.Title {
					t.Errorf("the rows of key %d differ: %v, %v", todo.ID, before, todo)
				}
				seen[todo.ID] = todo
				fmt.Fprintln(w, todo.Title)
			}
		})
		token := b.Get("/").Field()
		testkit.Want(t, "fetched for the page", db.fetched(), "[]")
		db.titles[1] = "today's title"
		res := b.Call("POST", "/act", token)
		testkit.Want(t, "status", res.StatusCode, 200)
		testkit.Want(t, "rows", fmt.Sprint(ids), keys)
		testkit.Want(t, "today's row", strings.Contains(res.Body, "today's title"), true)
		testkit.Want(t, "new token", res.Token(), "")
		unique := slices.Clone(ids)
		slices.Sort(unique)
		fetched := db.fetched()
		testkit.Want(t, "fetches of "+fetched, strings.Count(fetched, "["), 2) // the outer one, and one
		testkit.Want(t, "keys", len(strings.Fields(fetched)), len(slices.Compact(unique)))

		db.delete(1)
		testkit.Want(t, "with a row missing", b.Call("POST", "/act", token).StatusCode, 410)
	}}
}

type modelInner struct {
	Todo *modelTodo
	Rest []modelInner
}

type modelPlain struct{ Todo *modelTodo }

type modelNamed *modelTodo

// modelEmbeds has the row's fields promoted.
type ModelRow = modelTodo

type modelEmbeds struct {
	*ModelRow
	Own int
}

func TestModelsStandAnywhere(t *testing.T) {
	db := newModelDB(1, 2)
	a, b := db.row(1), db.row(2)
	one := func(todo *modelTodo) []*modelTodo { return []*modelTodo{todo} }
	places := []modelPlace{
		modelStands("field", a, one, "[1]"),
		modelStands("value", *a, func(v modelTodo) []*modelTodo { return one(&v) }, "[1]"),
		modelStands("slice", []*modelTodo{a, b, a, nil, b}, func(v []*modelTodo) []*modelTodo {
			testkit.Want(t, "nil in a slice", v[3], nil)
			testkit.Want(t, "the same pointer", v[0], v[2])
			return slices.Delete(slices.Clone(v), 3, 4)
		}, "[1 2 1 2]"),
		modelStands("slice of values", []modelTodo{*b, *a, {}}, func(v []modelTodo) []*modelTodo {
			testkit.Want(t, "a zero value", v[2].Title, "")
			return []*modelTodo{&v[0], &v[1]}
		}, "[2 1]"),
		modelStands("array", [2]*modelTodo{a, a}, func(v [2]*modelTodo) []*modelTodo {
			testkit.Want(t, "the same pointer", v[0], v[1])
			return v[:]
		}, "[1 1]"),
		modelStands("array of values", [2]modelTodo{*a, *b}, func(v [2]modelTodo) []*modelTodo { return []*modelTodo{&v[0], &v[1]} }, "[1 2]"),
		modelStands("map", map[string]*modelTodo{"x": a, "y": b, "z": nil}, func(v map[string]*modelTodo) []*modelTodo {
			testkit.Want(t, "entries", len(v), 3)
			return []*modelTodo{v["x"], v["y"]}
		}, "[1 2]"),
		modelStands("map of values", map[int]modelTodo{7: *a, 8: *b}, func(v map[int]modelTodo) []*modelTodo {
			x, y := v[7], v[8]
			return []*modelTodo{&x, &y}
		}, "[1 2]"),
		modelStands("pointer to pointer", &a, func(v **modelTodo) []*modelTodo { return one(*v) }, "[1]"),
		modelStands("pointer to pointer to pointer", new(&a), func(v ***modelTodo) []*modelTodo { return one(**v) }, "[1]"),
		modelStands("named pointer", modelNamed(a), func(v modelNamed) []*modelTodo { return one(v) }, "[1]"),
		modelStands("struct", modelPlain{a}, func(v modelPlain) []*modelTodo { return one(v.Todo) }, "[1]"),
		modelStands("embedded", modelEmbeds{a, 7}, func(v modelEmbeds) []*modelTodo {
			testkit.Want(t, "the other field", v.Own, 7)
			testkit.Want(t, "promoted", v.Title, v.ModelRow.Title)
			return one(v.ModelRow)
		}, "[1]"),
		modelStands("pointer to struct", &modelPlain{a}, func(v *modelPlain) []*modelTodo { return one(v.Todo) }, "[1]"),
		modelStands("component in a component", modelInner{a, []modelInner{{b, nil}, {a, []modelInner{{b, nil}}}}}, func(v modelInner) []*modelTodo {
			testkit.Want(t, "the same pointer", v.Rest[0].Todo, v.Rest[1].Rest[0].Todo)
			return []*modelTodo{v.Todo, v.Rest[0].Todo, v.Rest[1].Todo}
		}, "[1 2 1]"),
		modelStands("map of slices of structs", map[string][]modelPlain{"x": {{a}, {b}}, "y": {{a}, {nil}}, "z": {}, "n": nil}, func(v map[string][]modelPlain) []*modelTodo {
			testkit.Want(t, "empty stays empty", v["z"] != nil && len(v["z"]) == 0, true)
			testkit.Want(t, "nil stays nil", v["n"] == nil, true)
			testkit.Want(t, "nil in a struct", v["y"][1].Todo, nil)
			return []*modelTodo{v["x"][0].Todo, v["x"][1].Todo, v["y"][0].Todo}
		}, "[1 2 1]"),
		modelStands("map of structs", map[string]struct{ R *modelTodo }{"x": {a}, "y": {b}}, func(v map[string]struct{ R *modelTodo }) []*modelTodo {
			return []*modelTodo{v["x"].R, v["y"].R}
		}, "[1 2]"),
		modelStands("map of arrays of maps", map[string][2]map[int]modelTodo{"x": {{1: *a}, {2: *b}}}, func(v map[string][2]map[int]modelTodo) []*modelTodo {
			x, y := v["x"][0][1], v["x"][1][2]
			return []*modelTodo{&x, &y}
		}, "[1 2]"),
		modelStands("any", any(a), func(v any) []*modelTodo { return one(v.(*modelTodo)) }, "[1]"),
		modelStands("value in any", any(*a), func(v any) []*modelTodo {
			todo := v.(modelTodo)
			return one(&todo)
		}, "[1]"),
		modelStands("another interface", fmt.Stringer(a), func(v fmt.Stringer) []*modelTodo { return one(v.(*modelTodo)) }, "[1]"),
		modelStands("slice of any", []any{a, 5, *b, nil}, func(v []any) []*modelTodo {
			testkit.Want(t, "what is no row", v[1], any(5))
			todo := v[2].(modelTodo)
			return []*modelTodo{v[0].(*modelTodo), &todo}
		}, "[1 2]"),
		modelStands("any in any", any([]any{map[string]any{"x": []any{a, &modelInner{Todo: b}}}}), func(v any) []*modelTodo {
			list := v.([]any)[0].(map[string]any)["x"].([]any)
			return []*modelTodo{list[0].(*modelTodo), list[1].(*modelInner).Todo}
		}, "[1 2]"),
		modelStands("component by value in any", any(modelInner{Todo: a, Rest: []modelInner{{Todo: b}}}), func(v any) []*modelTodo {
			inner := v.(modelInner)
			return []*modelTodo{inner.Todo, inner.Rest[0].Todo}
		}, "[1 2]"),
	}
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) { place.run(t, newModelDB(1, 2)) })
	}
}

// TestModelsFetchOnceEach has two models, and many references to each.
func TestModelsFetchOnceEach(t *testing.T) {
	type state struct {
		Todos  []*modelTodo
		Any    []any
		Owners map[string]*modelRow[string]
	}
	db := newModelDB(1, 2, 3)
	var asked [][]string
	r := pagestate.NewRegistry()
	db.register(r)
	pagestate.Register[state](r, "state")
	pagestate.RegisterModel(r, "owner", pagestate.Model[string, modelRow[string]]{
		Key: func(o *modelRow[string]) string { return o.ID },
		Fetch: func(_ context.Context, ids []string) ([]*modelRow[string], error) {
			asked = append(asked, slices.Clone(ids))
			return []*modelRow[string]{{ID: "ada"}, {ID: "bob"}}, nil
		},
	})
	full := func() *state {
		s := &state{Owners: map[string]*modelRow[string]{"x": {ID: "ada"}, "y": {ID: "bob"}, "z": {ID: "ada"}}}
		for i := range 100 {
			s.Todos = append(s.Todos, db.row(i%3+1))
			s.Any = append(s.Any, db.row(i%2+1), s.Owners["x"])
		}
		return s
	}
	b := modelApp(t, r, pagestate.Options{}, full, func(_ http.ResponseWriter, s *state) {
		testkit.Want(t, "the same pointer", s.Todos[0], s.Any[0].(*modelTodo))
		testkit.Want(t, "the same pointer", s.Owners["x"], s.Owners["z"])
		testkit.Want(t, "the same pointer", s.Owners["x"], s.Any[1].(*modelRow[string]))
	})
	token := b.Get("/").Field()
	testkit.Want(t, "status", b.Call("POST", "/act", token).StatusCode, 200)
	testkit.Want(t, "todos", db.fetched(), "[[1 2 3]]")
	testkit.Want(t, "owners", fmt.Sprint(asked), "[[ada bob]]")
	testkit.Want(t, "status of another request", b.Call("POST", "/act", token).StatusCode, 200)
	testkit.Want(t, "todos for another request", db.fetched(), "[[1 2 3]]")
}

type modelList struct {
	Items []*modelTodo
}

func TestModelOfAMissingRow(t *testing.T) {
	const private = "8800-4413-private"
	type state struct{ Owner *modelRow[string] }
	var refused error
	r := pagestate.NewRegistry()
	pagestate.Register[state](r, "card")
	pagestate.RegisterModel(r, "owner", pagestate.Model[string, modelRow[string]]{
		Key:   func(o *modelRow[string]) string { return o.ID },
		Fetch: func(context.Context, []string) ([]*modelRow[string], error) { return nil, nil },
	})
	o := pagestate.Options{ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
		refused = err
		pagestate.WriteError(w, r, err)
	}}
	b := modelApp(t, r, o, func() *state { return &state{&modelRow[string]{ID: private}} }, func(http.ResponseWriter, *state) { t.Error("the handler ran") })
	res := b.Call("POST", "/act", b.Get("/").Field())
	testkit.Want(t, "status", res.StatusCode, 410)
	testkit.Want(t, "code", strings.Contains(res.Body, "StaleComponentState"), true)
	var stale *pagestate.StaleError
	if !errors.As(refused, &stale) {
		t.Fatal(refused)
	}
	testkit.Want(t, "component", stale.Component, "card")
	testkit.Want(t, "reference", stale.Reference, "owner "+private)
	testkit.Want(t, "stale", errors.Is(refused, pagestate.ErrStale), true)
	testkit.Want(t, "error", refused.Error(), `pagestate: component "card" is stale: a row of model "owner" is gone`)
	for what, text := range map[string]string{"error": refused.Error(), "log": b.app.log.String(), "body": res.Body} {
		testkit.Want(t, "the key in the "+what, strings.Contains(text, private), false)
	}
	testkit.Want(t, "the model in the log", strings.Contains(b.app.log.String(), `model \"owner\"`), true)
	testkit.Want(t, "errors in the log", strings.Contains(b.app.log.String(), "level=ERROR"), false)
}

type modelTenant struct{}

// A row of another tenant is the same as a missing one.
func TestModelFetchSeesTheRequest(t *testing.T) {
	db := newModelDB(1)
	db.answer = func(ctx context.Context, rows []*modelTodo) ([]*modelTodo, error) {
		if ctx.Value(modelTenant{}) != "acme" {
			return nil, nil
		}
		return rows, nil
	}
	r := pagestate.NewRegistry()
	db.register(r)
	pagestate.Register[modelList](r, "list")
	b := modelApp(t, r, pagestate.Options{}, func() *modelList { return &modelList{[]*modelTodo{db.row(1)}} }, func(http.ResponseWriter, *modelList) {})
	b.app.Server.Close()
	b.app.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), modelTenant{}, r.Header.Get("Tenant"))
		b.app.mw.Handler(b.app.mux).ServeHTTP(w, r.WithContext(ctx))
	}))
	token := b.Get("/").Field()
	for tenant, status := range map[string]int{"acme": 200, "other": 410, "": 410} {
		req := b.Request("POST", "/act", nil)
		req.Header.Set("Page-State", token)
		req.Header.Set("Tenant", tenant)
		testkit.Want(t, "tenant "+tenant, b.Send(req).StatusCode, status)
	}
}

// modelOptional has every place where a row may be missing.
type modelOptional struct {
	Field     *modelTodo              `state:",optional"`
	Value     modelTodo               `state:",optional"`
	Slice     []*modelTodo            `state:",optional"`
	Values    []modelTodo             `state:",optional"`
	Map       map[string]*modelTodo   `state:",optional"`
	MapValues map[string]modelTodo    `state:",optional"`
	Array     [3]*modelTodo           `state:",optional"`
	Pointer   **modelTodo             `state:",optional"`
	Any       any                     `state:",optional"`
	AnyValue  any                     `state:",optional"`
	Face      fmt.Stringer            `state:",optional"`
	Anys      []any                   `state:",optional"`
	AnyMap    map[string]any          `state:",optional"`
	Nested    [][]*modelTodo          `state:",optional"`
	Arrays    [][2]*modelTodo         `state:",optional"`
	Slices    map[string][]*modelTodo `state:",optional"`
	Deep      any                     `state:",optional"`
	Structs   []modelOwnTag           `state:",optional"`
}

type modelOwnTag struct {
	Todo *modelTodo `state:",optional"`
}

func TestModelOptional(t *testing.T) {
	db := newModelDB(1, 2, 3, 4, 5)
	one, two, three, four, five := db.row(1), db.row(2), db.row(3), db.row(4), db.row(5)
	row := func(id int) string { return fmt.Sprintf(`{"ID":%d,"Title":"todo %d"}`, id, id) }
	rows := func(ids ...int) string {
		var s []string
		for _, id := range ids {
			s = append(s, row(id))
		}
		return "[" + strings.Join(s, ",") + "]"
	}
	const zero = `{"ID":0,"Title":""}`
	// The rows 2, 4 and 5 are deleted.
	tests := []struct {
		name  string
		state modelOptional
		got   func(*modelOptional) any
		want  string
	}{
		{"field", modelOptional{Field: two}, func(s *modelOptional) any { return s.Field }, "null"},
		{"field that is there", modelOptional{Field: one}, func(s *modelOptional) any { return s.Field }, row(1)},
		{"value", modelOptional{Value: *two}, func(s *modelOptional) any { return s.Value }, zero},
		{"slice", modelOptional{Slice: []*modelTodo{one, two, three}}, func(s *modelOptional) any { return s.Slice }, rows(1, 3)},
		{"slice, several", modelOptional{Slice: []*modelTodo{two, three, four, four, nil, one, five}}, func(s *modelOptional) any { return s.Slice }, "[" + row(3) + ",null," + row(1) + "]"},
		{"slice, all", modelOptional{Slice: []*modelTodo{two, four}}, func(s *modelOptional) any { return s.Slice }, "[]"},
		{"slice, empty", modelOptional{Slice: []*modelTodo{}}, func(s *modelOptional) any { return s.Slice }, "[]"},
		{"slice, nil", modelOptional{}, func(s *modelOptional) any { return s.Slice }, "null"},
		{"values", modelOptional{Values: []modelTodo{*two, *one, *five, {}, *three}}, func(s *modelOptional) any { return s.Values }, "[" + row(1) + "," + zero + "," + row(3) + "]"},
		{"map", modelOptional{Map: map[string]*modelTodo{"a": one, "b": two, "c": nil, "d": four}}, func(s *modelOptional) any { return s.Map }, `{"a":` + row(1) + `,"c":null}`},
		{"map, all", modelOptional{Map: map[string]*modelTodo{"a": two, "b": four}}, func(s *modelOptional) any { return s.Map }, "{}"},
		{"map of values", modelOptional{MapValues: map[string]modelTodo{"a": *two, "b": *three}}, func(s *modelOptional) any { return s.MapValues }, `{"b":` + row(3) + `}`},
		{"array", modelOptional{Array: [3]*modelTodo{two, one, four}}, func(s *modelOptional) any { return s.Array }, "[null," + row(1) + ",null]"},
		{"pointer to pointer", modelOptional{Pointer: &two}, func(s *modelOptional) any { return s.Pointer }, "null"},
		{"any", modelOptional{Any: two}, func(s *modelOptional) any { return []any{s.Any == nil, s.Any} }, "[true,null]"},
		{"any that is there", modelOptional{Any: one}, func(s *modelOptional) any { return s.Any }, row(1)},
		{"value in any", modelOptional{AnyValue: *two}, func(s *modelOptional) any { return []any{s.AnyValue == nil} }, "[true]"},
		{"another interface", modelOptional{Face: two}, func(s *modelOptional) any { return []any{s.Face == nil} }, "[true]"},
		{"slice of any", modelOptional{Anys: []any{two, 1, one, *four, nil, *three}}, func(s *modelOptional) any { return s.Anys }, "[1," + row(1) + ",null," + row(3) + "]"},
		{"map of any", modelOptional{AnyMap: map[string]any{"a": two, "b": "x", "c": one, "d": *four}}, func(s *modelOptional) any { return s.AnyMap }, `{"b":"x","c":` + row(1) + `}`},
		{"slice of slices", modelOptional{Nested: [][]*modelTodo{{two, one}, {four}, nil, {one, three}}}, func(s *modelOptional) any { return s.Nested }, "[" + rows(1) + ",[],null," + rows(1, 3) + "]"},
		{"slice of arrays", modelOptional{Arrays: [][2]*modelTodo{{two, four}, {one, two}}}, func(s *modelOptional) any { return s.Arrays }, "[[null,null],[" + row(1) + ",null]]"},
		{"map of slices", modelOptional{Slices: map[string][]*modelTodo{"a": {two, one}, "b": {four}}}, func(s *modelOptional) any { return s.Slices }, `{"a":` + rows(1) + `,"b":[]}`},
		{"slice in a map in a slice in any", modelOptional{Deep: []any{map[string]any{"a": []any{two, one}, "b": two}, four}}, func(s *modelOptional) any { return s.Deep }, `[{"a":` + rows(1) + `}]`},
		{"after a struct without the option", modelOptional{Anys: []any{modelInner{}, two, one}}, func(s *modelOptional) any { return s.Anys[1:] }, rows(1)},
		{"struct with a tag of its own", modelOptional{Structs: []modelOwnTag{{two}, {one}}}, func(s *modelOptional) any { return s.Structs }, `[{"Todo":null},{"Todo":` + row(1) + `}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			db := newModelDB(1, 2, 3, 4, 5)
			r := pagestate.NewRegistry()
			db.register(r)
			pagestate.Register[modelOptional](r, "optional")
			pagestate.Register[modelInner](r, "inner")
			b := modelApp(t, r, pagestate.Options{}, func() *modelOptional { return &test.state }, func(w http.ResponseWriter, s *modelOptional) {
				json.NewEncoder(w).Encode(test.got(s))
			})
			token := b.Get("/").Field()
			db.delete(2, 4, 5)
			res := b.Call("POST", "/act", token)
			testkit.Want(t, "status", res.StatusCode, 200)
			testkit.Want(t, "state", strings.TrimSpace(res.Body), test.want)
			if token = res.Token(); token != "" { // what was dropped is not saved again
				res = b.Call("POST", "/act", token)
				testkit.Want(t, "resumed again", strings.TrimSpace(res.Body), test.want)
				testkit.Want(t, "unchanged", res.Token(), "")
			}
		})
	}
}

// The option is that of the field around, and not of what stands further out.
func TestModelOptionalDoesNotReachIntoStructs(t *testing.T) {
	type state struct {
		Structs []modelPlain `state:",optional"`
		Inner   modelInner   `state:",optional"`
		Any     any          `state:",optional"`
		After   []*modelTodo // of a field without it
		Anys    []any
		Map     map[string]any `state:",optional"`
	}
	two := newModelDB(2).row(2)
	for name, s := range map[string]state{
		"slice of structs":          {Structs: []modelPlain{{two}}},
		"component":                 {Inner: modelInner{Todo: two}},
		"component in any":          {Any: modelInner{Todo: two}},
		"component in map":          {Map: map[string]any{"a": &modelInner{Todo: two}}},
		"field afterwards":          {Inner: modelInner{}, After: []*modelTodo{two}},
		"field without tag":         {After: []*modelTodo{nil, two}},
		"after a struct with a tag": {Anys: []any{modelOwnTag{}, two}},
	} {
		db := newModelDB(2)
		r := pagestate.NewRegistry()
		db.register(r)
		pagestate.Register[state](r, "state")
		pagestate.Register[modelInner](r, "inner")
		pagestate.Register[modelOwnTag](r, "own tag")
		b := modelApp(t, r, pagestate.Options{}, func() *state { return &s }, func(http.ResponseWriter, *state) {})
		token := b.Get("/").Field()
		testkit.Want(t, name, b.Call("POST", "/act", token).StatusCode, 200)
		db.delete(2)
		testkit.Want(t, name+", missing", b.Call("POST", "/act", token).StatusCode, 410)
	}
}

func TestModelFetchReturnsOddRows(t *testing.T) {
	first, second := &modelTodo{ID: 1, Title: "first"}, &modelTodo{ID: 1, Title: "second"}
	tests := []struct {
		name   string
		rows   []*modelTodo
		status int
		body   string
	}{
		{"unasked", []*modelTodo{{ID: 9}, first, {ID: 2}}, 200, "[first]"},
		{"twice", []*modelTodo{first, second}, 200, "[first]"},
		{"nil", []*modelTodo{nil, first, nil}, 200, "[first]"},
		{"without a key", []*modelTodo{{}, first}, 200, "[first]"},
		{"only unasked", []*modelTodo{{ID: 9}}, 410, ""},
		{"only nil", []*modelTodo{nil}, 410, ""},
		{"none", nil, 410, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			db := newModelDB(1)
			db.answer = func(context.Context, []*modelTodo) ([]*modelTodo, error) { return test.rows, nil }
			r := pagestate.NewRegistry()
			db.register(r)
			pagestate.Register[modelList](r, "list")
			b := modelApp(t, r, pagestate.Options{}, func() *modelList { return &modelList{[]*modelTodo{db.row(1)}} }, func(w http.ResponseWriter, s *modelList) { fmt.Fprint(w, s.Items) })
			res := b.Call("POST", "/act", b.Get("/").Field())
			testkit.Want(t, "status", res.StatusCode, test.status)
			if test.status == 200 {
				testkit.Want(t, "rows", res.Body, test.body)
			}
		})
	}
}

func TestModelErrorsOfFetch(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
	}{
		{"ErrStale", fmt.Errorf("todos: %w", pagestate.ErrStale), 410},
		{"StaleError", &pagestate.StaleError{Reference: "todo 1"}, 410},
		{"sql.ErrNoRows", fmt.Errorf("todos: %w", sql.ErrNoRows), 410},
		{"IsStale", fmt.Errorf("todos: %w", errGone), 410},
		{"ErrForbidden", fmt.Errorf("todos: %w", pagestate.ErrForbidden), 403},
		{"ErrUnavailable", pagestate.ErrUnavailable, 503},
		{"a deadline", fmt.Errorf("todos: %w", context.DeadlineExceeded), 503},
		{"a cancelled context", context.Canceled, 503},
		{"any other", errors.New("disk full"), 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var now error
			db := newModelDB(1)
			db.answer = func(_ context.Context, rows []*modelTodo) ([]*modelTodo, error) { return rows, now }
			r := pagestate.NewRegistry()
			db.register(r)
			pagestate.Register[modelList](r, "list")
			o := pagestate.Options{IsStale: func(err error) bool { return errors.Is(err, errGone) }}
			b := modelApp(t, r, o, func() *modelList { return &modelList{[]*modelTodo{db.row(1)}} }, func(w http.ResponseWriter, s *modelList) { fmt.Fprint(w, s.Items) })
			token := b.Get("/").Field()
			now = test.err
			req := b.Request("POST", "/act", nil)
			req.Header.Set("Page-State", token)
			req.Header.Set("HX-Request", "true")
			res := b.Send(req)
			testkit.Want(t, "status", res.StatusCode, test.status)
			testkit.Want(t, "removes the component", res.Header.Get("HX-Reswap") == "delete", test.status == 410)
			testkit.Want(t, "token", res.Token(), "")
			testkit.Want(t, "error in the log", strings.Contains(b.app.log.String(), "level=ERROR"), test.status == 500)
			now = nil
			testkit.Want(t, "afterwards", b.Call("POST", "/act", token).Body, "[todo 1]")
		})
	}
}

// A panic passes through, and is never taken for stale.
func TestModelPanicOfFetch(t *testing.T) {
	db := newModelDB(1)
	db.answer = func(context.Context, []*modelTodo) ([]*modelTodo, error) { panic(pagestate.ErrStale) }
	r := pagestate.NewRegistry()
	db.register(r)
	pagestate.Register[modelList](r, "list")
	a := newApp(t, r, pagestate.Options{})
	token := mustSeal(t, a.mw, ada, &modelList{[]*modelTodo{db.row(1)}})
	defer func() { testkit.Want(t, "panic", recover(), any(pagestate.ErrStale)) }()
	a.mw.Open(t.Context(), ada, token)
}

type modelRow[K comparable] struct {
	ID   K
	Text string
}

type (
	modelUUID [16]byte
	modelPair struct{ Tenant, ID int }
)

// modelKeyed seals a reference to a row with the key, and another one.
func modelKeyed[K comparable](name string, key, other K) modelPlace {
	return modelPlace{name, func(t *testing.T, _ *modelDB) {
		type state struct{ One, Other *modelRow[K] }
		r := pagestate.NewRegistry()
		pagestate.Register[state](r, "state")
		pagestate.RegisterModel(r, "row", pagestate.Model[K, modelRow[K]]{
			Key: func(row *modelRow[K]) K { return row.ID },
			Fetch: func(_ context.Context, keys []K) ([]*modelRow[K], error) {
				testkit.Want(t, "keys", fmt.Sprint(keys), fmt.Sprint([]K{key, other}))
				return []*modelRow[K]{{other, "other"}, {key, "one"}}, nil
			},
		})
		mw := newApp(t, r, pagestate.Options{}).mw
		got, err := mw.Open(t.Context(), ada, mustSeal(t, mw, ada, &state{&modelRow[K]{ID: key}, &modelRow[K]{ID: other}}))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "one", *got.(*state).One, modelRow[K]{key, "one"})
		testkit.Want(t, "other", *got.(*state).Other, modelRow[K]{other, "other"})
	}}
}

func TestModelKeys(t *testing.T) {
	for _, test := range []modelPlace{
		modelKeyed("string", "a", "\xff"),
		modelKeyed("int", -1, 1<<30),
		modelKeyed[uint8]("uint8", 1, 255),
		modelKeyed("bytes", [16]byte{1}, [16]byte{15: 1}),
		modelKeyed("uuid", modelUUID{1}, modelUUID{2}),
		modelKeyed("struct of ints", modelPair{1, 2}, modelPair{2, 1}),
		modelKeyed("partly zero", modelPair{0, 2}, modelPair{2, 0}),
		modelKeyed("array", [2]string{"a", ""}, [2]string{"", "a"}),
		modelKeyed("address", netip.MustParseAddr("::1"), netip.MustParseAddr("0.0.0.0")),
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, nil) })
	}
}

func modelOfKey[K comparable](r *pagestate.Registry) {
	pagestate.RegisterModel(r, "todo", pagestate.Model[K, modelTodo]{
		Key:   func(*modelTodo) (key K) { return key },
		Fetch: func(context.Context, []K) ([]*modelTodo, error) { return nil, nil },
	})
	pagestate.Register[modelList](r, "list")   // it stands in several places,
	pagestate.Register[modelInner](r, "inner") // and is reported once
}

func TestModelRefused(t *testing.T) {
	const badKey = ` cannot be the key of model "todo"; use a type without pointers, interfaces and floats`
	const badMapKey = " cannot be saved as a map key; use a scalar, a string, a netip or codec type, or an array or struct of these"
	const embedded = `: what is fetched or looked up again cannot be set in an embedded field that is unexported; give it a name, or leave it out with state:"-"`
	db := newModelDB()
	type (
		private   struct{ id int }
		embedding struct{ modelTodo }
	)
	_ = private{id: 0}
	tests := []struct {
		name     string
		register func(r *pagestate.Registry)
		want     string
	}{
		{"pointer", modelOfKey[*int], "modelTodo key: *int" + badKey},
		{"interface", modelOfKey[any], "modelTodo key: interface {}" + badKey},
		{"float", modelOfKey[float64], "modelTodo key: float64" + badKey},
		{"complex", modelOfKey[complex64], "modelTodo key: complex64" + badKey},
		{"array of floats", modelOfKey[[2]float32], "modelTodo key: [2]float32" + badKey},
		{"struct with a float", modelOfKey[struct{ A float64 }], "modelTodo key: struct { A float64 }" + badKey},
		{"struct with a pointer", modelOfKey[struct{ A *int }], "modelTodo key: struct { A *int }" + badKey},
		{"channel", modelOfKey[chan int], "modelTodo key: chan int" + badKey},
		{"struct with an unexported field", modelOfKey[private], `modelTodo key: pagestate_test.private is not in the safe list; save it with RegisterModel, RegisterCodec or a Register of its own package, or leave it out with state:"-"`},
		{"model", func(r *pagestate.Registry) { modelAgain[modelPair](r); modelOfKey[modelPair](r) }, "modelTodo key: pagestate_test.modelPair" + badKey},
		{"block", modelOfKey[pagestate.Block], "modelTodo key: pagestate.Block" + badKey},
		{"codec", func(r *pagestate.Registry) {
			modelOfKey[regexpKey](r)
			pagestate.RegisterCodec(r, "codec", pagestate.Codec[regexpKey]{
				Encode: func(regexpKey) ([]byte, error) { return nil, nil },
				Decode: func([]byte) (regexpKey, error) { return regexpKey{}, nil },
			})
		}, "modelTodo key: pagestate_test.regexpKey" + badKey},
		{"no functions", func(r *pagestate.Registry) { pagestate.RegisterModel(r, "todo", pagestate.Model[int, modelTodo]{}) }, `pagestate_test.modelTodo: model "todo" needs both Key and Fetch`},
		{"no Fetch", func(r *pagestate.Registry) {
			pagestate.RegisterModel(r, "todo", pagestate.Model[int, modelTodo]{Key: func(*modelTodo) int { return 0 }})
		}, `pagestate_test.modelTodo: model "todo" needs both Key and Fetch`},
		{"a component too", func(r *pagestate.Registry) { db.register(r); pagestate.Register[modelTodo](r, "list") }, `pagestate_test.modelTodo: is registered as "todo" already, and as "list"`},
		{"a model too", func(r *pagestate.Registry) { pagestate.Register[modelPlain](r, "list"); modelAgain[modelPlain](r) }, `pagestate_test.modelPlain: is registered as "list" already, and as "again"`},
		{"twice", func(r *pagestate.Registry) { db.register(r); modelAgain[modelTodo](r) }, `pagestate_test.modelTodo: is registered as "todo" already, and as "again"`},
		{"a name taken", func(r *pagestate.Registry) { db.register(r); pagestate.Register[modelPlain](r, "todo") }, `pagestate_test.modelPlain: its name "todo" is taken by pagestate_test.modelTodo`},
		{"an empty name", func(r *pagestate.Registry) {
			pagestate.RegisterModel(r, "", pagestate.Model[int, modelTodo]{})
		}, `pagestate_test.modelTodo: its name is empty`},
		{"pointer to a row", modelAgain[*modelTodo], `*pagestate_test.modelTodo: a pointer or interface type cannot be registered; register the type behind it`},
		{"map key", func(r *pagestate.Registry) { modelAgain[modelPair](r); field[map[modelPair]int](r) }, `V[key]: pagestate_test.modelPair` + badMapKey},
		{"in a map key", func(r *pagestate.Registry) {
			modelAgain[modelPair](r)
			field[map[struct{ P [1]modelPair }]int](r)
		}, `V[key]: struct { P [1]pagestate_test.modelPair }` + badMapKey},
		{"embedded and unexported", func(r *pagestate.Registry) { db.register(r); pagestate.Register[embedding](r, "e") }, `embedding.modelTodo` + embedded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fault := faultOf(t, test.register)
			testkit.Want(t, "message", holdsName.ReplaceAllString(fault, ""), "pagestate: "+test.want)
		})
	}
}

type regexpKey struct{ re *regexp.Regexp }

var _ = regexpKey{re: nil}

func modelAgain[T any](r *pagestate.Registry) {
	pagestate.RegisterModel(r, "again", pagestate.Model[int, T]{
		Key:   func(*T) int { return 0 },
		Fetch: func(context.Context, []int) ([]*T, error) { return nil, nil },
	})
}

func TestModelWithoutKeyIsNotSealed(t *testing.T) {
	db := newModelDB(1)
	r := pagestate.NewRegistry()
	db.register(r)
	pagestate.Register[modelList](r, "list")
	pagestate.Register[modelOptional](r, "optional")
	mw := newApp(t, r, pagestate.Options{}).mw
	const why = `: cannot be saved: a row of model "todo" that has no key yet; save the row first`
	unsaved := &modelTodo{Title: "new"}
	for _, test := range []struct {
		state any
		want  string
	}{
		{&modelList{[]*modelTodo{db.row(1), unsaved}}, "pagestate: sealing list: modelList.Items[1]" + why},
		{&modelList{[]*modelTodo{{}}}, "pagestate: sealing list: modelList.Items[0]" + why},
		{&modelOptional{Field: unsaved}, "pagestate: sealing optional: modelOptional.Field" + why},
		{&modelOptional{Value: *unsaved}, "pagestate: sealing optional: modelOptional.Value" + why},
		{&modelOptional{Map: map[string]*modelTodo{"private": unsaved}}, "pagestate: sealing optional: modelOptional.Map[]" + why},
		{&modelOptional{Any: []any{unsaved}}, "pagestate: sealing optional: modelOptional.Any[0]" + why},
	} {
		_, err := mw.Seal(ada, test.state)
		testkit.Want(t, "error", fmt.Sprint(err), test.want)
	}
}

func TestModelLimit(t *testing.T) {
	db := newModelDB(1)
	r := pagestate.NewRegistry()
	db.register(r)
	pagestate.Register[modelList](r, "list")
	n := 0
	b := modelApp(t, r, pagestate.Options{}, func() *modelList { return &modelList{slices.Repeat([]*modelTodo{db.row(1)}, n)} }, func(w http.ResponseWriter, s *modelList) {
		fmt.Fprint(w, len(s.Items))
	})
	n = 10_000
	testkit.Want(t, "at the limit", b.Post("/act", b.Get("/").Field()).Body, "10000")
	testkit.Want(t, "fetches", db.fetched(), "[[1]]")
	n++
	testkit.Want(t, "over it", b.Get("/").StatusCode, 413)
	testkit.Want(t, "log", strings.Contains(b.app.log.String(), "modelList.Items[10000]: over a limit: more than 10000 references"), true)
}

func TestModelTokenHoldsTheKeyAlone(t *testing.T) {
	db := newModelDB(1, 2)
	r := pagestate.NewRegistry()
	db.register(r)
	pagestate.Register[modelList](r, "list")
	var first *modelTodo
	var change func(*modelList)
	b := modelApp(t, r, pagestate.Options{}, func() *modelList { return &modelList{[]*modelTodo{first, first}} }, func(w http.ResponseWriter, s *modelList) {
		change(s)
	})
	first = db.row(1)
	small := b.Get("/").Field()
	first = &modelTodo{ID: 1, Title: strings.Repeat("x", 1<<16), Blob: bytes.Repeat([]byte("x"), 1<<20), calls: make(chan int)}
	token := b.Get("/").Field()
	testkit.Want(t, "length", len(token), len(small))
	for _, test := range []struct {
		name   string
		change func(*modelList)
		seals  bool
	}{
		{"nothing", func(s *modelList) {}, false},
		{"a field of the row", func(s *modelList) { s.Items[0].Title = "changed" }, false},
		{"another copy of the row", func(s *modelList) { s.Items[0] = db.row(1) }, false},
		{"another row", func(s *modelList) { s.Items[0] = db.row(2) }, true},
		{"the order", func(s *modelList) { s.Items = append(s.Items, db.row(1)) }, true},
		{"no row", func(s *modelList) { s.Items[1] = nil }, true},
	} {
		change = test.change
		testkit.Want(t, test.name, b.Call("POST", "/act", token).Token() != "", test.seals)
	}
}

// What load sets is left out, also if these are references; what it finds in
// the saved ones is already there.
func TestModelAndLoad(t *testing.T) {
	type state struct {
		Current *modelTodo
		Others  []*modelTodo
		Title   string
	}
	db := newModelDB(1, 2, 3)
	r := pagestate.NewRegistry()
	db.register(r)
	pagestate.Register[state](r, "state", pagestate.LoadWith(func(_ context.Context, s *state) error {
		s.Title = "about " + s.Current.Title
		s.Others = []*modelTodo{{ID: 2, Title: "loaded"}, {ID: 3}, {Title: "not even saved"}}
		return nil
	}))
	b := modelApp(t, r, pagestate.Options{}, func() *state { return &state{Current: db.row(1)} }, func(w http.ResponseWriter, s *state) {
		fmt.Fprint(w, s.Title, s.Others)
	})
	token := b.Get("/").Field()
	db.titles[1] = "one, changed"
	res := b.Call("POST", "/act", token)
	testkit.Want(t, "state", res.Body, "about one, changed[loaded  not even saved]")
	testkit.Want(t, "fetched", db.fetched(), "[[1]]")
	testkit.Want(t, "token", res.Token(), "")
}

// A change of a left-out reference is seen, as that of any left-out field is.
func TestModelLeftOutIsCompared(t *testing.T) {
	type state struct{ Others []*modelTodo }
	db := newModelDB(2, 3)
	var change func(*state)
	r := pagestate.NewRegistry()
	db.register(r)
	pagestate.Register[state](r, "state", pagestate.LoadWith(func(_ context.Context, s *state) error {
		s.Others = []*modelTodo{db.row(2)}
		return nil
	}))
	b := modelApp(t, r, pagestate.Options{}, func() *state { return new(state) }, func(_ http.ResponseWriter, s *state) { change(s) })
	token := b.Get("/").Field()
	change = func(s *state) { s.Others[0].Title = "another title of the same row" }
	b.Call("POST", "/act", token)
	testkit.Want(t, "warnings", strings.Count(b.app.log.String(), "level=WARN"), 0)
	change = func(s *state) { s.Others[0] = db.row(3) }
	b.Call("POST", "/act", token)
	testkit.Want(t, "warnings", strings.Count(b.app.log.String(), "field=Others"), 1)
}

// modelSpelled is a row of which the database has another spelling of the key.
type modelSpelled[K comparable] struct{ Key K }

type (
	modelCode   string
	modelMember struct {
		Tenant modelCode
		Number int
	}
	modelWide struct {
		Parts [2]string
		At    netip.Addr
	}
)

// modelIDText is a key as text in an array of bytes.
func modelIDText(text string) (key [36]byte) {
	copy(key[:], text)
	return key
}

// modelSpelling asks for one key, and gets the rows of others.
func modelSpelling[K comparable](name string, status int, asked K, returned ...K) modelPlace {
	return modelPlace{name, func(t *testing.T, _ *modelDB) {
		type state struct {
			Row *modelSpelled[K]
			Any []*modelSpelled[K] `state:",optional"`
		}
		fetch := func(context.Context, []K) (rows []*modelSpelled[K], err error) {
			for _, key := range returned {
				rows = append(rows, &modelSpelled[K]{key})
			}
			return rows, nil
		}
		row := &modelSpelled[K]{asked}
		for what, test := range map[string]struct {
			state  state
			status int
		}{
			"a reference": {state{Row: row}, status},
			// An element that is gone is dropped.
			"optional": {state{Any: []*modelSpelled[K]{row}}, map[bool]int{true: 500, false: 200}[status == 500]},
		} {
			r := pagestate.NewRegistry()
			pagestate.RegisterModel(r, "spelled", pagestate.Model[K, modelSpelled[K]]{
				Key:   func(row *modelSpelled[K]) K { return row.Key },
				Fetch: fetch,
			})
			pagestate.Register[state](r, "state")
			// What the application takes for a missing row is not asked.
			b := modelApp(t, r, pagestate.Options{IsStale: func(error) bool { return true }},
				func() *state { return &test.state }, func(w http.ResponseWriter, s *state) { fmt.Fprint(w, len(s.Any)) })
			res := b.Post("/act", b.Get("/").Field())
			testkit.Want(t, what, res.StatusCode, test.status)
			if test.status == 500 {
				testkit.WantText(t, "log", b.app.log.String(), "level=ERROR", "code=StateError", `model \"spelled\"`, "case or white space")
			}
			for _, key := range append(returned, asked) {
				if text := fmt.Sprint(key); text != "" && strings.Contains(b.app.log.String(), text) {
					t.Errorf("the key %s is in the log: %s", text, b.app.log)
				}
			}
		}
	}}
}

// TestModelKeysSpelledInAnotherWay has a database that compares keys in another way
// than Go does: its row is not gone.
func TestModelKeysSpelledInAnotherWay(t *testing.T) {
	const id, upper = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"
	v4 := netip.MustParseAddr("192.0.2.7")
	for _, test := range []modelPlace{
		modelSpelling("case", 500, "Bob@x.org", "bob@x.org"),
		modelSpelling("case, the other way", 500, "bob@x.org", "BOB@x.org"),
		modelSpelling("among others", 500, "Bob@x.org", "eve@x.org", "bob@x.org"),
		modelSpelling("case of letters beyond ASCII", 500, "Ördög", "öRDÖG"),
		modelSpelling("a letter of three cases", 500, "ΣΑΣ-key", "σας-key"),
		modelSpelling("upper-case UUID", 500, upper, id),
		modelSpelling("CHAR padding", 500, "a-code", "a-code    "),
		modelSpelling("padding that was asked for", 500, "a-code  ", "a-code"),
		modelSpelling("other white space", 500, "a-code", "\u00a0a-code\t\r\n"),
		modelSpelling("BINARY padding", 500, "a-code", "a-code\x00\x00"),
		modelSpelling("both", 500, "a-Code", "A-code "),
		modelSpelling[modelCode]("a string type", 500, "a-Code", "a-code"),
		modelSpelling("a struct", 500, modelMember{"Acme", 77}, modelMember{"acme", 77}),
		modelSpelling("arrays in a struct", 500, modelWide{[2]string{"k1", "K2"}, v4}, modelWide{[2]string{"k1", "k2"}, v4}),
		modelSpelling("text in bytes", 500, modelIDText(upper), modelIDText(id)),
		modelSpelling("padded text in bytes", 500, [8]byte{'a', 'b', 'c', 'd'}, [8]byte{'A', 'b', 'c', 'd', ' ', ' '}),

		modelSpelling[string]("gone", 410, "Bob@x.org"),
		modelSpelling("gone among others", 410, "Bob@x.org", "eve@x.org", "bobo@x.org", ""),
		modelSpelling("white space within", 410, "a code", "acode"),
		modelSpelling("another tenant", 410, modelMember{"Acme", 77}, modelMember{"acme", 78}),
		modelSpelling("another address", 410, modelWide{[2]string{"k1"}, v4}, modelWide{[2]string{"K1"}, v4.Next()}),
		modelSpelling("numbers", 410, 7345, 7346),
		modelSpelling("bytes that are no text", 410, [8]byte{0, 0, 0, 0, 0, 0, 0, 'a'}, [8]byte{0, 0, 0, 0, 0, 0, 0, 'A'}),
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, nil) })
	}
}

// TestModelFetchReturnsMore has rows that nobody asked for, beside those that were.
func TestModelFetchReturnsMore(t *testing.T) {
	type state struct{ Rows []*modelSpelled[string] }
	rows := func(keys ...string) (rows []*modelSpelled[string]) {
		for _, key := range keys {
			rows = append(rows, &modelSpelled[string]{key})
		}
		return rows
	}
	all := func([]string, *modelSpelled[string]) bool { return true }
	asked := func(keys []string, row *modelSpelled[string]) bool { return slices.Contains(keys, row.Key) }
	for name, test := range map[string]struct {
		asked, stored []*modelSpelled[string]
		returned      func(keys []string, row *modelSpelled[string]) bool
		status        int
	}{
		"all there":             {rows("ann", "bob"), rows("ann", "bob", "Ann", "BOB ", "eve"), all, 200},
		"one gone":              {rows("ann", "bob"), rows("ann", "eve", "Ann"), all, 410},
		"one spelled otherwise": {rows("ann", "bob"), rows("ann", "eve", "Bob"), all, 500},
		"both spellings asked for, and one row for both": {rows("bob", "Bob"), rows("bob"), all, 500},
		"both spellings asked for, and one gone":         {rows("bob", "Bob"), rows("bob"), asked, 410},
	} {
		r := pagestate.NewRegistry()
		pagestate.RegisterModel(r, "user", pagestate.Model[string, modelSpelled[string]]{
			Key: func(row *modelSpelled[string]) string { return row.Key },
			Fetch: func(_ context.Context, keys []string) (found []*modelSpelled[string], err error) {
				for _, row := range test.stored {
					if test.returned(keys, row) {
						found = append(found, row)
					}
				}
				return found, nil
			},
		})
		pagestate.Register[state](r, "state")
		b := modelApp(t, r, pagestate.Options{}, func() *state { return &state{test.asked} }, func(http.ResponseWriter, *state) {})
		testkit.Want(t, name, b.Post("/act", b.Get("/").Field()).StatusCode, test.status)
	}
}

type (
	modelContact struct {
		ID     int
		Name   string
		Tags   []string
		Phones map[string][]modelPhone
		Extra  any
		Boss   *modelContact
		onAdd  func()
	}
	modelPhone struct{ Number string }
	modelCard  struct{ Contact modelContact }
	modelDraft struct {
		pagestate.Component
		Count   int
		Draft   modelContact
		Shared  *modelContact
		Cards   []*modelCard
		Any     any
		ByName  map[string]modelContact
		Loaded  modelContact
		Unsaved modelContact `state:"-"`
		Own     struct{ Name string }
	}
)

func (d *modelDraft) Load(context.Context) error {
	d.Loaded = modelContact{ID: 9, Name: "loaded"}
	return nil
}

// TestModelRowsHeldByValueThatChange has a handler change what is saved by key
// alone: what is lost is in the log, once, and nothing else is.
func TestModelRowsHeldByValueThatChange(t *testing.T) {
	function := false
	fresh := func(id int) *modelContact {
		extra := map[string]any{"a": "b"}
		extra["self"] = extra
		c := &modelContact{
			ID: id, Name: fmt.Sprint("contact ", id), Tags: []string{"a"}, Boss: &modelContact{ID: 99},
			Phones: map[string][]modelPhone{"home": {{"1"}}}, Extra: extra,
		}
		if function {
			c.onAdd = func() {}
		}
		return c
	}
	r := pagestate.NewRegistry()
	pagestate.RegisterModel(r, "contact", pagestate.Model[int, modelContact]{
		Key: func(c *modelContact) int { return c.ID },
		Fetch: func(_ context.Context, ids []int) (rows []*modelContact, err error) {
			for _, id := range ids {
				rows = append(rows, fresh(id))
			}
			return rows, nil
		},
	})
	pagestate.Register[modelDraft](r, "draft")
	pagestate.Register[modelCard](r, "card")
	for name, test := range map[string]struct {
		change func(d *modelDraft)
		field  string // of the warning, "" for none
	}{
		"a field":              {func(d *modelDraft) { d.Draft.Name = private }, "Draft"},
		"a field, of two rows": {func(d *modelDraft) { d.Draft.Name, d.Cards[1].Contact.Name = private, private }, "Draft"},
		"below":                {func(d *modelDraft) { d.Cards[1].Contact.Name = private }, "Cards[1].Contact"},
		"in an interface":      {func(d *modelDraft) { d.Any.(*modelCard).Contact.Name = private }, "Any.Contact"},
		"in a map":             {func(d *modelDraft) { c := d.ByName[private]; c.Name = "new"; d.ByName[private] = c }, "ByName[]"},
		"a slice":              {func(d *modelDraft) { d.Draft.Tags = append(d.Draft.Tags, private) }, "Draft"},
		"an element":           {func(d *modelDraft) { d.Draft.Tags[0] = private }, "Draft"},
		"an entry":             {func(d *modelDraft) { d.Draft.Phones["home"][0].Number = private }, "Draft"},
		"in an interface of it": {func(d *modelDraft) {
			d.Draft.Extra.(map[string]any)["self"].(map[string]any)["a"] = private
		}, "Draft"},
		"moved and changed": {func(d *modelDraft) {
			d.Cards[0], d.Cards[1] = d.Cards[1], d.Cards[0]
			d.Cards[0].Contact.Name = private
		}, "Cards[0].Contact"},
		"what load sets":            {func(d *modelDraft) { d.Loaded.Name = private }, "Loaded"},
		"and another field too":     {func(d *modelDraft) { d.Draft.Name = private; d.Count++ }, "Draft"},
		"nothing":                   {func(d *modelDraft) {}, ""},
		"another field":             {func(d *modelDraft) { d.Count++; d.Own.Name = private }, ""},
		"changed back":              {func(d *modelDraft) { d.Draft.Name = private; d.Draft = *fresh(1) }, ""},
		"another row":               {func(d *modelDraft) { d.Draft = modelContact{ID: 7, Name: private} }, ""},
		"no row any more":           {func(d *modelDraft) { d.Draft = modelContact{}; d.Cards = nil; d.ByName = nil }, ""},
		"moved":                     {func(d *modelDraft) { d.Cards[0], d.Cards[1] = d.Cards[1], d.Cards[0] }, ""},
		"a row behind a pointer":    {func(d *modelDraft) { d.Shared.Name = private }, ""},
		"a field that is not saved": {func(d *modelDraft) { d.Unsaved.Name = private }, ""},
	} {
		state := func() *modelDraft {
			return &modelDraft{
				Draft: *fresh(1), Shared: fresh(1), Cards: []*modelCard{{*fresh(2)}, {*fresh(3)}}, Any: &modelCard{*fresh(4)},
				ByName: map[string]modelContact{private: *fresh(5)},
			}
		}
		t.Run(name, func(t *testing.T) {
			change := func(http.ResponseWriter, *modelDraft) {}
			now := time.Now()
			o := pagestate.Options{Clock: func() time.Time { return now }}
			b := modelApp(t, r, o, state, func(w http.ResponseWriter, d *modelDraft) { change(w, d) })
			page := b.Get("/").Field()
			want := func(what string, n int) {
				t.Helper()
				if test.field == "" {
					n = 0
				}
				testkit.Want(t, what+": warnings", strings.Count(b.app.log.String(), "level=WARN"), n)
				if n > 0 {
					testkit.WantText(t, "log", b.app.log.String(), "held by value", "component=draft", "field="+test.field)
				}
				b.app.log.Reset()
				now = now.Add(time.Minute) // so that a warning is logged again
			}
			want("the page", 0)
			change = func(_ http.ResponseWriter, d *modelDraft) { test.change(d) }
			testkit.Want(t, "status", b.Call("POST", "/act", page).StatusCode, 200)
			want("changed", 1)
			change = func(w http.ResponseWriter, d *modelDraft) { test.change(d); http.Error(w, "no", 500) }
			b.Call("POST", "/act", page)
			want("changed, and failed", 0)

			b.app.mux.HandleFunc("GET /attached", func(w http.ResponseWriter, r *http.Request) {
				d := state()
				if err := pagestate.Attach(r.Context(), d); err != nil {
					t.Error(err)
				}
				test.change(d)
				if _, err := pagestate.Token(r.Context(), d); err != nil {
					t.Error(err)
				}
			})
			b.Get("/attached")
			want("attached", 1)

			function = true
			defer func() { function = false }()
			change = func(http.ResponseWriter, *modelDraft) {}
			b.Call("POST", "/act", page)
			want("what cannot be compared", 0)
		})
	}
}
