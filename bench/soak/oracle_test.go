package soak_test

// This file holds the oracle: what the state in each token must be, which
// answers a request with it may get, and what a page holds afterwards. It sends
// nothing itself, and never opens a token.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
)

// A tab is one page: what it holds of each kind of component, at most one of
// each. A tab that is duplicated is a copy of the map.
type tab map[string]held

// held is a token, and what the oracle knows of it.
type held struct {
	kind     string // of the component: counter, selection, board or card
	browser  int    // the number of the one whose it is
	token    string
	want     any // the state in it, of the type of that name
	line     *line
	revision int       // counts the tokens of the line up to this one
	row      *knownRow // that a selection refers to
}

// A line is an instance of a component: its tokens follow each other, and fork
// where a tab is duplicated. With a guard a token is good for one use, and
// useless after a later one was used. The answer to a use may be lost, and then
// nobody knows whether it was one.
type line struct {
	used      int // the latest revision that was
	maybeUsed int // the latest that may have been; at least used
}

func (l *line) use(revision int) {
	l.used = max(l.used, revision)
	l.mayUse(revision)
}

func (l *line) mayUse(revision int) { l.maybeUsed = max(l.maybeUsed, revision) }

// A knownRow is deleted while requests are under way. One sent when it was gone
// must find it stale; an answer that says so must come when it is going.
type knownRow struct {
	id          int64
	going, gone atomic.Bool
}

func (r *knownRow) delete(s *store) {
	r.going.Store(true)
	s.delete(r.id)
	r.gone.Store(true)
}

// A question is a request with the tokens of a page.
type question struct {
	acting  held
	do      string // read, change or update
	end     string // see outcomes
	x       int
	form    bool   // sent as a form is, and not as a script does
	render  bool   // whether the answer shall hold the tokens
	child   string // the second token, of a board's card
	gone    bool   // whether the row was before the request was sent
	version int64  // of the row by then
}

// An answer is what came of it.
type answer struct {
	node   *node
	tries  int   // how often net/http sent the request: again if a connection was closed early
	err    error // of a connection that died
	status int
	header http.Header
	body   []byte
	code   string // of a refusal
}

// outcomes are what requests are answered by their end, if they come to it.
// Those but the first two leave the state as it was.
var outcomes = map[string]struct {
	status int
	code   string
}{
	"":            {http.StatusOK, ""},
	"422":         {http.StatusUnprocessableEntity, ""},
	"error":       {http.StatusInternalServerError, "StateError"},
	"forbidden":   {http.StatusForbidden, "ForbiddenState"},
	"conflict":    {http.StatusConflict, "StateConflict"},
	"unavailable": {http.StatusServiceUnavailable, "StateUnavailable"},
	"500":         {http.StatusInternalServerError, ""},
	"panic":       {},
	"nowhere":     {http.StatusNotFound, ""},               // no such route
	"elsewhere":   {http.StatusBadRequest, "InvalidState"}, // the route of another component
	"stray":       {http.StatusBadRequest, "MissingState"}, // with another page's card
}

// tally counts what was done.
type tally struct {
	requests, pages, changes, reads, failures, forgeries, double, deletes, died, gone, conflicts, tooLarge atomic.Int64
}

func (t *tally) String() string {
	return fmt.Sprintf("%d requests: %d pages, %d changes, %d reads, %d that failed after a change or missed their route, %d forged, %d sent twice at once; "+
		"%d rows deleted, %d answers that a row is gone, %d that a token was used, %d tokens too large for the header, %d connections died",
		t.requests.Load(), t.pages.Load(), t.changes.Load(), t.reads.Load(), t.failures.Load(), t.forgeries.Load(), t.double.Load(),
		t.deletes.Load(), t.gone.Load(), t.conflicts.Load(), t.tooLarge.Load(), t.died.Load())
}

// oracle is safe for concurrent use, as long as each browser's tabs are used by
// one goroutine at a time.
type oracle struct {
	fault     func(format string, args ...any)
	store     *store
	guardRoom int // 0 is no guard
	maxHeader int

	tally
	lines    atomic.Int64 // made since the start, which is how many the guard may have to remember
	refusals sync.Map     // code to the body of each refusal
}

func (o *oracle) guarded() bool { return o.guardRoom > 0 }

// usesUp reports whether the question is good for one answer with its token.
func (o *oracle) usesUp(q *question) bool { return o.guarded() && q.do != "read" }

// newTab is what an answer with a new page gives the tab.
func (o *oracle) newTab(browser int, kinds []string, states map[string]any, row *knownRow, a *answer) tab {
	parts := o.parts(a)
	if a.status != http.StatusOK || len(parts) != len(kinds) {
		o.fault("a new page was answered %d: %s", a.status, a.body)
		return nil
	}
	t := make(tab)
	for i, kind := range kinds {
		h := held{kind: kind, browser: browser, token: parts[i].Token, want: states[kind], line: new(line), revision: 1}
		if kind == "selection" {
			h.row = row
		}
		o.lines.Add(1)
		o.compare("a new "+kind, h.want, parts[i])
		t[kind] = h
	}
	return t
}

// judge says what the tab holds after the answer: nil if it must be loaded
// again, since its token was used before.
func (o *oracle) judge(t tab, q *question, a *answer) tab {
	o.count(q, a)
	h := q.acting
	switch {
	case a.err != nil:
		if q.end != "panic" && !a.node.leaving.Load() {
			o.fault("%v: the connection died, and the server did not: %v", q, a.err)
		}
		if o.usesUp(q) {
			h.line.mayUse(h.revision)
		}
		return t
	case a.status == http.StatusGone:
		return o.judgeGone(t, q, a)
	case q.gone:
		o.fault("%v: answered %d, and its row had been deleted before", q, a.status)
		return nil
	case a.isUsed(o.guarded()):
		if sentAgain := a.tries > 1; !o.usesUp(q) || h.revision > h.line.maybeUsed && !sentAgain {
			o.fault("%v: answered that its token was used, and it was not", q)
		}
		return nil
	case o.usesUp(q) && h.revision <= h.line.used && int(o.lines.Load()) <= o.guardRoom:
		o.fault("%v: answered %d, and its token was used before", q, a.status)
		return nil
	}
	if o.usesUp(q) {
		h.line.use(h.revision)
	}
	if want := outcomes[q.end]; a.status != want.status || a.code != want.code {
		o.fault("%v: answered %d %s, and not %d %s: %s", q, a.status, a.code, want.status, want.code, a.body)
		return nil
	}
	o.sameRefusal(a)
	return o.next(t, q, a)
}

// isUsed tells a conflict that the guard has seen from one that the handler
// returned: nothing is sealed after it.
func (a *answer) isUsed(guarded bool) bool {
	return guarded && a.code == "StateConflict" && a.header.Get("Page-State") == ""
}

func (o *oracle) judgeGone(t tab, q *question, a *answer) tab {
	row := q.acting.row
	if row == nil || !row.going.Load() || a.code != "StaleComponentState" || a.header.Get("Page-State") != "" {
		o.fault("%v: answered 410 %s, and no row of it was deleted", q, a.code)
	}
	o.sameRefusal(a)
	rest := maps.Clone(t)
	delete(rest, q.acting.kind)
	return rest
}

// next compares the states of an answer that the handler gave, and takes its
// tokens.
func (o *oracle) next(t tab, q *question, a *answer) tab {
	next := maps.Clone(t)
	var shown [2]part
	acting, child := q.acting, t["card"]
	if q.end == "" || q.end == "422" {
		copy(shown[:], o.parts(a))
		acting.want = q.after(acting.want)
		o.compare(q.String(), acting.want, shown[0])
		o.compareVersion(q, shown[0])
		if q.acting.kind == "board" {
			child.want = q.afterInChild(child.want.(card))
			o.compare(q.String()+", its card", child.want, shown[1])
			next["card"] = o.sealed(q, t["card"], child.want, shown[1].Token, q.render, false)
		}
	}
	header := a.header.Get("Page-State")
	token := header
	if shown[0].Token != "" {
		token = shown[0].Token
	}
	resealed := o.usesUp(q) || !same(acting.want, q.acting.want)
	switch {
	case header != "" && header != token:
		o.fault("%v: the header has another token than the page", q)
	case resealed && header == "" && len(token) <= o.maxHeader, !resealed && header != "":
		o.fault("%v: a token in the header is %t, and must be %t", q, header != "", resealed)
	case resealed && header == "":
		o.tooLarge.Add(1)
	}
	next[q.acting.kind] = o.sealed(q, q.acting, acting.want, token, token != "", o.usesUp(q))
	return next
}

// sealed is what a page holds instead of before, given the token that is in the
// answer if any is. A token that must be new is, and another is the old one.
func (o *oracle) sealed(q *question, before held, want any, token string, given, always bool) held {
	after := before
	after.want = want
	anew := always || !same(before.want, want)
	if anew {
		after.token = token
	}
	if anew && before.kind == q.acting.kind { // nothing is claimed for a child
		after.revision++
	}
	if given && token != after.token || after.token == "" || anew == (after.token == before.token) {
		o.fault("%v: the page was given the wrong token: revision %d after %d, another token %t", q, after.revision, before.revision, token != before.token)
	}
	return after
}

// after is the state of the component that acts when its handler has run.
func (q *question) after(want any) any {
	if q.do != "change" {
		return want
	}
	switch s := want.(type) {
	case counter:
		s.change(q.x)
		return s
	case selection:
		s.change(q.x)
		return s
	case board:
		s.change(q.x)
		return s
	case card:
		s.change(q.x)
		return s
	}
	panic(fmt.Sprintf("a %T is no state", want))
}

func (q *question) afterInChild(c card) card {
	switch q.do {
	case "change":
		c.change(q.x)
	case "update":
		c.Base, c.Shown = q.x, shown(q.x)
	}
	return c
}

func (q *question) String() string {
	return fmt.Sprintf("%s %s, to end in %q", q.do, q.acting.kind, q.end)
}

func (o *oracle) parts(a *answer) []part {
	var parts []part
	if err := json.Unmarshal(a.body, &parts); err != nil {
		o.fault("an answer is no list of parts: %v: %s", err, a.body)
	}
	return parts
}

func (o *oracle) compare(what string, want any, got part) {
	if text := textOf(want); !bytes.Equal(text, got.State) {
		o.fault("%s: the state is\n%s\nand must be\n%s", what, got.State, text)
	}
}

// compareVersion sees to it that a row was fetched for the request, and is not
// what it was when the state was sealed.
func (o *oracle) compareVersion(q *question, got part) {
	if q.acting.row == nil {
		return
	}
	now, ok := o.store.get(q.acting.row.id)
	if got.Version < q.version || ok && got.Version > now.Version {
		o.fault("%v: the row has version %d, and had %d before", q, got.Version, q.version)
	}
}

func same(a, b any) bool { return bytes.Equal(textOf(a), textOf(b)) }

func textOf(state any) []byte {
	text, err := json.Marshal(state)
	if err != nil {
		panic(err)
	}
	return text
}

// judgeForgery is for requests that must be refused before any token is used.
func (o *oracle) judgeForgery(what string, status int, code string, a *answer) {
	o.forgeries.Add(1)
	switch {
	case a.err != nil:
		o.died.Add(1)
		if !a.node.leaving.Load() {
			o.fault("%s: the connection died, and the server did not: %v", what, a.err)
		}
	case a.status != status || a.code != code:
		o.fault("%s: answered %d %s, and not %d %s", what, a.status, a.code, status, code)
	case a.header.Get("Page-State") != "" || a.header.Get("Set-Cookie") != "":
		o.fault("%s: the answer has a token or a cookie", what)
	default:
		o.sameRefusal(a)
	}
}

// sameRefusal sees to it that refusals of one code do not differ, and so tell
// nothing of what was refused.
func (o *oracle) sameRefusal(a *answer) {
	if a.code == "" {
		return
	}
	if first, _ := o.refusals.LoadOrStore(a.code, string(a.body)); first != string(a.body) {
		o.fault("two refusals %s differ: %s and %s", a.code, first, a.body)
	}
}

func (o *oracle) count(q *question, a *answer) {
	switch {
	case a.err != nil:
		o.died.Add(1)
	case a.status == http.StatusGone:
		o.gone.Add(1)
	case a.isUsed(o.guarded()):
		o.conflicts.Add(1)
	case q.end != "" && q.end != "422":
		o.failures.Add(1)
	case q.do == "read":
		o.reads.Add(1)
	default:
		o.changes.Add(1)
	}
}
