package pagestatetest

// This file looks at a response: which state it has, and whether it is a
// refusal. Nothing here knows where the response came from.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/lookonly"
)

// State returns the T whose token the response to r has: in the header
// Page-State, and otherwise in the page, wherever in its body it stands. Of a
// response of [pagestate.Redirect] it is the T that is carried, as the page finds
// it. The test ends if there is none, or more than one in the page.
//
// The token is opened for the owner of r, with the cookies that the response
// sets, and loaded, with the context of r. What Options.User, Load or the
// function of [pagestate.SessionFunc] look at must be on r, as with [AddState],
// also if your own middleware put it into the context of the handler's request.
//
// A state that did not change is not sent again, unless the page shows its
// token: see [Unchanged]. The response's body can be read afterwards, but not
// before.
func State[T any](t testing.TB, m *pagestate.Middleware, r *http.Request, res *http.Response) *T {
	t.Helper()
	a := read(t, m, r, res)
	carried, failure := arrive[T](a)
	if carried != nil {
		return carried
	}
	state, _, err := a.state(reflect.TypeFor[*T]())
	if err != nil && failure != nil {
		t.Fatalf("pagestatetest: the response has no %v, and what its redirect carries does not open: %v", reflect.TypeFor[T](), failure)
	}
	if err != nil {
		t.Fatalf("pagestatetest: the response has no %v: %v", reflect.TypeFor[T](), err)
	}
	return state.(*T)
}

// Size returns the length, in bytes, of the token that [State] opens: a test holds it
// against what the component may take, or against Options.MaxHeaderBytes. Of what a
// redirect carries it knows nothing, and the test ends.
func Size[T any](t testing.TB, m *pagestate.Middleware, r *http.Request, res *http.Response) int {
	t.Helper()
	_, token, err := read(t, m, r, res).state(reflect.TypeFor[*T]())
	if err != nil {
		t.Fatalf("pagestatetest: the response has no %v: %v", reflect.TypeFor[T](), err)
	}
	return len(token)
}

// Unchanged fails the test if the response to r has another state of the
// component that acts than r had, or is one of this package's refusals, for
// which there is [Refused]. A state that was sealed again, but is the same, is
// unchanged.
//
// It knows what r had by its header Page-State, or by the body of a request
// made with http.NewRequest; if that is nothing, the test ends. It reads
// response and owner as [State] does. Of what a redirect carries it knows nothing,
// and the test ends.
func Unchanged(t testing.TB, m *pagestate.Middleware, r *http.Request, res *http.Response) {
	t.Helper()
	a := read(t, m, r, res)
	if a.code != "" {
		t.Errorf("pagestatetest: the request was refused: %s", a)
		return
	}
	sent := sentTokens(r)
	if len(sent) == 0 {
		t.Fatal("pagestatetest: the request has no token, so there is nothing that could be unchanged")
	}
	if a.carriesTo() != "" {
		t.Fatal("pagestatetest: the response carries states over a redirect, and not in a token; compare what State returns")
	}
	header := res.Header.Get(stateHeader)
	if header == "" && (len(a.tokens) == 0 || slices.Contains(a.tokens, sent[0])) {
		return
	}
	before, err := a.open(sent[0])
	if err != nil {
		t.Fatalf("pagestatetest: the token of the request does not open any more: %v", err)
	}
	after, _, err := a.state(reflect.TypeOf(before))
	if errors.Is(err, errNone) {
		return
	}
	if err != nil {
		t.Fatalf("pagestatetest: the %T of the response: %v", before, err)
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("pagestatetest: the state was %s, and is %s now", show(before), show(after))
	}
}

// Refused fails the test unless the response says what want means to a client:
// the status of [pagestate.Status], and its code in the body, as
// [pagestate.WriteError] puts it there. It is for all the errors of pagestate,
// such as [pagestate.ErrStale] and [pagestate.ErrExpired]; any other means
// StateError. An Options.ErrorHandler of your own has to name the code as well.
//
// The response's body can be read afterwards, but not before.
func Refused(t testing.TB, res *http.Response, want error) {
	t.Helper()
	status, code := pagestate.Status(want)
	body := bodyOf(t, res)
	if res.StatusCode != status || !strings.Contains(body, code) {
		t.Errorf("pagestatetest: the response is %s; want %d %s", describe(res, body), status, code)
	}
}

// answer is a response, with what it takes to open the tokens in it.
type answer struct {
	m      *pagestate.Middleware
	r      *http.Request // with the cookies of the response
	res    *http.Response
	body   string
	tokens []string // of the body
	code   string   // of a refusal, or ""
}

func read(t testing.TB, m *pagestate.Middleware, r *http.Request, res *http.Response) *answer {
	t.Helper()
	a := &answer{m: m, r: detached(r), res: res, body: bodyOf(t, res)}
	setCookies(a.r, res.Cookies())
	a.tokens = tokensIn(a.body)
	a.code = refusal(res, a.body)
	return a
}

func (a *answer) String() string { return describe(a.res, a.body) }

func (a *answer) open(token string) (any, error) {
	owner, err := a.m.Owner(detached(a.r))
	if err != nil {
		return nil, err
	}
	return a.m.Open(lookonly.Context(a.r.Context()), owner, token) // the page goes on with it
}

var errNone = errors.New("none")

// state returns the state of that type that the response has, and its token. errNone
// is in the error if there is nothing that could be one.
func (a *answer) state(typ reflect.Type) (state any, token string, err error) {
	header := a.res.Header.Get(stateHeader)
	if header != "" {
		state, err := a.open(header)
		if err != nil {
			return nil, "", fmt.Errorf("the token in its header does not open: %w", err)
		}
		if reflect.TypeOf(state) == typ {
			return state, header, nil
		}
	}
	var found []any
	var tokens []string
	var others []string
	for _, token := range a.tokens {
		state, err := a.open(token)
		switch {
		case err != nil:
			others = append(others, "one that does not open: "+err.Error())
		case reflect.TypeOf(state) == typ:
			found, tokens = append(found, state), append(tokens, token)
		default:
			others = append(others, fmt.Sprintf("one of a %v", reflect.TypeOf(state).Elem()))
		}
	}
	switch {
	case len(found) == 1:
		return found[0], tokens[0], nil
	case len(found) > 1:
		return nil, "", fmt.Errorf("its page holds %d of them; open the one you mean with Middleware.Open", len(found))
	case len(others) > 0:
		return nil, "", fmt.Errorf("%w of the tokens in it is: %s", errNone, strings.Join(others, ", "))
	case header != "":
		return nil, "", fmt.Errorf("%w: the token in its header is of another component", errNone)
	}
	return nil, "", fmt.Errorf("%w: it is %s, without a token in its header or body%s", errNone, a, a.hint())
}

// carriesTo returns the path and query that the response carries states to, "" if it
// is no such redirect.
func (a *answer) carriesTo() string {
	to, err := url.Parse(a.res.Header.Get("Location"))
	if err != nil || !to.Query().Has("page_state") {
		return ""
	}
	return to.RequestURI()
}

// arrive returns the T that a redirect carries, nil if it carries none.
func arrive[T any](a *answer) (found *T, err error) {
	to := a.carriesTo()
	if to == "" {
		return nil, nil
	}
	page := httptest.NewRequest("GET", to, nil).WithContext(a.r.Context())
	page.Header = a.r.Header.Clone()
	page.Header.Del(stateHeader)
	page.TLS, page.Host = a.r.TLS, a.r.Host
	a.m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fresh := new(T)
		var state *T
		if state, err = pagestate.FromOrAttach(r.Context(), fresh); err == nil && state != fresh {
			found = state
		}
	})).ServeHTTP(httptest.NewRecorder(), page)
	return found, err
}

func (a *answer) hint() string {
	switch {
	case a.code == "MissingState" && a.r.Header.Get(stateHeader) != "":
		return ". The request has one in the header Page-State, where Options.Sources may not look"
	case a.code == "":
		return ". A state that did not change is not sent again; see Unchanged"
	}
	return ""
}

// sentTokens are those that r came with.
func sentTokens(r *http.Request) []string {
	text := strings.Join(r.Header.Values(stateHeader), ",")
	if r.GetBody != nil {
		if body, err := r.GetBody(); err == nil {
			raw, _ := io.ReadAll(body)
			form, err := url.QueryUnescape(string(raw))
			if err != nil {
				form = string(raw) // multipart, where nothing is escaped
			}
			text += "," + form
		}
	}
	return tokensIn(text)
}

// Every Fernet token of this age begins like this, whatever markup is around
// it.
var tokenPattern = regexp.MustCompile(`gAAAAA[A-Za-z0-9_-]+={0,2}`)

// tokensIn returns the tokens in a text in their order, each once.
func tokensIn(text string) []string {
	var found []string
	for _, token := range tokenPattern.FindAllString(text, -1) {
		if !slices.Contains(found, token) {
			found = append(found, token)
		}
	}
	return found
}

// bodyOf reads the body, and leaves one that can be read again.
func bodyOf(t testing.TB, res *http.Response) string {
	t.Helper()
	if res.Body == nil {
		return ""
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("pagestatetest: reading the response: %v", err)
	}
	res.Body.Close()
	res.Body = io.NopCloser(strings.NewReader(string(body)))
	return string(body)
}

// refusals are errors for each code that WriteError sends.
var refusals = []error{
	pagestate.ErrStale, pagestate.ErrExpired, pagestate.ErrOutdated, pagestate.ErrConflict, pagestate.ErrInvalid,
	pagestate.ErrMissing, pagestate.ErrCrossOrigin, pagestate.ErrForbidden, pagestate.ErrTooLarge,
	pagestate.ErrUnavailable, errors.New("any other"),
}

// refusal returns the code of the refusal that a response is, or "".
func refusal(res *http.Response, body string) string {
	for _, err := range refusals {
		if status, code := pagestate.Status(err); res.StatusCode == status && strings.Contains(body, code) {
			return code
		}
	}
	return ""
}

// describe says what a response is: a refusal by its code, and anything else by
// the beginning of its body. Tokens are left out, as people put the output of
// tests anywhere.
func describe(res *http.Response, body string) string {
	if code := refusal(res, body); code != "" {
		return fmt.Sprintf("%d %s", res.StatusCode, code)
	}
	const most = 200
	text := []rune(tokenPattern.ReplaceAllString(body, "(token)"))
	if len(text) > most {
		text = append(text[:most], '…')
	}
	return fmt.Sprintf("%d %s with the body %q", res.StatusCode, http.StatusText(res.StatusCode), string(text))
}

// show writes a state as JSON, which follows its pointers.
func show(state any) string {
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Sprintf("%+v", state)
	}
	return string(text)
}
