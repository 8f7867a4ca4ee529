package pagestate

// This file holds the exchange: one request and its response. It finds the
// component that acts, keeps what the handler attaches and opens, decides what
// may be sealed, and seals it when the first byte leaves.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"

	"github.com/pagestate/pagestate/internal/owner"
)

// exchange is safe for concurrent use: handler and middleware may run in
// different goroutines, as under http.TimeoutHandler.
type exchange struct {
	// r is the request that the handler gets. It comes first because a handler may
	// set a finalizer on it, which no later field can have.
	r http.Request

	m       *Middleware
	outer   *exchange // of another middleware around this one
	w       writer
	ctx     requestContext
	encoded bool // whether the response had a Content-Encoding from outside
	safe    bool // whether the request came with a safe method

	visitor visitor
	fetched fetched

	arrival *arrival // what a redirect has carried here, nil if the URL names nothing

	brought []string   // the tokens of the request
	inForm  bool       // whether the tokens came in a form field
	missed  *notLooked // why a source did not look for tokens, nil if all did

	// mu guards what follows. While it is held, no code of the application runs
	// except Clock, codecs and Model.Key, which have no context, and Observer,
	// which must not call this package.
	mu        sync.Mutex
	acting    acting
	instances map[any]*instance // by their states, except the one that acts
	tokens    []string          // of the request, each once
	others    []authentic       // those after the first; nil until a child was asked for
	verdict   verdict
	sent      sent
	touched   bool        // whether the response may depend on a state
	ended     bool        // whether the handler has returned
	answering bool        // whether the error handler was called
	unsealed  error       // why the component that acts could not be sealed
	unsent    bool        // whether the header lacks a token that the page needs
	unread    bool        // whether the header has one that the page does not read
	carried   []*instance // on, by Redirect and Link
	passed    bool        // whether the request's tokens are passed over
	status    int         // of the response, once it has begun
	warnings  []warning   // logged by unlock
}

// acting is the component that acts: the one in the request's first token.
type acting struct {
	*instance        // nil if the request brought no token
	arrived   string // the token
	was       []byte // what it held
	claimed   bool   // whether a guard has recorded it, so that it is used up
	came      bool   // whether a redirect has brought it here, so that the page waits for it
	renewed   string // the token that stands for it then, once there is one
}

// verdict is what may be sealed. It only gets stricter.
type verdict uint8

const (
	sealChanges verdict = iota // what the handler changed
	sealArrived                // what arrived, for a page whose token is used up
	sealNothing                // not even that: a panic, or the component is gone
)

// sent is how the response has left.
type sent uint8

const (
	notYet  sent = iota
	shared       // caches may keep it, so no token may follow
	private      // with headers that keep it from caches
)

type exchangeKey struct{}

// requestContext is what context.WithValue would make of a request's context, in
// the exchange itself: most requests bring no token, and should cost next to
// nothing.
type requestContext struct {
	context.Context
	x *exchange
}

func (c *requestContext) Value(key any) any {
	switch key {
	case exchangeKey{}:
		return c.x
	case owner.Key{}:
		return requestOwner{c.x}
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
	x := &exchange{m: m, encoded: w.Header().Get("Content-Encoding") != "", safe: isSafe(r.Method)}
	x.outer, _ = exchangeOf(r.Context())
	x.ctx = requestContext{r.Context(), x}
	x.r = *r.WithContext(&x.ctx)
	prepareSession(m.opt.Session, &x.r)
	x.visitor.m, x.visitor.secrets, x.visitor.r = m, m.secrets.Load(), &x.r
	if id := arrivingID(r); id != "" {
		x.arrival = &arrival{id: id}
	}
	x.w = writer{ResponseWriter: w, x: x}
	return x
}

// open finds the token of the component that acts and makes a state of it. The
// order of its steps keeps the application's code away from what has not been
// authenticated.
func (x *exchange) open() error {
	tokens, err := x.findTokens()
	if err != nil || len(tokens) == 0 {
		return err
	}
	x.touch()
	if err := x.m.opt.CrossOrigin.Check(&x.r); err != nil {
		return fmt.Errorf("%w: %w", ErrCrossOrigin, err)
	}
	if len(tokens) > x.m.opt.MaxTokens {
		return fmt.Errorf("%w: %d tokens, the most is %d", ErrTooLarge, len(tokens), x.m.opt.MaxTokens)
	}
	x.brought = tokens
	arrived, err := x.arrived()
	if err != nil {
		return err
	}
	if arrived.replaces(x.brought) {
		x.passOver()
		return nil
	}
	err = x.openActing(tokens)
	if arrived.follows(x.brought) && startsFresh(err) {
		x.logFresh(nil, err)
		x.passOver()
		return nil
	}
	return err
}

// passOver keeps tokens that are older than what was carried from being looked at.
func (x *exchange) passOver() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.passed = true
}

// openActing makes a state of the first token.
func (x *exchange) openActing(tokens []string) error {
	if err := x.m.checkToken(tokens[0]); err != nil { // before the session is read
		return err
	}
	keys, err := x.visitor.existing()
	if err != nil {
		return err
	}
	a, err := x.m.authenticate(keys, tokens[0])
	if err != nil {
		return err
	}
	in, err := x.m.resume(x.r.Context(), keys, a, &x.fetched, asSaved)
	if err != nil {
		return err
	}
	if x.safe {
		in.onlyRead()
	} else if err := in.claim(x.r.Context()); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tokens = tokens
	x.act(&in, x.m.opt.Guard != nil && !x.safe)
	return nil
}

// lookedAt is how much of a body is looked at for tokens, beyond the size of
// one: the fields that come before it in a form.
const lookedAt = 1 << 20

// findTokens returns what the first source that has any yields, each once: a page
// may hold a token in more than one place.
func (x *exchange) findTokens() ([]string, error) {
	for _, source := range x.m.opt.Sources {
		tokens, err := source.Tokens(&x.r, int64(x.m.opt.MaxTokenBytes+lookedAt))
		if errors.As(err, &x.missed) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if len(tokens) > 0 {
			_, x.inForm = source.(formSource)
			return distinct(tokens), nil
		}
	}
	return nil, nil
}

// distinct returns the tokens in their order, each once. It leaves its argument
// alone, which may belong to the request.
func distinct(tokens []string) []string {
	if len(tokens) == 1 {
		return tokens
	}
	seen := make(map[string]bool, len(tokens))
	var found []string
	for _, token := range tokens {
		if !seen[token] {
			seen[token] = true
			found = append(found, token)
		}
	}
	return found
}

// missing is the error for a state that the request does not bring.
func (x *exchange) missing() error {
	switch {
	case x.missed == nil && len(x.brought) == 0:
		return fmt.Errorf("%w: no token came with it; put {{.StateField}} into the form that sent it, or the token into a header", ErrMissing)
	case x.missed == nil:
		return ErrMissing
	case x.missed.isTooLarge():
		return fmt.Errorf("%w: no token was found: %w", ErrTooLarge, x.missed)
	default:
		return fmt.Errorf("%w: %w", ErrMissing, x.missed)
	}
}

// act makes in the component that acts. claimed says that a guard has recorded its
// token. It is called with mu held.
func (x *exchange) act(in *instance, claimed bool) {
	x.acting = acting{instance: in, arrived: in.token, was: in.Data, claimed: claimed}
	x.connect(in)
	in.noteRows()
}

// hold makes in known by the pointer to its state.
func (x *exchange) hold(in *instance) {
	if x.instances == nil {
		x.instances = make(map[any]*instance)
	}
	x.instances[in.state] = in
	x.connect(in)
	in.noteRows()
}

// connect lets the Component in a state, if there is one, find its way here.
func (x *exchange) connect(in *instance) {
	if c, ok := in.state.(interface{ component() *Component }); ok {
		*c.component() = Component{self: c.component(), exchange: x, state: in.state}
	}
}

// all yields the instances of the present owner. The caller holds mu.
func (x *exchange) all(yield func(*instance) bool) {
	if in := x.acting.instance; in != nil && !in.orphaned() && !yield(in) {
		return
	}
	for _, in := range x.instances {
		if !in.orphaned() && !yield(in) {
			return
		}
	}
}

// orphans yields those from before Renew that were not attached again.
func (x *exchange) orphans(yield func(*instance) bool) {
	if in := x.acting.instance; in != nil && in.orphaned() && x.instances[in.state] == nil && !yield(in) {
		return
	}
	for _, in := range x.instances {
		if in.orphaned() && !yield(in) {
			return
		}
	}
}

// find returns the instance of a state, nil if it is neither attached nor
// opened for the present owner. The caller holds mu; lookUp takes it.
func (x *exchange) find(state any) *instance {
	if reflect.TypeOf(state) == nil || reflect.TypeOf(state).Kind() != reflect.Pointer {
		return nil // what is no pointer may not be comparable
	}
	for _, in := range [...]*instance{x.instances[state], x.acting.instance} {
		if in != nil && in.state == state && !in.orphaned() {
			return in
		}
	}
	return nil
}

func (x *exchange) lookUp(state any) *instance {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.find(state)
}

// begin is called before the first byte leaves. It seals what changed, and
// returns false if that failed and the response is an error now.
func (x *exchange) begin(status int) (proceed bool) {
	token, cookies, err := x.commit(status)
	x.writeHeaders(token, cookies)
	switch {
	case err != nil:
		x.answerFailure(err)
		return false
	case x.needsBrowser(status):
		x.leaveToBrowser()
		return false
	}
	return true
}

// commit settles what the response brings: the token for its header, "" for
// none, and the binding's cookies. From then on it counts as sent.
func (x *exchange) commit(status int) (token string, cookies []string, err error) {
	x.mu.Lock()
	defer x.unlock()
	x.status = status
	if status >= http.StatusInternalServerError {
		// The handler may still be running, in a goroutine that
		// http.TimeoutHandler gave up on: its state is not looked at again.
		x.limit(sealArrived)
	}
	cookies = x.visitor.begin()
	if status == hijacked && len(cookies) > 0 {
		for in := range x.all {
			x.warn(in, "attached before Hijack, so the cookie of its new session is not sent by itself; write the Set-Cookie of the response header to the connection, or attach in an earlier request")
		}
	}
	x.sent = shared
	if x.touched || len(cookies) > 0 {
		x.sent = private
	}
	token, err = x.headerToken(status)
	return token, cookies, err
}

func (x *exchange) writeHeaders(token string, cookies []string) {
	h := x.w.ResponseWriter.Header()
	mergeCookies(h, cookies)
	x.keepPrivate()
	if token != "" && h.Get(stateHeader) == "" { // an inner middleware hides this one
		h[stateHeader] = []string{token}
	}
}

// keepPrivate keeps caches from sharing what leaves now.
func (x *exchange) keepPrivate() {
	if h := x.w.ResponseWriter.Header(); x.isPrivate(h) {
		x.m.keepPrivate(x.r.Context(), h)
	}
}

// isPrivate reports whether the response is for this visitor alone, as far as is
// known by now.
func (x *exchange) isPrivate(h http.Header) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.touched || x.sent == private || x.m.setsSession(h)
}

// failing is the exchange as the writer of its error answer knows it: everything
// is settled, and only caches are kept away once more.
type failing struct{ *exchange }

func (x failing) begin(int) (proceed bool) {
	x.keepPrivate()
	return true
}

// answerFailure answers in place of a handler whose state cannot be sealed.
func (x *exchange) answerFailure(err error) {
	x.logFailure(refused, err)
	h := x.w.ResponseWriter.Header()
	removeLeftovers(h)
	if !x.encoded {
		h.Del("Content-Encoding") // the handler's, of a body that does not follow
	}
	x.answer(&writer{ResponseWriter: x.w.ResponseWriter, x: failing{x}}, &x.r, err)
}

// headerToken returns the token of the component that acts for the response's
// header, "" for none. With an error, it is that of the state as it arrived.
func (x *exchange) headerToken(status int) (string, error) {
	if x.acting.instance == nil || x.acting.orphaned() {
		return "", nil
	}
	if x.acting.carried != nil && redirects(status) {
		return "", nil // it goes the other way
	}
	if x.verdict != sealChanges {
		return x.arrivedToken()
	}
	token, err := x.changedToken(status)
	if err != nil {
		token, _ = x.arrivedToken()
	}
	return token, err
}

// changedToken seals what the handler changed, and warns of what is lost.
func (x *exchange) changedToken(status int) (string, error) {
	a := &x.acting
	before, sealed := a.token, false
	defer func() {
		if !sealed { // an error, or a codec's panic
			x.limit(sealArrived)
		}
	}()
	token, err := a.successor(x.r.Context())
	if err != nil {
		x.unsealed = err
		return "", err
	}
	sealed = true
	if token == a.arrived && !a.came {
		return "", nil
	}
	changed := !bytes.Equal(a.Data, a.was) // and not only sealed again in time or for the guard
	outdated := a.given && token != before
	fits := len(token) <= x.m.opt.MaxHeaderBytes
	switch {
	case outdated && fits:
		x.warn(a.instance, "changed after its token was put into the page, which is older than the header now")
	case outdated:
		x.warnOfSize()
	case changed && x.leavesPage(status):
		if len(x.carried) == 0 { // who says what to carry knows what is left behind
			x.warn(a.instance, "changed in answer to a redirect, which carries no state by itself; redirect with pagestate.Redirect, or to what pagestate.Link returns, and name the state there")
		}
	default:
		x.unsent = !fits && (changed || a.claimed || x.passed)
		x.unread = fits && changed && x.inForm && wantsPage(&x.r)
	}
	if !fits {
		return "", nil
	}
	return token, nil
}

// redirects reports whether a status sends the browser to another page.
func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// arrivedToken returns a token of the state as it arrived, where the page's own
// is used up.
func (x *exchange) arrivedToken() (string, error) {
	if !x.acting.claimed && !x.acting.came || x.verdict == sealNothing {
		return "", nil
	}
	if x.acting.succeeded() && !bytes.Equal(x.acting.Data, x.acting.was) {
		return "", nil // what the page has is not what arrived
	}
	token, err := x.acting.asArrived(x.r.Context())
	if err != nil {
		return "", err
	}
	if len(token) > x.m.opt.MaxHeaderBytes {
		x.unsent = true
		return "", nil
	}
	return token, nil
}

// succeeded reports whether the page has a token in place of the one that is used
// up. The header brings no other then: each could be used once.
func (a *acting) succeeded() bool { return a.claimed && a.given }

// successor returns the token that the page has in place of the one that is used
// up or, if it has none, one of the state as it is now.
func (a *acting) successor(ctx context.Context) (string, error) {
	if a.succeeded() {
		return a.token, nil
	}
	return a.seal(ctx)
}

// asArrived returns a token of the state that the request brought: the very one
// or, if that is used up or of a former version, one that is as good as it was.
func (a *acting) asArrived(ctx context.Context) (token string, err error) {
	if !a.claimed && !a.migrated {
		return a.arrived, nil
	}
	if a.renewed == "" && a.token != a.arrived && bytes.Equal(a.Data, a.was) {
		a.renewed = a.token // which a page may hold by now
	}
	if a.renewed == "" {
		if token, err = a.sealData(ctx, a.was); err != nil {
			return "", err
		}
		a.renewed = token
	}
	return a.renewed, nil
}

// leavesPage reports whether the browser shows another page than this answer.
func (x *exchange) leavesPage(status int) bool {
	if redirects(status) {
		return true
	}
	if len(x.r.Header["Hx-Request"]) == 0 {
		return false
	}
	h := x.w.ResponseWriter.Header()
	return len(h["Hx-Redirect"]) > 0 || len(h["Hx-Location"]) > 0 || len(h["Hx-Refresh"]) > 0
}

// needsBrowser reports whether the response is a redirect that a script should not
// follow by itself: to another host, where it would take the token along, or to a
// fragment, which it does not get to know. A script says in a header that it asks, which
// is empty where its tokens are in a form.
func (x *exchange) needsBrowser(status int) bool {
	htmx := len(x.r.Header["Hx-Request"]) > 0
	if !redirects(status) || len(x.r.Header[stateHeader]) == 0 && !htmx {
		return false
	}
	u, err := url.Parse(x.w.ResponseWriter.Header().Get("Location"))
	if err != nil {
		return false
	}
	return u.Host != "" && !isSameHost(u.Host, x.r.Host) || u.Fragment != "" && !htmx
}

// isSameHost compares two hosts with their ports. The usual port counts as none, since
// behind a proxy the scheme is not known.
func isSameHost(a, b string) bool {
	usual := func(host string) string {
		return strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80")
	}
	return strings.EqualFold(usual(a), usual(b))
}

// leaveToBrowser answers in place of a redirect: the page goes there itself, as from a
// plain form.
func (x *exchange) leaveToBrowser() {
	h := x.w.ResponseWriter.Header()
	location := h.Get("Location")
	for _, name := range [...]string{"Location", "Content-Type", "Content-Length"} {
		h.Del(name)
	}
	if len(x.r.Header["Hx-Request"]) > 0 {
		h.Set("HX-Redirect", location)
	} else {
		h.Set("Page-State-Location", location)
	}
	x.w.ResponseWriter.WriteHeader(http.StatusNoContent)
}

// finish is called when the handler has returned. What is not sealed by now
// never will be, and it is not lost in silence.
func (x *exchange) finish() {
	late := x.w.began
	x.w.proceed(http.StatusOK)
	x.warnOfUnasked()
	x.mu.Lock()
	defer x.unlock()
	x.ended = true
	if x.unsent && !x.acting.given {
		x.warnOfSize()
	}
	x.warnOfBudgets()
	if x.verdict != sealChanges {
		return
	}
	if x.unread && !x.acting.given {
		x.warn(x.acting.instance, "changed in answer to a form, and its page did not get the new token: what changed is lost; put StateField, or what Field returns, into every form of the page")
	}
	x.warnOfCarried()
	for in := range x.all {
		x.warnOfLoss(in, late)
	}
	for in := range x.orphans {
		x.warnOfOrphan(in)
	}
}

// warnOfLoss warns of what changed in an instance after it was last sealed. Only
// the component that acts is sealed when the first byte leaves.
func (x *exchange) warnOfLoss(in *instance, late bool) {
	if field := in.changedLeftOut(); field != "" {
		x.warn(in, leftOutChanged, slog.String("field", field))
	}
	if in.token == "" {
		return
	}
	if field := in.changedRow(); field != "" {
		x.warn(in, rowChanged, slog.String("field", field))
	}
	acts := in == x.acting.instance
	sealed := late || x.acting.succeeded()
	if acts && !sealed || len(x.carried) > 0 && x.leavesPage(x.status) {
		return
	}
	if changed, err := in.changed(); !changed && err == nil {
		return
	}
	if acts || in.given {
		x.warn(in, "changed too late to be sealed: what changed is lost")
	} else {
		x.warn(in, "changed, and was not put into the page by Token or Field: what changed is lost")
	}
}

// warnOfOrphan warns of an instance from before Renew, if the page has its token
// or it was changed.
func (x *exchange) warnOfOrphan(in *instance) {
	data := in.Data
	if in == x.acting.instance {
		data = x.acting.was
	}
	lost := in.given
	if !lost && in.token != "" {
		changed, err := in.differs(data)
		lost = changed || err != nil
	}
	if lost {
		x.warn(in, "opened or attached before Renew, so it is not sealed; attach it again to keep it")
	}
}

// warnOfSize warns of a token that neither the header nor the page holds.
func (x *exchange) warnOfSize() {
	x.warn(x.acting.instance, "sealed to a token too large for the header, and not put into the page by Token or Field: "+x.lost())
}

// lost says what of the component that acts is lost without its new token.
func (x *exchange) lost() string {
	if x.acting.claimed && !x.acting.given {
		return "what the page holds is used up"
	}
	return "what changed is lost"
}

// limit makes the verdict v, unless it is stricter already. The caller holds mu;
// giveUp takes it.
func (x *exchange) limit(v verdict) { x.verdict = max(x.verdict, v) }

func (x *exchange) giveUp(v verdict) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.limit(v)
}

// touch notes that the response may depend on a state, and so is for this
// visitor alone.
func (x *exchange) touch() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.touched = true
}

func (x *exchange) hasBegun() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sent != notYet
}

// discard sees to it that no change is sealed.
func (x *exchange) discard() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.sent == notYet {
		x.limit(sealArrived)
		x.takeBack()
		x.touched = true
	}
}

// fail sees to it that no change is sealed, and answers err unless the response
// has begun; so says begun of a writer that holds back what it is given.
func (x *exchange) fail(w http.ResponseWriter, r *http.Request, err error, begun bool) {
	err = ifEnded(r.Context(), err)
	if begun || x.hasBegun() {
		x.giveUp(sealArrived)
		x.logFailure("pagestate: the handler failed after its answer had begun", err)
		return
	}
	x.refuse(err)
	x.answer(w, r, err)
}

// refuse sees to it that no change is sealed, and logs why.
func (x *exchange) refuse(err error) {
	stale := errors.Is(err, ErrStale) // which may call the application
	x.mu.Lock()
	if stale {
		x.limit(sealNothing)
	}
	x.limit(sealArrived)
	x.takeBack()
	x.touched = true
	logged := x.answering
	x.mu.Unlock()
	if !logged {
		x.logFailure(refused, err)
	}
}

// takeBack notes that the page has not got the token it was given: nothing was
// written when the handler failed, and an error is answered in its place. It is
// called with mu held.
func (x *exchange) takeBack() {
	if x.sent == notYet && x.acting.instance != nil {
		x.acting.given = false
	}
}

// answer has an error answered that was logged.
func (x *exchange) answer(w http.ResponseWriter, r *http.Request, err error) {
	x.mu.Lock()
	x.answering = true
	x.mu.Unlock()
	w.Header().Set("Cache-Control", "no-store")
	x.m.opt.ErrorHandler(w, r, err)
}
