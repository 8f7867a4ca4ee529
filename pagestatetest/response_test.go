package pagestatetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// TestStateOfAFirstVisit: the session is made by the very response that has the
// state.
func TestStateOfAFirstVisit(t *testing.T) {
	for name, binding := range bindings(t) {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, pagestate.Options{Session: binding})
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("X-Session", "one")
			testkit.Want(t, "count", pagestatetest.State[counter](t, a.mw, r, a.serve(r)).Count, 0)
		})
	}
}

// TestStateAfterRenew: the response belongs to another session than the request.
func TestStateAfterRenew(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	r := pagestatetest.NewRequest(t, a.mw, "POST", "/", nil, &counter{Count: 5})
	rec := httptest.NewRecorder()
	a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.mw.Renew(w, r); err != nil {
			t.Error(err)
		}
		token, err := attach(r.Context(), &counter{Count: 7})
		if err != nil {
			t.Error(err)
		}
		io.WriteString(w, token)
	})).ServeHTTP(rec, r)
	testkit.Want(t, "count", pagestatetest.State[counter](t, a.mw, r, rec.Result()).Count, 7)
}

// TestStateAfterLogout: the response takes the cookie away that says who it is.
func TestStateAfterLogout(t *testing.T) {
	a := newApp(t, pagestate.Options{User: func(r *http.Request) string {
		if c, err := r.Cookie("user"); err == nil {
			return "user " + c.Value
		}
		return ""
	}})
	r := httptest.NewRequest("POST", "/", nil)
	r.AddCookie(&http.Cookie{Name: "user", Value: "ada"})
	pagestatetest.AddState(t, a.mw, r, &counter{Count: 5})
	rec := httptest.NewRecorder()
	a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Cookie")
		if err := a.mw.Renew(w, r); err != nil {
			t.Error(err)
		}
		http.SetCookie(w, &http.Cookie{Name: "user", MaxAge: -1})
		token, err := attach(r.Context(), &counter{Count: 7})
		if err != nil {
			t.Error(err)
		}
		io.WriteString(w, token)
	})).ServeHTTP(rec, r)
	testkit.Want(t, "count", pagestatetest.State[counter](t, a.mw, r, rec.Result()).Count, 7)
}

// brokenCarrier keeps what it is given, and does not find it again.
type brokenCarrier struct{}

func (brokenCarrier) Put(http.ResponseWriter, *http.Request, pagestate.Parcel) error { return nil }

func (brokenCarrier) Get(http.ResponseWriter, *http.Request, string) (string, error) {
	return "", errors.New("the carrier is down")
}

func TestStateThatDoesNotArrive(t *testing.T) {
	a := newApp(t, pagestate.Options{Carrier: brokenCarrier{}})
	r := pagestatetest.NewRequest(t, a.mw, "POST", "/", nil, &counter{Count: 5})
	rec := httptest.NewRecorder()
	a.mw.Handler(pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		return pagestate.Redirect(w, r, "/", c)
	})).ServeHTTP(rec, r)
	wantOutcome(t, func(t testing.TB) { pagestatetest.State[counter](t, a.mw, r, rec.Result()) }, "what its redirect carries does not open", "the carrier is down")
}

func TestStateInHeaderOrPage(t *testing.T) {
	note := strings.Repeat("x", 4<<10)
	tests := []struct {
		path  string
		state counter
		count int
	}{
		{"/increment", counter{Count: 5}, 6},
		{"/increment-quietly", counter{Count: 5}, 6},
		{"/increment", counter{Count: 5, Note: note}, 6}, // too large for the header
		{"/show", counter{Count: 5}, 5},                  // unchanged, but in the page
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.path, " ", len(test.state.Note)), func(t *testing.T) {
			a := newApp(t, pagestate.Options{})
			r := pagestatetest.NewRequest(t, a.mw, "POST", test.path, nil, test.state)
			res := a.serve(r)
			before, _ := io.ReadAll(a.serve(r.Clone(t.Context())).Body)
			c := pagestatetest.State[counter](t, a.mw, r, res)
			testkit.Want(t, "count", c.Count, test.count)
			testkit.Want(t, "note", c.Note, test.state.Note)
			sealed := len(pagestatetest.AddState(t, a.mw, r.Clone(t.Context()), c))
			testkit.Want(t, "size", pagestatetest.Size[counter](t, a.mw, r, res), sealed)
			after, err := io.ReadAll(res.Body)
			testkit.Want(t, "error", err, nil)
			testkit.Want(t, "the body is there", len(after) > 0 && len(after) == len(before), true)
		})
	}
}

// TestStateOfAnotherComponent: that of the header is not the one asked for.
func TestStateOfAnotherComponent(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	for _, count := range []int{0, 1} {
		r := pagestatetest.NewRequest(t, a.mw, "POST", "/swap", nil, &counter{Count: count})
		testkit.Want(t, "row", pagestatetest.State[row](t, a.mw, r, a.serve(r)).Name, "new")
	}
}

func TestStateIsLoaded(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	r := withUser(httptest.NewRequestWithContext(ctx, "POST", "/greedy", nil), "ada")
	pagestatetest.AddState(t, a.mw, r, &greedy{Word: "tea"})
	res := a.serve(r)
	cancel() // the request is over
	testkit.Want(t, "loaded", pagestatetest.State[greedy](t, a.mw, r, res).Loaded, "tea! for ada")
}

func TestNoState(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	request := func(path string, state any) *http.Request {
		return pagestatetest.NewRequest(t, a.mw, "POST", path, nil, state)
	}
	get := func(path string) *http.Request { return httptest.NewRequest("GET", path, nil) }
	tests := []struct {
		name string
		r    *http.Request
		want []string
	}{
		{"unchanged", request("/look", &counter{Count: 5}), []string{`no pagestatetest_test.counter: none: it is 200 OK with the body "5"`, "see Unchanged"}},
		{"refused", request("/fail?with=ForbiddenState", &counter{}), []string{"403 ForbiddenState"}},
		{"no such path", request("/nowhere", &counter{}), []string{"404 Not Found"}},
		{"no token in the request", get("/show"), []string{"400 MissingState"}},
		{"another component in the page", get("/rows"), []string{"one of a pagestatetest_test.row, one of a pagestatetest_test.row"}},
		{"another component in the header", request("/rename?name=milk", &row{"tea"}), []string{"the token in its header is of another component"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			res := a.serve(test.r)
			wantOutcome(t, func(t testing.TB) { pagestatetest.State[counter](t, a.mw, test.r, res) }, test.want...)
			wantOutcome(t, func(t testing.TB) { pagestatetest.Size[counter](t, a.mw, test.r, res) }, test.want...)
		})
	}
}

func TestSeveralStates(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	r := httptest.NewRequest("GET", "/rows", nil)
	res := a.serve(r)
	wantOutcome(t, func(t testing.TB) { pagestatetest.State[row](t, a.mw, r, res) }, "its page holds 2 of them")
}

// TestStateOfAnotherVisitor: a token that does not open is not passed over.
func TestStateOfAnotherVisitor(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	stranger := httptest.NewRequest("GET", "/", nil)
	for _, path := range []string{"/increment-quietly", "/show"} {
		r := pagestatetest.NewRequest(t, a.mw, "POST", path, nil, &counter{})
		res := a.serve(r)
		wantOutcome(t, func(t testing.TB) { pagestatetest.State[counter](t, a.mw, stranger, res) },
			"does not open: pagestate: the state is not valid here")
	}
}

func TestUnchanged(t *testing.T) {
	note := strings.Repeat("x", 4<<10)
	tests := []struct {
		path  string
		state any
		want  string
	}{
		{"/look", &counter{Count: 5}, ""},
		{"/show", &counter{Count: 5}, ""},
		{"/show", &counter{Count: 5, Note: note}, ""},
		{"/swap", &counter{Count: 5}, ""}, // the page has another component
		{"/among", &row{"tea"}, ""},       // the page has others of it
		{"/increment", &counter{Count: 5}, `the state was {"Count":5,"Note":""}, and is {"Count":6,"Note":""} now`},
		{"/increment-quietly", &counter{Count: 5}, `"Count":6`},
		{"/increment", &counter{Count: 5, Note: note}, `"Count":6`}, // too large for the header
		{"/fail?with=ForbiddenState", &counter{}, "refused: 403 ForbiddenState"},
		{"/nowhere", &counter{}, ""},
		{"/greedy", &greedy{}, "refused: 410 StaleComponentState"},
		{"/greedy", &greedy{Word: "tea"}, `"Word":"tea!"`},
		{"/wave", &wave{1i}, `the state was &{Z:(0+1i)}, and is &{Z:(0+2i)} now`},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			a := newApp(t, pagestate.Options{})
			r := pagestatetest.NewRequest(t, a.mw, "POST", test.path, nil, test.state)
			res := a.serve(r)
			check := func(t testing.TB) { pagestatetest.Unchanged(t, a.mw, r, res) }
			if test.want == "" {
				check(t)
				return
			}
			wantOutcome(t, check, test.want)
		})
	}
}

// TestUnchangedAmongOthers: which of the rows the page has now is the one that
// acted cannot be told.
func TestUnchangedAmongOthers(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	r := pagestatetest.NewRequest(t, a.mw, "GET", "/rows", nil, &row{"bread"})
	res := a.serve(r)
	wantOutcome(t, func(t testing.TB) { pagestatetest.Unchanged(t, a.mw, r, res) }, "its page holds 2 of them")
}

// TestUnchangedInAForm: the request has its token in the body.
func TestUnchangedInAForm(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	server := httptest.NewServer(a.handler)
	defer server.Close()
	browser := pagestatetest.NewBrowser(t, server)
	for length := range 60 { // tokens end in no, one and two "="
		r := httptest.NewRequest("GET", server.URL, nil)
		token := pagestatetest.AddState(t, a.mw, r, &counter{Note: strings.Repeat("x", length)})
		browser.Header.Set("Cookie", r.Header.Get("Cookie"))
		same := post(t, browser, "/show", token)
		pagestatetest.Unchanged(t, a.mw, same.Request, same.Response)
		other := post(t, browser, "/increment", token)
		wantOutcome(t, func(t testing.TB) { pagestatetest.Unchanged(t, a.mw, other.Request, other.Response) }, `"Count":1`)
	}
}

// TestUnchangedInAMultipartForm: nothing is escaped there, and a percent sign is
// one.
func TestUnchangedInAMultipartForm(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	var body strings.Builder
	w := multipart.NewWriter(&body)
	w.WriteField("note", "100%")
	browser := pagestatetest.NewBrowser(t, a.start(t))
	w.WriteField("page_state", browser.Get("/").Tokens[0])
	w.Close()
	for path, want := range map[string]string{"/show": "", "/increment": `"Count":1`} {
		r, err := http.NewRequest("POST", path, strings.NewReader(body.String()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", w.FormDataContentType())
		page := browser.Page().Do(r)
		got := outcome(t, func(t testing.TB) { pagestatetest.Unchanged(t, a.mw, page.Request, page.Response) })
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: failed with %q, want %q in it", path, got, want)
		}
	}
}

func TestUnchangedWithoutAToken(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	r := httptest.NewRequest("GET", "/", nil)
	res := a.serve(r)
	wantOutcome(t, func(t testing.TB) { pagestatetest.Unchanged(t, a.mw, r, res) }, "has no token")
}

// TestUnchangedButSealedAgain: past half its idle life a token is replaced.
func TestUnchangedButSealedAgain(t *testing.T) {
	clock := new(pagestatetest.Clock)
	a := newApp(t, pagestate.Options{Clock: clock.Now})
	r := pagestatetest.NewRequest(t, a.mw, "POST", "/look", nil, &counter{Count: 5})
	clock.Advance(13 * time.Hour)
	res := a.serve(r)
	testkit.Want(t, "sealed again", res.Header.Get("Page-State") != "", true)
	pagestatetest.Unchanged(t, a.mw, r, res)
}

func TestRefused(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	for _, accept := range []string{"*/*", "text/html"} {
		for code, err := range failures {
			t.Run(accept+" "+code, func(t *testing.T) {
				r := httptest.NewRequest("POST", "/fail?with="+code, nil)
				r.Header.Set("Accept", accept)
				pagestatetest.AddState(t, a.mw, r, &counter{})
				res := a.serve(r)
				pagestatetest.Refused(t, res, fmt.Errorf("wrapped: %w", err))
				for other, err := range failures {
					if other != code {
						wantOutcome(t, func(t testing.TB) { pagestatetest.Refused(t, res, err) },
							fmt.Sprintf("the response is %d %s", res.StatusCode, code), other)
					}
				}
				body, _ := io.ReadAll(res.Body)
				testkit.Want(t, "the body is there", strings.Contains(string(body), code), true)
			})
		}
	}
}

func TestRefusedByAnotherHandler(t *testing.T) {
	respond := func(status int, body string) *http.Response {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}
	}
	pagestatetest.Refused(t, respond(410, "<h1>StaleComponentState</h1>"), pagestate.ErrStale)
	tests := []struct {
		res  *http.Response
		want string
	}{
		{respond(410, "gone"), `410 Gone with the body "gone"; want 410 StaleComponentState`},
		{respond(200, "StaleComponentState"), `200 OK with the body`},
		{respond(200, strings.Repeat("ä", 201)), strings.Repeat("ä", 200) + `…"`},
		{&http.Response{StatusCode: 200}, `200 OK with the body ""`},
	}
	for _, test := range tests {
		wantOutcome(t, func(t testing.TB) { pagestatetest.Refused(t, test.res, pagestate.ErrStale) }, test.want)
	}
	r := httptest.NewRequest("GET", "/", nil)
	page := newApp(t, pagestate.Options{}).serve(r)
	wantOutcome(t, func(t testing.TB) { pagestatetest.Refused(t, page, pagestate.ErrStale) }, "(token)")
}

// brokenBody ends in the middle.
type brokenBody struct{ io.Reader }

func (brokenBody) Close() error { return nil }

func TestResponseThatCannotBeRead(t *testing.T) {
	res := &http.Response{StatusCode: 410, Body: brokenBody{io.MultiReader(strings.NewReader("Stale"), failingReader{})}}
	wantOutcome(t, func(t testing.TB) { pagestatetest.Refused(t, res, pagestate.ErrStale) }, "unexpected EOF")
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestClock(t *testing.T) {
	clock := new(pagestatetest.Clock)
	a := newApp(t, pagestate.Options{Clock: clock.Now, MaxAge: time.Hour})
	r := pagestatetest.NewRequest(t, a.mw, "POST", "/increment", nil, &counter{})
	clock.Advance(time.Hour)
	testkit.Want(t, "at the limit", a.serve(r.Clone(t.Context())).StatusCode, 200)
	clock.Advance(time.Second)
	pagestatetest.Refused(t, a.serve(r), pagestate.ErrExpired)
	wantOutcome(t, func(t testing.TB) {
		pagestatetest.Unchanged(t, a.mw, r, &http.Response{Header: http.Header{"Page-State": r.Header["Page-State"]}})
	}, "does not open any more: pagestate: the state has expired")
	clock.Advance(-time.Second)
	testkit.Want(t, "back at the limit", a.serve(r).StatusCode, 200)
}

func TestClockStandsStill(t *testing.T) {
	clock := new(pagestatetest.Clock)
	start := clock.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				clock.Advance(time.Second)
				clock.Now()
			}
		})
	}
	all.Wait()
	testkit.Want(t, "passed", clock.Now().Sub(start), 800*time.Second)
}
