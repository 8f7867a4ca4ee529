package pagestate_test

// Children over HTTP: a page of a list and its items, each with a token.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

type childList struct {
	pagestate.Component
	ID    int
	First *modelTodo
}

type childItem struct {
	pagestate.Component
	Name   string
	Shown  string // what the parent wants shown
	Todo   *modelTodo
	Loaded string
	Fail   string
}

type childOther struct{ N int }

// childApp serves a list with the items a and b, whose todos are 1 and 2.
type childApp struct {
	*browser
	t     *testing.T
	db    *modelDB
	now   time.Time
	user  string
	loads []string // of items
	err   error    // of their load
}

func newChildApp(t *testing.T, o pagestate.Options) *childApp {
	t.Helper()
	c := &childApp{t: t, db: newModelDB(1, 2, 3), now: time.Unix(1_800_000_000, 0)}
	o.Clock = func() time.Time { return c.now }
	o.User = func(*http.Request) string { return c.user }
	r := pagestate.NewRegistry()
	c.db.register(r)
	pagestate.Register[childList](r, "list")
	pagestate.Register[childOther](r, "other")
	pagestate.Register[childItem](r, "item", pagestate.LoadWith(c.load))
	a := newApp(t, r, o)
	a.mux.HandleFunc("GET /{$}", c.page)
	c.browser = a.browser()
	return c
}

var childMutex sync.Mutex

func (c *childApp) load(_ context.Context, item *childItem) error {
	childMutex.Lock()
	defer childMutex.Unlock()
	c.loads = append(c.loads, item.Name)
	item.Loaded = fmt.Sprintf("%s shows %q of %v after %q", item.Name, item.Shown, item.Todo, item.Loaded)
	return c.err
}

func (c *childApp) page(w http.ResponseWriter, r *http.Request) {
	list := &childList{ID: 7, First: c.db.row(1)}
	items := []*childItem{{Name: "a", Todo: c.db.row(1)}, {Name: "b", Todo: c.db.row(2)}}
	c.attach(r, list)
	for _, item := range items {
		c.attach(r, item, pagestate.Under(list, item.Name))
	}
	childTemplate.Execute(w, map[string]any{"List": list, "Items": items})
}

// attach is pagestate.Attach for what must not fail.
func (c *childApp) attach(r *http.Request, state any, opts ...pagestate.AttachOption) {
	var err error
	switch state := state.(type) {
	case *childList:
		err = pagestate.Attach(r.Context(), state, opts...)
	case *childItem:
		err = pagestate.Attach(r.Context(), state, opts...)
	default:
		c.t.Fatalf("attach does not know %T", state)
	}
	testkit.Want(c.t, "attached", err, nil)
}

var childTemplate = template.Must(template.New("").Parse(
	`{{.List.StateField}}{{range .Items}}{{.StateField}}{{end}}`))

// open returns the tokens of a page: the list's, a's and b's.
func (c *childApp) open() []string {
	c.t.Helper()
	tokens := c.Get("/").Fields()
	testkit.Want(c.t, "tokens", len(tokens), 3)
	c.db.fetched()
	c.loads = nil
	return tokens
}

// TestLoadThatFailsInTheActingChild: what Load has filled until then is not sealed, and
// the page keeps its token, or gets one of the same state where that is used up.
func TestLoadThatFailsInTheActingChild(t *testing.T) {
	for name, guard := range map[string]pagestate.Guard{"without a guard": nil, "with one": pagestate.NewGuard(100)} {
		t.Run(name, func(t *testing.T) {
			c := newChildApp(t, pagestate.Options{Guard: guard})
			tokens := c.open()
			answer := c.handle([]string{tokens[1], tokens[0]}, func(w http.ResponseWriter, r *http.Request) {
				list, err := pagestate.FromOrAttach(r.Context(), &childList{})
				if err != nil {
					t.Error(err)
					return
				}
				c.err = errors.New("the database is down")
				_, err = pagestate.Child(r.Context(), list, "a", func(item *childItem) { item.Shown = "changed" })
				testkit.Want(t, "fails", err != nil, true)
				c.err = nil
			})
			testkit.Want(t, "status", answer.StatusCode, 200)
			testkit.Want(t, "a new token", answer.Token() != "", guard != nil)
			c.handle([]string{cmp.Or(answer.Token(), tokens[1])}, func(w http.ResponseWriter, r *http.Request) {
				item, err := pagestate.From[childItem](r.Context())
				testkit.Want(t, "error", err, nil)
				testkit.Want(t, "shown", item.Shown, "")
			})
		})
	}
}

var childPaths int

// handle sends the tokens, one header each, to h.
func (c *childApp) handle(tokens []string, h http.HandlerFunc) testkit.Answer {
	c.t.Helper()
	return c.handleRequest(func(req *http.Request) {
		for _, token := range tokens {
			req.Header.Add("Page-State", token)
		}
	}, h)
}

// handleRequest fails the test if h did not run, since what h checks was not checked
// then.
func (c *childApp) handleRequest(set func(*http.Request), h http.HandlerFunc) testkit.Answer {
	c.t.Helper()
	childPaths++
	path := fmt.Sprint("/child", childPaths)
	ran := false
	c.app.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		ran = true
		h(w, r)
	})
	req := c.Request("POST", path, nil)
	set(req)
	answer := c.Send(req)
	testkit.Want(c.t, "the handler ran", ran, true)
	return answer
}

// list returns the component that acts.
func (c *childApp) list(r *http.Request) *childList {
	list, err := pagestate.From[childList](r.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return list
}

// item asks for a child of the list that acts.
func (c *childApp) item(r *http.Request, key string, update func(*childItem)) (*childItem, error) {
	return pagestate.Child(r.Context(), c.list(r), key, update)
}

func (c *childApp) mustItem(r *http.Request, key string, update func(*childItem)) *childItem {
	c.t.Helper()
	item, err := c.item(r, key, update)
	if err != nil {
		c.t.Fatal(err)
	}
	return item
}

func TestChildArrivesAnyWay(t *testing.T) {
	ways := map[string]func(req *http.Request, tokens []string){
		"repeated header": func(req *http.Request, tokens []string) {
			for _, token := range tokens {
				req.Header.Add("Page-State", token)
			}
		},
		"comma-joined header": func(req *http.Request, tokens []string) {
			req.Header.Set("Page-State", strings.Join(tokens, ", "))
		},
		"repeated field": func(req *http.Request, tokens []string) {
			req.Body = io.NopCloser(strings.NewReader(url.Values{"page_state": tokens}.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		},
	}
	for name, set := range ways {
		t.Run(name, func(t *testing.T) {
			c := newChildApp(t, pagestate.Options{})
			tokens := c.open()
			res := c.handleRequest(func(req *http.Request) { set(req, tokens) }, func(w http.ResponseWriter, r *http.Request) {
				testkit.Want(t, "list", c.list(r).ID, 7)
				for _, key := range []string{"b", "a"} {
					fmt.Fprintln(w, c.mustItem(r, key, nil).Loaded)
				}
			})
			testkit.Want(t, "children", res.Body, "b shows \"\" of todo 2 after \"\"\na shows \"\" of todo 1 after \"\"\n")
		})
	}
}

// Nothing happens to a child before it is asked for: it is not decoded, not
// fetched, not loaded.
func TestChildIsLeftAlone(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	c.db.delete(2) // b is stale
	res := c.handle([]string{tokens[0], tokens[1], tokens[2], "garbage"}, func(w http.ResponseWriter, r *http.Request) {
		testkit.Want(t, "fetched for the list", c.db.fetched(), "[[1]]")
		testkit.Want(t, "loads", len(c.loads), 0)
		item := c.mustItem(r, "a", nil)
		testkit.Want(t, "fetched for a, whose row is the list's", c.db.fetched(), "[]")
		testkit.Want(t, "the same pointer", item.Todo, c.list(r).First)
		testkit.Want(t, "loads", fmt.Sprint(c.loads), "[a]")
		testkit.Want(t, "the same child", c.mustItem(r, "a", nil), item)
		testkit.Want(t, "loads", fmt.Sprint(c.loads), "[a]")
	})
	testkit.Want(t, "status", res.StatusCode, 200)
	testkit.Want(t, "token", res.Token(), "")
	testkit.Want(t, "log", c.app.log.String(), "")
}

// What is known to be missing is not asked for again.
func TestChildFetchesNothingTwice(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	more := c.handle(tokens[:1], func(w http.ResponseWriter, r *http.Request) {
		for key, id := range map[string]int{"x": 2, "y": 3} {
			item := &childItem{Name: key, Todo: c.db.row(id)}
			c.attach(r, item, pagestate.Under(c.list(r), key))
			field, _ := item.StateField()
			fmt.Fprint(w, field)
		}
	})
	tokens = append(tokens, more.Fields()...)
	c.db.fetched()
	c.db.delete(2)
	c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		testkit.Want(t, "fetched for the list", c.db.fetched(), "[[1]]")
		for range 2 {
			for _, key := range []string{"b", "x"} {
				_, err := c.item(r, key, nil)
				var stale *pagestate.StaleError
				if !errors.As(err, &stale) {
					t.Fatal(err)
				}
				testkit.Want(t, "reference", stale.Reference, "todo 2")
			}
		}
		testkit.Want(t, "fetched for b", c.db.fetched(), "[[2]]")
		c.mustItem(r, "y", nil)
		testkit.Want(t, "fetched for y", c.db.fetched(), "[[3]]")
	})
}

// A row that was not asked for is not taken for one that was.
func TestChildFetchesWhatCameUnasked(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	c.db.answer = func(_ context.Context, rows []*modelTodo) ([]*modelTodo, error) {
		if len(c.db.fetches) == 1 {
			rows = append(rows, &modelTodo{ID: 2, Title: "unasked"})
		}
		return rows, nil
	}
	c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		testkit.Want(t, "row", c.mustItem(r, "b", nil).Todo.Title, "todo 2")
		testkit.Want(t, "fetches", c.db.fetched(), "[[1] [2]]")
	})
}

func TestChildUpdate(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		item := c.mustItem(r, "a", func(item *childItem) {
			testkit.Want(t, "the row is there before update", item.Todo.Title, "todo 1")
			testkit.Want(t, "load runs after update", item.Loaded, "")
			item.Shown = "first"
		})
		testkit.Want(t, "loaded", item.Loaded, `a shows "first" of todo 1 after ""`)
		again := c.mustItem(r, "a", func(item *childItem) {
			testkit.Want(t, "what load set is empty", item.Loaded, "")
			testkit.Want(t, "what is saved is not", item.Shown, "first")
			item.Shown = "second"
		})
		testkit.Want(t, "the same pointer", again, item)
		testkit.Want(t, "loaded again", item.Loaded, `a shows "second" of todo 1 after ""`)
		testkit.Want(t, "without update", c.mustItem(r, "a", nil).Shown, "second")
		testkit.Want(t, "loads", fmt.Sprint(c.loads), "[a a]")
		testkit.Want(t, "fetches", c.db.fetched(), "[[1]]")
	})
}

// A child whose load failed holds half of what load fills, so it has no token.
func TestChildUpdateThatFails(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		item := c.mustItem(r, "a", nil)
		c.err = errGone
		again, err := c.item(r, "a", func(item *childItem) { item.Shown = "x" })
		testkit.Want(t, "no child", again, nil)
		testkit.Want(t, "error", errors.Is(err, errGone), true)
		_, err = item.StateToken()
		testkit.Want(t, "a token", err != nil, true)
		c.err = nil
		again = c.mustItem(r, "a", nil)
		testkit.Want(t, "opened anew", again != item, true)
		testkit.Want(t, "as it was saved", again.Shown, "")
	})
	testkit.Want(t, "warnings", c.app.log.String(), "")
}

// The new token of a child is put into the page, or its change is lost and
// logged.
func TestChildIsSealedIntoThePage(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	change := func(give bool) testkit.Answer {
		return c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
			item := c.mustItem(r, "a", func(item *childItem) { item.Shown += "x" })
			c.mustItem(r, "b", nil)
			if give {
				field, err := item.StateField()
				fmt.Fprint(w, field, err)
			}
		})
	}
	res := change(false)
	testkit.Want(t, "token in the header", res.Token(), "")
	testkit.Want(t, "warnings", strings.Count(c.app.log.String(), "level=WARN"), 1)
	testkit.Want(t, "of the item", strings.Contains(c.app.log.String(), "component=item"), true)

	res = change(true)
	testkit.Want(t, "warnings", strings.Count(c.app.log.String(), "level=WARN"), 1)
	testkit.Want(t, "token in the header", res.Token(), "")
	tokens[1] = res.Field()
	res = change(true)
	tokens[1] = res.Field()
	c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		item := c.mustItem(r, "a", nil)
		testkit.Want(t, "shown", item.Shown, "xx")
		same, err := pagestate.Token(r.Context(), item)
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "the same token while it is unchanged", same, tokens[1])
	})
}

func TestChildrenOfChildren(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	res := c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		for _, key := range []string{"a", "b"} {
			below := &childItem{Name: "below " + key}
			c.attach(r, below, pagestate.Under(c.mustItem(r, key, nil), "below"))
			field, _ := below.StateField()
			fmt.Fprint(w, field)
		}
	})
	tokens = append(tokens, res.Fields()...)
	c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		for _, key := range []string{"a", "b"} {
			item := c.mustItem(r, key, nil)
			below, err := pagestate.Child[childItem](r.Context(), item, "below", nil)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "the one below "+key, below.Name, "below "+key)
		}
		_, err := c.item(r, "below", nil)
		testkit.Want(t, "it is no child of the list", errors.Is(err, pagestate.ErrMissing), true)
	})
	// A child sent first acts, and has children of its own.
	c.handle([]string{tokens[1], tokens[3], tokens[0]}, func(w http.ResponseWriter, r *http.Request) {
		item, err := pagestate.From[childItem](r.Context())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "acting", item.Name, "a")
		below, err := pagestate.Child[childItem](r.Context(), item, "below", nil)
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "below", below.Name, "below a")
	})
}

func TestChildActsAlone(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	res := c.handle(tokens[1:2], func(w http.ResponseWriter, r *http.Request) {
		item, err := pagestate.From[childItem](r.Context())
		if err != nil {
			t.Fatal(err)
		}
		item.Shown = "alone"
	})
	testkit.Want(t, "sealed into the header", res.Token() != "", true)
	tokens[1] = res.Token()
	c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		testkit.Want(t, "still a child of its parent", c.mustItem(r, "a", nil).Shown, "alone")
	})
}

// Which tokens a child is found among, and which is an error.
func TestChildIsFound(t *testing.T) {
	c := newChildApp(t, pagestate.Options{MaxAge: time.Hour})
	mine, twin := c.open(), c.open() // two lists on one page, or the page in two tabs
	stranger := &childApp{browser: c.app.browser(), t: t, db: c.db}
	theirs := stranger.open()
	c.user = "ada"
	login := c.open() // in the same session, of another user
	c.user = ""
	_, a, b := mine[0], mine[1], mine[2]
	damaged := a[:40] + flip(a[40]) + a[41:]
	tests := []struct {
		name   string
		tokens []string
		want   error
	}{
		{"the child", []string{a}, nil},
		{"among others", []string{b, a}, nil},
		{"without it", []string{b}, pagestate.ErrMissing},
		{"without any", nil, pagestate.ErrMissing},
		{"of another parent's instance, by the same key", []string{twin[1]}, pagestate.ErrMissing},
		{"and with the child", []string{twin[1], a, twin[2]}, nil},
		{"the child's token twice", []string{a, a}, nil},
		{"twice, apart", []string{a, b, twin[1], mine[0], a}, nil},
		{"garbage", []string{"garbage", "", "====", strings.Repeat("A", 100), a}, nil},
		{"garbage alone", []string{"garbage"}, pagestate.ErrMissing},
		{"damaged", []string{damaged}, pagestate.ErrMissing},
		{"damaged, and with the child", []string{damaged, a}, nil},
		{"another session's", []string{theirs[1], a}, nil},
		{"another session's alone", []string{theirs[1]}, pagestate.ErrMissing},
		{"another user's", []string{login[1], a}, nil},
		{"another user's alone", []string{login[1]}, pagestate.ErrMissing},
		{"the parent again", []string{mine[0], a}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c.handleRequest(func(req *http.Request) {
				req.Header["Page-State"] = append([]string{mine[0]}, test.tokens...)
			}, func(w http.ResponseWriter, r *http.Request) {
				item, err := c.item(r, "a", nil)
				if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
					t.Fatalf("got %v, want %v", err, test.want)
				}
				if err == nil {
					testkit.Want(t, "name", item.Name, "a")
				}
			})
		})
	}
}

func TestChildErrors(t *testing.T) {
	tests := []struct {
		name   string
		now    func(c *childApp)
		status int
		want   error
	}{
		{"its row is gone", func(c *childApp) { c.db.delete(2) }, 410, pagestate.ErrStale},
		{"its load says so", func(c *childApp) { c.err = pagestate.ErrStale }, 410, pagestate.ErrStale},
		{"its load refuses", func(c *childApp) { c.err = pagestate.ErrForbidden }, 403, pagestate.ErrForbidden},
		{"its load fails", func(c *childApp) { c.err = errGone }, 500, errGone},
		{"the database does not answer", func(c *childApp) {
			c.db.answer = func(context.Context, []*modelTodo) ([]*modelTodo, error) { return nil, context.DeadlineExceeded }
		}, 503, context.DeadlineExceeded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newChildApp(t, pagestate.Options{})
			tokens := c.open()
			res := c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
				test.now(c)
				item, err := c.item(r, "b", nil)
				testkit.Want(t, "no child", item, nil)
				testkit.Want(t, "error", errors.Is(err, test.want), true)
				pagestate.WriteError(w, r, err)
			})
			testkit.Want(t, "status", res.StatusCode, test.status)
		})
	}
}

func TestChildExpires(t *testing.T) {
	c := newChildApp(t, pagestate.Options{MaxAge: time.Hour})
	tokens := c.open()
	c.now = c.now.Add(45 * time.Minute)
	fresh := c.handle(tokens[:1], func(http.ResponseWriter, *http.Request) {}).Token()
	c.now = c.now.Add(30 * time.Minute)
	c.handle([]string{fresh, tokens[1]}, func(w http.ResponseWriter, r *http.Request) {
		_, err := c.item(r, "a", nil)
		testkit.Want(t, "expired", errors.Is(err, pagestate.ErrExpired), true)
	})
}

// The versions of a child between two deploys.
type (
	childV1 struct{ Value int }
	childV2 struct{ Value string }
)

func TestChildOfAnotherVersion(t *testing.T) {
	secret := testkit.NewSecret()
	o := func() pagestate.Options { return pagestate.Options{Secrets: [][]byte{secret}} }
	older, newer, raised := pagestate.NewRegistry(), pagestate.NewRegistry(), pagestate.NewRegistry()
	for _, r := range []*pagestate.Registry{older, newer, raised} {
		pagestate.Register[counter](r, "counter")
	}
	pagestate.Register[childV1](older, "v")
	pagestate.Register[childV2](newer, "v")
	pagestate.Register[childV1](raised, "v", pagestate.Schema(1))
	b := newApp(t, older, o()).browser()
	page := b.serve("GET", "/", "", func(w http.ResponseWriter, r *http.Request) {
		parent, child := &counter{}, &childV1{7}
		testkit.Want(t, "attached", pagestate.Attach(r.Context(), parent), nil)
		testkit.Want(t, "attached", pagestate.Attach(r.Context(), child, pagestate.Under(parent, "x")), nil)
		field, _ := pagestate.Field(r.Context(), child)
		showCounter(w, parent)
		fmt.Fprint(w, field)
	})
	ask := map[string]func(ctx context.Context, parent *counter) error{
		"changed": func(ctx context.Context, parent *counter) error {
			_, err := pagestate.Child[childV2](ctx, parent, "x", nil)
			return err
		},
		"schema": func(ctx context.Context, parent *counter) error {
			_, err := pagestate.Child[childV1](ctx, parent, "x", nil)
			return err
		},
	}
	for name, r := range map[string]*pagestate.Registry{"changed": newer, "schema": raised} {
		b.app = newApp(t, r, o())
		b.app.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			parent, err := pagestate.From[counter](r.Context())
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, name, errors.Is(ask[name](r.Context(), parent), pagestate.ErrOutdated), true)
		})
		req := b.Request("POST", "/", nil)
		req.Header["Page-State"] = page.Fields()
		testkit.Want(t, "status", b.Send(req).StatusCode, 200)
	}
}

// While servers are replaced, a page may hold a token of a component that only the
// newer ones know.
func TestChildBesideAnUnknownComponent(t *testing.T) {
	secret := testkit.NewSecret()
	older, newer := pagestate.NewRegistry(), pagestate.NewRegistry()
	for _, r := range []*pagestate.Registry{older, newer} {
		pagestate.Register[counter](r, "counter")
		pagestate.Register[childV1](r, "known")
	}
	pagestate.Register[childV2](newer, "unknown")
	b := newApp(t, newer, pagestate.Options{Secrets: [][]byte{secret}}).browser()
	page := b.serve("GET", "/", "", func(w http.ResponseWriter, r *http.Request) {
		parent := &counter{}
		testkit.Want(t, "attached", pagestate.Attach(r.Context(), parent), nil)
		showCounter(w, parent)
		unknown, known := &childV2{"x"}, &childV1{7}
		testkit.Want(t, "attached", pagestate.Attach(r.Context(), unknown, pagestate.Under(parent, "x")), nil)
		testkit.Want(t, "attached", pagestate.Attach(r.Context(), known, pagestate.Under(parent, "x")), nil)
		for _, state := range []any{unknown, known} {
			field, _ := pagestate.Field(r.Context(), state)
			fmt.Fprint(w, field)
		}
	})
	b.app = newApp(t, older, pagestate.Options{Secrets: [][]byte{secret}})
	b.app.mux.Handle("/", pagestate.Handle(func(_ http.ResponseWriter, r *http.Request, parent *counter) error {
		child, err := pagestate.Child[childV1](r.Context(), parent, "x", nil)
		testkit.Want(t, "the known one", err == nil && child.Value == 7, true)
		return err
	}))
	req := b.Request("POST", "/", nil)
	req.Header["Page-State"] = page.Fields()
	testkit.Want(t, "status", b.Send(req).StatusCode, 200)
}

// A child that cannot be decoded is one, and is not passed over.
func TestChildUndecodable(t *testing.T) {
	type child struct{ Key regexpKey }
	refuses := false
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	pagestate.Register[child](r, "child")
	pagestate.RegisterCodec(r, "key", pagestate.Codec[regexpKey]{
		Encode: func(regexpKey) ([]byte, error) { return nil, nil },
		Decode: func([]byte) (key regexpKey, err error) {
			if refuses {
				err = errGone
			}
			return key, err
		},
	})
	b := newApp(t, r, pagestate.Options{}).browser()
	page := b.serve("GET", "/", "", func(w http.ResponseWriter, r *http.Request) {
		parent, below := &counter{}, &child{}
		testkit.Want(t, "attached", pagestate.Attach(r.Context(), parent), nil)
		testkit.Want(t, "attached", pagestate.Attach(r.Context(), below, pagestate.Under(parent, "x")), nil)
		field, _ := pagestate.Field(r.Context(), below)
		showCounter(w, parent)
		fmt.Fprint(w, field)
	})
	refuses = true
	b.serve("GET", "/ask", strings.Join(page.Fields(), ","), func(w http.ResponseWriter, r *http.Request) {
		parent, err := pagestate.From[counter](r.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = pagestate.Child[child](r.Context(), parent, "x", nil)
		testkit.Want(t, "invalid", errors.Is(err, pagestate.ErrInvalid), true)
	})
}

func TestChildOfAnotherType(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	c.handle(c.open(), func(w http.ResponseWriter, r *http.Request) {
		_, err := pagestate.Child[childOther](r.Context(), c.list(r), "a", nil)
		testkit.Want(t, "another component", errors.Is(err, pagestate.ErrMissing), true)
		_, err = pagestate.Child[childV1](r.Context(), c.list(r), "a", nil)
		testkit.Want(t, "one that is not registered", fmt.Sprint(err), "pagestate: pagestate_test.childV1 is not a registered component; call Register for it before New")
	})
	_, err := pagestate.Child[childItem](t.Context(), &childList{}, "a", nil)
	testkit.Want(t, "without the middleware", err, pagestate.ErrNoMiddleware)
}

func TestChildMisplaced(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	c.handle(c.open(), func(w http.ResponseWriter, r *http.Request) {
		list, ctx := c.list(r), r.Context()
		c.mustItem(r, "a", nil)
		tests := []struct {
			name string
			err  error
			want string
		}{
			{"an empty key", pagestate.Attach(ctx, &childItem{}, pagestate.Under(list, "")), "pagestate: attaching item: the key of a child is empty"},
			{"an unknown parent", pagestate.Attach(ctx, &childItem{}, pagestate.Under(&childList{}, "x")), "pagestate: attaching item: its parent, a *pagestate_test.childList, is neither attached nor opened"},
			{"no parent", pagestate.Attach(ctx, &childItem{}, pagestate.Under(nil, "x")), "pagestate: attaching item: its parent, a <nil>, is neither attached nor opened"},
			{"a parent by value", pagestate.Attach(ctx, &childOther{}, pagestate.Under(childOther{1}, "x")), "pagestate: attaching other: its parent, a pagestate_test.childOther, is neither attached nor opened"},
			{"the key of an opened one", pagestate.Attach(ctx, &childItem{}, pagestate.Under(list, "a")), `pagestate: attaching item: its parent has a child of that key already`},
			{"two parents", pagestate.Attach(ctx, &childItem{}, pagestate.Under(list, "x"), pagestate.Under(list, "y")), "pagestate: attaching item: a child has one parent"},
			{"another type by that key", pagestate.Attach(ctx, &childOther{}, pagestate.Under(list, "a")), "<nil>"},
			{"after errors", pagestate.Attach(ctx, &childItem{}, pagestate.Under(list, "x")), "<nil>"},
			{"the key of an attached one", pagestate.Attach(ctx, &childItem{}, pagestate.Under(list, "x")), `pagestate: attaching item: its parent has a child of that key already`},
		}
		for _, test := range tests {
			testkit.Want(t, test.name, fmt.Sprint(test.err), test.want)
		}
		self := &childItem{}
		testkit.Want(t, "under itself", pagestate.Attach(ctx, self, pagestate.Under(self, "x")) != nil, true)
		_, err := pagestate.Child[childItem](ctx, &childList{}, "a", nil)
		testkit.Want(t, "of an unknown parent", fmt.Sprint(err), "pagestate: opening a child item: its parent, a *pagestate_test.childList, is neither attached nor opened")
		_, err = c.item(r, "", nil)
		testkit.Want(t, "by an empty key", errors.Is(err, pagestate.ErrMissing), true)
	})
}

func TestChildAttachedIsFound(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	c.handle(c.open()[:1], func(w http.ResponseWriter, r *http.Request) {
		item := &childItem{Name: "new"}
		c.attach(r, item, pagestate.Under(c.list(r), "new"))
		testkit.Want(t, "the same pointer", c.mustItem(r, "new", nil), item)
		c.mustItem(r, "new", func(item *childItem) { item.Shown = "updated" })
		testkit.Want(t, "loaded again", item.Loaded, `new shows "updated" of <nil> after ""`)
	})
}

func TestChildAfterRenew(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		list, item := c.list(r), c.mustItem(r, "a", nil)
		testkit.Want(t, "renewed", c.app.mw.Renew(w, r), nil)
		const unknown = "pagestate: opening a child item: its parent, a *pagestate_test.childList, is neither attached nor opened"
		for _, key := range []string{"a", "b"} {
			_, err := pagestate.Child[childItem](r.Context(), list, key, nil)
			testkit.Want(t, "a child of the former owner's", fmt.Sprint(err), unknown)
		}
		_, err := pagestate.Token(r.Context(), item)
		testkit.Want(t, "its token", err != nil, true)
		testkit.Want(t, "under a former parent", pagestate.Attach(r.Context(), &childItem{}, pagestate.Under(list, "x")) != nil, true)
		c.attach(r, list)
		_, err = pagestate.Child[childItem](r.Context(), list, "b", nil)
		testkit.Want(t, "of the parent attached again", errors.Is(err, pagestate.ErrMissing), true)
		c.attach(r, item, pagestate.Under(list, "a"))
		testkit.Want(t, "attached again", c.mustItemOf(r, list, "a"), item)
	})
}

// A further token is of the owner before Renew, and not of the one after it.
func TestFromOrAttachAfterRenew(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		owner, err := c.app.mw.Owner(r)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, mustSeal(t, c.app.mw, owner, &childOther{7}))
	})
	for _, renewed := range []bool{false, true} {
		want := 7
		c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
			if renewed {
				testkit.Want(t, "renewed", c.app.mw.Renew(w, r), nil)
				want = 1
			}
			other, err := pagestate.FromOrAttach(r.Context(), &childOther{1})
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, fmt.Sprint("the state, with Renew ", renewed), *other, childOther{want})
		})
	}
}

// A page may show several states of one component. FromOrAttach finds its own among
// them, and not one that the handler has attached.
func TestFromOrAttachBesideAttached(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	c.handle(c.open(), func(w http.ResponseWriter, r *http.Request) {
		testkit.Want(t, "attached", pagestate.Attach(r.Context(), &childOther{5}), nil)
		var found [2]*childOther
		for i := range found {
			var err error
			if found[i], err = pagestate.FromOrAttach(r.Context(), &childOther{i}); err != nil {
				t.Fatal(err)
			}
		}
		testkit.Want(t, "the first", *found[0], childOther{0})
		testkit.Want(t, "the second is the first", found[1] == found[0], true)
	})
}

func (c *childApp) mustItemOf(r *http.Request, parent any, key string) *childItem {
	c.t.Helper()
	item, err := pagestate.Child[childItem](r.Context(), parent, key, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return item
}

func TestChildMaxTokens(t *testing.T) {
	c := newChildApp(t, pagestate.Options{MaxTokens: 3})
	tokens := c.open()
	ran := 0
	c.app.mux.HandleFunc("/any", func(http.ResponseWriter, *http.Request) { ran++ })
	testkit.Want(t, "at the limit", c.Call("POST", "/any", tokens...).StatusCode, 200)
	testkit.Want(t, "one twice", c.Call("POST", "/any", append(tokens, tokens[2])...).StatusCode, 200)
	testkit.Want(t, "over it", c.Call("POST", "/any", append(tokens, "another")...).StatusCode, 413)
	testkit.Want(t, "handlers", ran, 2)
}

// Several goroutines of a handler ask for the same children and for others.
func TestChildConcurrently(t *testing.T) {
	c := newChildApp(t, pagestate.Options{MaxTokens: 100})
	tokens := c.open()
	const n = 8
	more := c.handle(tokens[:1], func(w http.ResponseWriter, r *http.Request) {
		list := c.list(r)
		var fields [n]template.HTML
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				item := &childItem{Name: fmt.Sprint("c", i), Todo: &modelTodo{ID: i%3 + 1}}
				c.attach(r, item, pagestate.Under(list, item.Name))
				fields[i], _ = item.StateField()
			})
		}
		wg.Wait()
		fmt.Fprint(w, fields)
	})
	tokens = append(tokens, more.Fields()...)
	for range 20 {
		c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
			list := c.list(r)
			var items [4 * n]*childItem
			var wg sync.WaitGroup
			for i := range items {
				wg.Go(func() {
					item, err := pagestate.Child[childItem](r.Context(), list, fmt.Sprint("c", i%n), nil)
					if err != nil {
						t.Error(err)
					}
					items[i] = item
				})
			}
			wg.Wait()
			for i, item := range items {
				testkit.Want(t, "the same pointer", item, items[i%n])
				testkit.Want(t, "the same row", item.Todo, items[i%n%3].Todo)
				testkit.Want(t, "its own", item.Name, fmt.Sprint("c", i%n))
				if _, err := item.StateToken(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	testkit.Want(t, "log", c.app.log.String(), "")
}

// One goroutine asks for a child, and is still fetching its row when another one
// asks for that child, or for one with the same row. The row is fetched once.
func TestChildMeanwhile(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	more := c.handle(tokens[:1], func(w http.ResponseWriter, r *http.Request) {
		item := &childItem{Name: "x", Todo: c.db.row(2)}
		c.attach(r, item, pagestate.Under(c.list(r), "x"))
		field, _ := item.StateField()
		fmt.Fprint(w, field)
	})
	tokens = append(tokens, more.Fields()...)
	var asking chan bool
	c.db.answer = func(_ context.Context, rows []*modelTodo) ([]*modelTodo, error) {
		if len(c.db.fetches) == 2 { // the list's was the first
			c.db.mu.Unlock()
			<-asking
			for range 1000 { // a fetch of the other one would come now
				runtime.Gosched()
			}
			c.db.mu.Lock()
		}
		return rows, nil
	}
	for _, other := range []string{"b", "x"} {
		c.db.fetched()
		asking = make(chan bool)
		c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
			list := c.list(r)
			slow := make(chan *childItem)
			go func() {
				item, err := pagestate.Child(r.Context(), list, "b", func(item *childItem) { item.Shown = "slow" })
				if err != nil {
					t.Error(err)
				}
				slow <- item
			}()
			asking <- true
			fast := c.mustItemOf(r, list, other)
			item := <-slow
			testkit.Want(t, "the same pointer", item == fast, other == "b")
			testkit.Want(t, "the same row", item.Todo, fast.Todo)
			testkit.Want(t, "updated", item.Shown, "slow")
			testkit.Want(t, "fetches", c.db.fetched(), "[[1] [2]]")
		})
	}
}

// The embedded Component works in the loops of html/template, over pointers and
// over a slice of children, and carries nothing into the token.
func TestChildComponentsInTemplates(t *testing.T) {
	c := newChildApp(t, pagestate.Options{})
	tokens := c.open()
	page := template.Must(template.New("").Parse(
		`{{range .Values}}<li data-page-state="{{.StateToken}}">{{.Name}}{{.StateField}}</li>{{end}}` +
			`{{range .Pointers}}<li data-page-state="{{.StateToken}}">{{.Name}}{{.StateField}}</li>{{end}}`))
	res := c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		values := make([]childItem, 2)
		for i := range values {
			values[i].Name = fmt.Sprint("value ", i)
			c.attach(r, &values[i], pagestate.Under(c.list(r), values[i].Name))
		}
		pointers := []*childItem{c.mustItem(r, "a", nil), c.mustItem(r, "b", nil)}
		err := page.Execute(w, map[string]any{"Values": values, "Pointers": pointers})
		testkit.Want(t, "rendered", err, nil)
	})
	rendered := res.Fields()
	testkit.Want(t, "tokens", len(rendered), 4)
	testkit.Want(t, "of opened ones", slices.Equal(rendered[2:], tokens[1:]), true)
	for _, token := range rendered {
		testkit.Want(t, "in the attribute", strings.Contains(res.Body, `data-page-state="`+token+`"`), true)
	}
	c.handle(append(tokens[:1:1], rendered...), func(w http.ResponseWriter, r *http.Request) {
		for _, key := range []string{"value 0", "value 1", "a", "b"} {
			testkit.Want(t, "name", c.mustItem(r, key, nil).Name, key)
		}
	})
}

// A logger never sees a key of a child that the application did not choose to
// show, nor a token.
func TestChildRefusalsInTheLog(t *testing.T) {
	log := new(testkit.Log)
	c := newChildApp(t, pagestate.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	tokens := c.open()
	c.db.delete(2)
	res := c.handle(tokens, func(w http.ResponseWriter, r *http.Request) {
		_, err := c.item(r, "b", nil)
		pagestate.WriteError(w, r, err)
	})
	testkit.Want(t, "status", res.StatusCode, 410)
	testkit.Want(t, "the model", strings.Contains(log.String(), `model \"todo\" is gone`), true)
	for _, token := range tokens {
		testkit.Want(t, "a token in the log", strings.Contains(log.String(), token[20:]), false)
	}
}
