package pagestate_test

// The guard: which request of several with one token runs, and what the page
// goes on with, whatever has become of the request.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// newGuardedApp has, besides the routes of newCounterApp, one that fails as the
// query says.
func newGuardedApp(t *testing.T, o pagestate.Options) *app {
	t.Helper()
	if o.Guard == nil {
		o.Guard = pagestate.NewGuard(100)
	}
	a := newCounterApp(t, o)
	a.mux.Handle("/fail", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		c.Count += 100
		switch r.URL.Query().Get("how") {
		case "error":
			return errors.New("the handler's")
		case "forbidden":
			return pagestate.ErrForbidden
		case "stale":
			return pagestate.ErrStale
		case "status":
			http.Error(w, "down", http.StatusBadGateway)
		case "panic":
			panic(http.ErrAbortHandler)
		case "unsealable":
			c.Note = strings.Repeat("x", 300<<10)
		}
		return nil
	}))
	return a
}

func TestGuardLetsATokenBeUsedOnce(t *testing.T) {
	b := newGuardedApp(t, pagestate.Options{}).browser()
	first := b.Get("/").Field()
	second := b.Post("/increment", first)
	testkit.Want(t, "first use", second.StatusCode, 200)

	again := b.Post("/increment", first)
	testkit.Want(t, "second use", again.StatusCode, 409)
	testkit.Want(t, "its code", strings.Contains(again.Body, "StateConflict"), true)
	testkit.Want(t, "its token", again.Token(), "")

	third := b.Post("/increment", second.Field())
	testkit.Want(t, "the next token", third.Body[:7], "count=2")
	testkit.Want(t, "the second but last", b.Post("/show", first).StatusCode, 409)
	testkit.Want(t, "the last but one", b.Post("/show", second.Field()).StatusCode, 409)
}

// Somebody may write the largest duration for "never".
func TestGuardWithoutAge(t *testing.T) {
	b := newGuardedApp(t, pagestate.Options{MaxAge: math.MaxInt64, MaxLifetime: -1}).browser()
	token := b.Get("/").Field()
	testkit.Want(t, "first use", b.Post("/increment", token).StatusCode, 200)
	testkit.Want(t, "second use", b.Post("/increment", token).StatusCode, 409)
}

func TestGuardAndDoubleSubmit(t *testing.T) {
	a := newGuardedApp(t, pagestate.Options{})
	b := a.browser()
	token := b.Get("/").Field()
	var statuses [600]atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { statuses[b.Post("/increment", token).StatusCode].Add(1) })
	}
	all.Wait()
	testkit.Want(t, "ran", statuses[200].Load(), 1)
	testkit.Want(t, "refused", statuses[409].Load(), 19)
}

// Looking at a page, ahead of time, again or with Back, uses nothing up, whether
// its token was used or not.
func TestGuardLetsEverybodyLook(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE"} {
		t.Run(method, func(t *testing.T) {
			a := newGuardedApp(t, pagestate.Options{})
			b := a.browser()
			token := b.Get("/").Field()
			for range 2 {
				testkit.Want(t, "a look", b.Call(method, "/show", token).StatusCode, 200)
			}
			testkit.Want(t, "a use", b.Call("POST", "/show", token).StatusCode, 200)
			testkit.Want(t, "a second use", b.Call("POST", "/show", token).StatusCode, 409)
			testkit.Want(t, "a look afterwards", b.Call(method, "/show", token).StatusCode, 200)
			testkit.Want(t, "another use", b.Call("POST", "/show", token).StatusCode, 409)
		})
	}
	b := newGuardedApp(t, pagestate.Options{}).browser()
	token := b.Get("/").Field()
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "QUERY", "get"} {
		token = b.Call(method, "/show", token).Token()
		testkit.Want(t, method+" uses it up", token != "", true)
	}
}

// However a token was made of another one by looking, all of them together are
// good for one use.
func TestGuardEndsAllThatLookingMade(t *testing.T) {
	for name, tt := range map[string]struct {
		path string
		from func(tokens []string) string
	}{
		"changed, each from the one before": {"/increment", func(tokens []string) string { return tokens[len(tokens)-1] }},
		"changed, all from the first":       {"/increment", func(tokens []string) string { return tokens[0] }},
		"sealed again in time":              {"/show", func(tokens []string) string { return tokens[0] }},
	} {
		for used := range 4 {
			t.Run(fmt.Sprint(name, "/", used), func(t *testing.T) {
				var now atomic.Int64
				now.Store(time.Now().Unix())
				a := newGuardedApp(t, pagestate.Options{Clock: func() time.Time { return time.Unix(now.Load(), 0) }})
				b := a.browser()
				tokens := []string{b.Get("/").Field()}
				now.Add(13 * 60 * 60) // more than half of MaxAge
				for range 3 {
					tokens = append(tokens, b.Call("GET", tt.path, tt.from(tokens)).Token())
				}
				next := b.Call("POST", "/increment", tokens[used])
				testkit.Want(t, "the first use", next.StatusCode, 200)
				for i, token := range tokens {
					testkit.Want(t, fmt.Sprint("then ", i), b.Call("POST", "/increment", token).StatusCode, 409)
				}
				testkit.Want(t, "what follows it", b.Call("POST", "/increment", next.Token()).StatusCode, 200)
			})
		}
	}
}

// Whatever a page got in answer to a use, and in whatever order, one of it can be
// used.
func TestGuardHasOneSuccessor(t *testing.T) {
	field := func(w io.Writer, c *counter) {
		field, err := c.StateField()
		if err != nil {
			panic(err)
		}
		io.WriteString(w, string(field))
	}
	for name, tt := range map[string]struct {
		handler func(w http.ResponseWriter, r *http.Request, c *counter) error
		header  string // whose token it has: "page", "own", or "" for none
		count   int    // in the last token
		warned  bool
	}{
		"none in the page": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count = 1
			return nil
		}, "own", 1, false},
		"one in the page": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count = 1
			field(w, c)
			return nil
		}, "page", 1, false},
		"after the first byte": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count = 1
			io.WriteString(w, "<p>")
			field(w, c)
			return nil
		}, "page", 1, false},
		"changed, then 503": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count = 1
			var page strings.Builder
			field(&page, c)
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, page.String())
			return nil
		}, "", 1, false},
		"not changed, then 503": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			var page strings.Builder
			field(&page, c)
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, page.String())
			return nil
		}, "page", 0, false},
		"changed after its token": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count = 1
			var page strings.Builder
			field(&page, c)
			c.Count = 2
			io.WriteString(w, page.String())
			return nil
		}, "page", 1, true},
		"changed after its token, before the end": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count = 1
			field(io.Discard, c)
			c.Count = 2
			return nil
		}, "own", 1, true},
		"two in the page": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			var page strings.Builder
			c.Count = 1
			field(&page, c)
			c.Count = 2
			field(&page, c)
			io.WriteString(w, page.String())
			return nil
		}, "page", 2, false},
		"an error, of a page that was not sent": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count = 1
			field(io.Discard, c)
			return pagestate.ErrForbidden
		}, "own", 0, false},
		"WriteError, of a page that was not sent": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count = 1
			field(io.Discard, c)
			pagestate.WriteError(w, r, pagestate.ErrForbidden)
			return nil
		}, "own", 0, false},
		"Discard, of a page that was not sent": {func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count = 1
			field(io.Discard, c)
			pagestate.Discard(r.Context())
			http.Error(w, "down", http.StatusBadGateway)
			return nil
		}, "own", 0, false},
	} {
		for _, last := range []bool{false, true} {
			t.Run(fmt.Sprint(name, "/the last first ", last), func(t *testing.T) {
				a := newGuardedApp(t, pagestate.Options{})
				a.mux.Handle("/act", pagestate.Handle(tt.handler))
				b := a.browser()
				res := b.Call("POST", "/act", b.Get("/").Field())
				tokens := res.Fields()
				switch tt.header {
				case "":
					testkit.Want(t, "header", res.Token(), "")
				case "page":
					testkit.Want(t, "header", res.Token(), tokens[len(tokens)-1])
				case "own":
					testkit.Want(t, "tokens in the page", len(tokens), 0)
					tokens = append(tokens, res.Token())
				}
				if last {
					slices.Reverse(tokens)
				} else {
					testkit.Want(t, "goes on with", b.Call("GET", "/show", tokens[len(tokens)-1]).Body, fmt.Sprintf("count=%d", tt.count))
				}
				for i, token := range tokens {
					testkit.Want(t, fmt.Sprint("use ", i), b.Call("POST", "/show", token).StatusCode, map[bool]int{true: 200, false: 409}[i == 0])
				}
				testkit.Want(t, "warned", strings.Count(a.log.String(), "what changed is lost") == 1, tt.warned)
			})
		}
	}
}

// Whatever became of the request, the page goes on: with what was changed if the
// handler succeeded, and with the state as it came in otherwise.
func TestGuardSealsEveryResponse(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		status       int
		goesOn       bool
		count        int
	}{
		{"POST", "/show", 200, true, 1},
		{"POST", "/increment", 200, true, 2},
		{"POST", "/nowhere", 404, true, 1},
		{"POST", "/fail?how=error", 500, true, 1},
		{"POST", "/fail?how=forbidden", 403, true, 1},
		{"POST", "/fail?how=status", 502, true, 1},
		{"POST", "/fail?how=unsealable", 413, true, 1},
		{"POST", "/fail?how=stale", 410, false, 0},
	} {
		t.Run(tt.path, func(t *testing.T) {
			b := newGuardedApp(t, pagestate.Options{}).browser()
			token := b.Post("/increment", b.Get("/").Field()).Field()
			res := b.Call(tt.method, tt.path, token)
			testkit.Want(t, "status", res.StatusCode, tt.status)
			testkit.Want(t, "has a token", res.Token() != "", tt.goesOn)
			testkit.Want(t, "used twice", b.Call("POST", "/show", token).StatusCode, 409)
			if tt.goesOn {
				testkit.Want(t, "goes on with", b.Call("POST", "/show", res.Token()).Body, fmt.Sprintf("count=%d", tt.count))
			}
		})
	}
}

func TestGuardAfterAPanic(t *testing.T) {
	a := newGuardedApp(t, pagestate.Options{})
	// A recoverer inside the middleware answers for the handler.
	recovering := httptest.NewServer(a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				http.Error(w, "recovered", http.StatusInternalServerError)
			}
		}()
		a.mux.ServeHTTP(w, r)
	})))
	defer recovering.Close()
	b := a.browser()
	token := b.Get("/").Field()
	a.URL = recovering.URL
	res := b.Call("POST", "/fail?how=panic", token)
	testkit.Want(t, "status", res.StatusCode, 500)
	testkit.Want(t, "token", res.Token(), "")
	testkit.Want(t, "used up", b.Call("POST", "/show", token).StatusCode, 409)
}

// A page that an ErrorHandler renders has the same token as the header.
func TestGuardAndErrorPages(t *testing.T) {
	errorPage := func(w http.ResponseWriter, r *http.Request, err error) {
		c, fromErr := pagestate.From[counter](r.Context())
		if fromErr != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		c.Count -= 100 // as it came in
		w.WriteHeader(http.StatusInternalServerError)
		showCounter(w, c)
	}
	a := newGuardedApp(t, pagestate.Options{ErrorHandler: errorPage})
	b := a.browser()
	token := b.Get("/").Field()
	res := b.Call("POST", "/fail?how=error", token)
	testkit.Want(t, "page", res.Body[:7], "count=0")
	testkit.Want(t, "token in the page", res.Field(), res.Token())
	testkit.Want(t, "another one", res.Field() != token, true)
	testkit.Want(t, "goes on", b.Post("/increment", res.Field()).Body[:7], "count=1")

	a = newGuardedApp(t, pagestate.Options{ErrorHandler: errorPage, MaxHeaderBytes: 64})
	b = a.browser()
	res = b.Call("POST", "/fail?how=error", b.Get("/").Field())
	testkit.Want(t, "large token in the page", res.Field() != "", true)
	testkit.Want(t, "warned", strings.Contains(a.log.String(), "too large"), false)
}

// http.TimeoutHandler answers while the handler still runs.
func TestGuardAndTimeout(t *testing.T) {
	a := newGuardedApp(t, pagestate.Options{})
	done := make(chan struct{})
	slow := pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		<-r.Context().Done()
		defer close(done)
		c.Count = 100
		return nil
	})
	a.mux.Handle("/slow", http.TimeoutHandler(slow, time.Millisecond, "too slow"))
	b := a.browser()
	res := b.Call("POST", "/slow", b.Get("/").Field())
	<-done
	testkit.Want(t, "status", res.StatusCode, 503)
	testkit.Want(t, "goes on", b.Call("POST", "/show", res.Token()).Body, "count=0")
}

// guardedRow is a component that a test makes fail.
type guardedRow struct {
	pagestate.Component
	Name string `state:"name"`
}

// A load that fails has used nothing up: the same request may be sent again.
func TestGuardIsAskedAfterLoad(t *testing.T) {
	var failure error
	r := pagestate.NewRegistry()
	pagestate.Register[guardedRow](r, "row", pagestate.LoadWith(func(context.Context, *guardedRow) error { return failure }))
	a := newApp(t, r, pagestate.Options{Guard: pagestate.NewGuard(1)})
	a.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		row := &guardedRow{Name: "x"}
		if err := pagestate.Attach(r.Context(), row); err != nil {
			t.Error(err)
		}
		field, _ := row.StateField()
		io.WriteString(w, string(field))
	})
	a.mux.Handle("/use", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, row *guardedRow) error { return nil }))
	b := a.browser()
	token := b.Get("/").Field()
	for _, err := range []error{pagestate.ErrUnavailable, errors.New("any"), pagestate.ErrForbidden, pagestate.ErrStale} {
		failure = err
		status, _ := pagestate.Status(err)
		testkit.Want(t, err.Error(), b.Call("POST", "/use", token).StatusCode, status)
	}
	failure = nil
	testkit.Want(t, "afterwards", b.Call("POST", "/use", token).StatusCode, 200)
}

// brokenGuard cannot be asked.
type brokenGuard struct{ err error }

func (g brokenGuard) Claim(context.Context, string, uint64, time.Duration) error { return g.err }

func TestGuardThatFails(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		status int
	}{
		"down":     {errors.New("connection refused"), 503},
		"deadline": {context.DeadlineExceeded, 503},
		"conflict": {fmt.Errorf("of its own: %w", pagestate.ErrConflict), 409},
	} {
		t.Run(name, func(t *testing.T) {
			a := newCounterApp(t, pagestate.Options{Guard: brokenGuard{tt.err}})
			ran := false
			a.mux.HandleFunc("/any", func(http.ResponseWriter, *http.Request) { ran = true })
			b := a.browser()
			testkit.Want(t, "status", b.Call("POST", "/any", b.Get("/").Field()).StatusCode, tt.status)
			testkit.Want(t, "the handler ran", ran, false)
			testkit.Want(t, "the cause is logged", strings.Contains(a.log.String(), tt.err.Error()), true)
		})
	}
}

// The way without a request uses tokens up too, and Reseal gives the next one.
func TestGuardAndOpen(t *testing.T) {
	a := newGuardedApp(t, pagestate.Options{})
	owner := pagestate.Owner{Session: "socket"}
	token, err := a.mw.Seal(owner, &counter{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	state, err := a.mw.Open(t.Context(), owner, token)
	if err != nil {
		t.Fatal(err)
	}
	next, err := a.mw.Reseal(t.Context(), owner, token, state)
	if err != nil {
		t.Fatal(err)
	}
	state, err = a.mw.Open(t.Context(), owner, token)
	testkit.Want(t, "opened twice", errors.Is(err, pagestate.ErrConflict), true)
	testkit.Want(t, "what it gave", state, nil)
	_, err = a.mw.Open(t.Context(), owner, next)
	testkit.Want(t, "the next one", err, nil)
}

// Children have revisions of their own, and are claimed where they act.
func TestGuardAndChildren(t *testing.T) {
	a := newFamilyApp(t, pagestate.Options{Guard: pagestate.NewGuard(100)})
	b := a.browser()
	page := b.Get("/")
	tokens := strings.Fields(page.Body)
	req := b.Request("POST", "/parent", nil)
	req.Header.Set("Page-State", strings.Join(tokens, ","))
	res := b.Send(req)
	testkit.Want(t, "the parent", res.StatusCode, 200)
	testkit.Want(t, "the child by itself", b.Call("POST", "/child", tokens[1]).StatusCode, 200)
	testkit.Want(t, "and again", b.Call("POST", "/child", tokens[1]).StatusCode, 409)
	testkit.Want(t, "the parent again", b.Send(req).StatusCode, 409)
}

// What a look seals of a child is used up together with what it was made of, where
// the child acts.
func TestGuardEndsWhatLookingMadeOfAChild(t *testing.T) {
	a := newFamilyApp(t, pagestate.Options{Guard: pagestate.NewGuard(100)})
	a.mux.Handle("/look", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, parent *counter) error {
		child, err := pagestate.Child[counter](r.Context(), parent, "it", nil)
		if err != nil {
			return err
		}
		child.Count++
		token, err := child.StateToken()
		io.WriteString(w, token)
		return err
	}))
	b := a.browser()
	for first := range 2 {
		tokens := strings.Fields(b.Get("/").Body)
		made := []string{tokens[1], b.Call("GET", "/look", tokens...).Body}
		testkit.Want(t, "another token", made[0] != made[1], true)
		testkit.Want(t, "the first use", b.Call("POST", "/child", made[first]).StatusCode, 200)
		testkit.Want(t, "the other token", b.Call("POST", "/child", made[1-first]).StatusCode, 409)
	}
}

// A request of the parent claims none of its children. So what it seals of one is
// used up together with what that was made of, too.
func TestGuardEndsWhatAParentMadeOfAChild(t *testing.T) {
	for used := range 4 {
		a := newFamilyApp(t, pagestate.Options{Guard: pagestate.NewGuard(100)})
		a.mux.Handle("/touch", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, parent *counter) error {
			child, err := pagestate.Child[counter](r.Context(), parent, "it", nil)
			if err != nil {
				return err
			}
			child.Count++
			token, err := child.StateToken()
			io.WriteString(w, token)
			return err
		}))
		b := a.browser()
		page := strings.Fields(b.Get("/").Body)
		parent, made := page[0], page[1:]
		for range 3 {
			got := b.Call("POST", "/touch", parent, made[len(made)-1])
			parent, made = got.Token(), append(made, got.Body)
		}
		next := b.Call("POST", "/child", made[used])
		testkit.Want(t, "the first use", next.StatusCode, 200)
		for i, token := range made {
			testkit.Want(t, fmt.Sprint("then ", i), b.Call("POST", "/child", token).StatusCode, 409)
		}
		got := b.Call("POST", "/touch", parent, made[used])
		testkit.Want(t, "what a parent makes of a used one", b.Call("POST", "/child", got.Body).StatusCode, 409)
		got = b.Call("POST", "/touch", got.Token(), next.Token())
		testkit.Want(t, "what a parent makes of its successor", b.Call("POST", "/child", got.Body).StatusCode, 200)
	}
}

func newFamilyApp(t *testing.T, o pagestate.Options) *app {
	t.Helper()
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	a := newApp(t, r, o)
	a.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		parent, child := &counter{Note: "parent"}, &counter{Note: "child"}
		if err := errors.Join(pagestate.Attach(r.Context(), parent), pagestate.Attach(r.Context(), child, pagestate.Under(parent, "it"))); err != nil {
			t.Error(err)
		}
		for _, c := range []*counter{parent, child} {
			token, _ := c.StateToken()
			fmt.Fprintln(w, token)
		}
	})
	a.mux.Handle("/parent", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, parent *counter) error {
		_, err := pagestate.Child[counter](r.Context(), parent, "it", nil)
		return err
	}))
	a.mux.Handle("/child", pagestate.Handle(func(http.ResponseWriter, *http.Request, *counter) error { return nil }))
	return a
}

// A token over MaxHeaderBytes that the page does not get is used up for nothing,
// which the log says.
func TestGuardAndLargeTokens(t *testing.T) {
	now := time.Now()
	a := newGuardedApp(t, pagestate.Options{MaxHeaderBytes: 64, Clock: func() time.Time { return now }})
	b := a.browser()
	res := b.Post("/increment", b.Get("/").Field())
	testkit.Want(t, "header", res.Token(), "")
	testkit.Want(t, "warned of what is in the page", strings.Contains(a.log.String(), "too large"), false)
	b.Call("POST", "/show", res.Field())
	testkit.Want(t, "warned of a success", strings.Count(a.log.String(), "too large"), 1)
	now = now.Add(time.Minute)
	b.Call("POST", "/fail?how=error", b.Get("/").Field())
	testkit.Want(t, "warned of a failure", strings.Count(a.log.String(), "too large"), 2)
}

func TestNewGuard(t *testing.T) {
	type claim struct {
		after    time.Duration
		instance string
		revision uint64
		ok       bool
	}
	for name, claims := range map[string][]claim{
		"newer revisions alone": {
			{0, "a", 3, true}, {0, "a", 3, false}, {0, "a", 2, false}, {0, "a", 4, true}, {0, "a", 9, true}, {0, "a", 5, false},
		},
		"instances apart": {
			{0, "a", 1, true}, {0, "b", 1, true}, {0, "a", 1, false}, {0, "b", 2, true},
		},
		"forgets after keep": {
			{0, "a", 1, true}, {time.Hour - 1, "a", 1, false}, {1, "a", 1, true},
		},
		"a newer claim is kept anew": {
			{0, "a", 1, true}, {time.Hour / 2, "a", 2, true}, {time.Hour - 1, "a", 1, false}, {1, "a", 1, true},
		},
		"forgets the one claimed longest ago of those that end together": {
			{0, "a", 1, true}, {0, "b", 1, true}, {0, "c", 1, true}, {0, "a", 2, true}, {0, "d", 1, true},
			{0, "a", 2, false}, {0, "c", 1, false}, {0, "d", 1, false}, {0, "b", 1, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guard := pagestate.NewGuard(3)
				for i, c := range claims {
					time.Sleep(c.after)
					err := guard.Claim(t.Context(), c.instance, c.revision, time.Hour)
					if (err == nil) != c.ok || err != nil && !errors.Is(err, pagestate.ErrConflict) {
						t.Errorf("claim %d, %q at %d: %v", i, c.instance, c.revision, err)
					}
				}
			})
		})
	}
	t.Run("forgets the one that ends first", func(t *testing.T) {
		guard := pagestate.NewGuard(2)
		for i, c := range []struct {
			claim
			keep time.Duration
		}{
			{claim{0, "a", 1, true}, 3 * time.Hour},
			{claim{0, "b", 1, true}, 1 * time.Hour},
			{claim{0, "c", 1, true}, 2 * time.Hour}, // in place of b
			{claim{0, "a", 1, false}, time.Hour},
			{claim{0, "c", 1, false}, time.Hour},
			{claim{0, "b", 1, true}, 3 * time.Hour}, // in place of c
			{claim{0, "a", 1, false}, time.Hour},
			{claim{0, "a", 2, true}, 4 * time.Hour},
			{claim{0, "c", 1, true}, 4 * time.Hour}, // in place of b
			{claim{0, "a", 2, false}, time.Hour},
		} {
			if err := guard.Claim(t.Context(), c.instance, c.revision, c.keep); (err == nil) != c.ok {
				t.Errorf("claim %d, %q at %d: %v", i, c.instance, c.revision, err)
			}
		}
	})
	t.Run("forgets each in its time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			guard := pagestate.NewGuard(10)
			for i, keep := range []time.Duration{5, 1, 4, 2, 3} {
				testkit.Want(t, fmt.Sprint("first claim ", i), guard.Claim(t.Context(), fmt.Sprint(keep*time.Hour), 1, keep*time.Hour), nil)
			}
			for keep := time.Hour; keep <= 5*time.Hour; keep += time.Hour {
				time.Sleep(time.Hour - 1)
				testkit.Want(t, fmt.Sprint(keep, " before its end"), guard.Claim(t.Context(), fmt.Sprint(keep), 1, 0) != nil, true)
				time.Sleep(time.Nanosecond)
				testkit.Want(t, fmt.Sprint(keep, " at its end"), guard.Claim(t.Context(), fmt.Sprint(keep), 1, 0), nil)
			}
		})
	})
	defer func() { testkit.Want(t, "room for none panics", recover() != nil, true) }()
	pagestate.NewGuard(0)
}

// What a handler wrote before it failed may be held back by a writer between
// it and the middleware: then the page gets a token all the same.
func TestGuardAndFailureBehindABuffer(t *testing.T) {
	a := newGuardedApp(t, pagestate.Options{})
	a.mux.Handle("/begun", http.TimeoutHandler(pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		c.Count = 100
		io.WriteString(w, "begun")
		return errors.New("the handler's")
	}), time.Hour, ""))
	b := a.browser()
	res := b.Call("POST", "/begun", b.Get("/").Field())
	testkit.Want(t, "status", res.StatusCode, 200)
	testkit.Want(t, "goes on with", b.Call("POST", "/show", res.Token()).Body, "count=0")
}

// An error page that was rendered before its status is known is as current as
// the header.
func TestGuardAndOwnErrorPages(t *testing.T) {
	a := newGuardedApp(t, pagestate.Options{})
	a.mux.HandleFunc("/own", func(w http.ResponseWriter, r *http.Request) {
		c, err := pagestate.From[counter](r.Context())
		if err != nil {
			t.Error(err)
			return
		}
		field, err := c.StateField()
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, string(field))
	})
	b := a.browser()
	res := b.Call("POST", "/own", b.Get("/").Field())
	testkit.Want(t, "token in the page", res.Field(), res.Token())
	testkit.Want(t, "goes on", b.Post("/increment", res.Field()).Body[:7], "count=1")
}

// A record is kept until no server takes the token any more: one that was sealed
// by a clock that is ahead, and all that opens it in the last second.
func TestGuardKeepsAsLongAsTokens(t *testing.T) {
	const lifetime, age = 4 * time.Hour, time.Hour
	for name, tt := range map[string]struct {
		before, after pagestate.Options // of the claim
		end           time.Duration     // of the token, after it was sealed
	}{
		"no lifetime":     {pagestate.Options{MaxAge: age, MaxLifetime: -1}, pagestate.Options{MaxAge: age, MaxLifetime: -1}, age},
		"lifetime":        {pagestate.Options{MaxLifetime: lifetime}, pagestate.Options{MaxLifetime: lifetime}, lifetime},
		"a raised MaxAge": {pagestate.Options{MaxAge: age, MaxLifetime: lifetime}, pagestate.Options{MaxAge: lifetime, MaxLifetime: lifetime}, lifetime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secret, guard := testkit.NewSecret(), pagestate.NewGuard(10)
				server := func(o pagestate.Options, clock func() time.Time) *pagestate.Middleware {
					o.Secrets, o.Session, o.Guard, o.Clock = [][]byte{secret}, pagestate.Unbound(), guard, clock
					r := pagestate.NewRegistry()
					pagestate.Register[counter](r, "counter")
					mw, err := pagestate.New(r, o)
					if err != nil {
						t.Fatal(err)
					}
					return mw
				}
				ahead := server(tt.before, func() time.Time { return time.Now().Add(time.Minute) })
				token := mustSeal(t, ahead, pagestate.Owner{}, &counter{})
				time.Sleep(age / 2)
				if _, err := server(tt.before, nil).Open(t.Context(), pagestate.Owner{}, token); err != nil {
					t.Fatal(err)
				}
				after := server(tt.after, nil)
				time.Sleep(tt.end + time.Minute - age/2)
				_, err := after.Open(t.Context(), pagestate.Owner{}, token)
				testkit.Want(t, "in the last second", errors.Is(err, pagestate.ErrConflict), true)
				time.Sleep(time.Second)
				_, err = after.Open(t.Context(), pagestate.Owner{}, token)
				testkit.Want(t, "afterwards", errors.Is(err, pagestate.ErrExpired), true)
			})
		})
	}
}

// keeping notes for how long the last claim is to be kept.
type keeping struct{ keep time.Duration }

func (k *keeping) Claim(_ context.Context, _ string, _ uint64, keep time.Duration) error {
	k.keep = keep
	return nil
}

// What Claim is told to keep ends with the instance, however late it is claimed.
func TestGuardKeep(t *testing.T) {
	const slack = time.Minute + time.Second
	for name, tt := range map[string]struct {
		o    pagestate.Options
		want time.Duration
	}{
		"as usual":              {pagestate.Options{}, 7*24*time.Hour - time.Hour + slack},
		"a lifetime":            {pagestate.Options{MaxLifetime: 2 * time.Hour}, time.Hour + slack},
		"a short age":           {pagestate.Options{MaxAge: 2 * time.Hour, MaxLifetime: 3 * time.Hour}, 2*time.Hour + slack},
		"no lifetime":           {pagestate.Options{MaxAge: 2 * time.Hour, MaxLifetime: -1}, 2*time.Hour + slack},
		"for ever":              {pagestate.Options{MaxAge: math.MaxInt64, MaxLifetime: -1}, math.MaxInt64},
		"a lifetime, for ever":  {pagestate.Options{MaxLifetime: math.MaxInt64}, math.MaxInt64 - time.Hour + slack},
		"at the end of its age": {pagestate.Options{MaxAge: time.Hour, MaxLifetime: time.Hour}, slack},
	} {
		t.Run(name, func(t *testing.T) {
			guard := new(keeping)
			now := time.Unix(1_800_000_000, 0)
			tt.o.Guard, tt.o.Clock = guard, func() time.Time { return now }
			a := newCounterApp(t, tt.o)
			owner := pagestate.Owner{Session: "socket"}
			token := mustSeal(t, a.mw, owner, &counter{})
			now = now.Add(time.Hour / 2)
			token, err := a.mw.Reseal(t.Context(), owner, token, &counter{})
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Hour / 2)
			if _, err := a.mw.Open(t.Context(), owner, token); err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "keep", guard.keep, tt.want)
		})
	}
}

// Where no lifetime ends an instance, looking at it lets no token outlive the
// record of its use.
func TestGuardWithoutLifetime(t *testing.T) {
	for _, path := range []string{"/show", "/increment"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := pagestate.NewRegistry()
				pagestate.Register[counter](r, "counter")
				mw, err := pagestate.New(r, pagestate.Options{
					Secrets:     [][]byte{testkit.NewSecret()},
					Session:     pagestate.Unbound(),
					Guard:       pagestate.NewGuard(10),
					MaxAge:      time.Hour,
					MaxLifetime: -1,
					Logger:      slog.New(slog.DiscardHandler),
				})
				if err != nil {
					t.Fatal(err)
				}
				handler := mw.Handler(pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
					if r.URL.Path == "/increment" {
						c.Count++
					}
					return nil
				}))
				send := func(method, token string) (status int, next string) {
					r := httptest.NewRequest(method, path, nil)
					r.Header.Set("Page-State", token)
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					return w.Code, w.Header().Get("Page-State")
				}
				token := mustSeal(t, mw, pagestate.Owner{}, &counter{})
				status, _ := send("POST", token)
				testkit.Want(t, "the use", status, 200)
				for range 4 {
					time.Sleep(40 * time.Minute)
					if _, next := send("GET", token); next != "" {
						token = next
					}
				}
				status, _ = send("POST", token)
				testkit.Want(t, "when the record is gone", status, 409)
			})
		})
	}
}

// After Renew the old token is of no use, and the response has none for it.
func TestGuardAndRenew(t *testing.T) {
	a := newGuardedApp(t, pagestate.Options{})
	for path, status := range map[string]int{"/renew": 200, "/renewfail": 500} {
		a.mux.Handle(path, pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
			if err := a.mw.Renew(w, r); err != nil {
				t.Error(err)
			}
			if status != 200 {
				return errors.New("the handler's")
			}
			return nil
		}))
		b := a.browser()
		res := b.Call("POST", path, b.Get("/").Field())
		testkit.Want(t, path, res.StatusCode, status)
		testkit.Want(t, path+" has a token", res.Token(), "")
	}
}

// A page that is streamed puts the token in after its first byte.
func TestLargeTokensOfAStreamedPage(t *testing.T) {
	for name, o := range map[string]pagestate.Options{"no guard": {}, "guard": {Guard: pagestate.NewGuard(10)}} {
		t.Run(name, func(t *testing.T) {
			o.MaxHeaderBytes = 64
			a := newCounterApp(t, o)
			a.mux.Handle("/stream", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
				if r.FormValue("change") != "" {
					c.Count++
				}
				io.WriteString(w, "<p>")
				showCounter(w, c)
				if r.FormValue("fail") != "" {
					return errors.New("late")
				}
				return nil
			}))
			b := a.browser()
			for _, path := range []string{"/stream", "/stream?change=1", "/stream?change=1&fail=1"} {
				token := b.Get("/").Field()
				res := b.Call("POST", path, token)
				testkit.Want(t, path+": token in the page", res.Field() != "", true)
				testkit.Want(t, path+": warned", strings.Contains(a.log.String(), "too large"), false)
			}
		})
	}
}

// What the log says of a token that does not fit tells what is lost.
func TestGuardAndLargeTokensSaysWhatIsLost(t *testing.T) {
	a := newGuardedApp(t, pagestate.Options{MaxHeaderBytes: 64})
	b := a.browser()
	b.Call("POST", "/show", b.Get("/").Field())
	testkit.Want(t, "changed", strings.Contains(a.log.String(), "what changed is lost"), false)
	testkit.Want(t, "used up", strings.Contains(a.log.String(), "used up"), true)
}

// Of two middlewares that both open the token, the inner one hides the outer.
func TestGuardOfAnOuterMiddleware(t *testing.T) {
	o := pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.Cookie(http.Cookie{Name: "binding"}),
		Guard:   pagestate.NewGuard(10),
	}
	a := newGuardedApp(t, o)
	o.Guard = pagestate.NewGuard(10)
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	outer, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	nested := httptest.NewServer(outer.Handler(a.mw.Handler(a.mux)))
	defer nested.Close()
	b := a.browser()
	token := b.Get("/").Field()
	a.URL = nested.URL
	res := b.Post("/increment", token)
	testkit.Want(t, "page and header", res.Field(), res.Token())
}
