package pagestate_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
)

const (
	staleChrome  = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
	staleFirefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	staleVary    = "Cookie, Page-State, HX-Request, Accept"
	staleSecret  = "cause-nobody-may-see"
)

var staleTable = []struct {
	err    error
	status int
	code   string
}{
	{&http.MaxBytesError{Limit: 1}, 413, "StateTooLarge"},
	{multipart.ErrMessageTooLarge, 413, "StateTooLarge"},
	{pagestate.ErrStale, 410, "StaleComponentState"},
	{pagestate.ErrExpired, 409, "ExpiredState"},
	{pagestate.ErrOutdated, 409, "OutdatedState"},
	{pagestate.ErrConflict, 409, "StateConflict"},
	{pagestate.ErrInvalid, 400, "InvalidState"},
	{pagestate.ErrMissing, 400, "MissingState"},
	{pagestate.ErrCrossOrigin, 403, "CrossOriginState"},
	{pagestate.ErrForbidden, 403, "ForbiddenState"},
	{pagestate.ErrTooLarge, 413, "StateTooLarge"},
	{pagestate.ErrUnavailable, 503, "StateUnavailable"},
	{context.DeadlineExceeded, 503, "StateUnavailable"},
	{context.Canceled, 503, "StateUnavailable"},
	{pagestate.ErrNoMiddleware, 500, "StateError"},
	{sql.ErrNoRows, 500, "StateError"},
	{errors.New("anything else"), 500, "StateError"},
}

func TestStatus(t *testing.T) {
	check := func(err error, wantStatus int, wantCode string) {
		t.Helper()
		if status, code := pagestate.Status(err); status != wantStatus || code != wantCode {
			t.Errorf("Status(%v) = %d, %q, want %d, %q", err, status, code, wantStatus, wantCode)
		}
	}
	check(nil, 200, "")
	for _, tt := range staleTable {
		check(tt.err, tt.status, tt.code)
		check(fmt.Errorf("wrapped: %w", tt.err), tt.status, tt.code)
		check(errors.Join(errors.New("other"), tt.err), tt.status, tt.code)
	}
}

// TestStatusPrecedence joins every pair of errors, in both orders: the one further up in the table wins.
func TestStatusPrecedence(t *testing.T) {
	for i, first := range staleTable {
		for _, second := range staleTable[i:] {
			for _, err := range []error{errors.Join(first.err, second.err), errors.Join(second.err, first.err)} {
				if status, code := pagestate.Status(err); status != first.status || code != first.code {
					t.Errorf("Status(%q) = %d, %q, want %d, %q", err, status, code, first.status, first.code)
				}
			}
		}
	}
}

func TestErrorTexts(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range []error{
		pagestate.ErrNoMiddleware, pagestate.ErrMissing, pagestate.ErrInvalid, pagestate.ErrCrossOrigin,
		pagestate.ErrExpired, pagestate.ErrOutdated, pagestate.ErrStale, pagestate.ErrForbidden,
		pagestate.ErrConflict, pagestate.ErrTooLarge, pagestate.ErrUnavailable,
	} {
		text := err.Error()
		if !strings.HasPrefix(text, "pagestate: ") || seen[text] {
			t.Errorf("%q lacks the prefix or is there twice", text)
		}
		seen[text] = true
	}
}

func TestStaleError(t *testing.T) {
	cause := fmt.Errorf("todo: %w", sql.ErrNoRows)
	tests := []struct {
		name  string
		stale *pagestate.StaleError
		want  string
	}{
		{"with a cause", &pagestate.StaleError{Component: "TodoList", Reference: "todo " + staleSecret, Err: cause},
			`pagestate: component "TodoList" is stale: todo: sql: no rows in result set`},
		{"without one", &pagestate.StaleError{Component: "TodoList", Reference: "todo " + staleSecret},
			`pagestate: component "TodoList" is stale`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := fmt.Errorf("wrapped: %w", tt.stale)
			if got := tt.stale.Error(); got != tt.want {
				t.Errorf("Error() = %q, want %q", got, tt.want)
			}
			if !errors.Is(err, pagestate.ErrStale) {
				t.Error("it is no ErrStale")
			}
			if got, want := errors.Is(err, sql.ErrNoRows), tt.stale.Err != nil; got != want {
				t.Errorf("errors.Is its cause: %v, want %v", got, want)
			}
			if slices.Contains(tt.stale.Unwrap(), nil) {
				t.Error("Unwrap returns a nil error")
			}
			var found *pagestate.StaleError
			if !errors.As(err, &found) || found != tt.stale {
				t.Error("errors.As does not find it")
			}
			if status, _ := pagestate.Status(err); status != 410 {
				t.Errorf("status %d, want 410", status)
			}
		})
	}
}

// TestStaleErrorBeforeItsCause: why something is gone does not change that it is.
func TestStaleErrorBeforeItsCause(t *testing.T) {
	err := &pagestate.StaleError{Component: "TodoList", Err: context.DeadlineExceeded}
	if status, _ := pagestate.Status(err); status != 410 {
		t.Errorf("status %d, want 410", status)
	}
}

// staleAnswer is one response as a client sees it.
type staleAnswer struct {
	status int
	header http.Header
	body   string
}

// staleAsk answers a request with err over real HTTP. The handler sets the headers of before first.
func staleAsk(t *testing.T, err error, method string, send, before http.Header) staleAnswer {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), before)
		pagestate.WriteError(w, r, err)
	}))
	defer server.Close()
	req, reqErr := http.NewRequest(method, server.URL+"/action", nil)
	if reqErr != nil {
		t.Fatal(reqErr)
	}
	for key, values := range send {
		for _, value := range values {
			req.Header.Add(key, strings.ReplaceAll(value, "HOST", req.URL.Host))
		}
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, resErr := client.Do(req)
	if resErr != nil {
		t.Fatal(resErr)
	}
	defer res.Body.Close()
	body, readErr := io.ReadAll(res.Body)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return staleAnswer{res.StatusCode, res.Header, string(body)}
}

// staleMessage decodes a JSON answer, refuses anything in it that does not belong there, and returns
// the message.
func staleMessage(t *testing.T, got staleAnswer, wantCode string) string {
	t.Helper()
	var body struct {
		Success *bool
		Error   *struct{ Code, Message string }
	}
	d := json.NewDecoder(strings.NewReader(got.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		t.Fatalf("body %q: %v", got.body, err)
	}
	if body.Success == nil || *body.Success || body.Error == nil || body.Error.Code != wantCode || body.Error.Message == "" {
		t.Fatalf("body %q, want code %q", got.body, wantCode)
	}
	if want := fmt.Sprintf(`{"success":false,"error":{"code":%q,"message":%q}}`, wantCode, body.Error.Message); got.body != want {
		t.Errorf("body %q, want %q", got.body, want)
	}
	return body.Error.Message
}

// staleIsHTML says which form an answer has, and fails if it is neither.
func staleIsHTML(t *testing.T, h http.Header) bool {
	t.Helper()
	switch got := h.Get("Content-Type"); got {
	case "text/html; charset=utf-8":
		return true
	case "application/json":
		return false
	default:
		t.Fatalf("Content-Type %q", got)
		return false
	}
}

func TestWriteError(t *testing.T) {
	forms := []struct {
		name   string
		accept string
		html   bool
	}{
		{"JSON", "application/json", false},
		{"HTML", staleChrome, true},
	}
	for _, tt := range staleTable {
		err := &staleHiddenError{tt.err}
		for _, form := range forms {
			t.Run(tt.code+" "+form.name, func(t *testing.T) {
				got := staleAsk(t, err, "POST", http.Header{"Accept": {form.accept}}, nil)
				if got.status != tt.status {
					t.Errorf("status %d, want %d", got.status, tt.status)
				}
				if is := staleIsHTML(t, got.header); is != form.html {
					t.Fatalf("HTML: %v", is)
				}
				for key, want := range map[string]string{
					"Cache-Control":          "no-store",
					"X-Content-Type-Options": "nosniff",
					"Vary":                   staleVary,
					"HX-Reswap":              "",
					"HX-Retarget":            "",
				} {
					if value := strings.Join(got.header.Values(key), " | "); value != want {
						t.Errorf("%s: %q, want %q", key, value, want)
					}
				}
				if strings.Contains(got.body, staleSecret) {
					t.Errorf("the body tells the cause: %s", got.body)
				}
				if form.html {
					staleCheckPage(t, got.body, tt.status, tt.code)
					return
				}
				if message := staleMessage(t, got, tt.code); strings.Contains(message, "pagestate") {
					t.Errorf("message %q is not for people", message)
				}
			})
		}
	}
}

// staleHiddenError is an error whose text must not reach a client.
type staleHiddenError struct{ err error }

func (e *staleHiddenError) Error() string { return staleSecret + ": " + e.err.Error() }
func (e *staleHiddenError) Unwrap() error { return e.err }

func staleCheckPage(t *testing.T, body string, status int, code string) {
	t.Helper()
	rec := httptest.NewRecorder()
	pagestate.WriteError(rec, httptest.NewRequest("POST", "/", nil), staleErrorOf(code))
	message := staleMessage(t, staleAnswer{body: rec.Body.String()}, code)
	for _, want := range []string{
		"<!DOCTYPE html>", `<html lang="en">`, "<title>", `name="viewport"`,
		`name="color-scheme" content="light dark"`, "<h1>",
		html.EscapeString(message), fmt.Sprintf("Error %d: <code>%s</code>", status, code),
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "<script") {
		t.Error("the page has a script")
	}
}

func staleErrorOf(code string) error {
	for _, tt := range staleTable {
		if tt.code == code {
			return tt.err
		}
	}
	return nil
}

// TestInvalidLooksTheSame: what a forger sees must not depend on how far the forgery got.
func TestInvalidLooksTheSame(t *testing.T) {
	for _, accept := range []string{"", staleChrome} {
		send := http.Header{"Accept": {accept}}
		want := staleAsk(t, pagestate.ErrInvalid, "POST", send, nil)
		want.header.Del("Date")
		for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("MAC"), pagestate.ErrMissing, pagestate.ErrUnavailable} {
			got := staleAsk(t, fmt.Errorf("%w: %w", pagestate.ErrInvalid, cause), "POST", send, nil)
			got.header.Del("Date")
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v:\n%v\nwant\n%v", cause, got, want)
			}
		}
	}
}

func TestWriteErrorNil(t *testing.T) {
	before := http.Header{"Etag": {`"1"`}}
	got := staleAsk(t, nil, "GET", nil, before)
	if got.status != 200 || got.body != "" || got.header.Get("ETag") == "" {
		t.Errorf("got %v, want an untouched response", got)
	}
}

func TestWriteErrorHEAD(t *testing.T) {
	got := staleAsk(t, pagestate.ErrExpired, "HEAD", nil, nil)
	if got.status != 409 || got.body != "" || staleIsHTML(t, got.header) || got.header.Get("Vary") != staleVary {
		t.Errorf("got %v", got)
	}
}

// More of what a header may say is tested in internal/accept.
func TestWriteErrorAccept(t *testing.T) {
	tests := []struct {
		name   string
		accept []string
		html   bool
	}{
		{"no header", nil, false},
		{"Chrome", []string{staleChrome}, true},
		{"Firefox", []string{staleFirefox}, true},
		{"curl and fetch", []string{"*/*"}, false},
		{"axios", []string{"application/json, text/plain, */*"}, false},
		{"jQuery", []string{"application/json, text/javascript, */*; q=0.01"}, false},
		{"a tie", []string{"text/html, application/json"}, false},
		{"HTML preferred", []string{"application/json;q=0.5, text/html;q=0.501"}, true},
		{"JSON preferred", []string{"text/html;q=0.5, application/json;q=0.501"}, false},
		{"several headers", []string{"application/json;q=0.5", "text/html"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/action", nil)
			r.Header["Accept"] = tt.accept
			rec := httptest.NewRecorder()
			pagestate.WriteError(rec, r, pagestate.ErrExpired)
			if got := staleIsHTML(t, rec.Header()); got != tt.html {
				t.Errorf("Accept %.200q: HTML %v, want %v", tt.accept, got, tt.html)
			}
		})
	}
}

// TestWriteErrorToScripts: a script gets JSON even if its Accept header is a browser's.
func TestWriteErrorToScripts(t *testing.T) {
	tests := []struct {
		name string
		send http.Header
		html bool
	}{
		{"form", http.Header{}, true},
		{"form with a cookie", http.Header{"Cookie": {"a=b"}}, true},
		{"token", http.Header{"Page-State": {"gAAA"}}, false},
		{"empty token", http.Header{"Page-State": {""}}, false},
		{"htmx", http.Header{"Hx-Request": {"true"}}, false},
		{"not quite htmx", http.Header{"Hx-Request": {"1"}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.send.Set("Accept", staleChrome)
			got := staleAsk(t, pagestate.ErrExpired, "POST", tt.send, nil)
			if is := staleIsHTML(t, got.header); is != tt.html {
				t.Errorf("HTML: %v, want %v", is, tt.html)
			}
		})
	}
}

func TestWriteErrorHTMX(t *testing.T) {
	values := []struct {
		name string
		send http.Header
		htmx bool
	}{
		{"true", http.Header{"Hx-Request": {"true"}}, true},
		{"absent", nil, false},
		{"false", http.Header{"Hx-Request": {"false"}}, false},
	}
	for _, tt := range staleTable {
		for _, value := range values {
			t.Run(fmt.Sprint(tt.status, tt.err, value.name), func(t *testing.T) {
				var swap, target string
				switch {
				case value.htmx && tt.status == 410:
					swap, target = "delete", "closest [data-page-state]"
				case value.htmx:
					swap = "none"
				}
				got := staleAsk(t, tt.err, "POST", value.send, nil)
				if got.header.Get("HX-Reswap") != swap || got.header.Get("HX-Retarget") != target {
					t.Errorf("headers %v, want %q and %q", got.header, swap, target)
				}
				staleMessage(t, got, tt.code)
			})
		}
	}
}

func TestWriteErrorReload(t *testing.T) {
	tests := []struct {
		name    string
		referer string // HOST is the server's
		want    string // the link, escaped; none if empty
	}{
		{"same origin", "http://HOST/todo/1?a=1&b=%22x%22", `/todo/1?a=1&amp;b=%22x%22`},
		{"https seen by a proxy", "https://HOST/todo", "/todo"},
		{"no path", "http://HOST", "/"},
		{"only a query", "http://HOST?a=1", "/?a=1"},
		{"escaped path", "http://HOST/a%2Fb%20c", "/a%2Fb%20c"},
		{"fragment and user", "http://me:pw@HOST/todo#here", "/todo"},
		{"markup", `http://HOST/"><script>alert(1)</script>?"><script>`, "/%22%3E%3Cscript%3Ealert%281%29%3C/script%3E?%22%3e%3cscript%3e"},
		{"none", "", ""},
		{"other host", "http://evil.example/todo", ""},
		{"other port", "http://HOST0/todo", ""},
		{"subdomain", "http://a.HOST/todo", ""},
		{"two slashes", "http://HOST//evil.example/", ""},
		{"escaped slash", "http://HOST/%2Fevil.example/", ""},
		{"backslash", `http://HOST/\evil.example/`, "/%5Cevil.example/"},
		{"javascript", "javascript:alert(1)", ""},
		{"javascript with our host", "javascript://HOST/%0Aalert(1)", ""},
		{"no scheme", "//HOST/todo", ""},
		{"path only", "/todo", ""},
		{"opaque", "http:todo", ""},
		{"unparsable", "http://HOST/%zz", ""},
		{"rubbish", "%%%", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			send := http.Header{"Accept": {staleChrome}, "Referer": {tt.referer}}
			body := staleAsk(t, pagestate.ErrExpired, "POST", send, nil).body
			link, hint := `<a href="`+tt.want+`">Reload the page</a>`, "Go back and reload the page."
			if has := strings.Contains(body, link); has != (tt.want != "") {
				t.Errorf("link %s there: %v\n%s", link, has, body)
			}
			if has := strings.Contains(body, "<a"); has != (tt.want != "") {
				t.Errorf("any link there: %v\n%s", has, body)
			}
			if has := strings.Contains(body, hint); has != (tt.want == "") {
				t.Errorf("hint there: %v\n%s", has, body)
			}
			if strings.Contains(body, "<script") {
				t.Errorf("the page has a script:\n%s", body)
			}
		})
	}
}

// TestWriteErrorNoHost: without a host on either side, nothing is known to be the same.
func TestWriteErrorNoHost(t *testing.T) {
	r := httptest.NewRequest("POST", "/action", nil)
	r.Host = ""
	r.Header.Set("Accept", staleChrome)
	r.Header.Set("Referer", "http:///todo")
	rec := httptest.NewRecorder()
	pagestate.WriteError(rec, r, pagestate.ErrExpired)
	if strings.Contains(rec.Body.String(), "<a") {
		t.Errorf("the page has a link:\n%s", rec.Body)
	}
}

// TestWriteErrorNoReload: nobody is sent back to try again what will be refused again.
func TestWriteErrorNoReload(t *testing.T) {
	useless := []string{"CrossOriginState", "ForbiddenState", "StateTooLarge"}
	for _, tt := range staleTable {
		for _, referer := range []string{"", "http://HOST/todo"} {
			send := http.Header{"Accept": {staleChrome}, "Referer": {referer}}
			body := staleAsk(t, tt.err, "POST", send, nil).body
			offered := strings.Contains(body, "Reload the page</a>") || strings.Contains(body, "Go back and reload")
			if want := !slices.Contains(useless, tt.code); offered != want {
				t.Errorf("%v, Referer %q: reload offered: %v, want %v", tt.err, referer, offered, want)
			}
		}
	}
}

// TestWriteErrorTyped: reloading a page ends what was typed on it.
func TestWriteErrorTyped(t *testing.T) {
	send := http.Header{"Accept": {staleChrome}}
	for method, want := range map[string]bool{"POST": true, "GET": false} {
		body := staleAsk(t, pagestate.ErrInvalid, method, send, nil).body
		if has := strings.Contains(body, "go back and copy it first"); has != want {
			t.Errorf("%s: hint there: %v\n%s", method, has, body)
		}
	}
}

func TestWriteErrorLeftovers(t *testing.T) {
	removed := []string{
		"Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Language",
		"Content-Location", "Content-Md5", "Content-Range", "Digest", "Etag", "Expires", "Last-Modified",
		"Location", "Refresh", "Repr-Digest", "Surrogate-Control", "X-Accel-Expires", "X-Accel-Redirect",
		"X-Sendfile", "Cdn-Cache-Control", "Cloudflare-Cdn-Cache-Control",
		"Hx-Location", "Hx-Push-Url", "Hx-Redirect", "Hx-Refresh", "Hx-Replace-Url", "Hx-Reselect",
		"Hx-Trigger", "Hx-Trigger-After-Settle", "Hx-Trigger-After-Swap", "HX-Trigger",
	}
	kept := []string{
		"Page-State", "Set-Cookie", "Retry-After", "Www-Authenticate", "Content-Security-Policy",
		"Content-Security-Policy-Report-Only", "Strict-Transport-Security", "X-Request-Id",
	}
	before := http.Header{
		"Content-Length":         {"3"},
		"Content-Type":           {"image/png"},
		"Cache-Control":          {"public, max-age=3600"},
		"X-Content-Type-Options": {"sniff"},
		"Hx-Reswap":              {"outerHTML"},
		"Hx-Retarget":            {"#other"},
	}
	for _, key := range slices.Concat(removed, kept) {
		before[key] = []string{"1"}
	}
	for _, htmx := range []bool{false, true} {
		send, swap, target := http.Header{}, "", ""
		if htmx {
			send.Set("HX-Request", "true")
			swap, target = "delete", "closest [data-page-state]"
		}
		got := staleAsk(t, pagestate.ErrStale, "POST", send, before)
		staleMessage(t, got, "StaleComponentState")
		for _, key := range removed {
			if got.header.Get(key) != "" {
				t.Errorf("%s is still there", key)
			}
		}
		for _, key := range kept {
			if got.header.Get(key) != "1" {
				t.Errorf("%s: %q, want it kept", key, got.header.Get(key))
			}
		}
		for key, want := range map[string]string{
			"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"HX-Reswap": swap, "HX-Retarget": target,
		} {
			if value := strings.Join(got.header.Values(key), " | "); value != want {
				t.Errorf("%s: %q, want %q", key, value, want)
			}
		}
	}
}

// TestWriteErrorFraming looks at the headers themselves: net/http acts on these and sends none as it is.
func TestWriteErrorFraming(t *testing.T) {
	h := http.Header{}
	framing := []string{"Content-Length", "Trailer", "Transfer-Encoding", http.TrailerPrefix + "Digest"}
	for _, key := range framing {
		h[key] = []string{"1"}
	}
	pagestate.WriteError(staleHeaderOnly{h}, httptest.NewRequest("POST", "/", nil), pagestate.ErrExpired)
	for _, key := range framing {
		if _, there := h[key]; there {
			t.Errorf("%s is still there", key)
		}
	}
}

// staleHeaderOnly is a ResponseWriter that throws away all but the header, and leaves that alone.
type staleHeaderOnly struct{ header http.Header }

func (w staleHeaderOnly) Header() http.Header         { return w.header }
func (w staleHeaderOnly) Write(p []byte) (int, error) { return len(p), nil }
func (w staleHeaderOnly) WriteHeader(int)             {}

func TestWriteErrorVary(t *testing.T) {
	tests := []struct {
		name   string
		before []string
		want   string
	}{
		{"none", nil, staleVary},
		{"empty", []string{""}, staleVary},
		{"another", []string{"Accept-Encoding"}, "Accept-Encoding, " + staleVary},
		{"some of ours, in any case", []string{"cookie,hx-request"}, "cookie, hx-request, Page-State, Accept"},
		{"all of ours", []string{staleVary}, staleVary},
		{"several headers", []string{"Accept-Encoding, ACCEPT", " Origin "}, "Accept-Encoding, ACCEPT, Origin, Cookie, Page-State, HX-Request"},
		{"star", []string{"*"}, "*"},
		{"star among others", []string{"Origin", "Cookie, *"}, "Origin | Cookie, *"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := staleAsk(t, pagestate.ErrExpired, "GET", nil, http.Header{"Vary": tt.before})
			if value := strings.Join(got.header.Values("Vary"), " | "); value != tt.want {
				t.Errorf("Vary %q, want %q", value, tt.want)
			}
		})
	}
}
