package pagestate_test

// Lazy queries over HTTP: what is saved of them, and when they run.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

type queryArgs struct {
	List int
	Word string
}

type queryState struct {
	Todos pagestate.Query[queryArgs, string]
	Many  []pagestate.Query[int, string]
	Any   any
}

// queryRuns is a table that is queried.
type queryRuns struct {
	rows    []string
	fails   error // after the rows
	more    bool  // whether rows follow the error
	started int
	stopped int
}

func (q *queryRuns) run(ctx context.Context, args queryArgs) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		q.started++
		defer func() { q.stopped++ }()
		for _, row := range q.rows {
			if !yield(fmt.Sprintf("%d/%s/%s%v", args.List, args.Word, row, ctx.Value(modelTenant{})), nil) {
				return
			}
		}
		if q.fails == nil {
			return
		}
		if yield("half a row", q.fails) && q.more {
			yield("a row after the error", nil)
		}
	}
}

func queryCount(_ context.Context, n int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield(fmt.Sprint("n=", n), nil) }
}

// queryAll returns what a query yields, each with a comma.
func queryAll[A, R any](ctx context.Context, q pagestate.Query[A, R]) string {
	var b strings.Builder
	for row, err := range q.All(ctx) {
		fmt.Fprintf(&b, "%v %v,", row, err)
	}
	return b.String()
}

func TestQueryIsResumedWithoutRunning(t *testing.T) {
	q := &queryRuns{rows: []string{"tea"}}
	r := pagestate.NewRegistry()
	pagestate.Register[queryState](r, "state")
	todosOf := pagestate.RegisterQuery(r, "todos", q.run)
	countOf := pagestate.RegisterQuery(r, "count", queryCount)
	ctx := context.WithValue(t.Context(), modelTenant{}, "!")
	do := func(http.ResponseWriter, *queryState) {}
	b := modelApp(t, r, pagestate.Options{}, func() *queryState {
		return &queryState{
			Todos: todosOf(queryArgs{7, "w"}),
			Many:  []pagestate.Query[int, string]{countOf(0), {}, countOf(5)},
		}
	}, func(w http.ResponseWriter, s *queryState) { do(w, s) })
	token := b.Get("/").Field()
	testkit.Want(t, "runs of the page", q.started, 0)
	res := b.Call("POST", "/act", token)
	testkit.Want(t, "status", res.StatusCode, 200)
	testkit.Want(t, "runs of a resume", q.started, 0)
	testkit.Want(t, "token", res.Token(), "")

	do = func(w http.ResponseWriter, s *queryState) {
		testkit.Want(t, "args", s.Todos.Args(), queryArgs{7, "w"})
		fmt.Fprintln(w, queryAll(ctx, s.Todos))
		q.rows = append(q.rows, "milk")
		fmt.Fprintln(w, queryAll(ctx, s.Todos))
		fmt.Fprintln(w, s.Many[0].Args(), s.Many[2].Args(), queryAll(ctx, s.Many[2]))
		for row := range s.Todos.All(ctx) {
			fmt.Fprintln(w, row)
			break
		}
	}
	res = b.Call("POST", "/act", token)
	testkit.Want(t, "rows", res.Body, "7/w/tea! <nil>,\n7/w/tea! <nil>,7/w/milk! <nil>,\n0 5 n=5 <nil>,\n7/w/tea!\n")
	testkit.Want(t, "token of the same query", res.Token(), "")
	testkit.Want(t, "runs", q.started, 3)
	testkit.Want(t, "ended, also by the loop that stopped", q.stopped, 3)

	do = func(_ http.ResponseWriter, s *queryState) { s.Todos = todosOf(queryArgs{8, "w"}) }
	token = b.Call("POST", "/act", token).Token()
	do = func(w http.ResponseWriter, s *queryState) { fmt.Fprint(w, s.Todos.Args().List) }
	testkit.Want(t, "with other arguments", b.Call("POST", "/act", token).Body, "8")
}

func TestQueryErrors(t *testing.T) {
	failed := errors.New("disk full")
	r := pagestate.NewRegistry()
	q := new(queryRuns)
	todosOf := pagestate.RegisterQuery(r, "todos", q.run)
	const zero = "the query is zero; make one with the function that RegisterQuery returned"
	tests := []struct {
		name  string
		runs  queryRuns
		query pagestate.Query[queryArgs, string]
		want  string
	}{
		{"none", queryRuns{}, todosOf(queryArgs{}), ""},
		{"at once", queryRuns{fails: failed}, todosOf(queryArgs{}), " disk full,"},
		{"after rows", queryRuns{rows: []string{"a", "b"}, fails: failed}, todosOf(queryArgs{}), "0//a<nil> <nil>,0//b<nil> <nil>, disk full,"},
		{"and goes on", queryRuns{rows: []string{"a"}, fails: failed, more: true}, todosOf(queryArgs{}), "0//a<nil> <nil>, disk full,"},
		{"zero", queryRuns{}, pagestate.Query[queryArgs, string]{}, " pagestate: " + zero + ","},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			*q = test.runs
			testkit.Want(t, "rows", queryAll(t.Context(), test.query), test.want)
			testkit.Want(t, "ended", q.stopped, q.started)
		})
	}
}

func TestQueryZeroIsSaved(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[queryState](r, "state")
	pagestate.RegisterQuery(r, "todos", new(queryRuns).run)
	pagestate.RegisterQuery(r, "count", queryCount)
	b := modelApp(t, r, pagestate.Options{}, func() *queryState { return new(queryState) }, func(w http.ResponseWriter, s *queryState) {
		fmt.Fprintf(w, "%t %v %s", s.Many == nil, s.Todos.Args(), queryAll(t.Context(), s.Todos))
	})
	res := b.Call("POST", "/act", b.Get("/").Field())
	testkit.Want(t, "resumed", strings.HasPrefix(res.Body, "true {0 }  pagestate: the query is zero"), true)
}

// queryHolds is a component with a query of any kind.
type queryHolds[A, R any] struct{ Q pagestate.Query[A, R] }

func queryMiddleware(t *testing.T, secret []byte, register func(r *pagestate.Registry)) *pagestate.Middleware {
	t.Helper()
	r := pagestate.NewRegistry()
	register(r)
	o := ordinary()
	o.Secrets = [][]byte{secret}
	mw, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return mw
}

func queryOf[A, R any](context.Context, A) iter.Seq2[R, error] {
	return func(func(R, error) bool) {}
}

func TestQueryOfAnotherRegistry(t *testing.T) {
	secret := testkit.NewSecret()
	register := func(names ...string) (*pagestate.Middleware, func(int) pagestate.Query[int, string]) {
		var make func(int) pagestate.Query[int, string]
		mw := queryMiddleware(t, secret, func(r *pagestate.Registry) {
			pagestate.Register[queryHolds[int, string]](r, "state")
			pagestate.Register[holds[[]any]](r, "any")
			for _, name := range names {
				make = pagestate.RegisterQuery(r, name, queryCount)
			}
		})
		return mw, make
	}
	mine, my := register("mine")
	other, their := register("mine", "theirs")
	const why = "cannot be saved: it is a query that is not registered here"
	for name, q := range map[string]pagestate.Query[int, string]{
		"of another name": their(1),
		"of a registry that failed": pagestate.RegisterQuery(func() *pagestate.Registry {
			r := pagestate.NewRegistry()
			pagestate.RegisterQuery(r, "taken", queryCount)
			return r
		}(), "taken", queryCount)(1),
	} {
		_, err := mine.Seal(ada, &queryHolds[int, string]{q})
		testkit.Want(t, name, err != nil && strings.HasSuffix(err.Error(), ".Q: "+why), true)
	}
	_, err := other.Seal(ada, &queryHolds[int, string]{my(1)})
	testkit.Want(t, "of the same name", err != nil && strings.HasSuffix(err.Error(), ".Q: "+why), true)
	_, err = mine.Seal(ada, &holds[[]any]{[]any{my(1)}})
	testkit.Want(t, "behind any, where only registered types stand", err != nil && strings.Contains(err.Error(), "which is not registered"), true)

	_, err = mine.Open(t.Context(), ada, mustSeal(t, other, ada, &queryHolds[int, string]{their(1)}))
	testkit.Want(t, "opened where its name is unknown", errors.Is(err, pagestate.ErrOutdated), true)
	state, err := other.Open(t.Context(), ada, mustSeal(t, mine, ada, &queryHolds[int, string]{my(3)}))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "opened where its name is known", state.(*queryHolds[int, string]).Q.Args(), 3)
}

// A token names a query, and the type of the field decides which ones it may
// name.
func TestQueryTypesDoNotMix(t *testing.T) {
	secret := testkit.NewSecret()
	var sealed, same func(int) pagestate.Query[int, string]
	seals := queryMiddleware(t, secret, func(r *pagestate.Registry) {
		pagestate.Register[queryHolds[int, string]](r, "state")
		sealed = pagestate.RegisterQuery(r, "admins", queryOf[int, string])
		same = pagestate.RegisterQuery(r, "todos", queryCount)
	})
	token := mustSeal(t, seals, ada, &queryHolds[int, string]{sealed(1)})
	twin := mustSeal(t, seals, ada, &queryHolds[int, string]{same(1)})
	state, err := seals.Open(t.Context(), ada, twin)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "two of one type", queryAll(t.Context(), state.(*queryHolds[int, string]).Q), "n=1 <nil>,")

	tests := map[string]func(r *pagestate.Registry){
		"a query of other rows by that name": func(r *pagestate.Registry) {
			pagestate.Register[queryHolds[int, string]](r, "state")
			pagestate.RegisterQuery(r, "todos", queryCount)
			pagestate.RegisterQuery(r, "admins", queryOf[int, bool])
		},
		"arguments of another kind": func(r *pagestate.Registry) {
			pagestate.Register[queryHolds[string, string]](r, "state")
			pagestate.RegisterQuery(r, "admins", queryOf[string, string])
		},
		"no query by that name": func(r *pagestate.Registry) {
			pagestate.Register[queryHolds[int, string]](r, "state")
			pagestate.RegisterQuery(r, "todos", queryCount)
		},
		"blocks by that name": func(r *pagestate.Registry) {
			pagestate.Register[queryHolds[int, string]](r, "state")
			pagestate.RegisterQuery(r, "todos", queryCount)
			pagestate.RegisterBlocks(r, "admins", blockTemplates)
		},
		"a component by that name": func(r *pagestate.Registry) {
			pagestate.Register[queryHolds[int, string]](r, "state")
			pagestate.RegisterQuery(r, "todos", queryCount)
			pagestate.Register[square](r, "admins")
		},
		"no query any more": func(r *pagestate.Registry) {
			pagestate.Register[struct{ Q int }](r, "state")
		},
	}
	for name, register := range tests {
		_, err := queryMiddleware(t, secret, register).Open(t.Context(), ada, token)
		testkit.Want(t, name, errors.Is(err, pagestate.ErrOutdated), true)
	}
}

func TestQueryOutdatedIsAConflict(t *testing.T) {
	secret := testkit.NewSecret()
	o := pagestate.Options{Secrets: [][]byte{secret}}
	var older func(int) pagestate.Query[int, string]
	page := pagestate.NewRegistry()
	pagestate.Register[queryHolds[int, string]](page, "state")
	older = pagestate.RegisterQuery(page, "older", queryCount)
	state := func() *queryHolds[int, string] { return &queryHolds[int, string]{older(1)} }
	b := modelApp(t, page, o, state, func(http.ResponseWriter, *queryHolds[int, string]) {})
	token := b.Get("/").Field()
	next := pagestate.NewRegistry()
	pagestate.Register[queryHolds[int, string]](next, "state")
	pagestate.RegisterQuery(next, "newer", queryCount)
	b.app = modelApp(t, next, o, state, func(http.ResponseWriter, *queryHolds[int, string]) { t.Error("the handler ran") }).app
	res := b.Call("POST", "/act", token)
	testkit.Want(t, "status", res.StatusCode, 409)
	testkit.Want(t, "code", strings.Contains(res.Body, "OutdatedState"), true)
}

// Arguments are saved by their own type, whatever that is.
func queryArguments[A any](name string, args A, same func(A) bool) modelPlace {
	return modelPlace{name, func(t *testing.T, db *modelDB) {
		var of func(A) pagestate.Query[A, string]
		mw := queryMiddleware(t, testkit.NewSecret(), func(r *pagestate.Registry) {
			db.register(r)
			pagestate.Register[queryHolds[A, string]](r, "state")
			pagestate.Register[holds[map[string][]pagestate.Query[A, string]]](r, "deep")
			of = pagestate.RegisterQuery(r, "q", queryOf[A, string])
		})
		state, err := mw.Open(t.Context(), ada, mustSeal(t, mw, ada, &queryHolds[A, string]{of(args)}))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "args", same(state.(*queryHolds[A, string]).Q.Args()), true)
		deep := &holds[map[string][]pagestate.Query[A, string]]{map[string][]pagestate.Query[A, string]{"x": {{}, of(args)}}}
		if state, err = mw.Open(t.Context(), ada, mustSeal(t, mw, ada, deep)); err != nil {
			t.Fatal(err)
		}
		list := state.(*holds[map[string][]pagestate.Query[A, string]]).V["x"]
		testkit.Want(t, "args in a map of slices", same(list[1].Args()), true)
		testkit.Want(t, "the zero one beside", strings.Contains(queryAll(t.Context(), list[0]), "zero"), true)
	}}
}

func queryIs[A comparable](args A) func(A) bool { return func(got A) bool { return got == args } }

func TestQueryArguments(t *testing.T) {
	one := newModelDB(1).row(1)
	for _, test := range []modelPlace{
		queryArguments("struct", queryArgs{1, "w"}, queryIs(queryArgs{1, "w"})),
		queryArguments("none", struct{}{}, queryIs(struct{}{})),
		queryArguments("slice", []int{1, 2}, func(got []int) bool { return fmt.Sprint(got) == "[1 2]" }),
		queryArguments("nil slice", []int(nil), func(got []int) bool { return got == nil }),
		queryArguments("any", any("text"), queryIs(any("text"))),
		queryArguments("nil in any", any(nil), queryIs(any(nil))),
		queryArguments("another interface", fmt.Stringer(nil), func(got fmt.Stringer) bool { return got == nil }),
		queryArguments("nil pointer", (*queryArgs)(nil), queryIs((*queryArgs)(nil))),
		queryArguments("row", one, func(got *modelTodo) bool { return got.Title == "todo 1" }),
		queryArguments("row by value", *one, func(got modelTodo) bool { return got.Title == "todo 1" }),
		queryArguments("rows in any", any([]any{one}), func(got any) bool { return got.([]any)[0].(*modelTodo).Title == "todo 1" }),
		queryArguments("map of rows", map[int]modelPlain{5: {one}}, func(got map[int]modelPlain) bool { return got[5].Todo.Title == "todo 1" }),
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newModelDB(1)) })
	}
}

func TestQueryRefused(t *testing.T) {
	const unsafeType = ` is not in the safe list; save it with RegisterModel, RegisterCodec or a Register of its own package, or leave it out with state:"-"`
	type embeds = pagestate.Query[int, string]
	type alias = struct{ embeds }
	_ = alias{}.embeds
	tests := []struct {
		name     string
		register func(r *pagestate.Registry)
		want     string
	}{
		{"unsafe arguments", func(r *pagestate.Registry) {
			pagestate.RegisterQuery(r, "q", queryOf[struct{ C chan int }, string])
			field[pagestate.Query[struct{ C chan int }, string]](r)
		}, `V.Args.C: chan int` + unsafeType},
		{"function as argument", func(r *pagestate.Registry) {
			pagestate.RegisterQuery(r, "q", queryOf[func(), string])
			field[[]pagestate.Query[func(), string]](r)
		}, `V[].Args: func()` + unsafeType},
		{"a type of query that is not registered", field[pagestate.Query[int, string]], `V: pagestate.Query[int,string]` + unsafeType},
		{"nothing to run", func(r *pagestate.Registry) { pagestate.RegisterQuery[int, string](r, "q", nil) }, `pagestate.Query[int,string]: query "q" has no function to run`},
		{"an empty name", func(r *pagestate.Registry) { pagestate.RegisterQuery(r, "", queryCount) }, `pagestate.Query[int,string]: its name is empty`},
		{"twice", func(r *pagestate.Registry) {
			pagestate.RegisterQuery(r, "q", queryCount)
			pagestate.RegisterQuery(r, "q", queryCount)
		}, `pagestate.Query[int,string]: its name "q" is taken by pagestate.Query[int,string]`},
		{"a name taken", func(r *pagestate.Registry) {
			pagestate.Register[square](r, "q")
			pagestate.RegisterQuery(r, "q", queryCount)
		}, `pagestate.Query[int,string]: its name "q" is taken by pagestate_test.square`},
		{"as a map key", func(r *pagestate.Registry) {
			pagestate.RegisterQuery(r, "q", queryCount)
			field[map[pagestate.Query[int, string]]bool](r)
		}, `V[key]: pagestate.Query[int,string] cannot be saved as a map key; use a scalar, a string, a netip or codec type, or an array or struct of these`},
		{"embedded and unexported", func(r *pagestate.Registry) {
			pagestate.RegisterQuery(r, "q", queryCount)
			pagestate.Register[holds[alias]](r, "x")
		}, `V.embeds: what is fetched or looked up again cannot be set in an embedded field that is unexported; give it a name, or leave it out with state:"-"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fault := faultOf(t, test.register)
			_, got, found := strings.Cut(fault, "].V")
			if !found {
				got = strings.TrimPrefix(fault, "pagestate: ")
			} else {
				got = "V" + got
			}
			testkit.Want(t, "message", got, test.want)
		})
	}
}
