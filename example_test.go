package pagestate_test

// Runnable examples for the package documentation.

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"github.com/pagestate/pagestate"
)

// Filter is what a visitor has chosen in a list.
type Filter struct {
	pagestate.Component
	Open bool
	Word string
}

// newMiddlewareForExamples stands for an application's set-up, where the secret
// comes from a file.
func newMiddlewareForExamples(r *pagestate.Registry) *pagestate.Middleware {
	secret := make([]byte, 32)
	rand.Read(secret)
	mw, err := pagestate.New(r, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}),
	})
	if err != nil {
		panic(err)
	}
	return mw
}

// A page shows a component, and a script on it calls a handler with the
// component's token.
func ExampleHandle() {
	registry := pagestate.NewRegistry()
	pagestate.Register[Filter](registry, "filter")
	mw := newMiddlewareForExamples(registry)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		filter := &Filter{Open: true}
		if err := pagestate.Attach(r.Context(), filter); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		token, err := pagestate.Token(r.Context(), filter)
		if err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		fmt.Fprint(w, token) // in a page: <div data-page-state="{{.StateToken}}">
	})
	mux.Handle("POST /search", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, filter *Filter) error {
		filter.Word = r.FormValue("word")
		_, err := fmt.Fprintf(w, "open: %t, word: %s", filter.Open, filter.Word)
		return err
	}))
	server := httptest.NewServer(mw.Handler(mux))
	defer server.Close()

	// What a browser does: keep the cookie, and send the token.
	page, err := http.Get(server.URL)
	if err != nil {
		panic(err)
	}
	token, _ := io.ReadAll(page.Body)
	req, _ := http.NewRequest("POST", server.URL+"/search?word=tea", nil)
	req.AddCookie(page.Cookies()[0])
	req.Header.Set("Page-State", string(token))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(res.Body)
	fmt.Println(string(body))
	fmt.Println("a new token:", res.Header.Get("Page-State") != "")
	// Output:
	// open: true, word: tea
	// a new token: true
}

// List shows the items of a folder.
type List struct {
	Folder int
	Items  []string // left out of the token: load sets it
}

func ExampleLoadWith() {
	folders := map[int][]string{7: {"tea", "milk"}} // stands for a database

	registry := pagestate.NewRegistry()
	pagestate.Register[List](registry, "list", pagestate.LoadWith(func(ctx context.Context, l *List) error {
		items, ok := folders[l.Folder]
		if !ok {
			return pagestate.ErrStale
		}
		l.Items = items
		return nil
	}))
	mw := newMiddlewareForExamples(registry)

	owner := pagestate.Owner{Session: "a browser's"}
	token, err := mw.Seal(owner, &List{Folder: 7})
	if err != nil {
		panic(err)
	}
	folders[7] = append(folders[7], "bread")
	state, err := mw.Open(context.Background(), owner, token)
	if err != nil {
		panic(err)
	}
	fmt.Println(state.(*List).Items)

	delete(folders, 7)
	_, err = mw.Open(context.Background(), owner, token)
	status, code := pagestate.Status(err)
	fmt.Println(status, code)
	// Output:
	// [tea milk bread]
	// 410 StaleComponentState
}

// Search has a field of a type that says nothing about itself.
type Search struct{ Pattern *regexp.Regexp }

func ExampleRegisterCodec() {
	registry := pagestate.NewRegistry()
	pagestate.Register[Search](registry, "search")
	pagestate.RegisterCodec(registry, "regexp", pagestate.Codec[regexp.Regexp]{
		Encode: func(e regexp.Regexp) ([]byte, error) { return []byte(e.String()), nil },
		Decode: func(b []byte) (regexp.Regexp, error) {
			e, err := regexp.Compile(string(b))
			if err != nil {
				return regexp.Regexp{}, err
			}
			return *e, nil
		},
	})
	mw := newMiddlewareForExamples(registry)

	owner := pagestate.Owner{Session: "a browser's"}
	token, err := mw.Seal(owner, &Search{regexp.MustCompile("^te+a$")})
	if err != nil {
		panic(err)
	}
	state, err := mw.Open(context.Background(), owner, token)
	if err != nil {
		panic(err)
	}
	fmt.Println(state.(*Search).Pattern.MatchString("teeea"))
	// Output: true
}

// Mistakes are found when the program starts, all of them at once.
func ExampleNew() {
	type Todos struct {
		Changed chan string
		Done    func()
	}
	registry := pagestate.NewRegistry()
	pagestate.Register[Todos](registry, "todos")
	_, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{[]byte("hunter2")},
		Session: pagestate.Unbound(),
	})
	for fault := range strings.Lines(err.Error()) {
		fault, _, _ = strings.Cut(fault, ";")
		fmt.Println(fault)
	}
	// Output:
	// pagestate: Todos.Changed: chan string is not in the safe list
	// pagestate: Todos.Done: func() is not in the safe list
	// pagestate: Options.Secrets[0] is 7 bytes long
}

// A WebSocket has one request and many messages: take the owner from the
// request, and open and seal for it.
func ExampleMiddleware_Reseal() {
	registry := pagestate.NewRegistry()
	pagestate.Register[Filter](registry, "filter")
	mw := newMiddlewareForExamples(registry)
	owner := pagestate.Owner{Session: "a browser's"} // from mw.Owner(r)

	message, err := mw.Seal(owner, &Filter{})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	for _, word := range []string{"tea", "milk"} {
		state, err := mw.Open(ctx, owner, message)
		if err != nil {
			panic(err)
		}
		filter := state.(*Filter)
		fmt.Printf("before: %q\n", filter.Word)
		filter.Word = word
		if message, err = mw.Reseal(ctx, owner, message, filter); err != nil {
			panic(err)
		}
	}
	_, err = mw.Open(ctx, pagestate.Owner{Session: "another browser's"}, message)
	fmt.Println("in another browser:", errors.Is(err, pagestate.ErrInvalid))
	// Output:
	// before: ""
	// before: "tea"
	// in another browser: true
}
