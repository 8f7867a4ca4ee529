package soak_test

// This file holds the browsers: each has a session, some tabs, and does what
// chance says. That of pagestatetest is not for this: it has one server, fails
// its test when a connection dies, and is for the goroutine of the test.

import (
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// A browser is one visitor. Its mutex is held by the worker that drives it.
type browser struct {
	mu     sync.Mutex
	number int
	site   *site
	client *http.Client
	tabs   []tab

	rows [2]atomic.Pointer[knownRow] // anybody may delete these
}

// site is what browsers visit, and what they know of each other.
type site struct {
	*oracle
	servers   *cluster
	transport *http.Transport // of all browsers, which have connections in common

	mu     sync.Mutex
	stolen [256]held // tokens of any browser
}

const mostTabs = 3

func newBrowser(s *site, number int) *browser {
	jar, _ := cookiejar.New(nil) // has no error to return
	b := &browser{number: number, site: s, client: &http.Client{Transport: s.transport, Jar: jar}}
	for i := range b.rows {
		b.rows[i].Store(new(knownRow))
		b.rows[i].Load().gone.Store(true)
	}
	return b
}

// step does one thing. victim is a browser that it may happen to.
func (b *browser) step(rng *rand.Rand, victim *browser) {
	if len(b.tabs) == 0 {
		b.open(rng)
		return
	}
	i := rng.IntN(len(b.tabs))
	switch dice := rng.IntN(100); { // as many tabs are opened as are closed
	case dice < 4:
		b.tabs = slices.Delete(b.tabs, i, i+1)
	case dice < 6 && len(b.tabs) < mostTabs:
		b.open(rng)
	case dice < 8 && len(b.tabs) < mostTabs:
		b.tabs = append(b.tabs, maps.Clone(b.tabs[i]))
	case dice < 12:
		row := victim.rows[rng.IntN(len(victim.rows))].Load()
		if !row.gone.Load() {
			b.site.deletes.Add(1)
			row.delete(b.site.store)
		}
	case dice < 20:
		b.forge(rng, b.tabs[i])
	case dice < 24:
		b.keep(rng, i, b.actTwice(rng, b.tabs[i]))
	default:
		b.keep(rng, i, b.act(rng, b.tabs[i]))
	}
}

// keep puts what a tab holds now in place of what it held. If that is nothing,
// the tab is loaded again.
func (b *browser) keep(rng *rand.Rand, i int, t tab) {
	if len(t) > 0 {
		b.tabs[i] = t
		return
	}
	b.tabs = slices.Delete(b.tabs, i, i+1)
	b.open(rng)
}

// open opens a page with some components, in a new tab.
func (b *browser) open(rng *rand.Rand) {
	kinds := []string{"counter", "selection", "board"}
	rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	kinds = kinds[:1+rng.IntN(len(kinds))]
	x := rng.IntN(1 << 20)
	known := b.row(rng.IntN(len(b.rows)))
	query := url.Values{
		"browser": {strconv.Itoa(b.number)}, "x": {strconv.Itoa(x)}, "row": {strconv.FormatInt(known.id, 10)},
		"kind": kinds, "render": {""},
	}
	b.site.pages.Add(1)
	a := b.send(rng, b.client, "GET", "/page?"+query.Encode(), nil, nil)
	if a.err != nil {
		b.site.died.Add(1)
		if !a.node.leaving.Load() {
			b.site.fault("a new page: the connection died, and the server did not: %v", a.err)
		}
		return
	}
	if a.status == http.StatusNotFound && known.going.Load() {
		return
	}
	states := map[string]any{
		"counter":   newCounter(b.number, x),
		"selection": selection{Browser: b.number, Row: &row{ID: known.id, Browser: b.number}},
		"board":     board{Browser: b.number},
		"card":      newCard(b.number),
	}
	if i := slices.Index(kinds, "board"); i >= 0 {
		kinds = slices.Insert(kinds, i+1, "card")
	}
	if t := b.site.newTab(b.number, kinds, states, known, a); t != nil {
		b.tabs = append(b.tabs, t)
	}
}

// openSome opens the tabs that a browser has at first: as many as later on.
func (b *browser) openSome(rng *rand.Rand) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range 1 + rng.IntN(mostTabs) {
		b.open(rng)
	}
}

// row returns one of the browser's rows, a new one if it was deleted.
func (b *browser) row(i int) *knownRow {
	known := b.rows[i].Load()
	if known.gone.Load() {
		known = &knownRow{id: b.site.store.insert(b.number).ID}
		b.rows[i].Store(known)
	}
	return known
}

// act sends one request of the page, and returns what it holds afterwards.
func (b *browser) act(rng *rand.Rand, t tab) tab {
	q := b.choose(rng, t)
	after := b.site.judge(t, q, b.ask(rng, q))
	b.leak(rng, after)
	return after
}

// actTwice clicks twice: two requests with the same tokens at once. A use
// without an answer is known before what the others were answered, and that a
// token was used after that.
func (b *browser) actTwice(rng *rand.Rand, t tab) tab {
	b.site.double.Add(1)
	q := b.choose(rng, t)
	other := rand.New(rand.NewPCG(rng.Uint64(), 0))
	second := make(chan *answer)
	go func() { second <- b.ask(other, q) }()
	first := b.ask(rng, q)
	answers := []*answer{first, <-second}
	slices.SortFunc(answers, func(x, y *answer) int { return b.rank(x) - b.rank(y) })

	before := b.site.judge(t, q, answers[0])
	after := b.site.judge(t, q, answers[1])
	if answers[0].err == nil && after == nil {
		return before
	}
	return after
}

func (b *browser) rank(a *answer) int {
	switch {
	case a.err != nil:
		return 0
	case a.isUsed(b.site.guarded()):
		return 2
	}
	return 1
}

// readAll reads every state of every tab.
func (b *browser) readAll(rng *rand.Rand) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.tabs {
		for _, kind := range slices.Sorted(maps.Keys(t)) {
			if t == nil { // its token had been used in another tab
				break
			}
			q := b.about(t, kind)
			q.do, q.render = "read", true
			t = b.site.judge(t, q, b.ask(rng, q))
		}
	}
}

// choose makes up a request of the page.
func (b *browser) choose(rng *rand.Rand, t tab) *question {
	kinds := slices.Sorted(maps.Keys(t))
	q := b.about(t, kinds[rng.IntN(len(kinds))])
	q.do, q.x = "change", 1+rng.IntN(1<<20)
	switch dice := rng.IntN(20); {
	case dice < 5:
		q.do = "read"
	case dice < 8 && q.acting.kind == "board":
		q.do = "update"
	case dice < 9 && q.acting.kind == "board":
		q.end = "stray"
	case dice < 13:
		ends := slices.Sorted(maps.Keys(outcomes))
		q.end = ends[rng.IntN(len(ends))]
	}
	if q.end == "stray" {
		stray := b.strayCard(rng, t)
		if stray == "" || q.acting.kind != "board" {
			q.end = ""
		} else {
			q.child = stray
		}
	}
	q.form = q.do != "read" && rng.IntN(3) == 0
	// A state too large for the header must be in the page. A board's card
	// always is, as a header has only the component that acts.
	q.render = q.form || q.acting.kind == "board" || len(q.acting.token) > 2000 || rng.IntN(3) == 0
	return q
}

// about returns a request for the component, with what is known before it.
func (b *browser) about(t tab, kind string) *question {
	q := &question{acting: t[kind], child: t["card"].token}
	if known := q.acting.row; known != nil {
		q.gone = known.gone.Load()
		r, _ := b.site.store.get(known.id) // 0 if it was deleted
		q.version = r.Version
	}
	return q
}

// ask sends a question.
func (b *browser) ask(rng *rand.Rand, q *question) *answer {
	method, path := "POST", "/"+q.acting.kind+"/"+q.do
	switch {
	case q.do == "read":
		method = "GET"
	case q.end == "nowhere":
		path = "/nowhere"
	case q.end == "elsewhere" && q.acting.kind == "counter":
		path = "/card/change"
	case q.end == "elsewhere":
		path = "/counter/change"
	}
	query := url.Values{"x": {strconv.Itoa(q.x)}, "end": {q.end}}
	if q.render {
		query.Set("render", "")
	}
	tokens := []string{q.acting.token}
	if q.acting.kind == "board" {
		tokens = append(tokens, q.child)
	}
	target := path + "?" + query.Encode()
	if q.form {
		return b.send(rng, b.client, method, target, nil, url.Values{"page_state": tokens})
	}
	return b.send(rng, b.client, method, target, http.Header{"Page-State": tokens}, nil)
}

// forge sends what must not be let in, with a token that stays good.
func (b *browser) forge(rng *rand.Rand, t tab) {
	kinds := slices.Sorted(maps.Keys(t))
	kind := kinds[rng.IntN(len(kinds))]
	token := t[kind].token
	client, header := b.client, make(http.Header)
	what, status, code := "", http.StatusBadRequest, "InvalidState"
	switch rng.IntN(6) {
	case 0:
		what = "the token of another browser"
		foreign, ok := b.steal(rng, func(h held) bool { return h.browser != b.number })
		if !ok {
			return
		}
		token = foreign.token
		kind = foreign.kind
	case 1:
		what = "a token with one character changed"
		i := rng.IntN(len(token) - 4) // the last ones may be padding
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		token = token[:i] + string(c) + token[i+1:]
	case 2:
		what = "a token cut short"
		token = token[:4*rng.IntN(len(token)/4)]
		if token == "" {
			token = "A"
		}
	case 3:
		what = "a token without its session"
		client = &http.Client{Transport: b.site.transport}
	case 4:
		what, token, code = "no token", "", "MissingState"
	case 5:
		what, status, code = "a token from another site", http.StatusForbidden, "CrossOriginState"
		header.Set("Sec-Fetch-Site", "cross-site")
	}
	if token != "" {
		header.Set("Page-State", token)
	}
	a := b.send(rng, client, "POST", "/"+kind+"/change?x=1", header, nil)
	b.site.judgeForgery(what, status, code, a)
}

// leak lets others have a token of the page.
func (b *browser) leak(rng *rand.Rand, t tab) {
	if len(t) == 0 || rng.IntN(4) > 0 {
		return
	}
	kinds := slices.Sorted(maps.Keys(t))
	b.site.mu.Lock()
	defer b.site.mu.Unlock()
	b.site.stolen[rng.IntN(len(b.site.stolen))] = t[kinds[rng.IntN(len(kinds))]]
}

// strayCard returns the token of a card that is not that of the tab's board: of
// another page of the browser, or of another browser. It is "" if there is none
// at hand.
func (b *browser) strayCard(rng *rand.Rand, t tab) string {
	for _, other := range b.tabs {
		if h := other["card"]; h.token != "" && h.line != t["card"].line {
			return h.token
		}
	}
	h, _ := b.steal(rng, func(h held) bool { return h.kind == "card" && h.browser != b.number })
	return h.token
}

// steal returns a token that somebody has leaked, if the first that comes to
// hand is a suitable one.
func (b *browser) steal(rng *rand.Rand, suits func(held) bool) (held, bool) {
	b.site.mu.Lock()
	defer b.site.mu.Unlock()
	h := b.site.stolen[rng.IntN(len(b.site.stolen))]
	if h.token == "" || !suits(h) {
		return held{}, false
	}
	return h, true
}

// send sends a request to one of the servers.
func (b *browser) send(rng *rand.Rand, client *http.Client, method, target string, header http.Header, form url.Values) *answer {
	a := &answer{node: b.site.servers.node(rng.IntN(2))}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, a.node.url+target, body)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(r.Header, header)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { a.tries++ },
	}))
	b.site.requests.Add(1)
	res, err := client.Do(r)
	if err != nil {
		a.err = err
		return a
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	if a.body, a.err = io.ReadAll(res.Body); a.err != nil {
		return a
	}
	var refusal struct{ Error struct{ Code string } }
	if res.Header.Get("Content-Type") == "application/json" && json.Unmarshal(a.body, &refusal) == nil {
		a.code = refusal.Error.Code
	}
	return a
}
