package pagestate_test

// Runnable examples of what a state saves by name and key: models, queries,
// template blocks and children.

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/pagestate/pagestate"
)

// Task is a row of the application's database.
type Task struct {
	ID    int
	Title string
}

// Tasks stands for that database.
type Tasks struct {
	mu   sync.Mutex
	rows map[int]Task
}

// Find returns the tasks that there are.
func (t *Tasks) Find(_ context.Context, ids []int) ([]*Task, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []*Task
	for _, id := range ids {
		if task, ok := t.rows[id]; ok {
			found = append(found, &task)
		}
	}
	return found, nil
}

// Board is saved as the keys of its tasks.
type Board struct {
	Current *Task
	Later   []*Task `state:",optional"`
}

// A state refers to rows by key: they are fetched again when it is resumed, all
// at once, and are never older than the request.
func ExampleRegisterModel() {
	tasks := &Tasks{rows: map[int]Task{1: {1, "tea"}, 2: {2, "milk"}, 3: {3, "bread"}}}
	registry := pagestate.NewRegistry()
	pagestate.Register[Board](registry, "board")
	pagestate.RegisterModel(registry, "task", pagestate.Model[int, Task]{
		Key:   func(t *Task) int { return t.ID },
		Fetch: tasks.Find, // WHERE id IN (…) AND tenant = the one of ctx
	})
	mw := newMiddlewareForExamples(registry)

	owner := pagestate.Owner{Session: "a browser's"}
	token, err := mw.Seal(owner, &Board{&Task{ID: 1}, []*Task{{ID: 2}, {ID: 3}}})
	if err != nil {
		panic(err)
	}
	show := func() {
		state, err := mw.Open(context.Background(), owner, token)
		if err != nil {
			fmt.Println(pagestate.Status(err))
			return
		}
		board := state.(*Board)
		fmt.Println(board.Current.Title, len(board.Later))
	}
	tasks.rows[1] = Task{1, "green tea"}
	show()
	delete(tasks.rows, 2) // optional, so it is dropped
	show()
	delete(tasks.rows, 1)
	show()
	// Output:
	// green tea 2
	// green tea 1
	// 410 StaleComponentState
}

// Report saves which query it shows, and not what that found.
type Report struct {
	Long pagestate.Query[int, string]
}

// A query runs when it is ranged over, and finds what there is then.
func ExampleRegisterQuery() {
	titles := []string{"tea", "bread"}
	registry := pagestate.NewRegistry()
	pagestate.Register[Report](registry, "report")
	longerThan := pagestate.RegisterQuery(registry, "longer than", func(_ context.Context, length int) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for _, title := range titles {
				if len(title) > length && !yield(title, nil) {
					return
				}
			}
		}
	})
	mw := newMiddlewareForExamples(registry)

	owner := pagestate.Owner{Session: "a browser's"}
	token, err := mw.Seal(owner, &Report{Long: longerThan(3)})
	if err != nil {
		panic(err)
	}
	titles = append(titles, "milk")
	ctx := context.Background()
	state, err := mw.Open(ctx, owner, token)
	if err != nil {
		panic(err)
	}
	for title, err := range state.(*Report).Long.All(ctx) {
		if err != nil {
			panic(err)
		}
		fmt.Println(title)
	}
	// Output:
	// bread
	// milk
}

// Panel saves which template shows it.
type Panel struct {
	Name string
	Body pagestate.Block
}

// A block is saved as the name of a template, and rendered when it is asked.
func ExampleRegisterBlocks() {
	registry := pagestate.NewRegistry()
	pagestate.Register[Panel](registry, "panel")
	panels := pagestate.RegisterBlocks(registry, "panels", template.Must(template.New("").Parse(
		`{{define "short"}}<b>{{.Name}}</b>{{end}}{{define "long"}}<h1>{{.Name}}</h1>{{end}}`)))
	mw := newMiddlewareForExamples(registry)

	owner := pagestate.Owner{Session: "a browser's"}
	token, err := mw.Seal(owner, &Panel{Name: "Tea & Milk", Body: panels("short")})
	if err != nil {
		panic(err)
	}
	state, err := mw.Open(context.Background(), owner, token)
	if err != nil {
		panic(err)
	}
	html, err := state.(*Panel).Body.HTML(state) // in a template: {{.Body.HTML .}}
	fmt.Println(html, err)
	// Output: <b>Tea &amp; Milk</b> <nil>
}

// Cart is a component, and each Line in it one with state of its own.
type (
	Cart struct {
		pagestate.Component
		Currency string
	}
	Line struct {
		pagestate.Component
		Item     string
		Currency string // given by the cart
	}
)

// A page shows a component with children. Its form sends all of their tokens,
// the one of the component that acts first.
func ExampleChild() {
	registry := pagestate.NewRegistry()
	pagestate.Register[Cart](registry, "cart")
	pagestate.Register[Line](registry, "line")
	mw := newMiddlewareForExamples(registry)

	page := template.Must(template.New("").Parse(`{{.Cart.StateToken}}, {{.Line.StateToken}}`))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		cart, line := &Cart{Currency: "EUR"}, &Line{Item: "tea"}
		if err := pagestate.Attach(r.Context(), cart); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		if err := pagestate.Attach(r.Context(), line, pagestate.Under(cart, "line-1")); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		page.Execute(w, map[string]any{"Cart": cart, "Line": line})
	})
	mux.Handle("POST /", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, cart *Cart) error {
		cart.Currency = r.FormValue("currency")
		line, err := pagestate.Child(r.Context(), cart, "line-1", func(line *Line) { line.Currency = cart.Currency })
		if err != nil {
			return err
		}
		field, err := line.StateField()
		fmt.Fprint(w, line.Item, " in ", line.Currency, ", with a new token: ", field != "")
		return err
	}))
	server := httptest.NewServer(mw.Handler(mux))
	defer server.Close()

	// What a browser does: keep the cookie, and send the tokens.
	shown, err := http.Get(server.URL)
	if err != nil {
		panic(err)
	}
	tokens, _ := io.ReadAll(shown.Body)
	req, _ := http.NewRequest("POST", server.URL+"?currency=USD", nil)
	req.AddCookie(shown.Cookies()[0])
	req.Header.Set("Page-State", string(tokens))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(res.Body)
	fmt.Println(string(body))
	// Output: tea in USD, with a new token: true
}
