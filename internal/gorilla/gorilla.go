// Package gorilla keeps a random value that names the browser session in a
// session of a gorilla/sessions store.
package gorilla

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"reflect"
	"slices"

	"github.com/gorilla/sessions"

	"github.com/pagestate/pagestate/internal/cookie"
	"github.com/pagestate/pagestate/internal/sessionid"
)

// Binding keeps the value in the session of that name. It is a
// pagestate.Binding, and as safe for concurrent use as the store is.
type Binding struct {
	store sessions.Store
	name  string
}

// New returns the binding to the session of that name in store. Check says what
// is wrong with either.
func New(store sessions.Store, name string) *Binding { return &Binding{store, name} }

// Name is that of the session, and of its cookie.
func (b *Binding) Name() string { return b.name }

// Cookie returns the session's cookie without its value. It is known if the store
// has its options in a field called Options.
func (b *Binding) Cookie() (c *http.Cookie, known bool) {
	o, known := storeOptions(b.store)
	return b.cookie(b.options(&o)), known
}

// key is that of the value in the session.
const key = "pagestate"

// Prepare makes room for the sessions of one request in the context of r, and
// decodes none. gorilla does so at the first Get, by overwriting *r; done here,
// on a copy of the caller's request that has not been handed on, it changes
// nothing that somebody else can see.
func Prepare(r *http.Request) { sessions.GetRegistry(r) }

// Existing returns the value of the session that r came with, "" if there is
// none. It saves nothing.
func (b *Binding) Existing(r *http.Request) (string, error) {
	if cookie.Differ(r, b.name) {
		return "", nil
	}
	s, readable, err := b.open(r)
	if err != nil || !readable {
		return "", err
	}
	if id, _ := s.Values[key].(string); sessionid.Is(id) {
		return id, nil
	}
	return "", nil
}

// Ensure returns what Existing does, or starts a session if there is none.
func (b *Binding) Ensure(w http.ResponseWriter, r *http.Request) (string, error) {
	id, err := b.Existing(r)
	if err != nil || id != "" {
		return id, err
	}
	return b.Renew(w, r)
}

// Renew deletes the record of the old session, or of all that the request came
// with, and saves a new one.
func (b *Binding) Renew(w http.ResponseWriter, r *http.Request) (string, error) {
	s, readable, err := b.open(r)
	if err != nil {
		return "", err
	}
	set := b.cookie(s.Options)
	if err := cookie.Check(set); err != nil {
		return "", fmt.Errorf("pagestate: session %q: %w", b.name, err)
	}
	if readable {
		if err := b.deleteRecord(r, s); err != nil {
			return "", err
		}
	}
	if err := b.deleteOthers(r); err != nil {
		return "", err
	}
	id := sessionid.New()
	if s.Values == nil {
		s.Values = make(map[any]any)
	}
	s.Values[key] = id
	// A record of its own: kept under the old session's id, the new value would
	// be there for whoever holds the old cookie.
	s.ID, s.IsNew = "", true
	before := len(w.Header()["Set-Cookie"])
	if err := b.store.Save(r, w, s); err != nil {
		delete(s.Values, key) // else the next Ensure of this request would take it for saved
		return "", fmt.Errorf("pagestate: saving session %q: %w", b.name, withoutPath(err))
	}
	h := w.Header()
	h["Set-Cookie"] = slices.Insert(h["Set-Cookie"], before, cookie.Leftovers(r, set)...)
	// The handler may save the session again, and stores that tell insert from
	// update go by this.
	s.IsNew = false
	return id, nil
}

// Strays returns Set-Cookie lines that end cookies of the name which the request
// of a page may not bring, if r brings several with different values.
func (b *Binding) Strays(r *http.Request) []string {
	o, known := storeOptions(b.store)
	if !known || !cookie.Differ(r, b.name) {
		return nil
	}
	return cookie.Strays(r, b.cookie(b.options(&o)))
}

// open gets the session through gorilla's registry, so that it is the one the
// handler sees. It is readable unless the request came with one that is no
// session; what it holds then means nothing.
func (b *Binding) open(r *http.Request) (s *sessions.Session, readable bool, err error) {
	s, err = b.get(r)
	readable = err == nil
	if isNoSession(err) {
		err = nil
		if s == nil {
			s, err = b.store.New(withoutCookies(r), b.name)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("pagestate: reading session %q: %w", b.name, withoutPath(err))
	}
	if s == nil {
		return nil, false, fmt.Errorf("pagestate: reading session %q: the store returned none; its New must always return a session", b.name)
	}
	// Here and not in Renew alone: the handler may save a session that was only
	// read.
	s.Options = b.options(s.Options)
	return s, readable, nil
}

// get returns what store.Get does, for a session that sessions.Save passes over,
// unless the handler gets it too.
func (b *Binding) get(r *http.Request) (*sessions.Session, error) {
	first := &keeper{Store: b.store, r: r}
	s, err := sessions.GetRegistry(r).Get(first, b.name)
	if !first.asked { // somebody has got it before, and may save it
		return b.store.Get(r, b.name)
	}
	if first.none {
		return nil, err
	}
	return s, err
}

// keeper is the store of a session that nobody but the binding has got. Saving
// all sessions of a request would bring back one that another request has
// deleted meanwhile.
type keeper struct {
	sessions.Store
	r     *http.Request
	asked bool // whether the session was not in the registry yet
	none  bool // whether the store has none
}

func (k *keeper) New(_ *http.Request, name string) (*sessions.Session, error) {
	k.asked = true
	s, err := k.Store.Get(k.r, name)
	if s == nil { // the registry needs one
		k.none = true
		s = sessions.NewSession(k, name)
	}
	return s, err
}

func (k *keeper) Save(*http.Request, http.ResponseWriter, *sessions.Session) error { return nil }

// deleteRecord ends the session on the server, if that is where the store keeps
// it.
func (b *Binding) deleteRecord(r *http.Request, s *sessions.Session) error {
	if s.ID == "" || s.IsNew {
		return nil
	}
	old := *s
	// Some stores do not delete at a negative MaxAge. They save, and so there
	// must be nothing to save.
	old.Values = make(map[any]any)
	options := *s.Options
	options.MaxAge = -1
	old.Options = &options
	if err := b.store.Save(r, noResponse{}, &old); err != nil {
		return fmt.Errorf("pagestate: deleting the old session %q: %w", b.name, withoutPath(err))
	}
	return nil
}

// deleteOthers ends the sessions of further cookies of the name.
func (b *Binding) deleteOthers(r *http.Request) error {
	if !cookie.Differ(r, b.name) {
		return nil
	}
	asked := make(map[string]bool)
	for _, c := range r.CookiesNamed(b.name)[1:] {
		if asked[c.Value] {
			continue
		}
		asked[c.Value] = true
		one := withoutCookies(r)
		one.AddCookie(c)
		s, err := b.store.New(one, b.name)
		if isNoSession(err) || err == nil && s == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("pagestate: reading session %q: %w", b.name, withoutPath(err))
		}
		s.Options = b.options(s.Options)
		if err := b.deleteRecord(one, s); err != nil {
			return err
		}
	}
	return nil
}

// Check returns what there is to say against the binding: a nil store, a store
// that deletes what it saves, and a cookie that browsers do not store.
func (b *Binding) Check() error {
	if v := reflect.ValueOf(b.store); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("pagestate: Session: the store is nil; make it before the middleware")
	}
	if (&http.Cookie{Name: b.name}).Valid() != nil {
		return fmt.Errorf("pagestate: Session: a cookie cannot be called %q, and the session's has its name; use letters, digits, - and _", b.name)
	}
	o, known := storeOptions(b.store)
	if !known {
		return nil // Renew sees what the store's sessions say
	}
	if _, ok := b.store.(*sessions.FilesystemStore); ok && o.MaxAge <= 0 {
		return fmt.Errorf("pagestate: Session: a FilesystemStore with a MaxAge of %d deletes what it saves; give it one above 0", o.MaxAge)
	}
	if err := cookie.Check(b.cookie(b.options(&o))); err != nil {
		return fmt.Errorf("pagestate: Session %q: the store's Options: %w", b.name, err)
	}
	return nil
}

// storeOptions returns what a store gives its sessions. All known stores keep it
// in a field called Options.
func storeOptions(store sessions.Store) (o sessions.Options, known bool) {
	v := reflect.Indirect(reflect.ValueOf(store))
	if v.Kind() != reflect.Struct {
		return o, false
	}
	field, ok := v.Type().FieldByName("Options")
	if !ok || len(field.Index) != 1 {
		return o, false
	}
	options, ok := v.FieldByIndex(field.Index).Interface().(*sessions.Options)
	if !ok || options == nil {
		return o, false
	}
	return *options, true
}

// isNoSession reports whether err means that the cookie or the record is of no
// use. Otherwise the store has failed. The methods are those of
// securecookie.Error.
func isNoSession(err error) bool {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, sql.ErrNoRows) {
		return true
	}
	var e interface {
		IsDecode() bool
		IsUsage() bool
		IsInternal() bool
	}
	if !errors.As(err, &e) {
		return false
	}
	// A value over the length limit is refused with an error that is of no kind
	// at all.
	return e.IsDecode() || !e.IsUsage() && !e.IsInternal()
}

// withoutPath leaves the path of a file out of an error's text: the name of a
// session's file is its id, which must not be logged.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %w", path.Op, path.Err)
	}
	return err
}

// options returns a copy of o, which a store may give to all its sessions, with
// what is not the store's to say.
func (b *Binding) options(o *sessions.Options) *sessions.Options {
	var options sessions.Options
	if o != nil {
		options = *o
	}
	if options.Path == "" {
		options.Path = "/" // else it is that of the page that makes the session
	}
	options.HttpOnly = true
	options.SameSite = cookie.SameSite(options.SameSite)
	if _, ok := b.store.(*sessions.CookieStore); ok && options.SameSite == http.SameSiteNoneMode && !options.Partitioned {
		options.SameSite = http.SameSiteLaxMode // NewCookieStore sets None
	}
	return &options
}

// cookie returns the cookie that a store makes of o, except its value.
func (b *Binding) cookie(o *sessions.Options) *http.Cookie {
	return sessions.NewCookie(b.name, "", o)
}

// withoutCookies returns a request for which every store makes a new session.
func withoutCookies(r *http.Request) *http.Request {
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	r.Header.Del("Cookie")
	return r
}

// noResponse keeps the cookie with which a store says that a session is gone
// from the browser, which is about to get another.
type noResponse struct{}

func (noResponse) Header() http.Header         { return http.Header{} }
func (noResponse) Write(p []byte) (int, error) { return len(p), nil }
func (noResponse) WriteHeader(int)             {}
