package pagestate_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// order is a component in its third version, and what it was before.
type order struct {
	pagestate.Component
	Step   int
	Mails  []string
	Row    *orderRow
	Rows   []*orderRow `state:",optional"`
	Loaded string
}

type (
	orderV0 struct {
		pagestate.Component
		Step string
		Mail string
		Row  *orderRow
		Rows []*orderRow `state:",optional"`
	}
	orderV1 struct {
		Step int
		Mail string
		Row  *orderRow
		Rows []*orderRow `state:",optional"`
	}
	orderRow struct{ ID int }
)

var migrateOwner = pagestate.Owner{Session: "session"}

// migrateOptions are those of all releases of one application.
func migrateOptions() pagestate.Options {
	return pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.SessionFunc(func(*http.Request) string { return migrateOwner.Session }),
		Carrier: pagestate.NewCarrier(1 << 20),
	}
}

// orderRows registers a model of which each seventh row is gone.
func orderRows(r *pagestate.Registry) {
	pagestate.RegisterModel(r, "row", pagestate.Model[int, orderRow]{
		Key: func(row *orderRow) int { return row.ID },
		Fetch: func(_ context.Context, ids []int) (rows []*orderRow, _ error) {
			for _, id := range ids {
				if id%7 != 0 {
					rows = append(rows, &orderRow{id})
				}
			}
			return rows, nil
		},
	})
}

// sealFormer seals a state as the release did in which T was registered so.
func sealFormer[T any](t *testing.T, o pagestate.Options, name string, state *T, opts ...pagestate.ComponentOption) string {
	t.Helper()
	r := pagestate.NewRegistry()
	pagestate.Register[T](r, name, opts...)
	orderRows(r)
	mw, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return mustSeal(t, mw, migrateOwner, state)
}

// orderApp is today's release.
type orderApp struct {
	*app
	ran []string // of the application, in the last request
	err error    // what the first step returns
}

func (a *orderApp) steps() []pagestate.ComponentOption {
	return []pagestate.ComponentOption{
		pagestate.Migrate(1, func(_ context.Context, old *orderV1) (*order, error) {
			a.ran = append(a.ran, "from 1")
			return &order{Step: old.Step, Mails: []string{old.Mail}, Row: old.Row, Rows: old.Rows}, nil
		}),
		pagestate.Migrate(0, func(_ context.Context, old *orderV0) (*orderV1, error) {
			a.ran = append(a.ran, "from 0")
			return &orderV1{Step: len(old.Step), Mail: old.Mail, Row: old.Row, Rows: old.Rows}, a.err
		}),
	}
}

// newOrderApp registers what a test wants besides.
func newOrderApp(t *testing.T, o pagestate.Options, migrates bool, register ...func(r *pagestate.Registry)) *orderApp {
	t.Helper()
	a := new(orderApp)
	opts := []pagestate.ComponentOption{pagestate.Schema(2), pagestate.LoadWith(func(_ context.Context, s *order) error {
		a.ran = append(a.ran, "load")
		s.Loaded = "loaded"
		return nil
	})}
	if migrates {
		opts = append(opts, a.steps()...)
	}
	r := pagestate.NewRegistry()
	pagestate.Register[order](r, "order", opts...)
	orderRows(r)
	for _, register := range register {
		register(r)
	}
	a.app = newApp(t, r, o)
	a.mux.Handle("/next", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, s *order) error {
		s.Step++
		return a.answer(w, r, s)
	}))
	a.mux.Handle("/show", pagestate.Handle(a.answer))
	return a
}

// answer shows the state, or fails as the query says.
func (a *orderApp) answer(w http.ResponseWriter, r *http.Request, s *order) error {
	switch r.URL.Query().Get("how") {
	case "error":
		return errors.New("the handler's")
	case "forbidden":
		return pagestate.ErrForbidden
	case "503":
		w.WriteHeader(503)
	case "422":
		w.WriteHeader(422)
	case "unsealable":
		s.Mails = []string{strings.Repeat("x", 300<<10)}
	case "redirect":
		return pagestate.Redirect(w, r, "/page", s)
	}
	_, err := fmt.Fprint(w, showOrder(s))
	return err
}

func showOrder(s *order) string {
	shown := []string{fmt.Sprint("step ", s.Step), strings.Join(s.Mails, " "), s.Loaded}
	for _, row := range append(slices.Clone(s.Rows), s.Row) {
		if row != nil {
			shown = append(shown, fmt.Sprint("row ", row.ID))
		}
	}
	return strings.Join(shown, ", ")
}

// call is a request with a token, and what ran for it.
func (a *orderApp) call(method, path, token string) (testkit.Answer, string) {
	a.ran = nil
	got := a.browser().Call(method, path, token)
	return got, strings.Join(a.ran, ", ")
}

func TestMigrate(t *testing.T) {
	o := migrateOptions()
	type v3 struct{ Step int }
	type otherV1 struct{ Step string }
	v0 := orderV0{Step: "xxxx", Mail: "a@x", Row: &orderRow{1}, Rows: []*orderRow{{2}, {7}, {3}}}
	v1 := orderV1{Step: 4, Mail: "a@x"}
	for _, tt := range []struct {
		name, token string
		status      int
		shows, ran  string
	}{
		{"from the first version", sealFormer(t, o, "order", &v0), 200, "step 4, a@x, loaded, row 2, row 3, row 1", "from 0, from 1, load"},
		{"with compressed data", sealFormer(t, o, "order", &orderV0{Mail: strings.Repeat("a", 500)}, pagestate.Compressed()), 200,
			"step 0, " + strings.Repeat("a", 500) + ", loaded", "from 0, from 1, load"},
		{"from the second", sealFormer(t, o, "order", &v1, pagestate.Schema(1)), 200, "step 4, a@x, loaded", "from 1, load"},
		{"of today", sealFormer(t, o, "order", &order{Step: 4}, pagestate.Schema(2)), 200, "step 4, , loaded", "load"},
		{"with a former field", sealFormer(t, o, "order", &struct{ Step, Former int }{4, 1}, pagestate.Schema(1)), 200, "step 4, , loaded", "from 1, load"},
		{"of a version to come", sealFormer(t, o, "order", &v3{4}, pagestate.Schema(3)), 409, "OutdatedState", ""},
		{"of another kind", sealFormer(t, o, "order", &otherV1{"x"}, pagestate.Schema(1)), 409, "OutdatedState", ""},
		{"of today's kind in a former version", sealFormer(t, o, "order", &order{Step: 4}), 409, "OutdatedState", ""},
		{"with a row that is gone", sealFormer(t, o, "order", &orderV0{Row: &orderRow{7}}), 410, "StaleComponentState", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ran := newOrderApp(t, o, true).call("POST", "/show", tt.token)
			testkit.Want(t, "status", got.StatusCode, tt.status)
			testkit.WantText(t, "body", got.Body, tt.shows)
			testkit.Want(t, "what ran", ran, tt.ran)
		})
	}
}

// A version between two that migrate is outdated.
func TestMigrateGap(t *testing.T) {
	type v2 struct{ Step int }
	o := migrateOptions()
	r := pagestate.NewRegistry()
	pagestate.Register[order](r, "order", pagestate.Schema(3),
		pagestate.Migrate(0, func(context.Context, *orderV0) (*v2, error) { return new(v2), nil }),
		pagestate.Migrate(2, func(context.Context, *v2) (*order, error) { return new(order), nil }))
	orderRows(r)
	a := newApp(t, r, o)
	for version, want := range []error{nil, pagestate.ErrOutdated, nil} {
		var token string
		switch version {
		case 0:
			token = sealFormer(t, o, "order", new(orderV0))
		case 1:
			token = sealFormer(t, o, "order", new(orderV1), pagestate.Schema(1))
		case 2:
			token = sealFormer(t, o, "order", new(v2), pagestate.Schema(2))
		}
		_, err := a.mw.Open(t.Context(), migrateOwner, token)
		testkit.Want(t, fmt.Sprintf("version %d: %v", version, err), errors.Is(err, want), true)
	}
}

// A type whose meaning changed migrates to itself, once for each version.
func TestMigrateWithinAType(t *testing.T) {
	type list struct {
		Cents int
		Below *list
	}
	step := func(_ context.Context, old *list) (*list, error) {
		for l := old; l != nil; l = l.Below {
			l.Cents *= 10
		}
		return old, nil
	}
	o := migrateOptions()
	for _, order := range [][3]int{{0, 1, 2}, {1, 2, 0}, {2, 1, 0}} {
		opts := []pagestate.ComponentOption{pagestate.Schema(3)}
		for _, version := range order {
			opts = append(opts, pagestate.Migrate(version, step))
		}
		r := pagestate.NewRegistry()
		pagestate.Register[list](r, "list", opts...)
		a := newApp(t, r, o)
		for version, want := range []int{1000, 100, 10, 1} {
			token := sealFormer(t, o, "list", &list{1, &list{1, nil}}, pagestate.Schema(version))
			state, err := a.mw.Open(t.Context(), migrateOwner, token)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "cents", state.(*list).Cents, want)
			testkit.Want(t, "cents below", state.(*list).Below.Cents, want)
		}
	}
}

// What is sealed of a state that was migrated is of today's version, also where it
// stands for what arrived: it opens when the step is gone.
func TestMigratedStateIsSealedAsTodays(t *testing.T) {
	const unchanged, changed = "step 4, a@x, loaded", "step 5, a@x, loaded"
	for _, tt := range []struct {
		name, method, path string
		guard              bool
		lifetime           time.Duration
		status             int
		goesOn             string // "" if no token comes
	}{
		{"changed", "POST", "/next", false, 0, 200, changed},
		{"unchanged", "POST", "/show", false, 0, 200, unchanged},
		{"by GET", "GET", "/show", false, 0, 200, unchanged},
		{"by GET with a guard", "GET", "/show", true, 0, 200, unchanged},
		{"by GET with a guard and no lifetime", "GET", "/next", true, -1, 200, changed},
		{"unchanged by GET with a guard and no lifetime", "GET", "/show", true, -1, 200, unchanged},
		{"with a guard", "POST", "/next", true, 0, 200, changed},
		{"unchanged with a guard", "POST", "/show", true, 0, 200, unchanged},
		{"422", "POST", "/next?how=422", false, 0, 422, changed},
		{"422 with a guard", "POST", "/next?how=422", true, 0, 422, changed},
		{"503", "POST", "/next?how=503", false, 0, 503, ""},
		{"503 with a guard", "POST", "/next?how=503", true, 0, 503, unchanged},
		{"500 with a guard", "POST", "/next?how=error", true, 0, 500, unchanged},
		{"403 with a guard", "POST", "/next?how=forbidden", true, 0, 403, unchanged},
		{"413 with a guard", "POST", "/next?how=unsealable", true, 0, 413, unchanged},
		{"404 with a guard", "POST", "/nowhere", true, 0, 404, unchanged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := migrateOptions()
			o.MaxLifetime = tt.lifetime
			if tt.guard {
				o.Guard = pagestate.NewGuard(100)
			}
			got, _ := newOrderApp(t, o, true).call(tt.method, tt.path, sealFormer(t, o, "order", &orderV0{Step: "xxxx", Mail: "a@x"}))
			testkit.Want(t, "status", got.StatusCode, tt.status)
			testkit.Want(t, "has a token", got.Token() != "", tt.goesOn != "")
			if tt.goesOn != "" {
				got, _ = newOrderApp(t, o, false).call("POST", "/show", got.Token())
				testkit.Want(t, "goes on with", got.Body, tt.goesOn)
			}
		})
	}
}

// The page that an ErrorHandler renders has a token of today's version.
func TestMigratedErrorPage(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		o := migrateOptions()
		if guarded {
			o.Guard = pagestate.NewGuard(100)
		}
		o.ErrorHandler = func(w http.ResponseWriter, r *http.Request, _ error) {
			s, err := pagestate.From[order](r.Context())
			if err != nil {
				t.Error(err)
				return
			}
			s.Step = 4 // as it came in
			w.WriteHeader(500)
			field, err := s.StateField()
			fmt.Fprint(w, field, err)
		}
		a := newOrderApp(t, o, true)
		got, _ := a.call("POST", "/next?how=error", sealFormer(t, o, "order", &orderV0{Step: "xxxx", Mail: "a@x"}))
		testkit.Want(t, "status", got.StatusCode, 500)
		got, _ = newOrderApp(t, o, false).call("POST", "/show", got.Field())
		testkit.Want(t, "goes on with", got.Body, "step 4, a@x, loaded")
	}
}

// If the guard cannot be asked, the page's token is good as it was.
func TestMigrateAndGuardThatFails(t *testing.T) {
	o := migrateOptions()
	token := sealFormer(t, o, "order", &orderV0{Step: "xxxx", Mail: "a@x"})
	guarded := o
	guarded.Guard = brokenGuard{errors.New("down")}
	got, _ := newOrderApp(t, guarded, true).call("POST", "/next", token)
	testkit.Want(t, "status", got.StatusCode, 503)
	testkit.Want(t, "token", got.Token(), "")
	got, _ = newOrderApp(t, o, true).call("POST", "/show", token)
	testkit.Want(t, "goes on with", got.Body, "step 4, a@x, loaded")
}

// What a redirect carries is of today's version, and what an older server has
// carried becomes so where it arrives.
func TestMigrateAndRedirect(t *testing.T) {
	page := func(a *orderApp) *orderApp {
		a.mux.HandleFunc("GET /page", func(w http.ResponseWriter, r *http.Request) {
			s, err := pagestate.FromOrAttach(r.Context(), &order{Mails: []string{"fresh"}})
			if err != nil {
				pagestate.WriteError(w, r, err)
				return
			}
			field, err := s.StateField()
			fmt.Fprint(w, showOrder(s), field, err)
		})
		return a
	}
	for _, guarded := range []bool{false, true} {
		for _, lifetime := range []time.Duration{0, -1} {
			o := migrateOptions()
			o.MaxLifetime = lifetime
			if guarded {
				o.Guard = pagestate.NewGuard(100)
			}
			migrates, ended := page(newOrderApp(t, o, true)), page(newOrderApp(t, o, false))
			wantPage := func(a *orderApp, location string) {
				t.Helper()
				got := a.browser().Get(location)
				testkit.WantText(t, "page", got.Body, "step 5, a@x, loaded")
				for _, token := range []string{got.Field(), got.Token()} {
					shown, _ := ended.call("POST", "/show", token)
					testkit.Want(t, "goes on with", shown.Body, "step 5, a@x, loaded")
					if guarded {
						break // the two are of one revision
					}
				}
			}
			got, _ := migrates.call("POST", "/next?how=redirect", sealFormer(t, o, "order", &orderV0{Step: "xxxx", Mail: "a@x"}))
			testkit.Want(t, "status", got.StatusCode, 303)
			wantPage(ended, got.Header.Get("Location"))

			r := pagestate.NewRegistry()
			pagestate.Register[orderV0](r, "order")
			orderRows(r)
			former := newApp(t, r, o)
			got = former.browser().serve("POST", "/carry", mustSeal(t, former.mw, migrateOwner, &orderV0{Step: "xxxxx", Mail: "a@x"}), func(w http.ResponseWriter, r *http.Request) {
				s, err := pagestate.From[orderV0](r.Context())
				if err == nil {
					err = pagestate.Redirect(w, r, "/page", s)
				}
				if err != nil {
					t.Error(err)
				}
			})
			wantPage(migrates, got.Header.Get("Location"))
		}
	}
}

// An instance stays what it is, and so does a child under its parent.
func TestMigratedInstance(t *testing.T) {
	clock := time.Unix(1_700_000_000, 0)
	o := migrateOptions()
	o.Clock = func() time.Time { return clock }
	former := pagestate.NewRegistry()
	pagestate.Register[orderV0](former, "order")
	pagestate.Register[orderV1](former, "line", pagestate.Schema(5))
	orderRows(former)
	before := newApp(t, former, o)
	var parent, child string
	before.browser().serve("GET", "/", "", func(_ http.ResponseWriter, r *http.Request) {
		p, c := &orderV0{Step: "x"}, &orderV1{Step: 1}
		err := errors.Join(pagestate.Attach(r.Context(), p), pagestate.Attach(r.Context(), c, pagestate.Under(p, "a")))
		var err1, err2 error
		parent, err1 = pagestate.Token(r.Context(), p)
		child, err2 = pagestate.Token(r.Context(), c)
		if err := errors.Join(err, err1, err2); err != nil {
			t.Error(err)
		}
	})
	type line struct {
		pagestate.Component
		Steps []int
	}
	a := newOrderApp(t, o, true, func(r *pagestate.Registry) {
		pagestate.Register[line](r, "line", pagestate.Schema(6), pagestate.Migrate(5, func(_ context.Context, old *struct{ Step int }) (*line, error) {
			return &line{Steps: []int{old.Step}}, nil
		}))
	})
	a.mux.Handle("/family", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, s *order) error {
		c, err := pagestate.Child[line](r.Context(), s, "a", nil)
		if err != nil {
			return err
		}
		field, err := c.StateField()
		fmt.Fprint(w, c.Steps, field)
		return err
	}))
	clock = clock.Add(time.Hour)
	got := a.browser().Call("POST", "/family", parent, child)
	testkit.WantText(t, "body", got.Body, "[1]")

	thief := newForger(t, o.Secrets[0], forgedSessionFunc, migrateOwner.Session, forgedNoUsers, "")
	for _, pair := range []struct {
		what, before, after string
		version, revision   int
	}{{"parent", parent, got.Token(), 2, 2}, {"child", child, got.Field(), 6, 1}} {
		before, after := parseForged(t, thief.open(pair.before)), parseForged(t, thief.open(pair.after))
		for name, at := range map[string]int{
			"first sealed": envelopeHead, "component": envelopeComponent, "key": envelopeKey, "parent": envelopeParent, "instance": envelopeInstance,
		} {
			same := bytes.Equal(before.inner[at].append(nil), after.inner[at].append(nil))
			testkit.Want(t, pair.what+" has the same "+name, same, true)
		}
		for name, is := range map[string]struct{ at, want int }{"version": {envelopeVersion, pair.version}, "revision": {envelopeRevision, pair.revision}} {
			testkit.Want(t, pair.what+" has the "+name, bytes.Equal(after.inner[is.at].append(nil), forgedNumber(is.want).append(nil)), true)
		}
	}
	again := a.browser().Call("POST", "/family", got.Token(), got.Field())
	testkit.WantText(t, "body", again.Body, "[1]")
}

// A former version inside another state is outdated, unless that state is of a
// former version too and holds it by itself.
func TestMigrateNested(t *testing.T) {
	type (
		partV0 struct{ Text string }
		part   struct{ Texts []string }
		byPart struct{ Part part }
		held   struct{ Any any }
		heldV0 struct{ Any any }
		gradV0 uint8
		grade  string
		wholV0 struct {
			Part   partV0
			Grades []gradV0 // no bytes, since they are of a registered type
		}
		whole struct{ Texts []string }
	)
	register := func(r *pagestate.Registry) {
		pagestate.Register[part](r, "part", pagestate.Schema(4), pagestate.Migrate(3, func(_ context.Context, old *partV0) (*part, error) {
			return &part{[]string{old.Text}}, nil
		}))
		pagestate.Register[grade](r, "grade", pagestate.Schema(1), pagestate.Migrate(0, func(_ context.Context, old *gradV0) (*grade, error) {
			return new(grade), nil
		}))
		pagestate.Register[byPart](r, "by part")
		pagestate.Register[held](r, "held", pagestate.Schema(1), pagestate.Migrate(0, func(_ context.Context, old *heldV0) (*held, error) {
			return &held{old.Any}, nil
		}))
		pagestate.Register[whole](r, "whole", pagestate.Schema(1), pagestate.Migrate(0, func(_ context.Context, old *wholV0) (*whole, error) {
			return &whole{[]string{old.Part.Text, fmt.Sprint(old.Grades)}}, nil
		}))
	}
	o := migrateOptions()
	a := newOrderApp(t, o, true, register)
	former := func(register func(r *pagestate.Registry), state any) string {
		r := pagestate.NewRegistry()
		pagestate.Register[partV0](r, "part", pagestate.Schema(3))
		pagestate.Register[gradV0](r, "grade")
		register(r)
		mw, err := pagestate.New(r, o)
		if err != nil {
			t.Fatal(err)
		}
		return mustSeal(t, mw, migrateOwner, state)
	}
	for _, tt := range []struct {
		name, token, want string
	}{
		{"a field", former(func(r *pagestate.Registry) { pagestate.Register[wholV0](r, "by part") }, new(wholV0)), "sealed by another version"},
		{"an interface", former(func(r *pagestate.Registry) { pagestate.Register[held](r, "held", pagestate.Schema(1)) }, &held{partV0{"a"}}), "sealed by another version"},
		{"an interface of a former version", former(func(r *pagestate.Registry) { pagestate.Register[held](r, "held") }, &held{partV0{"a"}}), "sealed by another version"},
		{"itself in an interface", former(func(r *pagestate.Registry) { pagestate.Register[heldV0](r, "held") }, &heldV0{&heldV0{}}), "sealed by another version"},
		{"a field of a former version", former(func(r *pagestate.Registry) { pagestate.Register[wholV0](r, "whole") }, &wholV0{partV0{"a"}, []gradV0{1, 2}}), "[a [1 2]]"},
	} {
		state, err := a.mw.Open(t.Context(), migrateOwner, tt.token)
		if whole, ok := state.(*whole); ok {
			testkit.Want(t, tt.name, fmt.Sprint(whole.Texts), tt.want)
		} else {
			testkit.WantText(t, tt.name, fmt.Sprint(err), tt.want)
		}
	}
}

// Nothing of the application runs for a token that is not the visitor's, or that is
// too old.
func TestMigrateAfterAllChecks(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	o := migrateOptions()
	o.Clock = func() time.Time { return now }
	token := sealFormer(t, o, "order", new(orderV0))
	a := newOrderApp(t, o, true)
	_, err := a.mw.Open(t.Context(), pagestate.Owner{Session: "another"}, token)
	testkit.Want(t, "of another visitor", errors.Is(err, pagestate.ErrInvalid), true)
	now = now.Add(25 * time.Hour)
	_, err = a.mw.Open(t.Context(), migrateOwner, token)
	testkit.Want(t, "too old", errors.Is(err, pagestate.ErrExpired), true)
	testkit.Want(t, "what ran", len(a.ran), 0)
}

func TestMigrateThatFails(t *testing.T) {
	o := migrateOptions()
	token := sealFormer(t, o, "order", new(orderV0))
	a := newOrderApp(t, o, true)
	for _, tt := range []struct {
		err    error
		status int
	}{
		{pagestate.ErrStale, 410}, {&pagestate.StaleError{Component: "order"}, 410}, {pagestate.ErrForbidden, 403},
		{pagestate.ErrUnavailable, 503}, {context.DeadlineExceeded, 503}, {errors.New("the step's"), 500},
	} {
		a.err = tt.err
		got, ran := a.call("POST", "/show", token)
		testkit.Want(t, fmt.Sprint("status for ", tt.err), got.StatusCode, tt.status)
		testkit.Want(t, "what ran", ran, "from 0")
	}
	testkit.WantText(t, "log", a.log.String(), "loading order: migrating it from schema version 0: the step's")
}

// What a step makes is checked as what a handler seals.
func TestMigrateThatMakesNoState(t *testing.T) {
	type was struct{ Step int }
	type is struct{ Any any }
	o := migrateOptions()
	token := sealFormer(t, o, "state", new(was))
	for _, tt := range []struct {
		name   string
		makes  *is
		status int
		log    string
	}{
		{"nothing", nil, 500, "returned nil and no error"},
		{"too large", &is{strings.Repeat("x", 300<<10)}, 413, "is.Any holds the most"},
		{"unsavable", &is{was{}}, 500, "is not registered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := pagestate.NewRegistry()
			pagestate.Register[is](r, "state", pagestate.Schema(1), pagestate.Migrate(0, func(context.Context, *was) (*is, error) { return tt.makes, nil }))
			a := newApp(t, r, o)
			got := a.browser().Call("POST", "/", token)
			testkit.Want(t, "status", got.StatusCode, tt.status)
			testkit.WantText(t, "log", a.log.String(), tt.log)
		})
	}
}

func TestMigrateAndReseal(t *testing.T) {
	o := migrateOptions()
	a, ended := newOrderApp(t, o, true), newOrderApp(t, o, false)
	token, err := a.mw.Reseal(t.Context(), migrateOwner, sealFormer(t, o, "order", new(orderV0)), &order{Step: 9})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := ended.call("POST", "/show", token)
	testkit.Want(t, "body", got.Body, "step 9, , loaded")
}

func TestMigrateFaults(t *testing.T) {
	type (
		was      struct{ Step int }
		is       struct{ Step int }
		other    struct{ Step int }
		unsafe   struct{ Deep []struct{ C chan int } }
		hidden   struct{ step int }
		pointing struct{ *pagestate.Component }
	)
	_ = hidden{step: 1}
	step := func(context.Context, *was) (*is, error) { return nil, nil }
	toOther := func(context.Context, *was) (*other, error) { return nil, nil }
	fromOther := func(context.Context, *other) (*is, error) { return nil, nil }
	fromUnsafe := func(context.Context, *unsafe) (*is, error) { return nil, nil }
	fromHidden := func(context.Context, *hidden) (*is, error) { return nil, nil }
	fromPointing := func(context.Context, *pointing) (*is, error) { return nil, nil }
	fromPointer := func(context.Context, **was) (*is, error) { return nil, nil }
	nothing := func(*pagestate.Registry) {}
	for _, tt := range []struct {
		name     string
		opts     []pagestate.ComponentOption
		register func(r *pagestate.Registry)
		want     string // "" for no fault
	}{
		{"a chain", []pagestate.ComponentOption{pagestate.Migrate(1, fromOther), pagestate.Migrate(0, toOther)}, nothing, ""},
		{"one type in two versions", []pagestate.ComponentOption{pagestate.Migrate(0, step), pagestate.Migrate(1, step)}, nothing, ""},
		{"a nil function", []pagestate.ComponentOption{pagestate.Migrate[was, is](0, nil)}, nothing, "pagestate_test.is: the function of Migrate from version 0 is nil"},
		{"negative", []pagestate.ComponentOption{pagestate.Migrate(-1, step)}, nothing, "pagestate_test.is: the schema version -1 that Migrate starts from is negative"},
		{"two for one", []pagestate.ComponentOption{pagestate.Migrate(0, step), pagestate.Migrate(0, fromOther)}, nothing, "pagestate_test.is: there are two Migrate from version 0"},
		{"today's version", []pagestate.ComponentOption{pagestate.Migrate(2, step)}, nothing, "pagestate_test.is: Migrate is from version 2, and today's is 2; raise Schema"},
		{"a later version", []pagestate.ComponentOption{pagestate.Migrate(3, step)}, nothing, "pagestate_test.is: Migrate is from version 3, and today's is 2; raise Schema"},
		{"to nothing", []pagestate.ComponentOption{pagestate.Migrate(0, toOther)}, nothing,
			"pagestate_test.is: Migrate from version 0 returns a pagestate_test.other, which is neither today's type nor what a later Migrate starts from"},
		{"to a former step", []pagestate.ComponentOption{pagestate.Migrate(0, fromOther), pagestate.Migrate(1, toOther)}, nothing,
			"pagestate_test.is: Migrate from version 1 returns a pagestate_test.other, which is neither today's type nor what a later Migrate starts from"},
		{"from an unsafe type", []pagestate.ComponentOption{pagestate.Migrate(0, fromUnsafe)}, nothing, "unsafe.Deep[].C: chan int is not in the safe list"},
		{"from a type that loses all", []pagestate.ComponentOption{pagestate.Migrate(0, fromHidden)}, nothing, "hidden: pagestate_test.hidden has fields, and none of them would be saved"},
		{"from a pointer to Component", []pagestate.ComponentOption{pagestate.Migrate(0, fromPointing)}, nothing, "pagestate_test.pointing: it embeds Component through a pointer"},
		{"from a pointer", []pagestate.ComponentOption{pagestate.Migrate(0, fromPointer)}, nothing, "*pagestate_test.was: a pointer or interface type cannot be registered"},
		{"from another component", []pagestate.ComponentOption{pagestate.Migrate(0, fromOther)}, func(r *pagestate.Registry) { pagestate.Register[other](r, "other") },
			`pagestate_test.other: is registered as "is" already, and as "other"`},
		{"from what another starts from", []pagestate.ComponentOption{pagestate.Migrate(0, step)}, func(r *pagestate.Registry) {
			pagestate.Register[other](r, "other", pagestate.Schema(1), pagestate.Migrate(0, func(context.Context, *was) (*other, error) { return nil, nil }))
		}, `pagestate_test.was: is registered as "is" already, and is what a Migrate of "other" starts from`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := pagestate.NewRegistry()
			pagestate.Register[is](r, "is", append(slices.Clone(tt.opts), pagestate.Schema(2))...)
			tt.register(r)
			_, err := pagestate.New(r, migrateOptions())
			lines := strings.Split(cmp.Or(fmt.Sprint(err), "<nil>"), "\n")
			testkit.Want(t, "faults: "+fmt.Sprint(err), len(lines), 1)
			if tt.want == "" {
				testkit.Want(t, "fault", err, nil)
				return
			}
			testkit.WantText(t, "fault", lines[0], "pagestate: "+tt.want)
		})
	}
}
