package pagestate_test

// Whose token it is, over a whole visit: the session that a page makes, its
// cookie, login and logout with Renew, on every binding. The bindings alone are
// in session_test.go.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

func TestUserOfOneBrowser(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{User: func(r *http.Request) string { return r.Header.Get("X-User") }})
	b := a.browser()
	as := func(user, method, path, token string) testkit.Answer {
		req := b.Request(method, path, nil)
		req.Header.Set("X-User", user)
		if token != "" {
			req.Header.Set("Page-State", token)
		}
		return b.Send(req)
	}
	token := as("ada", "GET", "/", "").Field()
	testkit.Want(t, "ada", as("ada", "POST", "/increment", token).StatusCode, 200)
	testkit.Want(t, "bob", as("bob", "POST", "/increment", token).StatusCode, 400)
	testkit.Want(t, "nobody", as("", "POST", "/increment", token).StatusCode, 400)
}

func TestTokenWithoutASession(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	token := a.browser().Get("/").Field()
	testkit.Want(t, "status", a.browser().Call("POST", "/increment", token).StatusCode, 400)
	testkit.Want(t, "cause in the log", strings.Contains(a.log.String(), "there is no session it could belong to"), true)
}

func TestOpeningCreatesNoSession(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	token := a.browser().Get("/").Field()
	testkit.Want(t, "cookies", len(a.browser().Call("POST", "/increment", token).Cookies()), 0)
}

// writerBindings set a cookie in their own ways.
func writerBindings(t *testing.T) map[string]sessions.Store {
	return map[string]sessions.Store{
		"Cookie":          nil,
		"CookieStore":     writerInsecure(sessions.NewCookieStore(sessionKey)),
		"FilesystemStore": sessions.NewFilesystemStore(t.TempDir(), sessionKey),
	}
}

func TestWriterCookies(t *testing.T) {
	timeout := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") }
	plain := func(h http.Handler) http.Handler { return h }
	for name, store := range writerBindings(t) {
		binding, login := pagestate.Cookie(http.Cookie{Name: "binding"}), sessions.Store(sessions.NewCookieStore(sessionKey))
		if store != nil {
			binding, login = pagestate.Session(store, "binding"), store
		}
		for wrapped, wraps := range map[string][2]func(http.Handler) http.Handler{
			"plain":                  {plain, plain},
			"TimeoutHandler outside": {timeout, plain},
			"TimeoutHandler inside":  {plain, timeout},
		} {
			t.Run(name+"/"+wrapped, func(t *testing.T) {
				a := newWriterApp(t, pagestate.Options{Session: binding})
				a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
					http.SetCookie(w, &http.Cookie{Name: "early", Value: "1"})
					http.SetCookie(w, &http.Cookie{Name: "binding2", Value: "1"})
					writerLogin(t, login, w, r)
					if err := pagestate.Attach(r.Context(), &writerState{}); err != nil {
						t.Error(err)
					}
					writerLogin(t, login, w, r)
					http.SetCookie(w, &http.Cookie{Name: "late", Value: "1"})
					writerPage(w, r)
				})
				a.mux.Handle("/count", writerHandle(func(w http.ResponseWriter, _ *http.Request, s *writerState) { fmt.Fprint(w, s.Count) }))
				a.mux.HandleFunc("/renew", func(w http.ResponseWriter, r *http.Request) {
					for range 2 {
						if err := a.mw.Renew(w, r); err != nil {
							t.Error(err)
						}
					}
					writerPage(w, r)
				})
				a.serve(wraps[0](a.mw.Handler(wraps[1](a.mux))))

				b := a.browser()
				page := b.Get("/")
				testkit.Want(t, "cookies", writerNames(page.Cookies()), "binding binding2 early late login login")
				testkit.Want(t, "count", b.Call("POST", "/count", page.Body).Body, "1")
				testkit.Want(t, "cookies of a second page", writerNames(b.Get("/").Cookies()), "binding2 early late login login")
				renewed := b.Get("/renew")
				testkit.Want(t, "cookies of a renewal", writerNames(renewed.Cookies()), "binding")
				testkit.Want(t, "count after renewal", b.Call("POST", "/count", renewed.Body).Body, "1")
				testkit.Want(t, "what was sealed before", b.Call("POST", "/count", page.Body).StatusCode, 400)
			})
		}
	}
}

// writerLogin saves a session of the handler's own.
func writerLogin(t *testing.T, store sessions.Store, w http.ResponseWriter, r *http.Request) {
	t.Helper()
	session, err := store.Get(r, "login")
	if err != nil {
		t.Error(err)
	}
	session.Values["name"] = "ada"
	if err := session.Save(r, w); err != nil {
		t.Error(err)
	}
}

// The binding's own cookie is the one that counts, whoever else sets it.
func TestWriterCookieOfTheSameName(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprint("late ", late), func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "binding"})})
			a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				set := func() { http.SetCookie(w, &http.Cookie{Name: "binding", Value: "planted"}) }
				if late {
					defer set()
				} else {
					set()
				}
				s := &writerState{}
				if err := pagestate.Attach(r.Context(), s); err != nil {
					t.Error(err)
				}
			})
			cookies := a.browser().Get("/").Cookies()
			testkit.Want(t, "cookies", writerNames(cookies), "binding")
			for _, c := range cookies {
				testkit.Want(t, "planted", c.Value == "planted", false)
			}
		})
	}
}

// The cookie arrives with whatever answer there is, since what the page of
// another tab holds may rest on it.
func TestWriterCookieOfFailedAnswers(t *testing.T) {
	for name, h := range map[string]func(http.ResponseWriter, *http.Request){
		"500":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oh", 500) },
		"404":      http.NotFound,
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusSeeOther) },
		"nothing":  func(http.ResponseWriter, *http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "binding"})})
			a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				if err := pagestate.Attach(r.Context(), &writerState{}); err != nil {
					t.Error(err)
				}
				h(w, r)
			})
			got := a.browser().Get("/")
			testkit.Want(t, "cookies", writerNames(got.Cookies()), "binding")
			testkit.Want(t, "cache", got.Header.Get("Cache-Control"), "private, no-cache")
		})
	}
}

// After the first byte there is no way to set a cookie.
func TestWriterSessionTooLate(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "binding"})})
	try := func(w http.ResponseWriter, r *http.Request) {
		for name, err := range map[string]error{
			"Attach": pagestate.Attach(r.Context(), &writerState{}),
			"Renew":  a.mw.Renew(w, r),
		} {
			if err == nil || !strings.Contains(err.Error(), "the first byte has left") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		try(w, r)
	})
	testkit.Want(t, "cookies", writerNames(a.browser().Get("/").Cookies()), "")
}

// What was opened for the owner before Renew does not go out to the one after.
func TestWriterRenewEndsWhatActed(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "binding"})})
	a.mux.HandleFunc("/page", writerPage)
	a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		s.Count++
		if err := a.mw.Renew(w, r); err != nil {
			t.Error(err)
		}
		s.Count++
	}))
	b := a.browser()
	got := b.Call("POST", "/", b.Get("/page").Body)
	a.running.Wait()
	testkit.Want(t, "cookies", writerNames(got.Cookies()), "binding")
	testkit.Want(t, "header", got.Token(), "")
	testkit.Want(t, "warnings", a.logged("WARN", "before Renew", "component=state"), 1)
	testkit.Want(t, "lines in the log", a.logged(""), 1)
}

// newLoginApp is a counter app where a cookie of its own says who is logged in.
func newLoginApp(t *testing.T, binding pagestate.Binding) *app {
	a := newCounterApp(t, pagestate.Options{Session: binding, User: func(r *http.Request) string {
		if c, err := r.Cookie("user"); err == nil {
			return c.Value
		}
		return ""
	}})
	a.mux.HandleFunc("POST /login/{user}", func(w http.ResponseWriter, r *http.Request) {
		cookie := &http.Cookie{Name: "user", Value: r.PathValue("user"), Path: "/"}
		http.SetCookie(w, cookie)
		r.Header.Del("Cookie")
		r.AddCookie(cookie)
		if err := a.mw.Renew(w, r); err != nil {
			t.Error(err)
		}
		owner, err := a.mw.Owner(r)
		if err != nil || owner.Session == "" {
			t.Error(owner, err)
		}
		testkit.Want(t, "user after Renew", owner.User, r.PathValue("user"))
		c := &counter{Count: 100}
		if err := pagestate.Attach(r.Context(), c); err != nil {
			t.Error(err)
		}
		showCounter(w, c)
	})
	return a
}

func TestLoginAndLogout(t *testing.T) {
	for name, binding := range bindings(t) {
		t.Run(name, func(t *testing.T) {
			b := newLoginApp(t, binding).browser()
			anonymous := b.Get("/").Field()
			testkit.Want(t, "before login", b.Post("/increment", anonymous).StatusCode, 200)

			page := b.Send(b.Request("POST", "/login/ada", nil))
			testkit.Want(t, "what was attached after Renew", b.Post("/increment", page.Field()).Body[:9], "count=101")
			testkit.Want(t, "an anonymous token after login", b.Post("/increment", anonymous).StatusCode, 400)
			adas := b.Get("/").Field()
			testkit.Want(t, "ada's", b.Post("/increment", adas).StatusCode, 200)

			b.Send(b.Request("POST", "/login/bob", nil))
			testkit.Want(t, "ada's token for bob", b.Post("/increment", adas).StatusCode, 400)
			b.Send(b.Request("POST", "/login/ada", nil))
			testkit.Want(t, "ada's token from before", b.Post("/increment", adas).StatusCode, 400)
		})
	}
}

func TestRenewDropsWhatWasOpened(t *testing.T) {
	for name, binding := range bindings(t) {
		t.Run(name, func(t *testing.T) {
			a := newLoginApp(t, binding)
			a.mux.Handle("POST /renew", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
				c.Count = 7
				if err := a.mw.Renew(w, r); err != nil {
					return err
				}
				_, err := pagestate.Token(r.Context(), c)
				testkit.Want(t, "its token is refused", err != nil && strings.Contains(err.Error(), "again after Renew"), true)
				if r.URL.Query().Get("again") == "" {
					fmt.Fprint(w, "renewed")
					return nil
				}
				err = pagestate.Attach(r.Context(), c)
				testkit.Want(t, "attached again", err, nil)
				showCounter(w, c)
				return nil
			}))
			a.mux.Handle("POST /logout", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
				if err := a.mw.Renew(w, r); err != nil {
					return err
				}
				http.Redirect(w, r, "/", http.StatusSeeOther)
				return nil
			}))
			b := a.browser()
			b.Post("/logout", b.Get("/").Field())
			testkit.Want(t, "log of a logout", a.log.String(), "")
			token := b.Get("/").Field()
			res := b.Post("/renew", token)
			testkit.Want(t, "header", res.Token(), "")
			testkit.Want(t, "warnings", strings.Count(a.log.String(), "before Renew"), 1)
			testkit.Want(t, "one cookie", len(res.Header.Values("Set-Cookie")), 1)
			testkit.Want(t, "the old token", b.Post("/renew", token).StatusCode, 400)

			res = b.Post("/renew?again=1", b.Get("/").Field())
			testkit.Want(t, "attached again", b.Call("GET", "/show", res.Field()).Body, "count=7")
			testkit.Want(t, "warnings of it", strings.Count(a.log.String(), "before Renew"), 1)
		})
	}
}

func TestRenewAfterTheFirstByte(t *testing.T) {
	a := newLoginApp(t, pagestate.Cookie(http.Cookie{Name: "binding"}))
	a.browser().serve("POST", "/late", "", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "x")
		err := a.mw.Renew(w, r)
		testkit.Want(t, "refused", err != nil && strings.Contains(err.Error(), "renew before anything is written"), true)
	})
}

func TestOutsideTheMiddleware(t *testing.T) {
	mw := newMiddleware(t, nil)
	outside := newApp(t, pagestate.NewRegistry(), pagestate.Options{})
	b := outside.browser()
	b.serve("GET", "/owner", "", func(w http.ResponseWriter, r *http.Request) {
		owner, err := mw.Owner(r)
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "owner", owner, pagestate.Owner{})
	})
	res := b.serve("POST", "/renew", "", func(w http.ResponseWriter, r *http.Request) {
		if err := mw.Renew(w, r); err != nil {
			t.Error(err)
		}
	})
	testkit.Want(t, "cookies", len(res.Cookies()), 1)
	b.serve("GET", "/again", "", func(w http.ResponseWriter, r *http.Request) {
		owner, err := mw.Owner(r)
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "session", owner.Session, res.Cookies()[0].Value)
	})
}

// site is an application at https://www.shop.example, which several deploys
// serve in turn, and one browser that visits it.
type site struct {
	*testkit.Browser
	t      *testing.T
	served http.Handler
}

func newSite(t *testing.T) *site {
	s := &site{t: t}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.served.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	s.Browser = testkit.NewBrowser(t, func() string { return "https://www.shop.example" })
	transport := server.Client().Transport.(*http.Transport)
	transport.TLSClientConfig.InsecureSkipVerify = true
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	s.Transport = transport
	jar, err := cookiejar.New(&cookiejar.Options{PublicSuffixList: onlyExample{}})
	if err != nil {
		t.Fatal(err)
	}
	s.Jar = jar
	return s
}

// onlyExample is a list of public suffixes with one entry.
type onlyExample struct{}

func (onlyExample) PublicSuffix(string) string { return "example" }
func (onlyExample) String() string             { return "example" }

// at returns the value of the cookie that goes to a path first.
func (s *site) at(path string) string {
	for _, c := range s.Jar.Cookies(&url.URL{Scheme: "https", Host: "www.shop.example", Path: path}) {
		if c.Name == "binding" {
			return c.Value
		}
	}
	return ""
}

// plant sets a cookie as another host of the domain can.
func (s *site) plant(value, path string) {
	s.Jar.SetCookies(&url.URL{Scheme: "https", Host: "evil.shop.example"},
		[]*http.Cookie{{Name: "binding", Value: value, Domain: "shop.example", Path: path}})
}

// deploys returns for each kind of binding a function that makes the deploy with
// that cookie. Deploys of one kind know each other's tokens and sessions.
func (s *site) deploys() map[string]func(domain, path string) http.Handler {
	secret := testkit.NewSecret()
	deploy := func(binding pagestate.Binding) http.Handler {
		a := newCounterApp(s.t, pagestate.Options{Session: binding, Secrets: [][]byte{secret}})
		mux := http.NewServeMux()
		mux.HandleFunc("/shop/{$}", func(w http.ResponseWriter, r *http.Request) {
			c := &counter{}
			if err := pagestate.Attach(r.Context(), c); err != nil {
				s.t.Error(err)
			}
			showCounter(w, c)
		})
		mux.HandleFunc("POST /shop/login", func(w http.ResponseWriter, r *http.Request) {
			for range 2 {
				if err := a.mw.Renew(w, r); err != nil {
					s.t.Error(err)
				}
			}
			c := &counter{}
			if err := pagestate.Attach(r.Context(), c); err != nil {
				s.t.Error(err)
			}
			showCounter(w, c)
		})
		mux.Handle("/shop/", http.StripPrefix("/shop", a.mux))
		return http.StripPrefix("/app", a.mw.Handler(mux)) // the cookies' paths are the browser's
	}
	dir, key := s.t.TempDir(), testkit.NewSecret()
	return map[string]func(domain, path string) http.Handler{
		"Cookie": func(domain, path string) http.Handler {
			return deploy(pagestate.Cookie(http.Cookie{Name: "binding", Domain: domain, Path: path, Secure: true}))
		},
		"CookieStore": func(domain, path string) http.Handler {
			store := sessions.NewCookieStore(key)
			store.Options.Domain, store.Options.Path = domain, path
			return deploy(pagestate.Session(store, "binding"))
		},
		"FilesystemStore": func(domain, path string) http.Handler {
			store := sessions.NewFilesystemStore(dir, key)
			store.Options.Domain, store.Options.Path = domain, path
			return deploy(pagestate.Session(store, "binding"))
		},
	}
}

// works checks that a page's token opens at the page and below it.
func (s *site) works(what, token string) {
	s.t.Helper()
	testkit.Want(s.t, what, s.Post("/app/shop/increment", token).StatusCode, 200)
}

const shopPage, shopLogin = "/app/shop/", "/app/shop/login"

// A deploy sets another Domain, or none any more. RFC 6265 has browsers send the
// older cookie first.
func TestDomainOfTheCookieChanges(t *testing.T) {
	domains := []string{"", "shop.example", "www.shop.example"}
	for name := range newSite(t).deploys() {
		for _, before := range domains {
			for _, after := range domains {
				t.Run(fmt.Sprintf("%s/from %q to %q", name, before, after), func(t *testing.T) {
					s := newSite(t)
					deploy := s.deploys()[name]
					first, second := deploy(before, "/"), deploy(after, "/")
					s.served = first
					page := s.Get(shopPage)
					testkit.Want(t, "lines of a first visit", len(page.Header["Set-Cookie"]), 1)

					s.served = second
					s.works("a page from before the deploy", page.Field())
					s.works("login", s.Post(shopLogin, "").Field())
					testkit.Want(t, "the session before", s.Post("/app/shop/increment", page.Field()).StatusCode, 400)
					s.served = first
					s.works("login after the deploy was taken back", s.Post(shopLogin, "").Field())
					s.works("the next page", s.Get(shopPage).Field())
				})
			}
		}
	}
}

// The browser has two sessions of two deploys.
func TestTwoCookiesOfOneName(t *testing.T) {
	type cookie struct{ domain, path string }
	cookies := []cookie{{"", "/"}, {"shop.example", "/"}, {"", "/app"}, {"shop.example", "/app/shop"}, {"shop.example", "/app/shop/"}}
	for name := range newSite(t).deploys() {
		for _, one := range cookies {
			for _, two := range cookies {
				if one == two {
					continue
				}
				t.Run(fmt.Sprint(name, "/", one, two), func(t *testing.T) {
					s := newSite(t)
					deploy := s.deploys()[name]
					first, second := deploy(one.domain, one.path), deploy(two.domain, two.path)
					visit := func(h http.Handler) string {
						s.Jar, _ = cookiejar.New(&cookiejar.Options{PublicSuffixList: onlyExample{}})
						s.served = h
						return s.Get(shopPage).Field()
					}
					both := func() {
						visit(first)
						ofFirst := s.at(shopPage)
						tokenOfSecond := visit(second)
						s.Jar.SetCookies(&url.URL{Scheme: "https", Host: "www.shop.example"},
							[]*http.Cookie{{Name: "binding", Value: ofFirst, Domain: one.domain, Path: one.path}})
						testkit.Want(t, "cookies", len(s.Jar.Cookies(&url.URL{Scheme: "https", Host: "www.shop.example", Path: shopPage})), 2)
						testkit.Want(t, "which session cannot be known", s.Post("/app/shop/increment", tokenOfSecond).StatusCode, 400)
					}
					both()
					page := s.Get(shopPage)
					s.works("a page", page.Field())
					testkit.Want(t, "lines of the next page", len(s.Get(shopPage).Header["Set-Cookie"]), 0)
					both()
					login := s.Post(shopLogin, "")
					s.works("a login", login.Field())
					wantOneLineEach(t, login)
				})
			}
		}
	}
}

// wantOneLineEach checks that no cookie is set twice.
func wantOneLineEach(t *testing.T, a testkit.Answer) {
	t.Helper()
	size, seen := 0, make(map[string]bool)
	for _, c := range a.Cookies() {
		id := fmt.Sprint(c.Name, c.Domain, c.Path, c.Partitioned)
		testkit.Want(t, "twice: "+id, seen[id], false)
		seen[id] = true
		size += len(c.Raw)
	}
	testkit.Want(t, "fits into a response's header", size < 3<<10, true)
}

// Another host of the domain plants a session that it knows.
func TestPlantedSession(t *testing.T) {
	for name := range newSite(t).deploys() {
		for _, path := range []string{"/", "/app", "/app/", "/app/shop", "/app/shop/"} {
			t.Run(name+path, func(t *testing.T) {
				s := newSite(t)
				s.served = s.deploys()[name]("", "/")
				s.Get(shopPage)
				known := s.at(shopPage)
				s.Jar, _ = cookiejar.New(&cookiejar.Options{PublicSuffixList: onlyExample{}})

				own := s.Get(shopPage).Field()
				s.plant(known, path)
				testkit.Want(t, "neither is taken", s.Post("/app/shop/increment", own).StatusCode, 400)
				s.works("the next page", s.Get(shopPage).Field())
				s.plant(known, path)
				s.works("a login", s.Post(shopLogin, "").Field())
				testkit.Want(t, "the planted one is left", s.at(shopPage) == known, false)
			})
		}
	}
}

// A page never sees a cookie that is planted for the route of its form alone, so
// the refusal itself deletes it.
func TestPlantedWhereNoPageSeesIt(t *testing.T) {
	const route = "/app/shop/increment"
	for name := range newSite(t).deploys() {
		for _, path := range []string{"/", "/app"} {
			t.Run(name+path, func(t *testing.T) {
				s := newSite(t)
				s.served = s.deploys()[name]("", path)
				own := s.Get(shopPage).Field()
				s.plant(strings.Repeat("A", 26), route)
				refused := s.Post(route, own)
				testkit.Want(t, "neither is taken", refused.StatusCode, 400)
				wantOneLineEach(t, refused)
				s.works("the same page again", own)
			})
		}
	}
}

// Identical cookies are one session, and a renewal ends them all.
func TestOneSessionInTwoCookies(t *testing.T) {
	for name := range newSite(t).deploys() {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.served = s.deploys()[name]("", "/")
			page := s.Get(shopPage).Field()
			s.plant(s.at(shopPage), "/app")
			s.works("a page", page)
			s.works("a login", s.Post(shopLogin, "").Field())
			testkit.Want(t, "the session before", s.Post("/app/shop/increment", page).StatusCode, 400)
		})
	}
}

// Both records of two sessions end, so that no copy of either cookie lives on.
func TestRenewEndsBothSessions(t *testing.T) {
	s := newSite(t)
	s.served = s.deploys()["FilesystemStore"]("", "/")
	visit := func() (cookie, token string) {
		s.Jar, _ = cookiejar.New(nil)
		token = s.Get(shopPage).Field()
		return s.at(shopPage), token
	}
	one, tokenOfOne := visit()
	two, tokenOfTwo := visit()
	s.plant(one, "/app")
	s.Post(shopLogin, "")
	for cookie, token := range map[string]string{one: tokenOfOne, two: tokenOfTwo} {
		s.Jar, _ = cookiejar.New(nil)
		s.plant(cookie, "/")
		testkit.Want(t, "a copy", s.Post("/app/shop/increment", token).StatusCode, 400)
	}
}

// A handler that saves all sessions of its request has not got this one, and so
// does not bring back what a faster request has deleted.
func TestSlowerHandlerSavesNoOldSession(t *testing.T) {
	store := sessions.NewFilesystemStore(t.TempDir(), testkit.NewSecret())
	a := newCounterApp(t, pagestate.Options{Session: pagestate.Session(store, "binding")})
	started, renewed := make(chan bool), make(chan bool)
	a.mux.Handle("POST /slow", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		started <- true
		<-renewed
		login, err := store.Get(r, "login")
		if err != nil {
			return err
		}
		login.Values["seen"] = true
		return sessions.Save(r, w)
	}))
	a.mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if err := a.mw.Renew(w, r); err != nil {
			t.Error(err)
		}
	})
	b, thief := a.browser(), a.browser()
	token := b.Get("/").Field()
	here, _ := url.Parse(a.URL)
	thief.Jar.SetCookies(here, b.Jar.Cookies(here))
	testkit.Want(t, "the thief, before", thief.Post("/increment", token).StatusCode, 200)

	slow := make(chan testkit.Answer)
	go func() { slow <- b.Post("/slow", token) }()
	<-started
	b.Send(b.Request("POST", "/login", nil))
	renewed <- true
	testkit.Want(t, "cookies of the slow answer", writerNames((<-slow).Cookies()), "login")
	testkit.Want(t, "the thief, after", thief.Post("/increment", token).StatusCode, 400)
	testkit.Want(t, "the next page", b.Post("/increment", b.Get("/").Field()).StatusCode, 200)
}

// An unsafe request from another site brings no SameSite cookie. A session made
// for it would replace the visitor's.
func TestAttachInARequestFromAnotherSite(t *testing.T) {
	trusting := http.NewCrossOriginProtection()
	if err := trusting.AddTrustedOrigin("https://partner.example"); err != nil {
		t.Fatal(err)
	}
	id := ""
	for name, tt := range map[string]struct {
		method  string
		header  http.Header
		options pagestate.Options
		status  int
	}{
		"from another site":       {"POST", http.Header{"Sec-Fetch-Site": {"cross-site"}}, pagestate.Options{}, 403},
		"from another host":       {"PUT", http.Header{"Sec-Fetch-Site": {"same-site"}}, pagestate.Options{}, 403},
		"from an older browser":   {"POST", http.Header{"Origin": {"https://pay.example"}}, pagestate.Options{}, 403},
		"from a page without one": {"POST", http.Header{"Origin": {"null"}}, pagestate.Options{}, 403},
		"safe":                    {"GET", http.Header{"Sec-Fetch-Site": {"cross-site"}}, pagestate.Options{}, 200},
		"from this site":          {"POST", http.Header{"Sec-Fetch-Site": {"same-origin"}}, pagestate.Options{}, 200},
		"from no browser":         {"POST", nil, pagestate.Options{}, 200},
		"trusted":                 {"POST", http.Header{"Origin": {"https://partner.example"}}, pagestate.Options{CrossOrigin: trusting}, 200},
		"Unbound":                 {"POST", http.Header{"Sec-Fetch-Site": {"cross-site"}}, pagestate.Options{Session: pagestate.Unbound()}, 200},
		"SessionFunc": {"POST", http.Header{"Sec-Fetch-Site": {"cross-site"}},
			pagestate.Options{Session: pagestate.SessionFunc(func(*http.Request) string { return id })}, 200},
	} {
		bindings := bindings(t)
		if tt.options.Session != nil {
			bindings = map[string]pagestate.Binding{"": tt.options.Session}
		}
		for binding, session := range bindings {
			t.Run(name+"/"+binding, func(t *testing.T) {
				tt.options.Session = session
				a := newCounterApp(t, tt.options)
				start := func() { id = "started by the application" }
				a.mux.HandleFunc("/return", func(w http.ResponseWriter, r *http.Request) {
					if _, err := a.mw.Owner(r); err != nil {
						t.Error(err)
					}
					start()
					c := &counter{}
					if err := pagestate.Attach(r.Context(), c); err != nil {
						testkit.Want(t, "says what to do", strings.Contains(err.Error(), "redirect with 303"), true)
						pagestate.WriteError(w, r, err)
						return
					}
					showCounter(w, c)
				})
				b := a.browser()
				start()
				tab := b.Get("/").Field()
				id = ""
				send := func(cookies http.CookieJar) testkit.Answer {
					r := b.Request(tt.method, "/return", nil)
					maps.Copy(r.Header, tt.header)
					kept := b.Jar
					defer func() { b.Jar = kept }()
					b.Jar = cookies
					return b.Send(r)
				}
				without := send(nil)
				testkit.Want(t, "status", without.StatusCode, tt.status)
				if tt.status != 200 {
					testkit.Want(t, "cookies", len(without.Header["Set-Cookie"]), 0)
				}
				testkit.Want(t, "with the cookie, for SameSite=None", send(b.Jar).StatusCode, 200)
				testkit.Want(t, "the open tab", b.Post("/increment", tab).StatusCode, 200)
			})
		}
	}
}

// A redirect ends the cross-site navigation's POST: the page that it leads to
// gets the cookie.
func TestPaymentReturnsByPost(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	a.mux.HandleFunc("POST /paid", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusSeeOther) })
	b := a.browser()
	tab := b.Get("/").Field()
	r := b.Request("POST", "/paid", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	stranger := a.browser() // without the cookie, as a browser sends it
	testkit.Want(t, "status", stranger.Send(r).StatusCode, 303)
	b.Send(b.Request("GET", "/", nil))
	testkit.Want(t, "the open tab", b.Post("/increment", tab).StatusCode, 200)
}

// A login that an identity provider posts renews all the same: it is to end
// what was before.
func TestRenewInARequestFromAnotherSite(t *testing.T) {
	for name, binding := range bindings(t) {
		t.Run(name, func(t *testing.T) {
			b := newLoginApp(t, binding).browser()
			before := b.Get("/").Field()
			r := b.Request("POST", "/login/ada", nil)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			jar := b.Jar
			b.Jar = nil
			page := b.Send(r)
			b.Jar = jar
			b.Jar.SetCookies(r.URL, page.Cookies())
			testkit.Want(t, "what was attached after Renew", b.Post("/increment", page.Field()).StatusCode, 200)
			testkit.Want(t, "the session before", b.Post("/increment", before).StatusCode, 400)
		})
	}
}

// brokenBinding is one whose store does not answer.
type brokenBinding struct{ pagestate.Binding }

var errStore = errors.New("the store does not answer")

func (brokenBinding) Existing(*http.Request) (string, error) { return "", errStore }

func TestBrokenStore(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{Session: brokenBinding{pagestate.Unbound()}})
	token := mustSeal(t, newMiddleware(t, nil), ada, &counter{})
	b := a.browser()
	testkit.Want(t, "a request without a token", b.Get("/nothing").StatusCode, 404)
	testkit.Want(t, "a token", b.Call("POST", "/increment", token).StatusCode, 500)
	b.serve("GET", "/owner", "", func(w http.ResponseWriter, r *http.Request) {
		_, err := a.mw.Owner(r)
		testkit.Want(t, "Owner", errors.Is(err, errStore), true)
		err = pagestate.Attach(r.Context(), &counter{})
		testkit.Want(t, "Attach", errors.Is(err, errStore), true)
	})
}

// silentBinding makes sessions without an id.
type silentBinding struct{ pagestate.Binding }

func (silentBinding) Existing(*http.Request) (string, error) { return "", nil }

func TestBindingWithoutAnID(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{Session: silentBinding{pagestate.Unbound()}})
	a.browser().serve("GET", "/x", "", func(w http.ResponseWriter, r *http.Request) {
		err := pagestate.Attach(r.Context(), &counter{})
		testkit.Want(t, "Attach", err != nil && strings.Contains(err.Error(), "gave no id"), true)
		err = a.mw.Renew(w, r)
		testkit.Want(t, "Renew", err != nil && strings.Contains(err.Error(), "gave no id"), true)
	})
}

// keepsID is a binding of an application's own that renews nothing.
type keepsID struct{ pagestate.Binding }

func (keepsID) Existing(*http.Request) (string, error)                    { return "the same", nil }
func (keepsID) Ensure(http.ResponseWriter, *http.Request) (string, error) { return "the same", nil }
func (keepsID) Renew(http.ResponseWriter, *http.Request) (string, error)  { return "the same", nil }

func TestRenewThatChangesNothing(t *testing.T) {
	mw := newMiddleware(t, func(o *pagestate.Options) { o.Session = keepsID{} })
	renew := func(w http.ResponseWriter, r *http.Request) {
		err := mw.Renew(w, r)
		testkit.Want(t, "refused", err != nil && strings.Contains(err.Error(), "its id is still the same"), true)
	}
	for name, h := range map[string]http.Handler{"inside": mw.Handler(http.HandlerFunc(renew)), "outside": http.HandlerFunc(renew)} {
		t.Run(name, func(t *testing.T) { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil)) })
	}
}

// A SessionFunc is renewed in its own library first: by then the request gives
// the new id, and whether that is new can be told only if it was asked before.
func TestRenewOfASessionFunc(t *testing.T) {
	id := "old"
	mw := newMiddleware(t, func(o *pagestate.Options) {
		o.Session = pagestate.SessionFunc(func(*http.Request) string { return id })
	})
	for _, tt := range []struct {
		name        string
		inside      bool
		asked       bool // before Renew
		renewed, ok bool
	}{
		{"outside", false, false, true, true},
		{"inside, renewed", true, false, true, true},
		{"inside, asked and renewed", true, true, true, true},
		{"inside, asked and not renewed", true, true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id = "old"
			var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.asked {
					testkit.Want(t, "attached", pagestate.Attach(r.Context(), &counter{}), nil)
				}
				if tt.renewed {
					id = "new"
				}
				err := mw.Renew(w, r)
				testkit.Want(t, "error", err == nil, tt.ok)
				if tt.inside && tt.ok {
					owner, err := mw.Owner(r)
					testkit.Want(t, "owner", owner.Session, "new")
					testkit.Want(t, "error", err, nil)
				}
			})
			if tt.inside {
				h = mw.Handler(h)
			}
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
		})
	}
}
