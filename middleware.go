package pagestate

// This file holds the options, what New checks, and the handlers that a request
// passes. What they know of it is in exchange.go, and what a handler calls
// meanwhile is in context.go and child.go.

import (
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/pagestate/pagestate/internal/token"
)

// Options configure a [Middleware]. A negative size or duration, except
// MaxLifetime, is a fault that [New] reports.
type Options struct {
	// Secrets are what keys are derived from: 1 to 8, each at least 32 bytes
	// from crypto/rand. The first seals, all open. To rotate, list a new one
	// second everywhere, then put it first, then drop the old one:
	// [Middleware.SetSecrets] does each while requests run.
	Secrets [][]byte

	// Session says where the session part of a token's owner comes from. It is
	// required; [Unbound] goes without one on purpose.
	Session Binding

	// User returns who is logged in, "" if nobody is. It is needed wherever
	// there is login: it makes a token of one account useless in another, in
	// the same browser too. If nil, tokens are bound to the session alone. It
	// must not call this package.
	User func(*http.Request) string

	// Purpose keeps two applications with one secret apart, if each sets one of its
	// own. "" separates nothing.
	Purpose string

	// MaxAge is how long a token is good after it was sealed. 0 means 24 hours.
	// Tokens past half of it are sealed again even if nothing changed.
	// With a Guard and no MaxLifetime, raising it needs NotBefore.
	MaxAge time.Duration

	// MaxLifetime is how long a token is good after the first one of its
	// instance was sealed, however often it is sealed again. 0 means 7 days,
	// negative means no limit: with a Guard, only a request with an unsafe method
	// then keeps a page from its MaxAge. With a Guard, raising it needs NotBefore.
	MaxLifetime time.Duration

	// NotBefore refuses every token whose instance was first sealed earlier,
	// which tokens know to the second, by the clock of the server that sealed it:
	// add a minute for clocks that differ. One in the future is a fault. The zero
	// time refuses none.
	NotBefore time.Time

	// MaxTokenBytes is the length of the longest token that is sealed or opened,
	// at most 1 GiB. A state may take three quarters of it. A token of a
	// [Compressed] component counts as if it were not compressed. 0 means 256 KiB,
	// so about 196 KB of state.
	MaxTokenBytes int

	// MaxHeaderBytes is the size of the largest token sent in the response
	// header, since proxies cap it. A larger one is only put into the page, by
	// [Token] and [Field]. 0 means 3 KiB.
	MaxHeaderBytes int

	// MaxTokens is how many different tokens one request may carry, at most 1000.
	// 0 means 128. A server of Go 1.27 takes 500 header values: see
	// [HeaderSource].
	MaxTokens int

	// Sources are where tokens are looked for, instead of the usual ones. The
	// first that yields one supplies all. Nil means HeaderSource("Page-State"),
	// then FormSource("page_state").
	Sources []Source

	// IsStale reports whether an error of Load or of a model's Fetch means that
	// what the state refers to is gone. [ErrStale] and sql.ErrNoRows always do, so
	// it is not asked about them. Nil means that no other error does.
	IsStale func(error) bool

	// CrossOrigin checks requests with an unsafe method that carry a token, or
	// for which Attach would start a session. Nil means a new one, which allows
	// the same origin alone.
	CrossOrigin *http.CrossOriginProtection

	// Guard refuses tokens that were used before, in requests with an unsafe
	// method. Nil means that a token can be sent again until it expires.
	Guard Guard

	// Carrier keeps what [Redirect] carries, until the page that it leads to asks for
	// it and for reloads later. Nil means CookieCarrier(http.Cookie{}). With [Unbound]
	// every other one is a fault.
	Carrier Carrier

	// CacheControl is the header Cache-Control of responses that may depend on a
	// state, unless the handler sets one that keeps shared caches away. "" means
	// "private, no-cache", with which Back shows the page as it was; "no-store" is
	// for pages that nobody may go back to. Errors that [WriteError] answers are
	// no-store. One without private and no-store is a fault.
	CacheControl string

	// ErrorHandler answers what the middleware or a handler of [Handle]
	// refuses. Nil means [WriteError]. The cause has been logged already.
	ErrorHandler func(http.ResponseWriter, *http.Request, error)

	// Logger gets the causes of refusals, and warnings of state that is lost. What
	// visitors can cause again and again, other than a refusal at level info, is
	// logged once a minute for each kind and component, with a count. Nil means
	// slog.Default(). It never gets a token, a key or a state, except for
	// what stands in the text of errors that the application returns.
	Logger *slog.Logger

	// Observer is told what happens, for metrics. The zero value observes nothing.
	Observer Observer

	// Clock is what ages are measured with. Nil means time.Now.
	Clock func() time.Time
}

// Middleware carries state through requests. Make one with [New]; it is safe
// for concurrent use.
type Middleware struct {
	registry  *Registry
	opt       Options
	secrets   atomic.Pointer[token.Secrets]
	unbound   bool
	formField string // of the first FormSource, "" if there is none
	seed      maphash.Seed
	logged    limiter
}

// New checks the registry and the options, and reports every fault at once,
// joined as by errors.Join. It may be called repeatedly for one registry, and
// closes it for further types.
func New(r *Registry, o Options) (*Middleware, error) {
	if r == nil {
		return nil, errors.New("pagestate: the registry is nil; use NewRegistry")
	}
	o.fillIn()
	if err := errors.Join(r.close(), o.check()); err != nil {
		return nil, err
	}
	o.Sources = slices.Clone(o.Sources)
	_, unbound := o.Session.(unboundBinding)
	m := &Middleware{
		registry: r,
		opt:      o,
		unbound:  unbound,
		seed:     maphash.MakeSeed(),
	}
	m.secrets.Store(token.NewSecrets(o.Secrets))
	m.opt.Secrets = nil // secrets has what is needed of them
	for _, s := range o.Sources {
		if form, ok := s.(formSource); ok && m.formField == "" {
			m.formField = form.field
		}
	}
	return m, nil
}

// fillIn replaces what is not set by what its comment says.
func (o *Options) fillIn() {
	orDefault(&o.MaxAge, 24*time.Hour)
	orDefault(&o.MaxLifetime, 7*24*time.Hour)
	orDefault(&o.MaxTokenBytes, 256<<10)
	orDefault(&o.MaxHeaderBytes, 3<<10)
	orDefault(&o.MaxTokens, 128)
	orDefault(&o.CacheControl, "private, no-cache")
	if o.Sources == nil {
		o.Sources = []Source{HeaderSource(stateHeader), FormSource("page_state")}
	}
	if o.CrossOrigin == nil {
		o.CrossOrigin = http.NewCrossOriginProtection()
	}
	if o.Carrier == nil {
		o.Carrier = CookieCarrier(http.Cookie{})
	}
	if o.ErrorHandler == nil {
		o.ErrorHandler = WriteError
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
}

// What no option may go beyond.
const (
	maxTokenBytes = 1 << 30
	maxTokens     = 1000
)

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (o *Options) check() error {
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("pagestate: Options."+format, args...))
	}
	if err := checkSecrets("Options.Secrets", o.Secrets); err != nil {
		errs = append(errs, err)
	}
	if err := checkBinding(o.Session); err != nil {
		errs = append(errs, err)
	}
	if isNilPointer(o.Guard) {
		fault("Guard is a nil %T; leave it nil itself to do without", o.Guard)
	}
	if err := checkCarrier(o.Carrier, o.Session); err != nil {
		errs = append(errs, err)
	}
	if o.MaxAge < 0 {
		fault("MaxAge is negative; 0 means 24 hours")
	}
	if o.NotBefore.After(o.Clock()) {
		fault("NotBefore is in the future, and would refuse every token")
	}
	if o.MaxTokenBytes < 0 {
		fault("MaxTokenBytes is negative; 0 means 256 KiB")
	}
	if o.MaxHeaderBytes < 0 {
		fault("MaxHeaderBytes is negative; 0 means 3 KiB")
	}
	if o.MaxTokenBytes > maxTokenBytes {
		fault("MaxTokenBytes is more than 1 GiB")
	}
	if o.MaxTokens < 0 || o.MaxTokens > maxTokens {
		fault("MaxTokens is %d; give 1 to %d, or 0 for 128", o.MaxTokens, maxTokens)
	}
	if len(o.Sources) == 0 || slices.ContainsFunc(o.Sources, findsNothing) {
		fault("Sources has none, or one without a name, that finds nothing; leave it nil for the usual ones")
	}
	if !forbidsSharing("Cache-Control", []string{o.CacheControl}) || strings.ContainsFunc(o.CacheControl, unicode.IsControl) {
		fault("CacheControl is %q, which lets caches share states; give it private or no-store", o.CacheControl)
	}
	return errors.Join(errs...)
}

// checkSecrets returns the faults of secrets, which the caller calls by that name.
func checkSecrets(name string, secrets [][]byte) error {
	var errs []error
	if n := len(secrets); n < 1 || n > token.MaxSecrets {
		errs = append(errs, fmt.Errorf("pagestate: %s: there are %d; give 1 to %d", name, n, token.MaxSecrets))
	}
	for i, secret := range secrets {
		if err := token.CheckSecret(secret); err != nil {
			errs = append(errs, fmt.Errorf("pagestate: %s[%d] %w", name, i, err))
		}
	}
	return errors.Join(errs...)
}

// isNilPointer reports whether v is not nil, but holds a nil pointer.
func isNilPointer(v any) bool {
	p := reflect.ValueOf(v)
	return p.Kind() == reflect.Pointer && p.IsNil()
}

const stateHeader = "Page-State"

// Handler wraps next, and every handler behind it, so that [From], [Attach],
// [Token] and [Handle] work there. A request that carries no token passes
// through as it is. One whose token is refused is answered by
// Options.ErrorHandler, and next does not run.
//
// Never let anything inside of it answer with a status below 500 while the
// handler still runs, as some timeouts do. The state is read when the answer
// begins, and a map that is written at that moment ends the process. A status of
// 500 and above, such as that of [http.TimeoutHandler], is safe, and so is
// [Discard] before the answer.
//
// Mount it inside the authentication middleware, so that Options.User and Load
// see who it is. Wrapping twice with one Middleware does nothing the second
// time; of two different ones, the inner hides the outer.
func (m *Middleware) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.exchangeOf(r) != nil {
			next.ServeHTTP(w, r)
			return
		}
		x := m.newExchange(w, r)
		returned := false
		defer func() {
			// Without these, uploaded files would stay on disk, and loggers
			// outside would not see the route.
			r.MultipartForm, r.Pattern = x.r.MultipartForm, x.r.Pattern
			if !returned {
				w.Header().Del(stateHeader) // a panic leaves the old state
			}
			// A writer outside may send only now what was set after the first byte,
			// or what a panic left.
			if x.isPrivate(w.Header()) {
				keepPrivate(w.Header(), m.opt.CacheControl)
			}
		}()

		if err := x.open(); err != nil {
			x.fail(&x.w, &x.r, err, false)
		} else {
			next.ServeHTTP(&x.w, &x.r)
		}
		x.finish()
		returned = true
	})
}

// exchangeOf returns the exchange of m that r belongs to, or nil.
func (m *Middleware) exchangeOf(r *http.Request) *exchange {
	x, _ := exchangeOf(r.Context())
	for x != nil && x.m != m {
		x = x.outer
	}
	return x
}

// Handle makes a handler of one that works on the state of a component: the one
// in the request's token, which must hold exactly a T.
//
// If h returns an error before anything was written, its changes are not
// sealed, and Options.ErrorHandler answers it. Afterwards the status is out,
// and so is what had changed by the first byte: the error is only logged.
// Render into a buffer where that matters. Of the errors that h returns only
// [ErrStale] means that the component is gone.
func Handle[T any](h func(http.ResponseWriter, *http.Request, *T) error) http.Handler {
	return HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		state, err := From[T](r.Context())
		if err != nil {
			return err
		}
		return h(w, r, state)
	})
}

// HandlePage is [Handle] for a page that needs no token, as one that
// [FromOrAttach] has a state for: if h returns an error before anything was written,
// nothing is sealed, and Options.ErrorHandler answers it.
func HandlePage(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x, err := exchangeOf(r.Context())
		if err != nil {
			WriteError(w, r, err)
			return
		}
		// The middleware's writer knows what was written, and so does that of a
		// Handle around this one. Any other may hold bytes back.
		tracked, ok := w.(*writer)
		if !ok {
			tracked = &writer{ResponseWriter: w}
		}
		returned := false
		defer func() {
			if !returned {
				x.giveUp(sealNothing) // whatever a recoverer answers
			}
		}()
		err = h(tracked, r)
		returned = true
		if err != nil {
			x.fail(w, r, err, tracked.began)
		}
	})
}
