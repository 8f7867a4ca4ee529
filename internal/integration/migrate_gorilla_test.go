package integration_test

// Coming from values in a gorilla session: a list whose filter moves from there
// into the page.

import (
	"errors"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// shop has a page with articles.
type shop struct{ sessions sessions.Store }

func (s *shop) filterInSession(w http.ResponseWriter, r *http.Request) error {
	session, err := s.sessions.Get(r, "shop")
	if err != nil {
		return err
	}
	if word := r.FormValue("word"); word != "" {
		session.Values["word"] = word
	}
	if sort := r.FormValue("sort"); sort != "" {
		session.Values["sort"] = sort
	}
	if err := session.Save(r, w); err != nil {
		return err
	}
	http.Redirect(w, r, "/articles", http.StatusSeeOther)
	return nil
}

func (s *shop) showSession(w http.ResponseWriter, r *http.Request) error {
	session, err := s.sessions.Get(r, "shop")
	if err != nil {
		return err
	}
	word, _ := session.Values["word"].(string)
	sort, _ := session.Values["sort"].(string)
	return render(w, sessionPage, map[string]string{"Word": word, "Sort": sort})
}

var sessionPage = template.Must(template.New("").Parse(
	`<form method="post" action="/articles"><input name="word" value="{{.Word}}"></form><p>{{.Word}} by {{.Sort}}</p>`))

// Articles is what one page shows of them.
type Articles struct {
	pagestate.Component
	Word string
	Sort string
}

func showArticles(w http.ResponseWriter, r *http.Request) error {
	a, err := pagestate.FromOrAttach(r.Context(), &Articles{Sort: "name"})
	if err != nil {
		return err
	}
	return render(w, articlesPage, a)
}

func filterArticles(w http.ResponseWriter, r *http.Request, a *Articles) error {
	if word := r.FormValue("word"); word != "" {
		a.Word = word
	}
	if sort := r.FormValue("sort"); sort != "" {
		a.Sort = sort
	}
	return pagestate.Redirect(w, r, "/articles", a)
}

var articlesPage = template.Must(template.New("").Parse(
	`<form method="post" action="/articles">{{.StateField}}<input name="word" value="{{.Word}}"></form><p>{{.Word}} by {{.Sort}}</p>`))

// articlesOf are the articles of the page, or of the session if the page is from
// before the deploy.
func (s *shop) articlesOf(r *http.Request) (*Articles, error) {
	a, err := pagestate.From[Articles](r.Context())
	if !errors.Is(err, pagestate.ErrMissing) {
		return a, err
	}
	session, err := s.sessions.Get(r, "shop")
	if err != nil {
		return nil, err
	}
	a = new(Articles)
	a.Word, _ = session.Values["word"].(string)
	a.Sort, _ = session.Values["sort"].(string)
	return a, pagestate.Attach(r.Context(), a)
}

// handler answers the errors of h as the middleware does.
func handler(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			pagestate.WriteError(w, r, err)
		}
	}
}

// browse returns a browser for a server with that handler.
func browse(t *testing.T, h http.Handler) *pagestatetest.Browser {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return pagestatetest.NewBrowser(t, server)
}

func newShop() *shop {
	store := sessions.NewCookieStore(testkit.NewSecret())
	store.Options.Secure = false // these tests speak plain HTTP
	return &shop{store}
}

// before is the shop of the old version.
func (s *shop) before() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /articles", handler(s.showSession))
	mux.Handle("POST /articles", handler(s.filterInSession))
	return mux
}

// after is the shop with post in the place of filterArticles.
func (s *shop) after(t *testing.T, post http.Handler) http.Handler {
	store, secrets := s.sessions, [][]byte{testkit.NewSecret()}
	registry := pagestate.NewRegistry()
	pagestate.Register[Articles](registry, "articles")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: secrets,
		Session: pagestate.Session(store, "pagestate"), // beside the session "shop"
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /articles", pagestate.HandlePage(showArticles))
	mux.Handle("POST /articles", post)
	return mw.Handler(mux)
}

// sortedTab has two tabs look for other things, and sorts the first one.
func sortedTab(browser *pagestatetest.Browser) pagestatetest.Page {
	first, second := browser.Get("/articles"), browser.Get("/articles")
	first = first.Form("/articles").Fill("word", "tea").Submit()
	second.Form("/articles").Fill("word", "milk").Submit()
	return first.Call("POST", "/articles", url.Values{"sort": {"price"}})
}

func TestFromGorillaSessions(t *testing.T) {
	s := newShop()
	before := browse(t, s.before())
	testkit.WantText(t, "page before", sortedTab(before).Text, "<p>milk by price</p>") // the second tab's word
	after := browse(t, s.after(t, pagestate.Handle(filterArticles)))
	testkit.WantText(t, "page after", sortedTab(after).Text, "<p>tea by price</p>")
}

// TestPageFromBeforeTheDeploy goes on where its session is, and then by itself.
func TestPageFromBeforeTheDeploy(t *testing.T) {
	s := newShop()
	versions := []http.Handler{s.before(), s.after(t, handler(func(w http.ResponseWriter, r *http.Request) error {
		a, err := s.articlesOf(r)
		if err != nil {
			return err
		}
		return filterArticles(w, r, a)
	}))}
	deployed := 0
	browser := browse(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { versions[deployed].ServeHTTP(w, r) }))
	old := browser.Get("/articles").Form("/articles").Fill("word", "tea").Submit()
	deployed = 1
	page := old.Call("POST", "/articles", url.Values{"sort": {"price"}})
	testkit.WantText(t, "page", page.Text, "<p>tea by price</p>")
	page = page.Form("/articles").Fill("word", "milk").Submit()
	testkit.WantText(t, "page", page.Text, "<p>milk by price</p>")
	testkit.WantText(t, "the old page again", old.Call("POST", "/articles", url.Values{"sort": {"name"}}).Text, "<p>tea by name</p>")
}
