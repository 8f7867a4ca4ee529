package gorilla_test

// What a store may do, on one that obeys. What a browser sees of gorilla's own
// stores is in session_test.go of package pagestate.

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/pagestate/pagestate/internal/gorilla"
	"github.com/pagestate/pagestate/internal/sessionid"
)

const sessionName = "page"

// The same, where the store saves what it is asked to delete, as some do.
func TestRenewEmptiesOldRecord(t *testing.T) {
	store := newFake()
	binding := gorilla.New(store, sessionName)
	r := httptest.NewRequest("GET", "/", nil)
	if _, err := binding.Ensure(httptest.NewRecorder(), r); err != nil {
		t.Fatal(err)
	}
	old := store.session.ID
	if _, err := binding.Renew(httptest.NewRecorder(), r); err != nil {
		t.Fatal(err)
	}
	if store.session.ID == old {
		t.Error("Renew kept the id of the record")
	}
	if left := store.records[old]; len(left) != 0 {
		t.Errorf("the old record still holds %v", left)
	}
}

// A value that comes again and again is asked for once.
func TestRenewAsksForEachValueOnce(t *testing.T) {
	store := newFake()
	binding := gorilla.New(store, sessionName)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "page=1"+strings.Repeat("; page=2", 100)+"; page=3")
	if _, err := binding.Renew(httptest.NewRecorder(), r); err != nil {
		t.Fatal(err)
	}
	if store.news > 5 { // the first is asked for in more ways than one
		t.Errorf("the store was asked %d times for three sessions", store.news)
	}
}

// The session is asked for once in a request, and saved by none but Ensure and Renew.
func TestUsesRegistry(t *testing.T) {
	store := newFake()
	binding := gorilla.New(store, sessionName)
	r := httptest.NewRequest("GET", "/", nil)

	if id, err := binding.Existing(r); id != "" || err != nil || store.saves != 0 {
		t.Fatalf("Existing: %q, %v, with %d saves", id, err, store.saves)
	}
	first, err := binding.Ensure(httptest.NewRecorder(), r)
	if err != nil || store.saves != 1 {
		t.Fatalf("Ensure: %v, with %d saves", err, store.saves)
	}
	again, err := binding.Ensure(httptest.NewRecorder(), r)
	if again != first || err != nil || store.saves != 1 {
		t.Errorf("Ensure again: %q, %v, with %d saves, want %q", again, err, store.saves, first)
	}
	if store.news != 1 {
		t.Errorf("the store made %d sessions, want one for the request", store.news)
	}
	if store.session.IsNew {
		t.Error("a saved session is still new, and would be inserted twice by a store of rows")
	}
	if first == store.session.ID {
		t.Error("the binding's value is the id of the store")
	}
}

// What a store that is not gorilla's own may do.
func TestOddStores(t *testing.T) {
	ours := rand.Text()
	for name, set := range map[string]func(*fake){
		"no session, undecodable": func(f *fake) { f.noSession, f.getErr = true, decodeError{} },
		"half-decoded": func(f *fake) {
			f.id, f.values, f.getErr = "half", map[any]any{"pagestate": ours}, decodeError{}
		},
		"record gone":                func(f *fake) { f.values, f.getErr = map[any]any{"pagestate": ours}, fs.ErrNotExist },
		"row gone":                   func(f *fake) { f.values, f.getErr = map[any]any{"pagestate": ours}, sql.ErrNoRows },
		"record gone, no error":      func(f *fake) { f.id = "gone" },
		"value is no string":         func(f *fake) { f.values = map[any]any{"pagestate": 42} },
		"value of another form":      func(f *fake) { f.values = map[any]any{"pagestate": "admin"} },
		"value with another letter":  func(f *fake) { f.values = map[any]any{"pagestate": ours[:12] + "-" + ours[13:]} },
		"no values":                  func(f *fake) { f.values = nil },
		"options shared":             func(f *fake) { f.options = &sessions.Options{Path: "/", MaxAge: 60} },
		"options shared, and no own": func(f *fake) { f.options = nil },
	} {
		t.Run(name, func(t *testing.T) {
			store := newFake()
			set(store)
			shared := store.options
			var before sessions.Options
			if shared != nil {
				before = *shared
			}
			binding := gorilla.New(store, sessionName)
			r := httptest.NewRequest("GET", "http://127.0.0.1/", nil) // a host without parent domains
			r.AddCookie(&http.Cookie{Name: sessionName, Value: "sent"})

			if id, err := binding.Existing(r); id != "" || err != nil {
				t.Errorf("Existing: %q, %v, want none", id, err)
			}
			w := httptest.NewRecorder()
			id, err := binding.Ensure(w, r)
			if !sessionid.Is(id) || id == ours || err != nil {
				t.Errorf("Ensure: %q, %v, want a new id", id, err)
			}
			if cookies := w.Result().Cookies(); len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].Path != "/" {
				t.Errorf("Ensure set %v, want one cookie for the whole site", cookies)
			}
			if store.saves != 1 || len(store.records) != 1 {
				t.Errorf("%d saves made the records %v, want one and no trace of the old", store.saves, store.records)
			}
			if shared != nil && *shared != before {
				t.Errorf("the store's options were changed to %+v", *shared)
			}
		})
	}
}

// That a store does not answer does not mean that there is no session.
func TestStoreErrors(t *testing.T) {
	down := errors.New("redis: connection refused")
	for name, c := range map[string]struct {
		set  func(*fake)
		want error
	}{
		"Get":                  {func(f *fake) { f.getErr = down }, down},
		"Get, no session":      {func(f *fake) { f.getErr, f.noSession = down, true }, down},
		"Get, misconfigured":   {func(f *fake) { f.getErr = usageError{} }, usageError{}},
		"neither":              {func(f *fake) { f.noSession = true }, nil},
		"New, after no decode": {func(f *fake) { f.noSession, f.getErr, f.newErr = true, decodeError{}, down }, down},
	} {
		t.Run(name, func(t *testing.T) {
			store := newFake()
			c.set(store)
			binding := gorilla.New(store, sessionName)
			r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()

			_, existing := binding.Existing(r)
			_, ensure := binding.Ensure(w, r)
			_, renew := binding.Renew(w, r)
			for call, err := range map[string]error{"Existing": existing, "Ensure": ensure, "Renew": renew} {
				if err == nil || !strings.HasPrefix(err.Error(), "pagestate: ") || (c.want != nil && !errors.Is(err, c.want)) {
					t.Errorf("%s: %v, want %v, wrapped", call, err, c.want)
				}
			}
			if len(w.Header()) != 0 || store.saves != 0 {
				t.Errorf("set %v, with %d saves, want nothing", w.Header(), store.saves)
			}
		})
	}
}

// What a store says only through its sessions is refused when one is made.
func TestOptionsThatBrowsersRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		session string
		options sessions.Options
		advice  string
	}{
		"None without Secure":      {"page", sessions.Options{SameSite: http.SameSiteNoneMode}, "set Secure"},
		"Partitioned and Lax":      {"page", sessions.Options{Secure: true, Partitioned: true}, "SameSite=None"},
		"__Host- with a Domain":    {"__Host-page", sessions.Options{Secure: true, Domain: "a.example"}, "no Domain"},
		"a Path that is no path":   {"page", sessions.Options{Path: "app"}, "begin it with /"},
		"deleted when it is saved": {"page", sessions.Options{MaxAge: -1}, "use 0"},
	} {
		t.Run(name, func(t *testing.T) {
			store := newFake()
			store.options = &c.options
			binding := gorilla.New(store, c.session)
			if err := binding.Check(); err != nil {
				t.Errorf("Check knows: %v", err)
			}
			w := httptest.NewRecorder()
			_, err := binding.Ensure(w, httptest.NewRequest("GET", "/", nil))
			if err == nil || !strings.HasPrefix(err.Error(), "pagestate: ") || !strings.Contains(err.Error(), c.advice) {
				t.Errorf("Ensure: %v, want an error that says %q", err, c.advice)
			}
			if len(w.Header()) != 0 || store.saves != 0 {
				t.Errorf("set %v, with %d saves, want nothing", w.Header(), store.saves)
			}
		})
	}
}

// An id that was not saved is not given out, not by a later call of the same request either.
func TestSaveFails(t *testing.T) {
	full := errors.New("disk full")
	store := newFake()
	binding := gorilla.New(store, sessionName)
	r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()

	store.saveErr = full
	for range 2 {
		if id, err := binding.Ensure(w, r); id != "" || !errors.Is(err, full) {
			t.Errorf("Ensure: %q, %v, want the store's error", id, err)
		}
	}
	store.saveErr = nil
	id, err := binding.Ensure(w, r)
	if err != nil {
		t.Fatal(err)
	}

	store.saveErr = full // of the old record, to begin with
	if got, err := binding.Renew(w, r); got != "" || !errors.Is(err, full) {
		t.Errorf("Renew: %q, %v, want the store's error", got, err)
	}
	if got, err := binding.Existing(r); got != id || err != nil {
		t.Errorf("Existing after a Renew that did nothing: %q, %v, want %q", got, err, id)
	}
}

// The name of a session's file is its id. Errors end up in logs.
func TestErrorsHoldNoPath(t *testing.T) {
	denied := &fs.PathError{Op: "open", Path: "/sessions/session_ID", Err: fs.ErrPermission}
	for name, c := range map[string]struct {
		set    func(*fake)
		before bool // whether there is a session already
	}{
		"reading":  {func(f *fake) { f.getErr = denied }, false},
		"saving":   {func(f *fake) { f.saveErr = denied }, false},
		"deleting": {func(f *fake) { f.saveErr = denied }, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := newFake()
			binding := gorilla.New(store, sessionName)
			r := httptest.NewRequest("GET", "/", nil)
			if c.before {
				if _, err := binding.Ensure(httptest.NewRecorder(), r); err != nil {
					t.Fatal(err)
				}
			}
			c.set(store)
			_, err := binding.Renew(httptest.NewRecorder(), r)
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), denied.Path) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Opening a session in a request that was prepared changes it no more, and the
// request that it was copied from never changes.
func TestPrepare(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	outer := r.Context()
	inner := r.WithContext(outer) // the middleware's copy
	gorilla.Prepare(inner)
	if r.Context() != outer {
		t.Error("the caller's request was changed")
	}
	prepared := inner.Context()
	if _, err := gorilla.New(sessions.NewCookieStore([]byte("key")), sessionName).Existing(inner); err != nil {
		t.Fatal(err)
	}
	if inner.Context() != prepared {
		t.Error("opening the session changed the request that was prepared for it")
	}
}

// fake is a store with one browser, that fails on demand, gives its own options to every session,
// goes by IsNew when it saves, and saves what it is asked to delete.
type fake struct {
	id        string      // of the session it finds no record for, or cannot read
	values    map[any]any // of the session it finds
	options   *sessions.Options
	noSession bool // Get returns nil
	getErr    error
	newErr    error
	saveErr   error

	session     *sessions.Session // the last that was saved
	records     map[string]map[any]any
	news, saves int
}

func newFake() *fake {
	return &fake{values: make(map[any]any), options: &sessions.Options{Path: "/"}, records: make(map[string]map[any]any)}
}

func (f *fake) Get(r *http.Request, name string) (*sessions.Session, error) {
	if f.noSession {
		return nil, f.getErr
	}
	return sessions.GetRegistry(r).Get(f, name)
}

func (f *fake) New(r *http.Request, name string) (*sessions.Session, error) {
	f.news++
	if f.noSession && f.getErr == nil {
		return nil, nil
	}
	if f.noSession && r.Header.Get("Cookie") != "" {
		return nil, f.getErr
	}
	s := sessions.NewSession(f, name)
	s.ID, s.IsNew, s.Values, s.Options = f.id, f.id != "" && f.getErr == nil, f.values, f.options
	if f.noSession {
		return s, f.newErr
	}
	return s, f.getErr
}

func (f *fake) Save(_ *http.Request, w http.ResponseWriter, s *sessions.Session) error {
	if f.saveErr != nil {
		return f.saveErr
	}
	if s.ID == "" {
		s.ID = rand.Text()
	}
	if _, known := f.records[s.ID]; known == s.IsNew {
		return errors.New("inserted a row that is there, or updated one that is not")
	}
	f.saves++
	f.session = s
	f.records[s.ID] = maps.Clone(s.Values)
	http.SetCookie(w, sessions.NewCookie(s.Name(), s.ID, s.Options))
	return nil
}

// decodeError and usageError are as securecookie's.
type decodeError struct{}

func (decodeError) Error() string    { return "the value is not valid" }
func (decodeError) IsDecode() bool   { return true }
func (decodeError) IsUsage() bool    { return false }
func (decodeError) IsInternal() bool { return false }

type usageError struct{}

func (usageError) Error() string    { return "hash key is not set" }
func (usageError) IsDecode() bool   { return false }
func (usageError) IsUsage() bool    { return true }
func (usageError) IsInternal() bool { return false }
