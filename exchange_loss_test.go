package pagestate_test

// What is lost, or was left behind, is said in the log or in the answer.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// A page that shows the answer to a form reads no response header.
func TestFormAnsweredWithoutItsField(t *testing.T) {
	form := func(token string) (io.Reader, string) {
		return strings.NewReader("page_state=" + token), "application/x-www-form-urlencoded"
	}
	for _, test := range []struct {
		name    string
		answer  func(w http.ResponseWriter, c *counter)
		header  map[string]string
		warning bool
	}{
		{"with the field", showCounter, nil, false},
		{"without", func(w http.ResponseWriter, c *counter) { fmt.Fprint(w, c.Count) }, nil, true},
		{"with an error", func(w http.ResponseWriter, c *counter) { http.Error(w, "bad", http.StatusUnprocessableEntity) }, nil, true},
		{"with a failure, which seals nothing", func(w http.ResponseWriter, c *counter) { http.Error(w, "bad", http.StatusInternalServerError) }, nil, false},
		{"unchanged", func(w http.ResponseWriter, c *counter) { c.Count--; fmt.Fprint(w, c.Count) }, nil, false},
		{"by htmx", func(w http.ResponseWriter, c *counter) { fmt.Fprint(w, c.Count) }, map[string]string{"HX-Request": "true"}, false},
		{"by fetch", func(w http.ResponseWriter, c *counter) { fmt.Fprint(w, c.Count) }, map[string]string{"Accept": "*/*"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newCounterApp(t, pagestate.Options{})
			a.mux.Handle("POST /answer", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
				c.Count++
				test.answer(w, c)
				return nil
			}))
			b := a.browser()
			body, contentType := form(b.Get("/").Field())
			r := b.Request("POST", "/answer", body)
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
			for name, value := range test.header {
				r.Header.Set(name, value)
			}
			b.Send(r)
			warned := strings.Contains(a.log.String(), "did not get the new token")
			testkit.Want(t, "warned", warned, test.warning)
			if !test.warning {
				testkit.Want(t, "log", a.log.String(), "")
			}
		})
	}
}

// The cause in the log says where the token may have been left, and nothing of
// what the visitor sent.
func TestMissingStateSaysWhy(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{
		MaxTokenBytes: 1 << 10,
		Sources:       []pagestate.Source{pagestate.HeaderSource("Page-State"), pagestate.FormSource("page_state"), pagestate.JSONSource("state")},
	})
	b := a.browser()
	token := b.Get("/").Field()
	behindFile := func() (io.Reader, string) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		file, err := form.CreateFormFile("file", "a.txt")
		if err != nil {
			t.Fatal(err)
		}
		file.Write([]byte("content"))
		form.WriteField("page_state", token)
		form.Close()
		return &body, form.FormDataContentType()
	}
	upload, multipartType := behindFile()
	for _, test := range []struct {
		name        string
		body        io.Reader
		contentType string
		encoding    string
		status      int
		cause       string
	}{
		{"no token", strings.NewReader("a=b"), "application/x-www-form-urlencoded", "", 400, "put {{.StateField}} into the form"},
		{"behind a file", upload, multipartType, "", 400, "before the first file"},
		{"compressed", strings.NewReader("\x1f\x8b"), "application/x-www-form-urlencoded", "gzip", 400, "Content-Encoding"},
		{"compressed JSON", strings.NewReader("\x1f\x8b"), "application/json", "gzip", 400, "Content-Encoding"},
		{"compressed in an unknown way", strings.NewReader("a=b"), "application/x-www-form-urlencoded", private, 400, "Content-Encoding"},
		{"malformed", strings.NewReader("--b\r\nno colon"), "multipart/form-data; boundary=b", "", 400, "looking for the field"},
		{"with a token in place of a header", strings.NewReader("--b\r\n" + token + private + "\r\n\r\n"), "multipart/form-data; boundary=b", "", 400, "malformed"},
		{"with a token behind the boundary", strings.NewReader("--b\r\nA: b\r\n\r\n\r\n--b" + token + private + "\r\n\r\n"), "multipart/form-data; boundary=b", "", 400, "malformed"},
		{"cut short", strings.NewReader("--b\r\nContent-Disposition: form-data; name=page_state\r\n\r\n" + token), "multipart/form-data; boundary=b", "", 400, "unexpected EOF"},
		{"with more parts than net/http takes", strings.NewReader(sourceParts(make([]string, 1001)...)), sourceMultipart, "", 413, "more than 1001 parts"},
		{"longer than is looked at", strings.NewReader("a=" + strings.Repeat("b", 2<<20)), "application/x-www-form-urlencoded", "", 413, "beyond the limit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a.log.Reset()
			r := b.Request("POST", "/increment", test.body)
			r.Header.Set("Content-Type", test.contentType)
			if test.encoding != "" {
				r.Header.Set("Content-Encoding", test.encoding)
			}
			testkit.Want(t, "status", b.Send(r).StatusCode, test.status)
			testkit.WantText(t, "log", a.log.String(), test.cause)
			wantNothingSecret(t, a.log.String(), nil)
			testkit.Want(t, "an error", strings.Contains(a.log.String(), "level=ERROR"), false)
		})
	}
}

func TestMissingStateInJSONSaysWhy(t *testing.T) {
	source := pagestate.JSONSource("state").Children([]string{"call", "children"}, "token", "children")
	a := newCounterApp(t, pagestate.Options{
		MaxTokenBytes: 1 << 10,
		Sources:       []pagestate.Source{pagestate.FormSource("page_state"), source, source.InForm("call")},
	})
	b := a.browser()
	token := b.Get("/").Field()
	json := func(children string) string { return `{"state":"` + token + `","call":{"children":` + children + `}}` }
	call := "call=" + json("null")
	long := "@f=" + strings.Repeat("b", 2<<20)
	for _, test := range []struct {
		name        string
		body        string
		contentType string
		encoding    string
		status      int
		cause       string
	}{
		{"the token", json("null"), sourceJSON, "", 200, ""},
		{"the token behind a file", sourceParts("@f=b", call), sourceMultipart, "", 200, ""},
		{"the token before a long file", sourceParts(call, long), sourceMultipart, "", 200, ""},
		{"behind a long file", sourceParts(long, call), sourceMultipart, "", 413, `in the field \"call\": the body goes on beyond the limit`},
		{"behind too many parts", sourceParts(append(make([]string, 1001), call)...), sourceMultipart, "", 413, "more than 1001 parts"},
		{"twice in a form", sourceParts(call, call), sourceMultipart, "", 400, "the form has the field twice"},
		{"in a compressed form", sourceParts(call), "multipart/form-data; boundary=c", "gzip", 400, "Content-Encoding"},
		{"in a malformed form", "--b\r\nno colon" + token, sourceMultipart, "", 400, `the JSON member \"state\" in the field \"call\": the form is malformed`},
		{"an object of children", json(`{"token":"` + token + `"}`), sourceJSON, "", 400, `the JSON member \"call.children\" is not an array`},
		{"a child that is a string", json(`["` + token + `"]`), sourceJSON, "", 400, `the JSON member \"call.children\" is not an array`},
		{"too many children", json("[" + strings.Repeat("{},", 1000) + "{}]"), sourceJSON, "", 413, "more than 1000 children"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a.log.Reset()
			r := b.Request("POST", "/increment", strings.NewReader(test.body))
			r.Header.Set("Content-Type", test.contentType)
			if test.encoding != "" {
				r.Header.Set("Content-Encoding", test.encoding)
			}
			testkit.Want(t, "status", b.Send(r).StatusCode, test.status)
			testkit.Want(t, "a line in the log", a.log.String() != "", test.cause != "")
			if test.cause != "" {
				testkit.WantText(t, "log", a.log.String(), test.cause)
			}
			wantNothingSecret(t, a.log.String(), nil)
			testkit.Want(t, "an error", strings.Contains(a.log.String(), "level=ERROR"), false)
		})
	}
}

// A method may be as long as the headers, and is a visitor's choice.
func TestLongMethodInTheLog(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	a.browser().Send(a.browser().Request(strings.Repeat("M", 2000), "/increment", nil))
	testkit.WantText(t, "log", a.log.String(), "method=MMMM")
	testkit.Want(t, "short", len(a.log.String()) < 500, true)
}

// A client that goes away in the middle of its upload is no failure of the server,
// whichever call meets it. Nor is what the handler makes of it.
func TestAbortedUpload(t *testing.T) {
	fileForm := "--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\nabc"
	for name, test := range map[string]struct {
		contentType, body string
		read              func(w http.ResponseWriter, r *http.Request) error
	}{
		"ReadAll":            {"text/plain", "abc", func(_ http.ResponseWriter, r *http.Request) error { _, err := io.ReadAll(r.Body); return err }},
		"ParseForm":          {"application/x-www-form-urlencoded", "a=b", func(_ http.ResponseWriter, r *http.Request) error { return r.ParseForm() }},
		"ParseMultipartForm": {"multipart/form-data; boundary=b", fileForm, func(_ http.ResponseWriter, r *http.Request) error { return r.ParseMultipartForm(1 << 20) }},
		"words of its own": {"text/plain", "abc", func(_ http.ResponseWriter, r *http.Request) error {
			if _, err := io.ReadAll(r.Body); err != nil {
				return errors.New("saving the file failed")
			}
			return nil
		}},
		"after the answer began": {"text/plain", "abc", func(w http.ResponseWriter, r *http.Request) error {
			fmt.Fprint(w, "thank you")
			_, err := io.ReadAll(r.Body)
			return err
		}},
		"WriteError": {"text/plain", "abc", func(w http.ResponseWriter, r *http.Request) error {
			_, err := io.ReadAll(r.Body)
			pagestate.WriteError(w, r, err)
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			began, gone := make(chan bool, 1), make(chan bool)
			a.mux.Handle("POST /upload", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, _ *writerState) error {
				began <- true
				<-gone
				return test.read(w, r)
			}))
			conn, err := net.Dial("tcp", strings.TrimPrefix(a.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 10000\r\nPage-State: %s\r\n\r\n%s",
				test.contentType, a.seal(&writerState{}), test.body)
			<-began
			conn.Close()
			close(gone)
			a.running.Wait()
			testkit.WantText(t, "log", a.log.String(), "level=WARN", "code=StateUnavailable", "the request has ended")
			testkit.Want(t, "an error", a.logged("level=ERROR"), 0)
		})
	}
}

// A body over the limit of http.MaxBytesHandler is the visitor's fault, wherever
// it is noticed.
func TestBodyOverTheLimit(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	a.mux.Handle("POST /reads", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, _ *counter) error {
		_, err := io.ReadAll(r.Body)
		return err
	}))
	server := httptest.NewServer(http.MaxBytesHandler(a.mw.Handler(a.mux), 1000))
	defer server.Close()
	b := testkit.NewBrowser(t, func() string { return server.URL })
	token := b.Get("/").Field()
	for path, header := range map[string]string{"/increment": "", "/reads": token} {
		a.log.Reset()
		r := b.Request("POST", path, strings.NewReader("a="+strings.Repeat("b", 2000)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if header != "" {
			r.Header.Set("Page-State", header)
		}
		got := b.Send(r)
		testkit.Want(t, path+", status", got.StatusCode, 413)
		testkit.WantText(t, path+", body", got.Body, "StateTooLarge")
		testkit.WantText(t, path+", log", a.log.String(), "level=INFO", "request body too large")
	}
}

// The error page never leads to what was just posted to, which may be for POST
// alone.
func TestErrorPageDoesNotLinkToAForm(t *testing.T) {
	for _, test := range []struct {
		method, target, referer, prefix string
		link                            string
	}{
		{"POST", "/increment", "/page?q=1", "", "/page?q=1"},
		{"POST", "/increment", "/increment", "", ""},
		{"POST", "/increment?a=b", "/increment?c=d", "", ""},
		{"POST", "/app/increment", "/app/increment", "/app", ""},
		{"GET", "/page", "/page", "", "/page"},
	} {
		r := httptest.NewRequest(test.method, test.target, nil)
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Referer", "http://"+r.Host+test.referer)
		rec := httptest.NewRecorder()
		http.StripPrefix(test.prefix, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pagestate.WriteError(w, r, pagestate.ErrExpired)
		})).ServeHTTP(rec, r)
		want := "Go back and reload the page."
		if test.link != "" {
			want = `<a href="` + test.link + `">`
		}
		testkit.WantText(t, test.method+" "+test.target+" from "+test.referer, rec.Body.String(), want)
		testkit.Want(t, "links", strings.Count(rec.Body.String(), "<a "), strings.Count(want, "<a "))
	}
}

// A connection that a handler takes over gets none of the headers.
func TestAttachThenHijack(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	a.mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		if err := pagestate.Attach(r.Context(), &counter{}); err != nil {
			t.Error(err)
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		conn.Close()
	})
	b := a.browser()
	testkit.Want(t, "cookies", len(b.Get("/hijack").Cookies()), 0)
	testkit.Want(t, "warnings", strings.Count(a.log.String(), "attached before Hijack"), 1)
	a.log.Reset()
	b.Get("/") // which starts a session
	b.Get("/hijack")
	testkit.Want(t, "log of one that has a session", a.log.String(), "")
}

// Nothing that is attached after the response can be in the page.
func TestAttachAfterTheHandler(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	requests := make(chan *http.Request, 1)
	a.mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		if err := pagestate.Attach(r.Context(), &counter{}); err != nil {
			t.Error(err)
		}
		requests <- r
	})
	a.browser().Get("/page")
	err := pagestate.Attach((<-requests).Context(), &counter{})
	testkit.Want(t, "refused", err != nil && strings.Contains(err.Error(), "the handler has returned"), true)
}
