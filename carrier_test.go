package pagestate_test

// The carriers by themselves: handlers put parcels and get them, over real HTTP with
// a cookie jar. What a redirect makes of them is in redirect_test.go.

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/cookie"
	"github.com/pagestate/pagestate/internal/sessionid"
	"github.com/pagestate/pagestate/internal/testkit"
)

// carrierApp keeps what is posted to /put and shows it at /get.
type carrierApp struct {
	*httptest.Server
	t       *testing.T
	mw      *pagestate.Middleware
	carrier pagestate.Carrier
	secret  []byte
	later   atomic.Int64 // in nanoseconds, how far its clock is ahead
}

func newCarrierApp(t *testing.T, carrier pagestate.Carrier, o pagestate.Options) *carrierApp {
	t.Helper()
	a := &carrierApp{t: t, carrier: cmp.Or(carrier, pagestate.CookieCarrier(http.Cookie{})), secret: testkit.NewSecret()}
	o.Carrier, o.Logger = carrier, slog.New(slog.DiscardHandler)
	o.Secrets = [][]byte{a.secret}
	if o.Session == nil {
		o.Session = pagestate.Cookie(http.Cookie{Name: "binding"})
	}
	started := time.Now()
	o.Clock = func() time.Time { return started.Add(time.Duration(a.later.Load())) }
	registry := pagestate.NewRegistry()
	pagestate.Register[counter](registry, "counter")
	mw, err := pagestate.New(registry, o)
	if err != nil {
		t.Fatal(err)
	}
	a.mw = mw
	mux := http.NewServeMux()
	mux.HandleFunc("POST /put", func(w http.ResponseWriter, r *http.Request) {
		keep, _ := time.ParseDuration(cmp.Or(r.FormValue("keep"), "24h"))
		if r.FormValue("start") != "" {
			if err := pagestate.Attach(r.Context(), &counter{}); err != nil {
				t.Error(err)
			}
		}
		for i, id := range r.Form["id"] {
			if err := a.carrier.Put(w, r, pagestate.Parcel{ID: id, Value: r.Form["value"][i], Keep: keep}); err != nil {
				pagestate.WriteError(w, r, err)
				return
			}
			if value, err := a.carrier.Get(w, r, id); value != r.Form["value"][i] || err != nil {
				t.Errorf("what was put is not known in the same response: %v", err)
			}
		}
	})
	mux.HandleFunc("GET /get", func(w http.ResponseWriter, r *http.Request) {
		value, err := a.carrier.Get(w, r, r.FormValue("id"))
		if err != nil {
			t.Error(err)
		}
		io.WriteString(w, value)
	})
	mux.HandleFunc("POST /renew", func(w http.ResponseWriter, r *http.Request) {
		if err := mw.Renew(w, r); err != nil {
			t.Error(err)
		}
	})
	outer := http.NewServeMux()
	outer.Handle("/", mw.Handler(mux))
	outer.Handle("/outside/", http.StripPrefix("/outside", mux))
	a.Server = httptest.NewUnstartedServer(outer)
	t.Cleanup(a.Close)
	return a
}

// carrierVisitor has a session with an app.
type carrierVisitor struct {
	*testkit.Browser
	app  *carrierApp
	site *url.URL
}

func (a *carrierApp) visitor() *carrierVisitor {
	a.t.Helper()
	if a.URL == "" {
		a.Start()
	}
	site, err := url.Parse(a.URL)
	if err != nil {
		a.t.Fatal(err)
	}
	v := &carrierVisitor{testkit.NewBrowser(a.t, func() string { return a.URL }), a, site}
	v.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	a.t.Cleanup(v.CloseIdleConnections)
	v.send(url.Values{"start": {"yes"}})
	return v
}

func (v *carrierVisitor) send(form url.Values) testkit.Answer {
	r := v.Request("POST", "/put", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.Send(r)
}

// put puts a value of its own, of so many characters.
func (v *carrierVisitor) put(size int) (p pagestate.Parcel, a testkit.Answer) {
	p = newParcel(size)
	return p, v.send(url.Values{"id": {p.ID}, "value": {p.Value}})
}

// puts is put for values that fit. A second passes each time.
func (v *carrierVisitor) puts(sizes ...int) (all []pagestate.Parcel) {
	v.app.t.Helper()
	for _, size := range sizes {
		v.app.later.Add(int64(time.Second))
		p, a := v.put(size)
		testkit.Want(v.app.t, "put", a.StatusCode, 200)
		all = append(all, p)
	}
	return all
}

// TestNoParcelOfAnotherID: an id that is none gets nothing, although there are parcels.
func TestNoParcelOfAnotherID(t *testing.T) {
	v := newCarrierApp(t, nil, pagestate.Options{}).visitor()
	p := v.puts(small)[0]
	for _, id := range []string{"", p.ID[:25], p.ID + "A", strings.ToLower(p.ID), newParcel(1).ID} {
		testkit.Want(t, "known by "+strconv.Quote(id), v.Get("/get?id="+id).Body, "")
	}
	testkit.WantText(t, "known by its own", v.has(p), "yes")
}

func newParcel(size int) pagestate.Parcel { return parcelOf(sessionid.New(), size) }

func parcelOf(id string, size int) pagestate.Parcel {
	return pagestate.Parcel{ID: id, Value: strings.Repeat(id, size/len(id)+1)[:size], Keep: 24 * time.Hour}
}

// small is the size of what a state of 400 characters is carried in.
const small = 460

// has returns for each parcel whether it is known: "yes", "no", or what is wrong.
func (v *carrierVisitor) has(all ...pagestate.Parcel) string {
	var known []string
	for _, p := range all {
		switch v.Get("/get?id=" + p.ID).Body {
		case p.Value:
			known = append(known, "yes")
		case "":
			known = append(known, "no")
		default:
			known = append(known, "another")
		}
	}
	return strings.Join(known, " ")
}

// cookies returns what the browser has, by name.
func (v *carrierVisitor) cookies() map[string]string {
	all := make(map[string]string)
	for _, c := range v.Jar.Cookies(v.site) {
		all[c.Name] = c.Value
	}
	return all
}

// header is the line that the browser sends.
func (v *carrierVisitor) header() string {
	var pairs []string
	for _, c := range v.Jar.Cookies(v.site) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return "Cookie: " + strings.Join(pairs, "; ") + "\r\n"
}

func (v *carrierVisitor) plant(name, value string) {
	v.Jar.SetCookies(v.site, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: v.site.Scheme == "https"}})
}

var longName = strings.Repeat("n", 200)

func TestCookieCarrierHolds(t *testing.T) {
	for name, tt := range map[string]struct {
		session, name string
		secure        bool
		most          int
	}{
		"usual":        {"binding", "", false, 2560},
		"Secure":       {"__Host-binding", "", true, 2560},
		"a long name":  {longName, "", false, 1850},
		"a short name": {longName, "c", false, 2560},
	} {
		t.Run(name, func(t *testing.T) {
			a := newCarrierApp(t, pagestate.CookieCarrier(http.Cookie{Name: tt.name}), pagestate.Options{
				Session: pagestate.Cookie(http.Cookie{Name: tt.session, Secure: tt.secure}),
			})
			if tt.secure {
				a.StartTLS()
			}
			v := a.visitor()
			for _, size := range []int{1, small, tt.most / 5, tt.most/5 + 1, tt.most} {
				p, answer := v.put(size)
				testkit.Want(t, "status", answer.StatusCode, 200)
				testkit.Want(t, "cookies", len(answer.Cookies()), (size+tt.most/5-1)/(tt.most/5))
				testkit.Want(t, fmt.Sprint("known, of ", size), v.has(p), "yes")
				lines := 0
				for _, line := range answer.Header["Set-Cookie"] {
					lines += len("Set-Cookie: \r\n") + len(line)
				}
				if tt.name == "" && len(tt.session) < 40 && lines > 4<<10-512 {
					t.Errorf("the lines that set %d characters are %d bytes", size, lines)
				}
			}
			p, answer := v.put(tt.most + 1)
			testkit.Want(t, "too large", answer.StatusCode, 413)
			testkit.Want(t, "cookies", len(answer.Cookies()), 0)
			testkit.Want(t, "known", v.has(p), "no")
			v.puts(tt.most, small)
			testkit.Want(t, "cookies when full", len(v.cookies()), 7)
			v.puts(tt.most/5, tt.most/5, tt.most/5, tt.most/5, tt.most/5, tt.most/5)
			if n := len(v.header()); n >= 4<<10 {
				t.Errorf("the header is %d bytes long", n)
			}
		})
	}
}

func TestTooLargeForCookiesSaysWhatToDo(t *testing.T) {
	a := newCarrierApp(t, nil, pagestate.Options{})
	var err error
	h := a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err = a.carrier.Put(w, r, newParcel(2561))
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
	testkit.Want(t, "is an ErrTooLarge", errors.Is(err, pagestate.ErrTooLarge), true)
	testkit.WantText(t, "error", fmt.Sprint(err), "2561", "2560", "keep less in the state", "NewCarrier", "adapter/redisstate")
}

// However many redirects there are, and in whatever order they are answered, the site
// goes on to work.
func TestCookieCarrierStaysBelow4KiB(t *testing.T) {
	a := newCarrierApp(t, nil, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "__Host-binding", Secure: true})})
	a.StartTLS()
	v := a.visitor()
	session := v.cookies()["__Host-binding"]
	check := func() {
		t.Helper()
		if n := len(v.header()); n >= 4<<10 {
			t.Fatalf("the header is %d bytes long", n)
		}
		testkit.Want(t, "session", v.cookies()["__Host-binding"], session)
	}
	sizes := []int{small, 1, 2560, 1000, 512, 513, 1536, small}
	for i := range 200 {
		p := v.puts(sizes[i%len(sizes)])
		check()
		testkit.Want(t, "the last one", v.has(p...), "yes")
	}
	var visits sync.WaitGroup
	for i := range 50 {
		visits.Go(func() { v.put(sizes[i%len(sizes)]) })
	}
	visits.Wait()
	check()
	testkit.Want(t, "afterwards", v.has(v.puts(2560)...), "yes")
}

// Of small parcels six are there at once, and the oldest goes first.
func TestOldestMakesRoom(t *testing.T) {
	v := newCarrierApp(t, nil, pagestate.Options{}).visitor()
	all := v.puts(small, small, small, small)
	testkit.Want(t, "four", v.has(all...), "yes yes yes yes")
	all = append(all, v.puts(small, small)...)
	testkit.Want(t, "six", v.has(all...), "yes yes yes yes yes yes")
	for i := range 20 {
		all = append(all, v.puts(small)...)
		testkit.Want(t, "the seventh", v.has(all[i:]...), "no yes yes yes yes yes yes")
	}
}

func TestWholeParcelsMakeRoom(t *testing.T) {
	v := newCarrierApp(t, nil, pagestate.Options{}).visitor()
	all := v.puts(3*512, 3*512)
	testkit.Want(t, "two of three cookies", v.has(all...), "yes yes")
	for i, want := range []string{"no yes yes", "no yes yes yes", "no yes yes yes yes", "no no yes yes yes yes"} {
		all = append(all, v.puts(small)...)
		testkit.Want(t, fmt.Sprint("and small ones: ", i+1), v.has(all...), want)
	}
	all = append(all, v.puts(2*512)...)
	testkit.Want(t, "and one of two cookies, where two are free", v.has(all...), "no no yes yes yes yes yes")
	all = append(all, v.puts(2*512)...)
	testkit.Want(t, "and one more, for which the two oldest go", v.has(all[2:]...), "no no yes yes yes yes")
}

// Several links in one response do not take each other's cookies.
func TestSeveralInOneResponse(t *testing.T) {
	v := newCarrierApp(t, nil, pagestate.Options{}).visitor()
	form := make(url.Values)
	var all []pagestate.Parcel
	for range 3 {
		p := newParcel(2 * 512)
		all = append(all, p)
		form.Add("id", p.ID)
		form.Add("value", p.Value)
	}
	testkit.Want(t, "status", v.send(form).StatusCode, 200)
	testkit.Want(t, "all", v.has(all...), "yes yes yes")
}

// Two tabs that are redirected at one moment mostly take different cookies.
func TestTabsAtOneMoment(t *testing.T) {
	v := newCarrierApp(t, nil, pagestate.Options{}).visitor()
	put := func() (name string) {
		_, a := v.put(small)
		set := a.Cookies()[0]
		v.Jar.SetCookies(v.site, []*http.Cookie{{Name: set.Name, Path: "/", MaxAge: -1}}) // the other tab has not got it yet
		return set.Name
	}
	apart := 0
	for range 60 {
		if one, other := put(), put(); one != other {
			apart++
		}
	}
	if apart < 30 {
		t.Errorf("of 60 pairs only %d took different cookies", apart)
	}
}

// What others have put into the cookies never opens, and makes room first.
func TestPlantedSlots(t *testing.T) {
	flip := func(s string, i int) string {
		c := byte('A')
		if s[i] == c {
			c = 'B'
		}
		return s[:i] + string(c) + s[i+1:]
	}
	// Each returns what is planted, and the parcel that it claims to be.
	plants := map[string]func(v *carrierVisitor) (values []string, p pagestate.Parcel){
		"forged": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			p := newParcel(small)
			return []string{fmt.Sprintf("%010d01%s%s%s", time.Now().Unix(), p.ID, strings.Repeat("A", 22), p.Value)}, p
		},
		"dated 2100": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			p := newParcel(small)
			return []string{fmt.Sprintf("410244480001%s%s%s", p.ID, strings.Repeat("A", 22), p.Value)}, p
		},
		"signed two minutes from now": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			v.app.later.Add(int64(2 * time.Minute))
			defer v.app.later.Add(-int64(2 * time.Minute))
			return v.taken(small)
		},
		"of another visitor": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			return v.app.visitor().taken(small)
		},
		"altered text": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			values, p := v.taken(small)
			return []string{flip(values[0], len(values[0])-1)}, p
		},
		"altered id": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			values, p := v.taken(small)
			i := strings.Index(values[0], p.ID)
			p.ID = flip(p.ID, 0)
			return []string{flip(values[0], i)}, p
		},
		"altered time": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			values, p := v.taken(small)
			return []string{fmt.Sprintf("%010d", time.Now().Unix()-5) + values[0][10:]}, p
		},
		"cut": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			values, p := v.taken(small)
			return []string{values[0][:len(values[0])-1]}, p
		},
		"signed with the secret, and longer than ours": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			p := newParcel(513)
			return []string{forgeSlot(v, p)}, p
		},
		"empty and odd": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			return []string{"", "x", strings.Repeat("0", 60), strings.Repeat("9", 60), strings.Repeat("-", 700)}, newParcel(small)
		},
		"one piece is missing": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			values, p := v.taken(3 * 512)
			return values[1:], p
		},
		"a piece twice": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			values, p := v.taken(2 * 512)
			return []string{values[0], values[0]}, p
		},
		"pieces of two parcels": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			one, p := v.taken(2 * 512)
			other, _ := v.taken(2 * 512)
			return []string{one[0], other[1]}, p
		},
		"pieces of one id, from two times": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			p := newParcel(2 * 512)
			one := v.takenOf(p)
			v.app.later.Add(int64(time.Second))
			return []string{one[0], v.takenOf(p)[1]}, p
		},
		"pieces of one id, of different numbers": func(v *carrierVisitor) ([]string, pagestate.Parcel) {
			p := newParcel(2 * 512)
			longer := p
			longer.Value += "x"
			return []string{v.takenOf(p)[0], v.takenOf(longer)[1]}, p
		},
	}
	for name, plant := range plants {
		t.Run(name, func(t *testing.T) {
			v := newCarrierApp(t, nil, pagestate.Options{}).visitor()
			real := v.puts(small)
			v.app.later.Add(int64(time.Second))
			values, p := plant(v)
			at := 0
			for i := range 6 {
				slot := fmt.Sprint("binding-", i)
				if v.cookies()[slot] == "" && len(values) > 0 {
					v.plant(slot, values[at%len(values)])
					at++
				}
			}
			if got := v.has(p); got != "no" {
				t.Errorf("what was planted is known: %s", got)
			}
			real = append(real, v.puts(small, small, small, small, small)...)
			testkit.Want(t, "what was not planted", v.has(real...), "yes yes yes yes yes yes")
		})
	}
}

// taken returns the slots of a new parcel, in the order of its pieces, and takes them
// from the browser.
func (v *carrierVisitor) taken(size int) ([]string, pagestate.Parcel) {
	p := newParcel(size)
	return v.takenOf(p), p
}

func (v *carrierVisitor) takenOf(p pagestate.Parcel) (values []string) {
	v.app.t.Helper()
	a := v.send(url.Values{"id": {p.ID}, "value": {p.Value}})
	for _, c := range a.Cookies() {
		values = append(values, c.Value)
		v.Jar.SetCookies(v.site, []*http.Cookie{{Name: c.Name, Path: "/", MaxAge: -1}})
	}
	if len(values) == 0 {
		v.app.t.Fatal("nothing was set")
	}
	return values
}

// What a thief of the secret can make is a slot like ours.
func TestForgedSlot(t *testing.T) {
	v := newCarrierApp(t, nil, pagestate.Options{}).visitor()
	p := newParcel(512)
	v.plant("binding-0", forgeSlot(v, p))
	testkit.Want(t, "known", v.has(p), "yes")
}

// forgeSlot returns a slot with all of p.
func forgeSlot(v *carrierVisitor, p pagestate.Parcel) string {
	head := fmt.Sprintf("%010d01%s", time.Now().Unix(), p.ID)
	return head + forgedSignature(v.app.t, v.app.secret, v.cookies()["binding"], "slot "+head+p.Value) + p.Value
}

// A browser sends a cookie of another host beside ours, in either order.
func TestPlantedBesideOurs(t *testing.T) {
	v := newCarrierApp(t, nil, pagestate.Options{}).visitor()
	p := v.puts(3 * 512)[0]
	for _, order := range []string{"before", "after"} {
		r := v.Request("GET", "/get?id="+p.ID, nil)
		var ours, theirs []string
		for name, value := range v.cookies() {
			ours = append(ours, name+"="+value)
			if name != "binding" {
				theirs = append(theirs, name+"=planted", name+"="+strings.Repeat("0", 70))
			}
		}
		all := append(theirs, ours...)
		if order == "after" {
			all = append(ours, theirs...)
		}
		r.Header.Set("Cookie", strings.Join(all, "; "))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		testkit.Want(t, order, string(body), p.Value)
	}
}

func TestSlotsOfOtherServers(t *testing.T) {
	v := newCarrierApp(t, nil, pagestate.Options{}).visitor()
	p := v.puts(small)
	v.app.later.Add(-int64(time.Minute))
	testkit.Want(t, "whose clock is a minute ahead", v.has(p...), "yes")
	v.app.later.Add(-int64(time.Second))
	testkit.Want(t, "and more", v.has(p...), "no")
}

func TestSlotsExpire(t *testing.T) {
	for name, tt := range map[string]struct {
		cookie   http.Cookie
		keep     string
		maxAge   int
		opensFor time.Duration
	}{
		"an hour":                    {http.Cookie{}, "24h", 3600, time.Hour},
		"as long as MaxAge says":     {http.Cookie{MaxAge: 90}, "24h", 90, 90 * time.Second},
		"longer than an hour":        {http.Cookie{MaxAge: 7200}, "24h", 7200, 2 * time.Hour},
		"no longer than what is in":  {http.Cookie{}, "90s", 90, 0},
		"no longer, to the second":   {http.Cookie{}, "1999ms", 1, 0},
		"what opens for a moment":    {http.Cookie{}, "1ms", 1, 0},
		"what will be there for age": {http.Cookie{}, "2000000h", 3600, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			v := newCarrierApp(t, pagestate.CookieCarrier(tt.cookie), pagestate.Options{}).visitor()
			p := newParcel(small)
			a := v.send(url.Values{"id": {p.ID}, "value": {p.Value}, "keep": {tt.keep}})
			testkit.Want(t, "Max-Age", a.Cookies()[0].MaxAge, tt.maxAge)
			if tt.opensFor == 0 {
				return // the browser sees to it
			}
			v.app.later.Add(int64(tt.opensFor - time.Second))
			testkit.Want(t, "just before", v.has(p), "yes")
			v.app.later.Add(int64(time.Second))
			testkit.Want(t, "then", v.has(p), "no")
			all := v.puts(small, small, small, small, small, small)
			testkit.Want(t, "its room is free", v.has(all...), "yes yes yes yes yes yes")
		})
	}
}

// ownBinding is one of the application's, whose cookie nobody knows.
type ownBinding struct{ pagestate.Binding }

// ownStore has no field called Options.
type ownStore struct{ sessions.Store }

func TestSlotAttributes(t *testing.T) {
	lax, strict, none := http.SameSiteLaxMode, http.SameSiteStrictMode, http.SameSiteNoneMode
	store := func(o sessions.Options) sessions.Store {
		s := sessions.NewCookieStore(sessionKey)
		s.Options = &o
		return s
	}
	fixed := func(*http.Request) string { return "session" }
	type want struct {
		name                string // of the first slot, without its number
		secure, partitioned bool
		sameSite            http.SameSite
	}
	for name, tt := range map[string]struct {
		binding  pagestate.Binding
		given    http.Cookie
		tls      bool
		expected want
	}{
		"Cookie":                       {pagestate.Cookie(http.Cookie{Name: "b"}), http.Cookie{}, false, want{"b-", false, false, lax}},
		"Cookie, over TLS":             {pagestate.Cookie(http.Cookie{Name: "b"}), http.Cookie{}, true, want{"b-", false, false, lax}},
		"Cookie, Secure":               {pagestate.Cookie(http.Cookie{Name: "b", Secure: true}), http.Cookie{}, true, want{"__Host-b-", true, false, lax}},
		"Cookie, __Host-":              {pagestate.Cookie(http.Cookie{Name: "__Host-b", Secure: true}), http.Cookie{}, true, want{"__Host-b-", true, false, lax}},
		"Cookie, __Secure- and Domain": {pagestate.Cookie(http.Cookie{Name: "__Secure-b", Secure: true, Domain: "127.0.0.1", Path: "/"}), http.Cookie{}, true, want{"__Host-b-", true, false, lax}},
		"Cookie, __Host-Http-":         {pagestate.Cookie(http.Cookie{Name: "__Host-Http-b", Secure: true}), http.Cookie{}, true, want{"__Host-Http-b-", true, false, lax}},
		"Cookie, Strict":               {pagestate.Cookie(http.Cookie{Name: "b", SameSite: strict}), http.Cookie{}, false, want{"b-", false, false, strict}},
		"Cookie, Partitioned":          {pagestate.Cookie(http.Cookie{Name: "b", SameSite: none, Secure: true, Partitioned: true}), http.Cookie{}, true, want{"__Host-b-", true, true, none}},
		"Cookie, and all else given": {pagestate.Cookie(http.Cookie{Name: "b"}), http.Cookie{Name: "c", Path: "/", Secure: true, SameSite: none, Partitioned: true},
			true, want{"__Host-c-", true, true, none}},
		"Cookie, the default SameSite given": {pagestate.Cookie(http.Cookie{Name: "b", SameSite: strict}), http.Cookie{SameSite: http.SameSiteDefaultMode}, false, want{"b-", false, false, strict}},
		"Session":                            {pagestate.Session(store(sessions.Options{}), "s"), http.Cookie{}, true, want{"s-", false, false, lax}},
		"Session, with Options": {pagestate.Session(store(sessions.Options{Secure: true, SameSite: none, Partitioned: true, Path: "/"}), "s"),
			http.Cookie{}, true, want{"__Host-s-", true, true, none}},
		"Session, as NewCookieStore has it":       {pagestate.Session(sessions.NewCookieStore(sessionKey), "s"), http.Cookie{}, true, want{"__Host-s-", true, false, lax}},
		"Session, on a store of one's own":        {pagestate.Session(ownStore{store(sessions.Options{})}, "s"), http.Cookie{}, false, want{"s-", false, false, lax}},
		"Session, on a store of one's own, TLS":   {pagestate.Session(ownStore{store(sessions.Options{})}, "s"), http.Cookie{}, true, want{"__Host-s-", true, false, lax}},
		"SessionFunc":                             {pagestate.SessionFunc(fixed), http.Cookie{}, false, want{"page_state-", false, false, lax}},
		"SessionFunc, over TLS":                   {pagestate.SessionFunc(fixed), http.Cookie{}, true, want{"__Host-page_state-", true, false, lax}},
		"SessionFunc, with a name":                {pagestate.SessionFunc(fixed), http.Cookie{Name: "c", SameSite: strict}, true, want{"__Host-c-", true, false, strict}},
		"Unbound":                                 {pagestate.Unbound(), http.Cookie{}, false, want{"page_state-", false, false, lax}},
		"Unbound, over TLS":                       {pagestate.Unbound(), http.Cookie{}, true, want{"__Host-page_state-", true, false, lax}},
		"a binding of one's own":                  {ownBinding{pagestate.Cookie(http.Cookie{Name: "b"})}, http.Cookie{}, false, want{"page_state-", false, false, lax}},
		"a binding of one's own, over TLS":        {ownBinding{pagestate.Cookie(http.Cookie{Name: "b"})}, http.Cookie{}, true, want{"__Host-page_state-", true, false, lax}},
		"a binding of one's own, behind a proxy":  {ownBinding{pagestate.Cookie(http.Cookie{Name: "b"})}, http.Cookie{Secure: true}, false, want{"__Host-page_state-", true, false, lax}},
		"a binding whose name is a prefix, alone": {pagestate.Cookie(http.Cookie{Name: "__Secure-", Secure: true}), http.Cookie{}, true, want{"__Host-page_state-", true, false, lax}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newCarrierApp(t, pagestate.CookieCarrier(tt.given), pagestate.Options{Session: tt.binding})
			if tt.tls {
				a.StartTLS()
			}
			v := a.visitor()
			p, answer := v.put(2560)
			set := answer.Cookies()
			testkit.Want(t, "cookies", len(set), 5)
			for _, c := range set {
				got := want{c.Name[:len(c.Name)-1], c.Secure, c.Partitioned, c.SameSite}
				testkit.Want(t, "cookie", got, tt.expected)
				testkit.Want(t, "Path", c.Path, "/")
				testkit.Want(t, "Domain", c.Domain, "")
				testkit.Want(t, "HttpOnly", c.HttpOnly, true)
				testkit.Want(t, "a browser", cookie.Check(c), nil)
			}
			if !tt.expected.secure || tt.tls { // a jar of Go gives a Secure cookie to TLS alone
				testkit.Want(t, "known", v.has(p), "yes")
			}
		})
	}
}

// Nothing of a former owner stays in the browser.
func TestRenewDeletesSlots(t *testing.T) {
	for _, path := range []string{"/renew", "/outside/renew"} {
		for name, secure := range map[string]bool{"plain": false, "Secure": true} {
			t.Run(name+path, func(t *testing.T) {
				a := newCarrierApp(t, nil, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "binding", Secure: secure})})
				if secure {
					a.StartTLS()
				}
				v := a.visitor()
				all := v.puts(4*512, small)
				v.plant("binding-7", "not ours")
				v.plant("binding-", "not ours")
				answer := v.Call("POST", path)
				testkit.Want(t, "status", answer.StatusCode, 200)
				for _, c := range answer.Cookies() {
					testkit.Want(t, "a browser takes "+c.Name, c.Path == "/" && c.Secure == secure && c.HttpOnly, true)
				}
				var left []string
				for name := range v.cookies() {
					left = append(left, name)
				}
				slices.Sort(left)
				testkit.Want(t, "cookies", strings.Join(left, " "), "binding binding- binding-7")
				testkit.Want(t, "known", v.has(all...), "no no")
				testkit.Want(t, "and later", v.has(v.puts(small)...), "yes")
			})
		}
	}
}

// settingBinding sets a slot as a redirect does.
type settingBinding struct{ pagestate.Binding }

func (b settingBinding) Ensure(w http.ResponseWriter, r *http.Request) (string, error) {
	http.SetCookie(w, &http.Cookie{Name: "page_state-3", Value: "x", Path: "/"})
	return b.Binding.Ensure(w, r)
}

func TestRenewDeletesWhatTheResponseSets(t *testing.T) {
	a := newCarrierApp(t, nil, pagestate.Options{Session: settingBinding{pagestate.Cookie(http.Cookie{Name: "b"})}})
	for name, h := range map[string]http.Handler{
		"inside": a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			testkit.Want(t, "attach", pagestate.Attach(r.Context(), &counter{}), nil)
			testkit.Want(t, "renew", a.mw.Renew(w, r), nil)
		})),
		"outside": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "page_state-3", Value: "x", Path: "/"})
			testkit.Want(t, "renew", a.mw.Renew(w, r), nil)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
			var last *http.Cookie
			for _, c := range w.Result().Cookies() {
				if c.Name == "page_state-3" {
					last = c
				}
			}
			testkit.Want(t, "is deleted", last != nil && last.MaxAge < 0, true)
		})
	}
}

// A visitor whose account changes does not open what was carried before.
func TestSlotsAreOfOneUser(t *testing.T) {
	var user atomic.Value
	user.Store("ada")
	v := newCarrierApp(t, nil, pagestate.Options{User: func(*http.Request) string { return user.Load().(string) }}).visitor()
	all := v.puts(small)
	user.Store("bob")
	testkit.Want(t, "bob", v.has(all...), "no")
	user.Store("ada")
	testkit.Want(t, "ada", v.has(all...), "yes")
}

// A site may be asked over TLS and without.
func TestRenewDeletesSlotsThatAreSecure(t *testing.T) {
	a := newCarrierApp(t, nil, pagestate.Options{})
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Cookie", "__Host-binding-2=x; binding-2=x; binding-2=y")
	testkit.Want(t, "renew", a.mw.Renew(w, r), nil)
	var deleted []string
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			testkit.Want(t, "a browser takes "+c.Name, c.Secure, strings.HasPrefix(c.Name, "__Host-"))
			deleted = append(deleted, c.Name)
		}
	}
	testkit.Want(t, "deleted", strings.Join(deleted, " "), "__Host-binding-2 binding-2")
}

func TestSlotsArePrivate(t *testing.T) {
	a := newCarrierApp(t, nil, pagestate.Options{Session: pagestate.SessionFunc(func(*http.Request) string { return "s" })})
	h := a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		if err := a.carrier.Put(w, r, newParcel(small)); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusSeeOther)
	}))
	for _, target := range []string{"http://a.example/", "https://a.example/"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", target, nil))
		testkit.Want(t, "cookies", len(w.Result().Cookies()), 1)
		testkit.Want(t, "shared", strings.Contains(w.Header().Get("Cache-Control"), "public"), false)
		testkit.WantText(t, "Vary", w.Header().Get("Vary"), "Cookie")
	}
}

func TestCookieCarrierWithoutMiddleware(t *testing.T) {
	carrier := pagestate.CookieCarrier(http.Cookie{})
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil)
	testkit.Want(t, "Put", errors.Is(carrier.Put(w, r, newParcel(1)), pagestate.ErrNoMiddleware), true)
	_, err := carrier.Get(w, r, newParcel(1).ID)
	testkit.Want(t, "Get", errors.Is(err, pagestate.ErrNoMiddleware), true)
}

func TestCarrierIsChecked(t *testing.T) {
	cookies := func(c http.Cookie) pagestate.Carrier { return pagestate.CookieCarrier(c) }
	plain := pagestate.Cookie(http.Cookie{Name: "binding"})
	secure := pagestate.Cookie(http.Cookie{Name: "binding", Secure: true})
	for _, test := range []struct {
		name    string
		carrier pagestate.Carrier
		binding pagestate.Binding
		want    string // "" if it is fine
	}{
		{"nothing", nil, plain, ""},
		{"in this process", pagestate.NewCarrier(1000), plain, ""},
		{"a nil pointer", (*nilCarrier)(nil), plain, "Options.Carrier is a nil *pagestate_test.nilCarrier"},
		{"in this process, Unbound", pagestate.NewCarrier(1000), pagestate.Unbound(), "Options.Carrier: with Unbound"},
		{"one's own, Unbound", nilCarrier{}, pagestate.Unbound(), "Options.Carrier: with Unbound"},
		{"in cookies, Unbound", nil, pagestate.Unbound(), ""},
		{"all that may be said", cookies(http.Cookie{Name: "c", Path: "/", MaxAge: 60, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}), plain, ""},
		{"Value", cookies(http.Cookie{Value: "x"}), plain, "Options.Carrier: CookieCarrier: its Value"},
		{"Quoted", cookies(http.Cookie{Quoted: true}), plain, "Options.Carrier: CookieCarrier: its Value"},
		{"Expires", cookies(http.Cookie{Expires: time.Now()}), plain, "Expires"},
		{"Domain", cookies(http.Cookie{Domain: "a.example"}), plain, "Domain"},
		{"Path", cookies(http.Cookie{Path: "/shop"}), plain, `its Path "/shop"`},
		{"MaxAge", cookies(http.Cookie{MaxAge: -1}), plain, "MaxAge is negative"},
		{"Name", cookies(http.Cookie{Name: "a b"}), plain, "invalid Cookie.Name"},
		{"a prefix", cookies(http.Cookie{Name: "__Host-c", Secure: true}), plain, `its name "__Host-c" has a prefix`},
		{"a prefix in small letters", cookies(http.Cookie{Name: "__secure-c"}), plain, "has a prefix"},
		{"the binding's name, without a number", cookies(http.Cookie{Name: "binding"}), plain, ""},
		{"the binding's name", cookies(http.Cookie{Name: "page"}), pagestate.Cookie(http.Cookie{Name: "page-5"}), "number 5"},
		{"the binding's name with a prefix", cookies(http.Cookie{Name: "page"}), pagestate.Cookie(http.Cookie{Name: "__Host-page-0", Secure: true}), "number 0"},
		{"nearly the binding's name", cookies(http.Cookie{Name: "page"}), pagestate.Cookie(http.Cookie{Name: "page-6"}), ""},
		{"a long name", cookies(http.Cookie{Name: strings.Repeat("n", 400)}), plain, "shorter Name"},
		{"a long name of the binding", nil, pagestate.Cookie(http.Cookie{Name: strings.Repeat("n", 400)}), "shorter Name"},
		{"SameSite", cookies(http.Cookie{SameSite: 9}), plain, "SameSite 9"},
		{"None, not Secure", cookies(http.Cookie{SameSite: http.SameSiteNoneMode}), plain, "SameSite=None without Secure"},
		{"None, Secure", cookies(http.Cookie{SameSite: http.SameSiteNoneMode}), secure, ""},
		{"None, perhaps Secure", cookies(http.Cookie{SameSite: http.SameSiteNoneMode}), ownBinding{secure}, "SameSite=None without Secure"},
		{"Partitioned alone", cookies(http.Cookie{Partitioned: true}), secure, "Partitioned"},
		{"Lax beside Partitioned", cookies(http.Cookie{SameSite: http.SameSiteLaxMode}),
			pagestate.Cookie(http.Cookie{Name: "b", Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true}), "Partitioned"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := ordinary()
			o.Carrier, o.Session = test.carrier, test.binding
			_, err := pagestate.New(pagestate.NewRegistry(), o)
			if test.want == "" {
				testkit.Want(t, "error", err, nil)
			} else if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "pagestate: Options.Carrier") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	// A fault of the binding is not told twice.
	o := ordinary()
	o.Session = pagestate.Cookie(http.Cookie{Name: "a b"})
	_, err := pagestate.New(pagestate.NewRegistry(), o)
	testkit.Want(t, "faults", strings.Count(fmt.Sprint(err), "pagestate: "), 1)
}

type nilCarrier struct{ pagestate.Carrier }

// Parcels in this process are for one hour at most, and the oldest makes room.
func TestNewCarrier(t *testing.T) {
	parcel := func(name string, size int, keep time.Duration) pagestate.Parcel {
		return pagestate.Parcel{ID: strings.Repeat(name, 26), Value: strings.Repeat(name, size), Keep: keep}
	}
	type step struct {
		after time.Duration
		put   pagestate.Parcel
		known string // the names of those that are known then
	}
	nothing := pagestate.Parcel{}
	for name, steps := range map[string][]step{
		"the oldest makes room": {
			{0, parcel("A", 100, time.Hour), "A"}, {0, parcel("B", 100, time.Hour), "AB"}, {0, parcel("C", 100, time.Hour), "ABC"},
			{0, parcel("D", 100, time.Hour), "BCD"}, {0, parcel("E", 300, time.Hour), "DE"}, {0, parcel("F", 774, time.Hour), "F"},
		},
		"an hour at most": {
			{0, parcel("A", 1, 24*time.Hour), "A"}, {time.Hour - 1, nothing, "A"}, {1, nothing, ""},
		},
		"no longer than they open": {
			{0, parcel("A", 1, time.Minute), "A"}, {time.Minute - 1, nothing, "A"}, {1, nothing, ""},
		},
		"what has expired makes room first": {
			{0, parcel("A", 200, time.Minute), "A"}, {0, parcel("B", 200, time.Hour), "AB"}, {time.Minute, parcel("C", 200, time.Hour), "BC"},
		},
		"one id twice": {
			{0, parcel("A", 1, time.Minute), "A"}, {0, parcel("B", 1, time.Hour), "AB"}, {0, parcel("A", 2, time.Hour), "AB"},
			{time.Minute, parcel("C", 1, time.Hour), "ABC"}, {0, parcel("D", 1, time.Hour), "ABCD"}, {0, parcel("E", 1, time.Hour), "ACDE"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				carrier := pagestate.NewCarrier(1000)
				sizes := make(map[string]int)
				for i, s := range steps {
					time.Sleep(s.after)
					if s.put.ID != "" {
						testkit.Want(t, "put", carrier.Put(nil, nil, s.put), nil)
						sizes[s.put.ID[:1]] = len(s.put.Value)
					}
					var known []string
					for _, name := range []string{"A", "B", "C", "D", "E", "F"} {
						value, err := carrier.Get(nil, nil, strings.Repeat(name, 26))
						testkit.Want(t, "error", err, nil)
						if value != "" {
							known = append(known, name)
							testkit.Want(t, "value", value, strings.Repeat(name, sizes[name]))
						}
					}
					testkit.Want(t, fmt.Sprint("known after step ", i), strings.Join(known, ""), s.known)
				}
			})
		})
	}
}

func TestNewCarrierIsBounded(t *testing.T) {
	carrier := pagestate.NewCarrier(1000)
	err := carrier.Put(nil, nil, newParcel(775))
	testkit.Want(t, "too large", errors.Is(err, pagestate.ErrTooLarge), true)
	testkit.WantText(t, "error", fmt.Sprint(err), "keep less in the state", "NewCarrier")
	defer func() { testkit.Want(t, "panics", recover() != nil, true) }()
	pagestate.NewCarrier(0)
}

func TestNewCarrierConcurrently(t *testing.T) {
	a := newCarrierApp(t, pagestate.NewCarrier(4000), pagestate.Options{})
	v := a.visitor()
	var visits sync.WaitGroup
	for range 8 {
		visits.Go(func() {
			for range 20 {
				p, answer := v.put(small)
				testkit.Want(t, "status", answer.StatusCode, 200)
				if got := v.has(p); got == "another" {
					t.Error("another parcel came")
				}
			}
		})
	}
	visits.Wait()
	p, answer := v.put(4000)
	testkit.Want(t, "too large", answer.StatusCode, 413)
	testkit.Want(t, "known", v.has(p), "no")
}

// Whatever stands in the cookies, Get returns what was put or nothing, and Put works.
func FuzzSlots(f *testing.F) {
	o := ordinary()
	o.Session = pagestate.SessionFunc(func(*http.Request) string { return "s" })
	now := time.Unix(1800000000, 0)
	o.Clock = func() time.Time { return now }
	o.Secrets = [][]byte{[]byte("abcdefghijklmnopqrstuvwxyz123456")}
	mw, err := pagestate.New(pagestate.NewRegistry(), o)
	if err != nil {
		f.Fatal(err)
	}
	carrier := pagestate.CookieCarrier(http.Cookie{})
	serve := func(cookies string, h http.HandlerFunc) *httptest.ResponseRecorder {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Header.Set("Cookie", cookies)
		mw.Handler(h).ServeHTTP(w, r)
		return w
	}
	var put []pagestate.Parcel // the same in all processes
	for i, size := range []int{10, 2 * 512, 5 * 512, 5*512 - 1} {
		put = append(put, parcelOf("ABCDEFGHIJKLMNOPQRSTUVWXY"+string(rune('A'+i)), size))
	}
	var all []string
	for _, p := range put {
		w := serve("", func(w http.ResponseWriter, r *http.Request) {
			if err := carrier.Put(w, r, p); err != nil {
				f.Error(err)
			}
		})
		var pairs []string
		for _, c := range w.Result().Cookies() {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
		f.Add(strings.Join(pairs, "; "))
		f.Add(strings.Join(append(pairs[1:], pairs[0][:20], "page_state-5="+pairs[0][13:]), "; "))
		all = append(all, pairs...)
	}
	f.Add(strings.Join(all, "; "))
	f.Add("page_state-0=; page_state-6=x; page_state-1=" + strings.Repeat("0", 60) + "; page_state-1=-000000001" + strings.Repeat("01", 40))
	f.Fuzz(func(t *testing.T, cookies string) {
		serve(cookies, func(w http.ResponseWriter, r *http.Request) {
			for _, p := range append(put, newParcel(5*512)) {
				value, err := carrier.Get(w, r, p.ID)
				testkit.Want(t, "error", err, nil)
				testkit.Want(t, "what was put, or nothing", value == p.Value || value == "", true)
			}
			p := newParcel(5 * 512)
			testkit.Want(t, "put", carrier.Put(w, r, p), nil)
			value, _ := carrier.Get(w, r, p.ID)
			testkit.Want(t, "and got", value == p.Value, true)
		})
	})
}
