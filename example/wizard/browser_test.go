package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/example/internal/chromium"
	"github.com/pagestate/pagestate/internal/testkit"
)

// The browsers of all tests: one takes pages from memory when it goes back, the other
// asks its HTTP cache or the server.
var (
	remembers = chromium.Browser{BackForwardCache: true}
	forgets   chromium.Browser
)

func TestMain(m *testing.M) {
	m.Run()
	remembers.Stop()
	forgets.Stop()
}

// site is the wizard, on a server that can be started again.
type site struct {
	t      *testing.T
	url    string
	secret []byte
	now    atomic.Value // of http.HandlerFunc
	posts  atomic.Int64
}

func newSite(t *testing.T, o pagestate.Options) *site {
	s := &site{t: t, secret: testkit.NewSecret()}
	s.start(o)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			s.posts.Add(1)
		}
		s.now.Load().(http.HandlerFunc)(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// start starts a server that knows nothing but the secret.
func (s *site) start(o pagestate.Options) {
	s.t.Helper()
	registry := pagestate.NewRegistry()
	pagestate.Register[Report](registry, "report")
	o.Secrets = [][]byte{s.secret}
	o.Logger = slog.New(slog.DiscardHandler)
	o.Session = pagestate.Cookie(http.Cookie{Name: "report"})
	mw, err := pagestate.New(registry, o)
	if err != nil {
		s.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", routes())
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		if err := mw.Renew(w, r); err != nil {
			s.t.Error(err)
		}
	})
	s.now.Store(http.HandlerFunc(mw.Handler(mux).ServeHTTP))
}

// tab shows a step of the wizard.
type tab struct {
	*chromium.Tab
	remembers bool
}

func (p tab) wantStep(heading string) {
	p.Wait("document.readyState === 'complete' && document.querySelector('h1')?.textContent === '" + heading + "'")
}

// next sends the form and waits for the page that follows, which may look like this
// one.
func (p tab) next(heading string) {
	p.Do("window.sent = true")
	p.Click("button")
	p.Wait("!window.sent")
	p.wantStep(heading)
}

func (p tab) wantField(name, value string) {
	p.Want("document.getElementById('"+name+"').value", value)
}

// paste puts a text into a field, as a person pastes it.
func (p tab) paste(name, text string) {
	p.Do("document.getElementById('" + name + "').value = " + quote(text))
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "\n", `\n`) + "'" }

// each runs a test with scripts and without, and with each way to go back.
func each(t *testing.T, test func(t *testing.T, open func(address string) tab)) {
	for _, m := range []struct {
		name    string
		browser *chromium.Browser
		script  bool
	}{
		{"from memory", &remembers, true},
		{"from memory, without scripts", &remembers, false},
		{"not from memory", &forgets, true},
		{"not from memory, without scripts", &forgets, false},
	} {
		t.Run(m.name, func(t *testing.T) {
			profile := m.browser.Profile(t)
			test(t, func(address string) tab {
				p := profile.Tab()
				if !m.script {
					p.NoScript()
				}
				p.Expect("status of 422", "status of 404")
				p.Go(address)
				return tab{p, m.browser == &remembers}
			})
		})
	}
}

const (
	whoStep   = "Report a problem"
	storyStep = "What happened, Ada?"
	checkStep = "Is this right?"
	doneStep  = "Thank you, Ada"
)

// toCheck goes to the last step but one.
func (p tab) toCheck(story string) {
	p.wantStep(whoStep)
	p.Type("#name", "Ada")
	p.next(storyStep)
	p.paste("story", story)
	p.next(checkStep)
}

func (p tab) wantStory(story string) { p.Want("document.querySelector('pre').textContent", story) }

func TestInBrowser(t *testing.T) {
	long := strings.Repeat("It made a noise, and then nothing.\n", 570) // just what its field takes
	each(t, func(t *testing.T, open func(string) tab) {
		s := newSite(t, pagestate.Options{Carrier: pagestate.NewCarrier(64 << 20)})
		p := open(s.url)
		p.wantStep(whoStep)
		p.next(whoStep)
		p.Want("document.querySelector('[role=alert]').textContent", "Say who you are.")
		p.Type("#name", "Ada")
		p.next(storyStep)

		t.Log("a 422 keeps what was typed, and so does its reload")
		p.paste("story", long+long)
		p.next(storyStep)
		p.wantField("story", long+long)
		p.Reload()
		p.Want("document.querySelector('[role=alert]').textContent", "Say it in fewer words.")
		p.wantField("story", long+long)
		p.paste("story", long)
		p.next(checkStep)
		p.wantStory(long)
		p.Reload()
		p.wantStory(long)

		t.Log("a second tab goes its own way, and so does Back")
		other := open(p.Text("location.href"))
		posts := s.posts.Load()
		p.Back()
		p.wantStep(storyStep)
		testkit.Want(t, "forms sent again", s.posts.Load()-posts, 0)
		p.wantField("story", long)
		p.paste("story", "Nothing happened.")
		p.next(checkStep)
		p.wantStory("Nothing happened.")
		other.wantStory(long)
		other.next(doneStep)
		p.Reload()
		p.wantStory("Nothing happened.")
		p.next(doneStep)
		p.Back()
		p.wantStep(checkStep)
		p.Want("window.sent === true", fmt.Sprint(p.remembers)) // on the page that was left
		p.wantStory("Nothing happened.")
		p.next(doneStep)
	})
}

func TestBookmarkInBrowser(t *testing.T) {
	each(t, func(t *testing.T, open func(string) tab) {
		s := newSite(t, pagestate.Options{}) // with CookieCarrier
		p := open(s.url)
		p.toCheck("It fell.")
		s.start(pagestate.Options{})
		p.next(doneStep)
		p.Back()
		p.wantStep(checkStep)
		bookmark := open(p.Text("location.href"))
		bookmark.wantStory("It fell.")
		bookmark.next(doneStep)
	})
}

func TestLoginInBrowser(t *testing.T) {
	each(t, func(t *testing.T, open func(string) tab) {
		s := newSite(t, pagestate.Options{Guard: pagestate.NewGuard(1000)})
		p := open(s.url)
		p.toCheck("It fell.")
		left := open(p.Text("location.href"))
		open(s.url + "/login")

		left.Expect("status of 400")
		left.Click("button")
		left.Wait("document.body.textContent.includes('InvalidState')")
		left.Want("/Ada|fell/.test(document.body.textContent)", "false")
		p.Reload()
		p.wantStep(whoStep)
		p.wantField("name", "")
		p.Want("/Ada|fell/.test(document.body.textContent)", "false")
		p.toCheck("It fell again.")
		p.next(doneStep)
	})
}

// A form that was sent again by a reload is an old one for a guard. The page that
// says so leads back to the step.
func TestReloadInBrowserWithGuard(t *testing.T) {
	each(t, func(t *testing.T, open func(string) tab) {
		s := newSite(t, pagestate.Options{Guard: pagestate.NewGuard(1000)})
		p := open(s.url)
		p.wantStep(whoStep)
		p.Type("#name", "Ada")
		p.next(storyStep)
		p.next(storyStep)
		p.Want("document.querySelector('[role=alert]').textContent", "Say what happened.")
		p.Expect("status of 409")
		p.Reload()
		p.Wait("document.body.textContent.includes('StateConflict')")
		p.Click("a")
		p.wantStep(storyStep)
		p.Reload()
		p.wantStep(storyStep)
		p.paste("story", "It fell.")
		p.next(checkStep)
		p.wantStory("It fell.")
		p.Back()
		p.wantStep(storyStep)
		p.Reload()
		p.wantStep(storyStep)
		p.paste("story", "It fell again.")
		p.next(checkStep)
		p.wantStory("It fell again.")
	})
}
