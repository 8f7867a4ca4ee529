package pagestate_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/pagestate/pagestate"
)

const sessionName = "page"

var (
	sessionKey      = []byte("a key of thirty-two bytes, no less")
	sessionOtherKey = []byte("another key of just as many bytes")
	sessionID       = regexp.MustCompile(`^[A-Z2-7]{26}$`)
)

// What each binding of a browser session does, whatever it is built on.
func TestSessionBindings(t *testing.T) {
	library := newSessionLibrary()
	for name, c := range map[string]struct {
		binding pagestate.Binding
		before  func(http.ResponseWriter, *http.Request) *http.Request // what the application does first
	}{
		"CookieStore":     {binding: pagestate.Session(sessions.NewCookieStore(sessionKey), sessionName)},
		"FilesystemStore": {binding: pagestate.Session(sessions.NewFilesystemStore(t.TempDir(), sessionKey), sessionName)},
		"Cookie":          {binding: pagestate.Cookie(http.Cookie{Name: sessionName})},
		"Cookie, __Host-": {binding: pagestate.Cookie(http.Cookie{Name: "__Host-page", Secure: true})},
		"SessionFunc":     {binding: pagestate.SessionFunc(library.id), before: library.serve},
	} {
		t.Run(name, func(t *testing.T) {
			url := sessionServer(t, c.binding, c.before)
			browser := newSessionBrowser(t, url)

			if got := browser.get("/existing"); got.id != "" || got.cookies != nil {
				t.Fatalf("Existing without a session gave %q and set %v", got.id, got.cookies)
			}
			first := browser.get("/ensure")
			if !sessionID.MatchString(first.id) || len(first.cookies) != 1 {
				t.Fatalf("Ensure gave %q and set %v, want an id and one cookie", first.id, first.cookies)
			}
			for _, path := range []string{"/existing", "/ensure"} {
				if got := browser.get(path); got.id != first.id || got.cookies != nil {
					t.Errorf("%s in a session gave %q and set %v, want %q and nothing", path, got.id, got.cookies, first.id)
				}
			}

			before := browser.cookies()
			second := browser.get("/renew")
			if !sessionID.MatchString(second.id) || second.id == first.id {
				t.Errorf("Renew after %q gave %q", first.id, second.id)
			}
			if len(second.cookies) != 1 {
				t.Errorf("Renew set %v, want one cookie", second.cookies)
			}
			if after := browser.cookies(); maps.Equal(before, after) {
				t.Errorf("Renew left the browser with its old cookie %v", after)
			}
			for _, path := range []string{"/existing", "/ensure"} {
				if got := browser.get(path); got.id != second.id {
					t.Errorf("%s after Renew gave %q, want %q", path, got.id, second.id)
				}
			}

			if other := newSessionBrowser(t, url).get("/renew"); !sessionID.MatchString(other.id) || other.id == second.id {
				t.Errorf("another browser, renewed before it had a session, got %q", other.id)
			}
		})
	}
}

func TestSessionUnbound(t *testing.T) {
	browser := newSessionBrowser(t, sessionServer(t, pagestate.Unbound(), nil))
	for _, path := range []string{"/existing", "/ensure", "/renew"} {
		if got := browser.get(path); got.id != "" || got.err != "" || got.cookies != nil {
			t.Errorf("%s: %+v, want nothing", path, got)
		}
	}
}

func TestSessionFuncWithoutSession(t *testing.T) {
	none := pagestate.SessionFunc(func(*http.Request) string { return "" })
	browser := newSessionBrowser(t, sessionServer(t, none, nil))
	if got := browser.get("/existing"); got.err != "" {
		t.Errorf("Existing: %s", got.err)
	}
	for _, path := range []string{"/ensure", "/renew"} {
		if got := browser.get(path); !strings.HasPrefix(got.err, "pagestate: ") || !strings.Contains(got.err, "start one before") {
			t.Errorf("%s without a session: %+v, want an error that says what to do", path, got)
		}
	}
}

// A cookie that is of no use is no session, and the next Ensure replaces it.
func TestSessionUnusableCookie(t *testing.T) {
	cookieStore := pagestate.Session(sessions.NewCookieStore(sessionKey), sessionName)
	fileStore := pagestate.Session(sessions.NewFilesystemStore(t.TempDir(), sessionKey), sessionName)
	cookie := pagestate.Cookie(http.Cookie{Name: sessionName})

	ofOther := func(b pagestate.Binding) func(string) string {
		return func(string) string {
			browser := newSessionBrowser(t, sessionServer(t, b, nil))
			browser.get("/ensure")
			return browser.cookies()[sessionName]
		}
	}
	value := func(v string) func(string) string { return func(string) string { return v } }
	tampered := func(v string) string { return v[:10] + "." + v[11:] }

	for name, c := range map[string]struct {
		binding pagestate.Binding
		damage  func(string) string
	}{
		"CookieStore, tampered":      {cookieStore, tampered},
		"CookieStore, empty":         {cookieStore, value("")},
		"CookieStore, too long":      {cookieStore, value(strings.Repeat("A", 5000))},
		"CookieStore, other key":     {cookieStore, ofOther(pagestate.Session(sessions.NewCookieStore(sessionOtherKey), sessionName))},
		"FilesystemStore, tampered":  {fileStore, tampered},
		"FilesystemStore, empty":     {fileStore, value("")},
		"FilesystemStore, too long":  {fileStore, value(strings.Repeat("A", 5000))},
		"FilesystemStore, other key": {fileStore, ofOther(pagestate.Session(sessions.NewFilesystemStore(t.TempDir(), sessionOtherKey), sessionName))},
		"Cookie, tampered":           {cookie, tampered},
		"Cookie, empty":              {cookie, value("")},
		"Cookie, too short":          {cookie, func(v string) string { return v[1:] }},
		"Cookie, too long":           {cookie, func(v string) string { return v + "A" }},
		"Cookie, other letters":      {cookie, strings.ToLower},
	} {
		t.Run(name, func(t *testing.T) {
			browser := newSessionBrowser(t, sessionServer(t, c.binding, nil))
			old := browser.get("/ensure")
			browser.setCookie(sessionName, c.damage(browser.cookies()[sessionName]))
			browser.expectReplaced(old.id)
		})
	}
}

func TestSessionTooOld(t *testing.T) {
	fresh, stale := sessions.NewCookieStore(sessionKey), sessions.NewCookieStore(sessionKey)
	stale.MaxAge(-10) // of what it decodes: all of it is too old
	stale.Options.MaxAge = 3600

	browser := newSessionBrowser(t, sessionServer(t, pagestate.Session(fresh, sessionName), nil))
	old := browser.get("/ensure")
	other := newSessionBrowser(t, sessionServer(t, pagestate.Session(stale, sessionName), nil))
	other.setCookie(sessionName, browser.cookies()[sessionName])

	if got := other.get("/existing"); got.id != "" || got.err != "" {
		t.Errorf("Existing: %+v, want none", got)
	}
	if got := other.get("/ensure"); !sessionID.MatchString(got.id) || got.id == old.id {
		t.Errorf("Ensure: %+v, want a new id", got)
	}
}

func TestSessionLostRecord(t *testing.T) {
	write := func(content string) func(string) error {
		return func(file string) error { return os.WriteFile(file, []byte(content), 0o600) }
	}
	for name, damage := range map[string]func(file string) error{
		"deleted":  os.Remove,
		"emptied":  write(""),
		"damaged":  write("MTcwMDAwMDAwMHxub3QgdGhpcw=="),
		"too long": write(strings.Repeat("A", 5000)),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			store := sessions.NewFilesystemStore(dir, sessionKey)
			browser := newSessionBrowser(t, sessionServer(t, pagestate.Session(store, sessionName), nil))
			old := browser.get("/ensure")
			if err := damage(sessionFile(t, dir)); err != nil {
				t.Fatal(err)
			}
			browser.expectReplaced(old.id)
		})
	}
}

// Who has a copy of the cookie from before login or logout must not share the session after it.
func TestSessionRenewEndsOldCookie(t *testing.T) {
	dir := t.TempDir()
	url := sessionServer(t, pagestate.Session(sessions.NewFilesystemStore(dir, sessionKey), sessionName), nil)
	browser, thief := newSessionBrowser(t, url), newSessionBrowser(t, url)
	browser.get("/ensure")
	thief.setCookie(sessionName, browser.cookies()[sessionName])
	browser.get("/renew")

	if got := thief.get("/existing"); got.id != "" {
		t.Errorf("the cookie from before Renew still gives %q", got.id)
	}
	sessionFile(t, dir) // and of the old session nothing is left
}

// A store without records cannot end a copied cookie. Session's comment says so.
func TestSessionCookieStoreCannotEndCopies(t *testing.T) {
	url := sessionServer(t, pagestate.Session(sessions.NewCookieStore(sessionKey), sessionName), nil)
	browser, thief := newSessionBrowser(t, url), newSessionBrowser(t, url)
	old := browser.get("/ensure")
	thief.setCookie(sessionName, browser.cookies()[sessionName])
	browser.get("/renew")
	if got := thief.get("/existing"); got.id != old.id {
		t.Errorf("the copied cookie gives %q, not %q: then the comment is out of date", got.id, old.id)
	}
}

func TestSessionCookieAttributes(t *testing.T) {
	cookieStore := sessions.NewCookieStore(sessionKey)
	fileStore := sessions.NewFilesystemStore(t.TempDir(), sessionKey)
	fileStore.Options = &sessions.Options{Path: "/app", Domain: "example.com", MaxAge: 60, SameSite: http.SameSiteStrictMode}
	framed := sessions.NewCookieStore(sessionKey)
	framed.Options.Partitioned = true
	pathless := sessions.NewFilesystemStore(t.TempDir(), sessionKey)
	pathless.Options = &sessions.Options{MaxAge: 60, SameSite: http.SameSiteDefaultMode}

	for name, c := range map[string]struct {
		binding pagestate.Binding
		want    http.Cookie
	}{
		"CookieStore": {
			pagestate.Session(cookieStore, sessionName),
			http.Cookie{Path: "/", MaxAge: 86400 * 30, Secure: true},
		},
		"FilesystemStore": {
			pagestate.Session(fileStore, sessionName),
			http.Cookie{Path: "/app", Domain: "example.com", MaxAge: 60, SameSite: http.SameSiteStrictMode},
		},
		"CookieStore, Partitioned": {
			pagestate.Session(framed, sessionName),
			http.Cookie{Path: "/", MaxAge: 86400 * 30, Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true},
		},
		"FilesystemStore without a Path": {
			pagestate.Session(pathless, sessionName),
			http.Cookie{Path: "/", MaxAge: 60},
		},
		"Cookie": {
			pagestate.Cookie(http.Cookie{Name: sessionName}),
			http.Cookie{Path: "/"},
		},
		"Cookie, default mode": {
			pagestate.Cookie(http.Cookie{Name: sessionName, SameSite: http.SameSiteDefaultMode}),
			http.Cookie{Path: "/"},
		},
		"Cookie, Strict": {
			pagestate.Cookie(http.Cookie{Name: sessionName, SameSite: http.SameSiteStrictMode}),
			http.Cookie{Path: "/", SameSite: http.SameSiteStrictMode},
		},
		"Cookie with everything": {
			pagestate.Cookie(http.Cookie{
				Name: sessionName, Path: "/app", Domain: "example.com", MaxAge: 60,
				RawExpires: "ignored", Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true,
			}),
			http.Cookie{Path: "/app", Domain: "example.com", MaxAge: 60, Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			browser := newSessionBrowser(t, sessionServer(t, c.binding, nil))
			for _, path := range []string{"/ensure", "/renew"} {
				got := browser.get(path).cookies[0]
				if c.want.SameSite == 0 {
					c.want.SameSite = http.SameSiteLaxMode
				}
				if !got.HttpOnly || got.SameSite != c.want.SameSite {
					t.Errorf("%s: %s: not HttpOnly and SameSite %d", path, got.Raw, c.want.SameSite)
				}
				if got.Quoted || got.Path != c.want.Path || got.Domain != c.want.Domain || got.MaxAge != c.want.MaxAge ||
					got.Secure != c.want.Secure || got.Partitioned != c.want.Partitioned {
					t.Errorf("%s: %s: want what was configured, %+v", path, got.Raw, c.want)
				}
			}
		})
	}
	if cookieStore.Options.HttpOnly || cookieStore.Options.SameSite != http.SameSiteNoneMode {
		t.Errorf("the store's own options were changed: %+v", cookieStore.Options)
	}
}

// One planted with a value of another form does not count, and neither does one whose name is the
// binding's except for space that browsers take for a part of it: they let any host of the domain set
// such a one, even if the name begins with __Host-.
func TestSessionCookies(t *testing.T) {
	first, second := rand.Text(), rand.Text()
	for name, c := range map[string]struct {
		lines []string // of the Cookie header, where page is the binding's name
		want  string
	}{
		"alone":                   {[]string{"page=" + first}, first},
		"beside others":           {[]string{"a=1; page=" + first + "; b=2"}, first},
		"in another line":         {[]string{"a=1", "page=" + first}, first},
		"without spaces":          {[]string{"a=1;page=" + first + ";b=2"}, first},
		"with more spaces":        {[]string{" a=1 ;\tpage=" + first + " "}, first},
		"twice the same":          {[]string{"page=" + first + "; page=" + first}, first},
		"twice, once in quotes":   {[]string{"page=" + first + `; page="` + first + `"`}, first},
		"two":                     {[]string{"page=" + first + "; page=" + second}, ""},
		"two, in two lines":       {[]string{"page=" + first, "page=" + second}, ""},
		"two among the same":      {[]string{"page=" + first + "; page=" + second + "; page=" + first}, ""},
		"behind a planted one":    {[]string{"page=planted; page=" + first}, first},
		"before a planted one":    {[]string{"page=" + first + "; page=planted"}, first},
		"behind an empty one":     {[]string{"page=; page; ; =; page=" + first}, first},
		"none":                    {nil, ""},
		"an empty header":         {[]string{""}, ""},
		"another name's end":      {[]string{"homepage=" + first}, ""},
		"another name's start":    {[]string{"pages=" + first}, ""},
		"another case":            {[]string{"Page=" + first}, ""},
		"in another's value":      {[]string{"a=page=" + first}, ""},
		"more than an id":         {[]string{"page=" + first + "="}, ""},
		"in quotes, as from Java": {[]string{`$Version="1"; page="` + first + `";$Path="/"`}, first},
		"separated by a comma":    {[]string{"a=1, page=" + first}, ""},
		"of lower-case letters":   {[]string{"page=" + strings.ToLower(first)}, ""},
		"cut short":               {[]string{"page=" + first[1:]}, ""},
		"longer":                  {[]string{"page=" + first + "A"}, ""},
		"a line break in a pair":  {[]string{"page=" + first + "\n" + second}, ""},
		"behind U+2000":           {[]string{"\u2000page=" + first}, ""},
		"behind U+0085":           {[]string{"\u0085page=" + first}, ""},
		"behind the byte 85":      {[]string{"\x85page=" + first}, ""},
		"behind U+00A0":           {[]string{"\u00a0page=" + first}, ""},
		"behind U+3000":           {[]string{"\u3000page=" + first}, ""},
		"behind a vertical tab":   {[]string{"\vpage=" + first}, ""},
		"before U+2000":           {[]string{"page\u2000=" + first}, ""},
		"with U+2000 after it":    {[]string{"page=" + first + "\u2000"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header["Cookie"] = c.lines
			got, err := pagestate.Cookie(http.Cookie{Name: "page"}).Existing(r)
			if got != c.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// A handler that opens the session of that name has the very one the binding has, and may save it.
func TestSessionSharedWithHandler(t *testing.T) {
	for name, store := range map[string]sessions.Store{
		"CookieStore":     sessions.NewCookieStore(sessionKey),
		"FilesystemStore": sessions.NewFilesystemStore(t.TempDir(), sessionKey),
	} {
		t.Run(name, func(t *testing.T) {
			var seen any
			binding := pagestate.Session(store, sessionName)
			saving := func(ask func(http.ResponseWriter, *http.Request) (string, error)) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					s, _ := store.Get(r, sessionName)
					seen = s.Values["mine"]
					s.Values["mine"] = "kept"
					id, err := ask(w, r)
					if err := sessions.Save(r, w); err != nil {
						t.Error(err)
					}
					sessionAnswer(w, id, err)
				}
			}
			mux := http.NewServeMux()
			mux.Handle("/existing", saving(func(_ http.ResponseWriter, r *http.Request) (string, error) { return binding.Existing(r) }))
			mux.Handle("/ensure", saving(binding.Ensure))
			mux.Handle("/renew", saving(binding.Renew))
			browser := newSessionBrowser(t, sessionListen(t, mux))
			browser.setCookie(sessionName, "undecodable")

			var last string
			for _, path := range []string{"/ensure", "/existing", "/renew", "/existing"} {
				got := browser.get(path)
				if got.err != "" || (path == "/existing" && got.id != last) {
					t.Errorf("%s gave %+v, want %q", path, got, last)
				}
				for _, c := range got.cookies {
					if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
						t.Errorf("%s: %s: not HttpOnly and SameSite=Lax", path, c.Raw)
					}
				}
				if last != "" && seen != "kept" {
					t.Errorf("%s: the handler finds %v in its session, want what it put there", path, seen)
				}
				last = got.id
			}
		})
	}
}

// A handler that has opened the session may change and save it, whether the
// binding has asked for it before or asks for it meanwhile.
func TestSessionSavedByHandler(t *testing.T) {
	for name, store := range map[string]sessions.Store{
		"CookieStore":     sessions.NewCookieStore(sessionKey),
		"FilesystemStore": sessions.NewFilesystemStore(t.TempDir(), sessionKey),
	} {
		t.Run(name, func(t *testing.T) {
			binding := pagestate.Session(store, sessionName)
			mux := http.NewServeMux()
			mux.HandleFunc("/ensure", func(w http.ResponseWriter, r *http.Request) {
				id, err := binding.Ensure(w, r)
				sessionAnswer(w, id, err)
			})
			count := func(w http.ResponseWriter, r *http.Request, before, after bool) {
				if before {
					binding.Existing(r)
				}
				s, _ := store.Get(r, sessionName)
				if after {
					binding.Existing(r)
				}
				n, _ := s.Values["n"].(int)
				s.Values["n"] = n + 1
				sessionAnswer(w, strings.Repeat("x", n), sessions.Save(r, w))
			}
			mux.HandleFunc("/before", func(w http.ResponseWriter, r *http.Request) { count(w, r, true, false) })
			mux.HandleFunc("/after", func(w http.ResponseWriter, r *http.Request) { count(w, r, false, true) })
			mux.HandleFunc("/both", func(w http.ResponseWriter, r *http.Request) { count(w, r, true, true) })
			browser := newSessionBrowser(t, sessionListen(t, mux))
			id := browser.get("/ensure").id
			for n, path := range []string{"/before", "/after", "/both", "/before"} {
				if got := browser.get(path); got.id != strings.Repeat("x", n) || len(got.cookies) != 1 {
					t.Errorf("%s: %+v, want %d saved", path, got, n)
				}
			}
			if got := browser.get("/ensure").id; got != id {
				t.Errorf("the session is %q now, want %q", got, id)
			}
		})
	}
}

func TestSessionConcurrentRequests(t *testing.T) {
	library := newSessionLibrary()
	for name, c := range map[string]struct {
		binding pagestate.Binding
		before  func(http.ResponseWriter, *http.Request) *http.Request
	}{
		"CookieStore":     {binding: pagestate.Session(sessions.NewCookieStore(sessionKey), sessionName)},
		"FilesystemStore": {binding: pagestate.Session(sessions.NewFilesystemStore(t.TempDir(), sessionKey), sessionName)},
		"Cookie":          {binding: pagestate.Cookie(http.Cookie{Name: sessionName})},
		"SessionFunc":     {binding: pagestate.SessionFunc(library.id), before: library.serve},
		"Unbound":         {binding: pagestate.Unbound()},
	} {
		t.Run(name, func(t *testing.T) {
			url := sessionServer(t, c.binding, c.before)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					browser := newSessionBrowser(t, url)
					for _, path := range []string{"/ensure", "/existing", "/renew", "/ensure"} {
						if got := browser.get(path); got.err != "" {
							t.Errorf("%s: %s", path, got.err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// sessionServer asks binding, once per request, for what the path says. before, if not nil, runs first.
func sessionServer(t *testing.T, binding pagestate.Binding, before func(http.ResponseWriter, *http.Request) *http.Request) string {
	asking := func(ask func(http.ResponseWriter, *http.Request) (string, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if before != nil {
				r = before(w, r)
			}
			id, err := ask(w, r)
			sessionAnswer(w, id, err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/existing", asking(func(_ http.ResponseWriter, r *http.Request) (string, error) { return binding.Existing(r) }))
	mux.Handle("/ensure", asking(binding.Ensure))
	mux.Handle("/renew", asking(binding.Renew))
	return sessionListen(t, mux)
}

// sessionListen serves over TLS, without which no browser keeps a Secure cookie.
func sessionListen(t *testing.T, h http.Handler) string {
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func sessionAnswer(w http.ResponseWriter, id string, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	io.WriteString(w, id)
}

// sessionBrowser keeps cookies as a browser does.
type sessionBrowser struct {
	t      *testing.T
	server *url.URL
	client *http.Client
}

// sessionResult is one answer: an id or an error, and the cookies it set.
type sessionResult struct {
	id, err string
	cookies []*http.Cookie
}

func newSessionBrowser(t *testing.T, server string) *sessionBrowser {
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &sessionBrowser{t, u, &http.Client{Jar: jar, Transport: transport}}
}

func (b *sessionBrowser) get(path string) sessionResult {
	b.t.Helper()
	res, err := b.client.Get(b.server.String() + path)
	if err != nil {
		b.t.Error(err)
		return sessionResult{err: err.Error()}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Error(err)
	}
	result := sessionResult{id: string(body)}
	if res.StatusCode != http.StatusOK {
		result = sessionResult{err: string(body)}
	}
	if cookies := res.Cookies(); len(cookies) > 0 {
		result.cookies = cookies
	}
	return result
}

func (b *sessionBrowser) cookies() map[string]string {
	values := make(map[string]string)
	for _, c := range b.client.Jar.Cookies(b.server) {
		values[c.Name] = c.Value
	}
	return values
}

func (b *sessionBrowser) setCookie(name, value string) {
	b.client.Jar.SetCookies(b.server, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// expectReplaced checks that what the browser has is no session, and that Ensure starts one.
func (b *sessionBrowser) expectReplaced(old string) {
	b.t.Helper()
	if got := b.get("/existing"); got.id != "" || got.err != "" || got.cookies != nil {
		b.t.Errorf("Existing: %+v, want no session", got)
	}
	fresh := b.get("/ensure")
	if !sessionID.MatchString(fresh.id) || fresh.id == old || len(fresh.cookies) != 1 {
		b.t.Errorf("Ensure: %+v, want a new session", fresh)
	}
	if got := b.get("/existing"); got.id != fresh.id {
		b.t.Errorf("Existing after Ensure: %+v, want %q", got, fresh.id)
	}
}

// sessionFile returns the one file of a FilesystemStore.
func sessionFile(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the store has the files %v (%v), want one", files, err)
	}
	return files[0]
}

// sessionLibrary is a session library other than gorilla's, in the manner of scs: a cookie, a map of
// values for each, and the values of a request in its context.
type sessionLibrary struct {
	mu     sync.Mutex
	values map[string]map[string]string
}

type sessionLibraryKey struct{}

func newSessionLibrary() *sessionLibrary {
	return &sessionLibrary{values: make(map[string]map[string]string)}
}

// serve opens the session of r, starts one before /ensure, and renews it, as login does, before /renew.
func (l *sessionLibrary) serve(w http.ResponseWriter, r *http.Request) *http.Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	var values map[string]string
	if c, err := r.Cookie("library"); err == nil {
		values = l.values[c.Value]
	}
	if r.URL.Path == "/renew" || r.URL.Path == "/ensure" && values == nil {
		token := rand.Text()
		values = map[string]string{"pagestate": rand.Text()}
		l.values[token] = values
		http.SetCookie(w, &http.Cookie{Name: "library", Value: token, Path: "/"})
	}
	return r.WithContext(context.WithValue(r.Context(), sessionLibraryKey{}, values))
}

func (l *sessionLibrary) id(r *http.Request) string {
	return r.Context().Value(sessionLibraryKey{}).(map[string]string)["pagestate"]
}
