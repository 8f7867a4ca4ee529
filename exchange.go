package pagestate

// This file holds the exchange: what the middleware knows of one request while
// it runs, whose it is, which states it works on, and how they are sealed into
// the response. How a token becomes a state is in instance.go.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/pagestate/pagestate/internal/token"
)

// exchange is one request and its response. Handler and middleware may use it
// in different goroutines, as under http.TimeoutHandler.
type exchange struct {
	// r is the request that the handler gets. Here it is only read. It comes first
	// because a handler may set a finalizer on it, which no later field can have.
	r http.Request

	m       *Middleware
	outer   *exchange // of another middleware around this one
	w       writer
	ctx     requestContext
	encoded bool // whether there was a Content-Encoding from outside the middleware

	owning sync.Mutex // held while the binding is asked, which may take time

	// mu guards what follows. While it is held, no code of the application runs
	// but Clock, Observer, codecs and Model.Key, which have no context.
	mu        sync.Mutex
	keys      *token.Keyring    // of the owner, nil until it was read
	acting    *instance         // first, or nil if there was no token
	first     instance          // of the first token
	arrived   string            // that token
	was       []byte            // what it held
	claimed   bool              // whether a guard has seen it, so that it is of no use any more
	renewed   string            // stands for it then, in a response that seals no change
	instances map[any]*instance // by their states, but for acting
	cookies   []string          // Set-Cookie lines of the binding
	touched   bool              // whether the response may depend on a state
	private   bool              // whether it left as such
	committed bool              // whether the first byte has left
	failed    bool              // no change is sealed
	silent    bool              // not even with a guard: a panic, or the component is gone
	answering bool              // the error handler was called
	unsent    string            // what is lost by a token too large for the header, unless the page gets it
	warnings  []func()          // run by unlock
	tokens    []string          // all of the request's
	others    []authentic       // of those but the first that authenticate; nil until a child was asked for

	fetched fetched // locks itself
}

type exchangeKey struct{}

// requestContext is what context.WithValue would make of a request's context, in
// the exchange itself: most requests bring no token, and should cost next to
// nothing.
type requestContext struct {
	context.Context
	x *exchange
}

func (c *requestContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return c.x
	}
	return c.Context.Value(key)
}

func exchangeOf(ctx context.Context) (*exchange, error) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, ErrNoMiddleware
	}
	return x, nil
}

func (m *Middleware) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{m: m, encoded: w.Header().Get("Content-Encoding") != ""}
	x.outer, _ = exchangeOf(r.Context())
	x.ctx = requestContext{r.Context(), x}
	x.r = *r.WithContext(&x.ctx)
	prepareSession(m.opt.Session, &x.r)
	x.w = writer{ResponseWriter: w, x: x}
	return x
}

// ownKeys returns the keys of the owner as the request names it.
func (x *exchange) ownKeys() (*token.Keyring, error) {
	x.owning.Lock()
	defer x.owning.Unlock()
	return x.readOwner()
}

func (x *exchange) readOwner() (*token.Keyring, error) {
	x.mu.Lock()
	keys := x.keys
	x.mu.Unlock()
	if keys != nil {
		return keys, nil
	}
	o, err := x.m.readOwner(&x.r)
	if err != nil {
		return nil, err
	}
	return x.setOwner(o), nil
}

func (x *exchange) setOwner(o Owner) *token.Keyring {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.keys = x.m.newKeyring(o)
	return x.keys
}

// ensureKeys makes a session if there is none.
func (x *exchange) ensureKeys() (*token.Keyring, error) {
	x.owning.Lock()
	defer x.owning.Unlock()
	keys, err := x.readOwner()
	if err != nil || keys.Owner().Session != "" || x.m.unbound {
		return keys, err
	}
	if x.isCommitted() {
		return nil, errors.New("pagestate: the first byte has left, so no session can be made; attach before anything is written")
	}
	w := cookieWriter{make(http.Header)}
	session, err := x.m.opt.Session.Ensure(w, &x.r)
	if err != nil {
		return nil, fmt.Errorf("pagestate: making a session: %w", err)
	}
	if session == "" {
		return nil, errNoID
	}
	x.setCookies(w.header)
	return x.setOwner(Owner{Session: session, User: keys.Owner().User}), nil
}

var errNoID = errors.New("pagestate: the binding gave no id for a session it was to make")

// renew makes a new session and reads the user again. Instances of the former
// owner are not sealed any more.
func (x *exchange) renew(r *http.Request) error {
	owner, err := x.renewOwner(r)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.unlock()
	for in := range x.all {
		if in.keys == x.keys {
			x.warn(in, "opened or attached before Renew, so it is not sealed; attach it again to keep it")
		}
	}
	x.keys = x.m.newKeyring(owner)
	return nil
}

func (x *exchange) renewOwner(r *http.Request) (Owner, error) {
	x.owning.Lock()
	defer x.owning.Unlock()
	if x.isCommitted() {
		return Owner{}, errors.New("pagestate: the first byte has left, so no session can be made; renew before anything is written")
	}
	before, err := x.ownerToRenew()
	if err != nil {
		return Owner{}, err
	}
	w := cookieWriter{make(http.Header)}
	session, err := x.m.renewSession(w, r, before.Session)
	if err != nil {
		return Owner{}, err
	}
	x.setCookies(w.header)
	return Owner{Session: session, User: x.m.userOf(r)}, nil
}

// ownerToRenew is the owner that the request was read to have, if it was.
func (x *exchange) ownerToRenew() (Owner, error) {
	x.mu.Lock()
	keys := x.keys
	x.mu.Unlock()
	if keys != nil {
		return ownerOf(keys), nil
	}
	return x.m.ownerToRenew(&x.r)
}

// cookieWriter takes the cookies that a binding sets. They wait in the exchange
// until the first byte leaves: http.TimeoutHandler copies the handler's own
// header over what was set on the outer one.
type cookieWriter struct{ header http.Header }

func (w cookieWriter) Header() http.Header { return w.header }
func (w cookieWriter) WriteHeader(int)     {}
func (w cookieWriter) Write([]byte) (int, error) {
	return 0, errors.New("pagestate: a binding may set cookies, and write nothing")
}

func (x *exchange) setCookies(h http.Header) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cookies = append(x.cookies, h["Set-Cookie"]...)
}

// mergeCookies puts the binding's cookies into the response. Of two of one name
// the last one wins.
func (x *exchange) mergeCookies(h http.Header) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, line := range x.cookies {
		h["Set-Cookie"] = append(without(h["Set-Cookie"], line), line)
	}
}

// without returns the lines but for those that set the same cookie as line.
func without(lines []string, line string) []string {
	name, _, _ := strings.Cut(line, "=")
	return slices.DeleteFunc(lines, func(other string) bool { return strings.HasPrefix(other, name+"=") })
}

// act makes in the component that acts.
func (x *exchange) act(in instance, tokens []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tokens = tokens
	x.first, x.acting = in, &x.first
	x.arrived, x.was = in.token, in.Data
	x.claimed = x.m.opt.Guard != nil
	x.connect(x.acting)
}

// hold makes in known by the pointer to its state.
func (x *exchange) hold(in *instance) {
	if x.instances == nil {
		x.instances = make(map[any]*instance)
	}
	x.instances[in.state] = in
	x.connect(in)
}

// all yields the instances that are known.
func (x *exchange) all(yield func(*instance) bool) {
	if x.acting != nil && !yield(x.acting) {
		return
	}
	for _, in := range x.instances {
		if !yield(in) {
			return
		}
	}
}

// connect has the Component in a state, if there is one, find its way here.
func (x *exchange) connect(in *instance) {
	if c, ok := in.state.(interface{ component() *Component }); ok {
		*c.component() = Component{self: c.component(), exchange: x, state: in.state}
	}
}

func (x *exchange) isCommitted() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.committed
}

// leavesPrivate tells whether the response may carry a token or the cookie of
// the binding, or would have been another one with a token.
func (x *exchange) leavesPrivate() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.private = x.touched || len(x.cookies) > 0
	return x.private
}

func (x *exchange) touch() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.touched = true
}

// tooLate tells whether the response has left without the headers that keep a
// token in it from others.
func (x *exchange) tooLate() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.committed && !x.private
}

// giveUp sees to it that no change is sealed, and after a panic nothing at all.
func (x *exchange) giveUp(panicked bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failed, x.silent = true, x.silent || panicked
}

// discard sees to it that no change is sealed.
func (x *exchange) discard() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.committed {
		x.failed, x.touched = true, true
	}
}

// instance returns what is known of the state, nil if it is neither attached
// nor opened for the present owner.
func (x *exchange) instance(state any) *instance {
	if reflect.TypeOf(state) == nil || reflect.TypeOf(state).Kind() != reflect.Pointer {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, in := range [...]*instance{x.instances[state], x.acting} {
		if in != nil && in.state == state && in.keys == x.keys {
			return in
		}
	}
	return nil
}

var errNoSession = fmt.Errorf("%w: there is no session it could belong to", ErrInvalid)

// existingKeys reads the owner, once per request. It never creates a session.
func (x *exchange) existingKeys() (*token.Keyring, error) {
	keys, err := x.ownKeys()
	if err != nil {
		return nil, err
	}
	if keys.Owner().Session == "" && !x.m.unbound {
		return nil, errNoSession
	}
	return keys, nil
}

// commit is called before the first byte leaves. It seals what changed, and
// returns false if that failed and the response is an error now.
func (x *exchange) commit(status int) (proceed bool) {
	token, err := x.seal(status)
	h := x.w.ResponseWriter.Header()
	x.mergeCookies(h)
	if x.leavesPrivate() {
		x.keepPrivate(h)
	}
	if token != "" && h.Get(stateHeader) == "" { // an inner middleware hides this one
		h[stateHeader] = []string{token}
	}
	if err != nil {
		x.logFailure(refused, err)
		removeLeftovers(h)
		if !x.encoded {
			h.Del("Content-Encoding") // the handler's, of a body that does not follow
		}
		x.answer(x.w.ResponseWriter, &x.r, err)
		return false
	}
	return true
}

// seal returns the token that goes into the response header, "" for none. With
// an error, it is that of the state as it came in.
func (x *exchange) seal(status int) (token string, err error) {
	x.mu.Lock()
	defer x.unlock()
	x.committed = true
	if status >= http.StatusInternalServerError || x.failed {
		// The handler may still be running, in a goroutine that
		// http.TimeoutHandler gave up on: its state is not looked at again.
		x.failed = true
		return x.again()
	}
	in := x.acting
	if in == nil || in.keys != x.keys {
		return "", nil
	}
	before := in.token
	x.failed = true // stands if a codec panics
	token, err = x.m.seal(in)
	if err != nil {
		// Whatever the cause was, to the client it is a failure of the server.
		token, _ = x.again()
		return token, errors.New(err.Error())
	}
	x.failed = false
	if token == x.arrived {
		return "", nil
	}
	older := in.given && token != before
	fits := len(token) <= x.m.opt.MaxHeaderBytes
	changed := !bytes.Equal(in.Data, x.was) // and not only sealed again in time or for the guard
	if older || changed || x.claimed {
		x.warnOfHeader(in, status, changed, older, fits)
	}
	if !fits {
		return "", nil
	}
	return token, nil
}

// again returns a token for the header of a response that seals no change: none,
// but where a guard has seen the one that the page has.
func (x *exchange) again() (string, error) {
	if !x.claimed || x.silent || x.acting.keys != x.keys {
		return "", nil
	}
	token, err := x.asItCame()
	if err != nil {
		return "", err
	}
	if len(token) > x.m.opt.MaxHeaderBytes {
		x.unsent = x.lostWithoutToken()
		return "", nil
	}
	return token, nil
}

// asItCame returns a token of the state that the request brought: the very one
// or, if the guard has seen that, one that is as good as it was.
func (x *exchange) asItCame() (string, error) {
	if !x.claimed {
		return x.arrived, nil
	}
	if x.renewed == "" && x.acting.token != x.arrived && bytes.Equal(x.acting.Data, x.was) {
		x.renewed = x.acting.token // which a page may hold by now
	}
	if x.renewed == "" {
		token, err := x.m.sealAs(x.acting, x.was)
		if err != nil {
			return "", err
		}
		x.renewed = token
	}
	return x.renewed, nil
}

// warnOfHeader logs what the response header cannot do for a change: older says
// that the page got a token from before it, fits that the one for the header is
// not too large.
func (x *exchange) warnOfHeader(in *instance, status int, changed, older, fits bool) {
	switch {
	case !fits && older:
		x.warnOfSize(in, "what changed is lost")
	case !fits:
		x.unsent = x.lostWithoutToken()
	case older:
		x.warn(in, "changed after its token was put into the page, which is older than the header now")
	}
	if changed && 300 <= status && status < 400 {
		x.warn(in, "changed in answer to a redirect, which carries no state to a browser; render the page in answer to the request itself")
	}
}

func (x *exchange) lostWithoutToken() string {
	if x.claimed {
		return "what the page holds is used up"
	}
	return "what changed is lost"
}

func (x *exchange) warnOfSize(in *instance, lost string) {
	x.warn(in, "sealed to a token too large for the header, and not put into the page by Token or Field: "+lost)
}

// keepPrivate keeps caches from giving one visitor's state to another.
func (x *exchange) keepPrivate(h http.Header) {
	maps.DeleteFunc(h, func(name string, values []string) bool {
		if !isCacheControl(name) || forbidsSharing(values) {
			return false
		}
		x.m.opt.Logger.LogAttrs(x.r.Context(), slog.LevelWarn, "pagestate: the handler's "+name+" would let caches share state; replaced by no-store")
		return true
	})
	addVary(h)
	if len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = []string{"no-store"}
	}
}

// isCacheControl tells Cache-Control and those for one kind of cache, which
// overrule it (RFC 9213, and nginx's own).
func isCacheControl(name string) bool {
	if len(name) < len("Cache-Control") {
		return false // most headers, for less
	}
	name = http.CanonicalHeaderKey(name)
	return name == "Cache-Control" || name == "Surrogate-Control" || name == "X-Accel-Expires" || strings.HasSuffix(name, "-Cache-Control")
}

func forbidsSharing(cacheControl []string) bool {
	all := strings.Join(cacheControl, ",")
	if strings.Contains(all, `"`) {
		return false // a quoted list of fields may hold the very words
	}
	for directive := range strings.SplitSeq(all, ",") {
		switch strings.ToLower(strings.TrimSpace(directive)) {
		case "no-store", "private":
			return true
		}
	}
	return false
}

// finish is called when the handler has returned. What is not sealed by now
// never will be, and it is not lost in silence.
func (x *exchange) finish() {
	late := x.w.began
	x.w.proceed(http.StatusOK)
	x.mu.Lock()
	defer x.unlock()
	if x.unsent != "" && !x.acting.given {
		x.warnOfSize(x.acting, x.unsent)
	}
	if x.failed {
		return
	}
	for in := range x.all {
		if in.keys == x.keys {
			x.warnOfLoss(in, late)
		}
	}
}

// warnOfLoss logs what changed in an instance after it was last sealed. Only
// the component that acts is sealed when the first byte leaves.
func (x *exchange) warnOfLoss(in *instance, late bool) {
	if field := x.m.changedLeftOut(in); field != "" {
		x.warnings = append(x.warnings, func() { x.m.warnLeftOut(x.r.Context(), in, field) })
	}
	if in.token == "" || in == x.acting && !late {
		return
	}
	if changed, err := x.m.changed(in); changed || err != nil {
		why := "changed too late to be sealed: what changed is lost"
		if in != x.acting && !in.given {
			why = "changed, and was not put into the page by Token or Field: what changed is lost"
		}
		x.warn(in, why)
	}
}

// fail sees to it that nothing is sealed, and answers err unless the response
// has begun.
func (x *exchange) fail(w http.ResponseWriter, r *http.Request, err error, begun bool) {
	if begun || x.isCommitted() {
		x.giveUp(false) // what it wrote may still be held back, and goes out as a page
		x.logFailure("pagestate: the handler failed after its answer had begun", err)
		return
	}
	x.refuse(err)
	x.answer(w, r, err)
}

// refuse sees to it that nothing is sealed, and logs why.
func (x *exchange) refuse(err error) {
	x.mu.Lock()
	x.failed, x.touched = true, true
	x.silent = x.silent || errors.Is(err, ErrStale)
	logged := x.answering
	x.mu.Unlock()
	if !logged {
		x.logFailure(refused, err)
	}
}

// answer has an error answered that was logged.
func (x *exchange) answer(w http.ResponseWriter, r *http.Request, err error) {
	x.mu.Lock()
	x.answering = true
	x.mu.Unlock()
	x.m.opt.ErrorHandler(w, r, err)
}

const refused = "pagestate: request refused"

// logFailure logs the cause of an error, with how often its code has come up
// since the start. A path may hold a row's key, so only its pattern is logged.
func (x *exchange) logFailure(what string, err error) {
	status, code := Status(err)
	x.m.opt.Observer.Refused(code)
	level := slog.LevelInfo
	switch {
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn // also when the client went away
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	x.m.opt.Logger.LogAttrs(x.r.Context(), level, what,
		slog.String("code", code),
		slog.Int("status", status),
		slog.String("cause", err.Error()),
		slog.String("method", x.r.Method),
		slog.String("pattern", x.r.Pattern),
		slog.Uint64("count", x.m.count(code)))
}

func (m *Middleware) count(code string) uint64 {
	i := slices.IndexFunc(answers, func(a answer) bool { return a.code == code })
	if i < 0 {
		i = len(answers)
	}
	return m.refused[i].Add(1)
}

// warn is called with mu held. What it says is logged by unlock, since a
// logger may ask for what mu guards.
func (x *exchange) warn(in *instance, what string) {
	x.warnings = append(x.warnings, func() {
		x.m.opt.Logger.LogAttrs(x.r.Context(), slog.LevelWarn, "pagestate: "+what, slog.String("component", in.component.name))
	})
}

func (x *exchange) unlock() {
	warnings := x.warnings
	x.warnings = nil
	x.mu.Unlock()
	for _, warn := range warnings {
		warn()
	}
}
