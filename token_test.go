package pagestate_test

// Tokens over time and between processes: ages, rotation, versions of a
// component, and sealing and opening without a request.

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

var ada = pagestate.Owner{Session: "session", User: "ada"}

// newMiddleware returns one for counters, with the options changed.
func newMiddleware(t *testing.T, change func(o *pagestate.Options)) *pagestate.Middleware {
	t.Helper()
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	o := ordinary()
	if change != nil {
		change(&o)
	}
	mw, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return mw
}

func mustSeal(t *testing.T, mw *pagestate.Middleware, o pagestate.Owner, state any) string {
	t.Helper()
	token, err := mw.Seal(o, state)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAges(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 600_000_000, time.UTC)
	const idle, life = time.Hour, 3 * time.Hour
	tests := []struct {
		name   string
		reseal []time.Duration // since the start
		open   time.Duration
		cutOff time.Duration // since the start, 0 for none
		want   error
	}{
		{"at once", nil, 0, 0, nil},
		{"at the idle limit", nil, idle, 0, nil},
		{"a second past it", nil, idle + time.Second, 0, pagestate.ErrExpired},
		{"sealed again", []time.Duration{idle}, 2 * idle, 0, nil},
		{"at the absolute limit", []time.Duration{idle, 2 * idle, 2*idle + 1}, life, 0, nil},
		{"a second past it", []time.Duration{idle, 2 * idle, 2*idle + time.Second}, life + time.Second, 0, pagestate.ErrExpired},
		{"a minute from the future", nil, -time.Minute, 0, nil},
		{"more than that", nil, -time.Minute - time.Second, 0, pagestate.ErrInvalid},
		{"first sealed before the cut-off", []time.Duration{time.Minute}, 2 * time.Minute, time.Second, pagestate.ErrExpired},
		{"first sealed at the cut-off", nil, time.Minute, -600 * time.Millisecond, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			now := start
			set := func(o *pagestate.Options) {
				o.Secrets = [][]byte{[]byte("a secret for the test of ages only")}
				o.MaxAge, o.MaxLifetime = idle, life
				o.Clock = func() time.Time { return now }
			}
			mw := newMiddleware(t, set)
			token := mustSeal(t, mw, ada, &counter{Count: 7})
			for _, at := range test.reseal {
				now = start.Add(at)
				var err error
				if token, err = mw.Reseal(t.Context(), ada, token, &counter{Count: 7}); err != nil {
					t.Fatal(err)
				}
			}
			now = start.Add(test.open)
			if test.cutOff != 0 {
				mw = newMiddleware(t, func(o *pagestate.Options) {
					set(o)
					o.NotBefore = start.Add(test.cutOff)
				})
			}
			state, err := mw.Open(t.Context(), ada, token)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if err == nil {
				testkit.Want(t, "count", state.(*counter).Count, 7)
			}
		})
	}
}

func TestWithoutLimitOfLife(t *testing.T) {
	now := time.Now()
	mw := newMiddleware(t, func(o *pagestate.Options) {
		o.MaxLifetime = -1
		o.Clock = func() time.Time { return now }
	})
	token := mustSeal(t, mw, ada, &counter{})
	for range 100 {
		now = now.Add(23 * time.Hour)
		var err error
		if token, err = mw.Reseal(t.Context(), ada, token, &counter{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIdleLifeIsRefreshed(t *testing.T) {
	now := time.Now()
	a := newCounterApp(t, pagestate.Options{Clock: func() time.Time { return now }})
	b := a.browser()
	token := b.Get("/").Field()
	now = now.Add(12 * time.Hour)
	testkit.Want(t, "sealed at half", b.Call("GET", "/show", token).Token(), "")
	now = now.Add(time.Second)
	fresh := b.Call("GET", "/show", token).Token()
	testkit.Want(t, "sealed past half", fresh != "" && fresh != token, true)
	now = now.Add(20 * time.Hour)
	testkit.Want(t, "the old one", b.Call("GET", "/show", token).StatusCode, 409)
	testkit.Want(t, "the fresh one", b.Call("GET", "/show", fresh).StatusCode, 200)
}

func TestRotation(t *testing.T) {
	older, newer := testkit.NewSecret(), testkit.NewSecret()
	with := func(secrets ...[]byte) *pagestate.Middleware {
		return newMiddleware(t, func(o *pagestate.Options) { o.Secrets = secrets })
	}
	tests := []struct {
		name         string
		seals, opens *pagestate.Middleware
		want         error
	}{
		{"the same secret", with(older), with(older), nil},
		{"an older secret listed second", with(older), with(newer, older), nil},
		{"a newer secret listed second", with(newer, older), with(older, newer), nil},
		{"the first seals", with(newer, older), with(older), pagestate.ErrInvalid},
		{"an older secret dropped", with(older), with(newer), pagestate.ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			token := mustSeal(t, test.seals, ada, &counter{})
			if _, err := test.opens.Open(t.Context(), ada, token); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestKeysStayWithTheirOwners has more owners at the same time than there are keys
// remembered: each must still open what is theirs, and nobody else's.
func TestKeysStayWithTheirOwners(t *testing.T) {
	mw, elsewhere := sameSecret(t)
	const owners, goroutines = 4000, 8
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := g; i < owners; i += goroutines {
				mine, other := pagestate.Owner{Session: fmt.Sprint("session", i)}, pagestate.Owner{Session: fmt.Sprint("session", i/2)}
				token, err := mw.Seal(mine, &counter{Count: i})
				if err != nil {
					t.Error(err)
					continue
				}
				for _, mw := range []*pagestate.Middleware{mw, elsewhere, mw} {
					if state, err := mw.Open(t.Context(), mine, token); err != nil || state.(*counter).Count != i {
						t.Errorf("owner %d: %v %v", i, state, err)
					}
					if _, err := mw.Open(t.Context(), other, token); i > 0 && !errors.Is(err, pagestate.ErrInvalid) {
						t.Errorf("the token of owner %d opened for owner %d: %v", i, i/2, err)
					}
				}
			}
		})
	}
	all.Wait()
}

// sameSecret returns two servers.
func sameSecret(t *testing.T) (one, other *pagestate.Middleware) {
	secret := testkit.NewSecret()
	same := func(o *pagestate.Options) { o.Secrets = [][]byte{secret} }
	return newMiddleware(t, same), newMiddleware(t, same)
}

// TestKeysOfOldSecrets has one owner with tokens of the old and the new secret in
// turns, as two tabs have them while secrets change.
func TestKeysOfOldSecrets(t *testing.T) {
	older, newer := testkit.NewSecret(), testkit.NewSecret()
	with := func(secrets ...[]byte) *pagestate.Middleware {
		return newMiddleware(t, func(o *pagestate.Options) { o.Secrets = secrets })
	}
	before, during, after := with(older), with(newer, older), with(newer)
	old, fresh := mustSeal(t, before, ada, &counter{}), mustSeal(t, after, ada, &counter{})
	for range 3 {
		for _, token := range []string{old, fresh} {
			if _, err := during.Open(t.Context(), ada, token); err != nil {
				t.Error(err)
			}
			if _, err := after.Open(t.Context(), ada, mustSeal(t, during, ada, &counter{})); err != nil {
				t.Error("not sealed with the new one:", err)
			}
			resealed, err := during.Reseal(t.Context(), ada, token, &counter{Count: 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := after.Open(t.Context(), ada, resealed); err != nil {
				t.Error("not sealed again with the new one:", err)
			}
		}
	}
}

// TestAnotherProcess has this test binary seal in a process of its own.
func TestAnotherProcess(t *testing.T) {
	const variable = "PAGESTATE_TEST_SECRET"
	if text := os.Getenv(variable); text != "" {
		secret, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		mw := newMiddleware(t, func(o *pagestate.Options) { o.Secrets = [][]byte{secret} })
		fmt.Printf("token:%s:", mustSeal(t, mw, ada, &counter{Count: 42, Note: "from afar"}))
		return
	}
	secret := testkit.NewSecret()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAnotherProcess$")
	cmd.Env = append(os.Environ(), variable+"="+hex.EncodeToString(secret))
	out, err := cmd.CombinedOutput()
	parts := strings.Split(string(out), ":")
	if err != nil || len(parts) < 3 {
		t.Fatalf("%v: %s", err, out)
	}
	for name, secrets := range map[string][][]byte{"same secret": {secret}, "older secret second": {testkit.NewSecret(), secret}} {
		mw := newMiddleware(t, func(o *pagestate.Options) { o.Secrets = secrets })
		state, err := mw.Open(t.Context(), ada, parts[1])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		testkit.Want(t, name, state.(*counter).Note, "from afar")
	}
}

// The versions of a component between two deploys.
type (
	cartV1 struct {
		Items []string
		Note  string
	}
	cartV2 struct { // a field less, a field more
		Coupon string
		Items  []string
	}
	cartV3 struct{ Items []int } // a field of another kind
)

func TestDeploys(t *testing.T) {
	secret := testkit.NewSecret()
	v1 := version[cartV1](t, secret)
	token := mustSeal(t, v1, ada, &cartV1{Items: []string{"tea"}, Note: "gift"})
	empty := mustSeal(t, v1, ada, &cartV1{Items: []string{}})
	raised := version[cartV1](t, secret, pagestate.Schema(1))

	state, err := version[cartV2](t, secret).Open(t.Context(), ada, token)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "cart", fmt.Sprintf("%+v", *state.(*cartV2)), "{Coupon: Items:[tea]}")

	for name, test := range map[string]struct {
		opens *pagestate.Middleware
		token string
	}{
		"a field of another kind":      {version[cartV3](t, secret), token},
		"behind an empty slice too":    {version[cartV3](t, secret), empty},
		"a newer schema":               {raised, token},
		"an older schema, rolled back": {v1, mustSeal(t, raised, ada, &cartV1{})},
	} {
		if _, err := test.opens.Open(t.Context(), ada, test.token); !errors.Is(err, pagestate.ErrOutdated) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// version is the application with T as its cart.
func version[T any](t *testing.T, secret []byte, opts ...pagestate.ComponentOption) *pagestate.Middleware {
	r := pagestate.NewRegistry()
	pagestate.Register[T](r, "cart", opts...)
	o := ordinary()
	o.Secrets = [][]byte{secret}
	mw, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return mw
}

func TestSealAndOpenWithoutRequest(t *testing.T) {
	withUser := newMiddleware(t, func(o *pagestate.Options) {
		o.User = func(*http.Request) string { return "" }
	})
	plain := newMiddleware(t, nil)
	unbound := newMiddleware(t, func(o *pagestate.Options) { o.Session = pagestate.Unbound() })
	tests := []struct {
		name          string
		mw            *pagestate.Middleware
		sealed, opens pagestate.Owner
		want          error
	}{
		{"the owner", plain, ada, ada, nil},
		{"another session", plain, ada, pagestate.Owner{Session: "other", User: "ada"}, pagestate.ErrInvalid},
		{"another user", plain, ada, pagestate.Owner{Session: "session", User: "bob"}, pagestate.ErrInvalid},
		{"a user counts without a User function", plain, ada, pagestate.Owner{Session: "session"}, pagestate.ErrInvalid},
		{"anonymous", withUser, pagestate.Owner{Session: "s"}, pagestate.Owner{Session: "s"}, nil},
		{"no session", plain, ada, pagestate.Owner{User: "ada"}, pagestate.ErrInvalid},
		{"unbound ignores the session", unbound, pagestate.Owner{Session: "x"}, pagestate.Owner{Session: "y"}, nil},
		{"unbound does not ignore the user", unbound, pagestate.Owner{User: "ada"}, pagestate.Owner{}, pagestate.ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			token := mustSeal(t, test.mw, test.sealed, counter{Count: 3}) // a value will do
			state, err := test.mw.Open(t.Context(), test.opens, token)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if err == nil {
				testkit.Want(t, "count", state.(*counter).Count, 3)
			}
		})
	}
	if _, err := plain.Seal(pagestate.Owner{User: "ada"}, &counter{}); err == nil {
		t.Error("sealed without a session")
	}
	if _, err := plain.Open(t.Context(), ada, ""); !errors.Is(err, pagestate.ErrInvalid) {
		t.Errorf("an empty token: %v", err)
	}
}

func TestReseal(t *testing.T) {
	type list struct {
		Filter string
		Items  []string
	}
	var loads int
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	pagestate.Register[list](r, "list", pagestate.LoadWith(func(_ context.Context, l *list) error {
		loads++
		l.Items = []string{"loaded for " + l.Filter}
		return nil
	}))
	mw, err := pagestate.New(r, ordinary())
	if err != nil {
		t.Fatal(err)
	}
	token := mustSeal(t, mw, ada, &list{Filter: "open"})
	testkit.Want(t, "loads of Seal", loads, 0)
	opened, err := mw.Open(t.Context(), ada, token)
	if err != nil {
		t.Fatal(err)
	}
	state := opened.(*list)
	testkit.Want(t, "loaded", state.Items[0], "loaded for open")
	state.Filter = "done"
	next, err := mw.Reseal(t.Context(), ada, token, state)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "length of a token without what was loaded", len(next), len(token))
	opened, err = mw.Open(t.Context(), ada, next)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "loaded again", opened.(*list).Items[0], "loaded for done")

	if _, err := mw.Reseal(t.Context(), ada, token, &counter{}); !errors.Is(err, pagestate.ErrInvalid) {
		t.Errorf("another component: %v", err)
	}
	if _, err := mw.Reseal(t.Context(), pagestate.Owner{Session: "other"}, token, state); !errors.Is(err, pagestate.ErrInvalid) {
		t.Errorf("another owner: %v", err)
	}
}

func TestLimitOfTokenBytes(t *testing.T) {
	state := &counter{Note: strings.Repeat("x", 100)}
	token, err := newMiddleware(t, nil).Seal(ada, state)
	if err != nil {
		t.Fatal(err)
	}
	for limit, fits := range map[int]bool{len(token): true, len(token) - 1: false} {
		_, err := newMiddleware(t, func(o *pagestate.Options) { o.MaxTokenBytes = limit }).Seal(ada, state)
		testkit.Want(t, fmt.Sprintf("%d bytes fit into %d", len(token), limit), err == nil, fits)
	}

	mw := newMiddleware(t, func(o *pagestate.Options) { o.MaxTokenBytes = 1000 })
	var sealed, refused int
	for n := range 1000 {
		token, err := mw.Seal(ada, &counter{Note: strings.Repeat("x", n)})
		if err != nil {
			refused++
			continue
		}
		sealed++
		testkit.Want(t, "within the limit", len(token) <= 1000, true)
		if _, err := mw.Open(t.Context(), ada, token); err != nil {
			t.Fatalf("sealed, but: %v", err)
		}
	}
	// 57 bytes around the blocks, and then base64.
	if sealed < 500 || refused < 300 {
		t.Errorf("%d sealed, %d refused", sealed, refused)
	}
}

// TestForgeriesAreCheap gives the middleware tokens of the right form and the
// largest size that nobody sealed.
func TestForgeriesAreCheap(t *testing.T) {
	mw := newMiddleware(t, nil)
	const n = 100
	tests := map[string]struct {
		token string
		most  uint64 // bytes to be allocated for each
	}{
		"of the right form": {strings.Repeat("gAAA", 1<<16-13), 3 << 18},
		"of no form":        {strings.Repeat("????", 1<<16-13), 4 << 10},
		"too large":         {strings.Repeat("gAAA", 1<<20), 4 << 10},
	}
	for name, test := range tests {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			if _, err := mw.Open(t.Context(), ada, test.token); err == nil {
				t.Fatal("opened")
			}
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / n; each > test.most {
			t.Errorf("%s: a forgery of %d bytes had %d allocated, more than %d", name, len(test.token), each, test.most)
		}
	}
}

// TestClocksApart has a server seal again what one with a clock ahead of its own
// sealed first.
func TestClocksApart(t *testing.T) {
	now := time.Now()
	mw := newMiddleware(t, func(o *pagestate.Options) { o.Clock = func() time.Time { return now } })
	token := mustSeal(t, mw, ada, &counter{})
	now = now.Add(-30 * time.Second)
	token, err := mw.Reseal(t.Context(), ada, token, &counter{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := mw.Open(t.Context(), ada, token); err != nil {
			t.Error(err)
		}
		now = now.Add(time.Hour)
	}
}

// TestClockStepsBack has the clock go back while a token is sealed.
func TestClockStepsBack(t *testing.T) {
	now := time.Now()
	mw := newMiddleware(t, func(o *pagestate.Options) {
		o.Clock = func() time.Time {
			now = now.Add(-time.Second)
			return now
		}
	})
	if _, err := mw.Open(t.Context(), ada, mustSeal(t, mw, ada, &counter{})); err != nil {
		t.Error(err)
	}
}

// TestWhichLimit looks that only the limit of size is put down to MaxTokenBytes.
func TestWhichLimit(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[node](r, "node")
	pagestate.Register[counter](r, "counter")
	mw, err := pagestate.New(r, ordinary())
	if err != nil {
		t.Fatal(err)
	}
	_, tooLong := mw.Seal(ada, &counter{Note: strings.Repeat("x", 256<<10)})
	_, tooDeep := mw.Seal(ada, chain(65))
	testkit.Want(t, "size", strings.Contains(fmt.Sprint(tooLong), "MaxTokenBytes is 262144"), true)
	for what, err := range map[string]error{"size": tooLong, "depth": tooDeep} {
		testkit.Want(t, what+" is ErrTooLarge", errors.Is(err, pagestate.ErrTooLarge), true)
	}
	testkit.Want(t, "depth", strings.Contains(fmt.Sprint(tooDeep), "MaxTokenBytes"), false)
}

func TestSetSecretsChecks(t *testing.T) {
	good := testkit.NewSecret()
	mw := newCounterApp(t, pagestate.Options{Secrets: [][]byte{good}}).mw
	o := pagestate.Owner{Session: "session"}
	token := mustSeal(t, mw, o, &counter{Count: 1})
	for _, secrets := range [][][]byte{
		nil, {}, {nil}, {good, good[:31]}, {make([]byte, 32)}, {[]byte("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")},
		slices.Repeat([][]byte{good}, 9),
	} {
		_, want := pagestate.New(pagestate.NewRegistry(), pagestate.Options{Secrets: secrets, Session: pagestate.Unbound()})
		err := mw.SetSecrets(secrets)
		testkit.Want(t, "fault", fmt.Sprint(err), strings.ReplaceAll(fmt.Sprint(want), "Options.Secrets", "SetSecrets"))
		testkit.Want(t, "is one", err != nil, true)
		_, err = mw.Open(t.Context(), o, token)
		testkit.Want(t, "the former secret after it", err, nil)
	}
}

// A secret that is dropped opens nothing more, also where its keys were remembered.
func TestSetSecretsDropsKeys(t *testing.T) {
	old, next := testkit.NewSecret(), testkit.NewSecret()
	mw := newCounterApp(t, pagestate.Options{Secrets: [][]byte{old}}).mw
	o := pagestate.Owner{Session: "session"}
	opens := func(token string, want error) {
		t.Helper()
		_, err := mw.Open(t.Context(), o, token)
		testkit.Want(t, fmt.Sprint("opens: ", err), errors.Is(err, want), true)
	}
	first := mustSeal(t, mw, o, &counter{})
	opens(first, nil)
	for range 2 { // to the other and back
		if err := mw.SetSecrets([][]byte{next}); err != nil {
			t.Fatal(err)
		}
		opens(first, pagestate.ErrInvalid)
		second := mustSeal(t, mw, o, &counter{})
		opens(second, nil)
		_, err := mw.Reseal(t.Context(), o, first, &counter{})
		testkit.Want(t, "reseals", errors.Is(err, pagestate.ErrInvalid), true)
		first, old, next = second, next, old
	}
}

// A request opens all that it brings with the secrets that it began with, and seals
// with those of now. What it gets from elsewhere meanwhile opens with those of now.
func TestSetSecretsDuringARequest(t *testing.T) {
	old, next := testkit.NewSecret(), testkit.NewSecret()
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	pagestate.Register[wizard](r, "wizard")
	pagestate.Register[wizardLine](r, "line")
	pagestate.RegisterModel(r, "row", pagestate.Model[int, wizardRow]{
		Key:   func(row *wizardRow) int { return row.ID },
		Fetch: func(context.Context, []int) ([]*wizardRow, error) { return nil, nil },
	})
	a := newApp(t, r, pagestate.Options{
		Secrets: [][]byte{old}, Session: pagestate.SessionFunc(func(*http.Request) string { return "session" }),
		Carrier: pagestate.NewCarrier(1 << 20),
	})
	owner := pagestate.Owner{Session: "session"}
	set := func(secret []byte) {
		if err := a.mw.SetSecrets([][]byte{secret}); err != nil {
			t.Error(err)
		}
	}
	opens := func(token string, want error) {
		t.Helper()
		_, err := a.mw.Open(t.Context(), owner, token)
		testkit.Want(t, fmt.Sprint("opens: ", err), errors.Is(err, want), true)
	}
	b := a.browser()
	var child string
	parent := b.serve("GET", "/attach", "", func(w http.ResponseWriter, r *http.Request) {
		wz, line := new(wizard), &wizardLine{Text: "line"}
		err := errors.Join(pagestate.Attach(r.Context(), wz), pagestate.Attach(r.Context(), line, pagestate.Under(wz, "a")))
		var sealed error
		child, sealed = pagestate.Token(r.Context(), line)
		field, err2 := wz.StateField()
		if err := errors.Join(err, sealed, err2); err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, field)
	}).Field()
	a.mux.HandleFunc("POST /redirect", func(w http.ResponseWriter, r *http.Request) {
		wz, err := pagestate.From[wizard](r.Context())
		if err != nil {
			t.Error(err)
			return
		}
		wz.Said = []string{"carried"}
		if err := pagestate.Redirect(w, r, "/page", wz); err != nil {
			t.Error(err)
		}
	})
	location := b.Call("POST", "/redirect", parent).Header.Get("Location")

	// A stream, which goes on after the change.
	a.mux.HandleFunc("POST /stream", func(w http.ResponseWriter, r *http.Request) {
		wz, err := pagestate.From[wizard](r.Context())
		if err != nil {
			t.Error(err)
			return
		}
		set(next)
		line, err := pagestate.Child[wizardLine](r.Context(), wz, "a", nil)
		if err != nil {
			t.Error(err)
			return
		}
		line.Text = "changed"
		opens(child, pagestate.ErrInvalid)
		opens(parent, pagestate.ErrInvalid)
		wz.Said = []string{"changed"}
		token, err := pagestate.Token(r.Context(), line)
		if err != nil {
			t.Error(err)
		}
		opens(token, nil)
		fmt.Fprint(w, line.Text)
		http.NewResponseController(w).Flush()
		again, err := pagestate.Token(r.Context(), wz)
		testkit.Want(t, "error", err, nil)
		opens(again, nil)
	})
	got := b.Call("POST", "/stream", parent, child)
	testkit.Want(t, "body", got.Body, "changed")
	opens(got.Token(), nil)

	// A page that a redirect leads to.
	set(old)
	before := func() { set(next) }
	a.mux.HandleFunc("GET /page", func(w http.ResponseWriter, r *http.Request) {
		before()
		wz, err := pagestate.FromOrAttach(r.Context(), &wizard{Said: []string{"fresh"}})
		if err != nil {
			t.Error(err)
			return
		}
		wz.Said = append(wz.Said, "here")
		field, err := wz.StateField()
		fmt.Fprint(w, wz.Said, field, err)
	})
	got = b.Get(location)
	testkit.WantText(t, "page", got.Body, "[carried here]")
	opens(got.Field(), nil)
	testkit.WantText(t, "page a moment later", b.Get(location).Body, "[fresh here]")

	// What is carried on after the change.
	set(old)
	before = func() {}
	token := mustSeal(t, a.mw, owner, new(wizard))
	b.serve("POST", "/on", token, func(w http.ResponseWriter, r *http.Request) {
		wz, err := pagestate.From[wizard](r.Context())
		set(next)
		wz.Said = []string{"carried on"}
		location, err2 := pagestate.Link(r, "/page", wz)
		fmt.Fprint(w, location)
		if err := errors.Join(err, err2); err != nil {
			t.Error(err)
		}
	})
	set(old)
	carried := b.Call("POST", "/on", token).Body
	testkit.WantText(t, "page", b.Get(carried).Body, "[carried on here]")
}

// Secrets change in their order while requests run, and none is refused.
func TestSetSecretsUnderLoad(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}})
	old := testkit.NewSecret()
	if err := a.mw.SetSecrets([][]byte{old}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var visitors sync.WaitGroup
	var rounds [4]atomic.Int64
	for i := range rounds {
		visitors.Go(func() {
			b := a.browser()
			token := b.Get("/").Field()
			for n := 1; ; n++ {
				got := b.Call("POST", "/increment", token)
				if got.StatusCode != 200 || !strings.HasPrefix(got.Body, fmt.Sprintf("count=%d ", n)) {
					t.Errorf("status %d, and %.10s instead of count=%d", got.StatusCode, got.Body, n)
					return
				}
				token = got.Token()
				rounds[i].Add(1)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	// each page gets a token of the secrets that were set
	settle := func() {
		for i := range rounds {
			for from := rounds[i].Load(); rounds[i].Load() < from+2 && !t.Failed(); {
				runtime.Gosched()
			}
		}
	}
	for range 5 {
		next := testkit.NewSecret()
		for _, secrets := range [][][]byte{{old, next}, {next, old}, {next}} {
			if err := a.mw.SetSecrets(secrets); err != nil {
				t.Error(err)
			}
			settle()
		}
		old = next
	}
	close(stop)
	visitors.Wait()
}

// A token shows the time and the length, and nothing of the state.
func TestTokenHidesTheState(t *testing.T) {
	type note struct{ Text string }
	r := pagestate.NewRegistry()
	pagestate.Register[note](r, "note")
	mw, err := pagestate.New(r, pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Cookie(http.Cookie{Name: "session"})})
	if err != nil {
		t.Fatal(err)
	}
	seal := func(text string) []byte {
		b, err := base64.URLEncoding.DecodeString(mustSeal(t, mw, ada, &note{text}))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	text := strings.Repeat("a secret remark ", 8)
	first, second, other := seal(text), seal(text), seal(strings.Repeat("another remark. ", 8))
	for _, open := range []string{"secret", "note", "Text", ada.Session} {
		testkit.Want(t, "the token holds "+open, bytes.Contains(first, []byte(open)), false)
	}
	const encrypted = 9 // after the version and the time
	for name, b := range map[string][]byte{"the same state": second, "another state": other} {
		testkit.Want(t, "length of "+name, len(b), len(first))
		for i := encrypted; i+16 <= len(b); i += 16 {
			testkit.Want(t, "a block of "+name+" is the same", bytes.Contains(first, b[i:i+16]), false)
		}
	}
}

// Open and Reseal refuse what a request with it would be refused for.
func TestOpenWithoutRequestRefuses(t *testing.T) {
	secret := testkit.NewSecret()
	mw := newMiddleware(t, func(o *pagestate.Options) { o.Secrets, o.MaxTokenBytes = [][]byte{secret}, 1<<10 })
	token := mustSeal(t, mw, ada, &counter{})
	unbound := newMiddleware(t, func(o *pagestate.Options) { o.Secrets, o.Session = [][]byte{secret}, pagestate.Unbound() })
	for name, tt := range map[string]struct {
		owner pagestate.Owner
		token string
		want  error
	}{
		"without a session":     {pagestate.Owner{User: "ada"}, token, pagestate.ErrInvalid},
		"nobody's":              {pagestate.Owner{}, mustSeal(t, unbound, pagestate.Owner{}, &counter{}), pagestate.ErrInvalid},
		"no token":              {ada, "", pagestate.ErrInvalid},
		"with a line break":     {ada, token[:64] + "\n" + token[64:], pagestate.ErrInvalid},
		"over MaxTokenBytes":    {ada, strings.Repeat("A", 1<<10+1), pagestate.ErrTooLarge},
		"with another alphabet": {ada, strings.Repeat("+", 200), pagestate.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mw.Open(t.Context(), tt.owner, tt.token)
			testkit.Want(t, fmt.Sprint("Open: ", err), errors.Is(err, tt.want), true)
			_, err = mw.Reseal(t.Context(), tt.owner, tt.token, &counter{})
			testkit.Want(t, fmt.Sprint("Reseal: ", err), errors.Is(err, tt.want), true)
		})
	}
}
