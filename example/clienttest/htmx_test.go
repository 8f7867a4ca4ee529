package clienttest_test

// This file holds what the script does with more of htmx: boosted pages and the
// extensions preload and ws.

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
)

// Pages that htmx shows in place of this one are pages as any other, also after Back.
func TestBoostedPages(t *testing.T) {
	some(t, htmxes, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		there := "/?inside=1&driver=" + string(driver)
		page.press("outer", "add")
		page.wantCount("outer", "1")
		page.Do(`window.stays = true; document.querySelector('#outer > output').insertAdjacentHTML('afterend',
			'<div hx-boost="true" hx-boost:inherited="true"><a id="link" href="` + there + `">There</a>' +
			'<form id="form" method="post" action="/leave?to=` + strings.ReplaceAll(there, "&", "%26") + `"><button>There</button></form></div>');
			htmx.process(document.querySelector('#outer > div'))`)
		page.Click("#link")
		page.Wait("document.getElementById('inner1')")
		page.press("inner1", "add")
		page.wantCount("inner1", "1")
		page.Do("history.back()")
		page.Wait("!document.getElementById('inner1') && document.getElementById('outer')")
		page.wantInStep("outer")
		page.press("outer", "add")
		page.wantCount("outer", "1") // the server has shown it afresh
		page.Do("history.forward()")
		page.Wait("document.getElementById('inner1')")
		page.press("inner1", "add")
		page.wantCount("inner1", "1")
		page.Want("window.stays", "true")
		page.wantHappened()
	})
}

// A boosted form acts for the component around it, and the page that its redirect
// leads to takes the place of this one.
func TestBoostedForm(t *testing.T) {
	some(t, htmxes, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.Do(`window.stays = true; document.querySelector('#outer > output').insertAdjacentHTML('afterend',
			'<form id="form" hx-boost="true" method="post" action="/leave?to=` + "%2F%3Finside%3D1%26driver%3D" + string(driver) + `"><button>There</button></form>');
			htmx.process(document.getElementById('form'))`)
		page.Click("#form button")
		page.Wait("document.getElementById('inner1')")
		page.press("inner1", "add")
		page.wantCount("inner1", "1")
		page.Do("history.back()")
		page.Wait("!document.getElementById('inner1') && document.getElementById('outer')")
		page.press("outer", "add")
		page.wantCount("outer", "1")
		page.Want("window.stays", "true")
		page.wantHappened()
	})
}

// What is asked for ahead of a click has the token, and none in its address. htmx 4 asks
// in a way that can have none, so in a root it does not.
func TestPreload(t *testing.T) {
	for driver, test := range map[Driver]struct {
		extension string
		sent      int
	}{
		htmx2: {"htmx-ext-preload-2.1.2/preload", 2},
		htmx4: {"htmx-4.0.1-ext/hx-preload", 1},
	} {
		some(t, []Driver{driver}, func(t *testing.T, driver Driver, open func(string) *tab) {
			page := open("extension=" + test.extension)
			ahead := page.Text("document.getElementById('ahead').outerHTML")
			for range 2 { // in the page, and in what comes later
				page.Wait("(button => button['htmx-internal-data'] || button.dataset.htmxPowered)(document.getElementById('ahead'))")
				before := len(page.site.sent())
				page.Click("#ahead")
				page.wantCarried("outer", "GET: header 1, form 0, url 0")
				page.Wait("!document.querySelector('[aria-busy]')")
				page.site.waitSent(before + test.sent)
				page.site.wantSent(before + test.sent)
				page.press("outer", "add")
				page.wantCarried("outer", "POST: header 1, form 0, url 0")
				page.Do(fmt.Sprintf("document.querySelector('form.add').insertAdjacentHTML('beforeend', %q); htmx.process(document.getElementById('ahead'))", ahead))
			}
			if page.site.bare > 0 || strings.Contains(strings.Join(page.site.sent(), " "), "gAAAA") {
				t.Errorf("%d without a token: %.200q", page.site.bare, page.site.sent())
			}
			page.wantHappened()
		})
	}
}

// socket answers messages that have a token with the root in its next state.
func (s *Site) socket(w http.ResponseWriter, r *http.Request) {
	owner, err := s.mw.Owner(r)
	if err != nil {
		s.t.Error(err)
	}
	ctx := r.Context()
	websocket.Handler(func(conn *websocket.Conn) {
		for {
			var message struct {
				Token  string `json:"page_state"`
				Driver Driver
			}
			if err := websocket.JSON.Receive(conn, &message); err != nil {
				return
			}
			state, err := s.mw.Open(ctx, owner, message.Token)
			if err != nil {
				s.t.Error(err)
				return
			}
			c := state.(*Counter)
			c.Count++
			token, err := s.mw.Reseal(ctx, owner, message.Token, c)
			if err != nil {
				s.t.Error(err)
			}
			io.WriteString(conn, strings.ReplaceAll(socketed(message.Driver, c.Count), "TOKEN", token))
		}
	}).ServeHTTP(w, r)
}

// extensions are that for WebSockets, and the attributes that it looks for.
var extensions = map[Driver]struct{ file, connect, send string }{
	htmx2: {"htmx-ext-ws-2.0.4/ws", "ws-connect", "ws-send"},
	htmx4: {"htmx-4.0.1-ext/hx-ws", "hx-ws:connect", "hx-ws:send"},
}

// connect shows the root of a component that sends its form over a WebSocket.
func (p *tab) connect(driver Driver, url string) {
	p.t().Helper()
	extension := extensions[driver]
	p.Do(fmt.Sprintf(`{
		const main = document.querySelector('main');
		main.innerHTML = %q.replaceAll('TOKEN', document.getElementById('outer').dataset.pageState);
		htmx.process(main);
	}`, `<div `+extension.connect+`="`+url+`" hx-target="#outer" hx-swap="outerHTML">`+socketed(driver, 0)+`</div>`))
}

// socketed is the root with a count.
func socketed(driver Driver, count int) string {
	return fmt.Sprintf(`<section id="outer" data-page-state="TOKEN"><output>%d</output>
		<form id="say" method="post" %s><input type="hidden" name="page_state" value="TOKEN"><input type="hidden" name="driver" value="%s"><button>Say</button></form>
		<form id="post" hx-post="/say/it" hx-target="#outer" hx-swap="outerHTML"><input type="hidden" name="page_state" value="TOKEN"><button>Post</button></form></section>`,
		count, extensions[driver].send, driver)
}

// What comes over a WebSocket is as any other change of the page: its token is the next.
func TestWebSocket(t *testing.T) {
	some(t, htmxes, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("extension=" + extensions[driver].file)
		page.site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
			c.Count++
			token, err := c.StateToken()
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, strings.ReplaceAll(socketed(driver, c.Count), "TOKEN", token))
			return err
		})
		page.connect(driver, "/socket")
		press := func(button string) {
			page.Wait("(form => form['htmx-internal-data'] || form.dataset.htmxPowered)(document.getElementById('" + button + "'))")
			page.Click("#" + button + " button")
		}
		press("say")
		page.wantCount("outer", "1")
		press("post")
		page.wantCount("outer", "2")
		press("say")
		page.wantCount("outer", "3")

		release := page.site.hold("/say/it")
		press("post")
		page.site.waitSent(2)
		press("say")
		page.wantCount("outer", "4")
		newer := page.token("outer")
		release()
		page.wantHappened("pagestate:conflict outer outer") // the answer is the older one
		page.wantCount("outer", "4")
		if page.token("outer") != newer {
			t.Error("the newer token was overwritten")
		}
	})
}

// A socket of another host gets the form without its token.
func TestWebSocketElsewhere(t *testing.T) {
	some(t, htmxes, func(t *testing.T, driver Driver, open func(string) *tab) {
		messages := make(chan string, 1)
		elsewhere := httptest.NewServer(websocket.Handler(func(conn *websocket.Conn) {
			var message string
			websocket.Message.Receive(conn, &message)
			messages <- message
		}))
		t.Cleanup(elsewhere.Close)
		page := open("extension=" + extensions[driver].file)
		page.site.policy = "" // which could prevent it, too
		page.Go(page.Text("location.href"))
		page.connect(driver, "ws"+strings.TrimPrefix(elsewhere.URL, "http"))
		page.Click("#say button")
		if message := <-messages; !strings.Contains(message, `"driver"`) || strings.Contains(message, "gAAAA") {
			t.Errorf("sent elsewhere: %s", message)
		}
	})
}
