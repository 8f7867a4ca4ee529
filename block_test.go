package pagestate_test

// Template blocks over HTTP: which ones a state may name, and how they are
// rendered.

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

type blockState struct {
	Body pagestate.Block
	More map[string][]pagestate.Block
	Name string
}

const blockText = `{{define "card"}}<p title="{{.Name}}" onclick="f({{.Name}})">{{.Name}}</p>{{end}}` +
	`{{block "frame" .}}<div>{{template "card" .}}</div>{{end}}` +
	`{{define "broken"}}{{.Missing.Field}}{{end}}` +
	`{{define "nested"}}[{{.Body.HTML .}}]{{end}}`

var blockTemplates = template.Must(template.New("page").Parse(blockText))

// blockMiddleware registers the templates as "blocks".
func blockMiddleware(t *testing.T, secret []byte, text string) (*pagestate.Middleware, func(string) pagestate.Block) {
	t.Helper()
	var block func(string) pagestate.Block
	mw := queryMiddleware(t, secret, func(r *pagestate.Registry) {
		pagestate.Register[blockState](r, "state")
		block = pagestate.RegisterBlocks(r, "blocks", template.Must(template.New("page").Parse(text)))
	})
	return mw, block
}

func TestBlockIsRenderedWhenResumed(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[blockState](r, "state")
	block := pagestate.RegisterBlocks(r, "blocks", blockTemplates)
	show := template.Must(template.New("").Parse(`<main>{{.Body.HTML .}}</main>`))
	var body pagestate.Block
	b := modelApp(t, r, pagestate.Options{}, func() *blockState {
		return &blockState{Body: body, Name: `<b>"'&`, More: map[string][]pagestate.Block{"x": {block("card"), {}}}}
	}, func(w http.ResponseWriter, s *blockState) {
		if err := show.Execute(w, s); err != nil {
			fmt.Fprint(w, err)
		}
		html, err := s.More["x"][0].HTML(map[string]string{"Name": "x"})
		testkit.Want(t, "in a map", string(html)+fmt.Sprint(err), `<p title="x" onclick="f(&#34;x&#34;)">x</p><nil>`)
		testkit.Want(t, "the zero one", s.More["x"][1], pagestate.Block{})
	})
	const card = `<p title="&lt;b&gt;&#34;&#39;&amp;" onclick="f(&#34;\u003cb\u003e\&#34;&#39;\u0026&#34;)">&lt;b&gt;&#34;&#39;&amp;</p>`
	for name, html := range map[string]string{
		"card":  "<main>" + card + "</main>",            // {{define}}
		"frame": "<main><div>" + card + "</div></main>", // {{block}}
	} {
		body = block(name)
		token := b.Get("/").Field()
		res := b.Call("POST", "/act", token)
		testkit.Want(t, name, res.Body, html)
		testkit.Want(t, "token", res.Token(), "")
	}
}

func TestBlockUnknown(t *testing.T) {
	mw, block := blockMiddleware(t, testkit.NewSecret(), blockText)
	_, others := blockMiddleware(t, testkit.NewSecret(), blockText)
	const zero = "the block is zero; make one with the function that RegisterBlocks returned"
	tests := []struct {
		name         string
		block        pagestate.Block
		render, seal string // errors; "" means that there is none
	}{
		{"known", block("card"), "", ""},
		{"unknown", block("other"), `blocks "blocks" has no template "other"`, `blocks "blocks" has no template "other"`},
		{"another case", block("Card"), `blocks "blocks" has no template "Card"`, `blocks "blocks" has no template "Card"`},
		{"empty", block(""), `blocks "blocks" has no template ""`, `blocks "blocks" has no template ""`},
		{"path", block("../../etc/passwd"), `blocks "blocks" has no template "../../etc/passwd"`, `blocks "blocks" has no template "../../etc/passwd"`},
		{"absolute path", block("/etc/passwd"), `blocks "blocks" has no template "/etc/passwd"`, `blocks "blocks" has no template "/etc/passwd"`},
		{"template text", block("{{.}}"), `blocks "blocks" has no template "{{.}}"`, `blocks "blocks" has no template "{{.}}"`},
		{"zero", pagestate.Block{}, zero, ""},
		{"of another registry, by the same name", others("card"), "", `blocks "blocks" are not registered here`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			html, err := test.block.HTML(map[string]string{"Name": "x"})
			testkit.Want(t, "rendered", html != "", test.render == "")
			if test.render != "" {
				testkit.Want(t, "error", fmt.Sprint(err), "pagestate: "+test.render)
			}
			_, err = mw.Seal(ada, &blockState{Body: test.block})
			if test.seal == "" {
				testkit.Want(t, "sealed", err, nil)
			} else {
				testkit.Want(t, "sealed", fmt.Sprint(err), "pagestate: sealing state: blockState.Body: cannot be saved: "+test.seal)
			}
		})
	}
}

// A name that looks like a path is a name, if the set has such a template.
func TestBlockNameIsNoPath(t *testing.T) {
	const name = "../../etc/passwd"
	mw, block := blockMiddleware(t, testkit.NewSecret(), `{{define "`+name+`"}}a name{{end}}`)
	state, err := mw.Open(t.Context(), ada, mustSeal(t, mw, ada, &blockState{Body: block(name)}))
	if err != nil {
		t.Fatal(err)
	}
	html, err := state.(*blockState).Body.HTML(nil)
	testkit.Want(t, "rendered", string(html)+fmt.Sprint(err), "a name<nil>")
}

func TestBlockRemoved(t *testing.T) {
	secret := testkit.NewSecret()
	seals, block := blockMiddleware(t, secret, blockText)
	token := mustSeal(t, seals, ada, &blockState{More: map[string][]pagestate.Block{"x": {block("card")}}})
	without, _ := blockMiddleware(t, secret, `{{define "frame"}}{{end}}`)
	none := queryMiddleware(t, secret, func(r *pagestate.Registry) { pagestate.Register[blockState](r, "state") })
	renamed := queryMiddleware(t, secret, func(r *pagestate.Registry) {
		pagestate.Register[blockState](r, "state")
		pagestate.RegisterBlocks(r, "renamed", blockTemplates)
	})
	query := queryMiddleware(t, secret, func(r *pagestate.Registry) {
		pagestate.Register[blockState](r, "state")
		pagestate.RegisterQuery(r, "blocks", queryOf[string, string])
	})
	for name, mw := range map[string]*pagestate.Middleware{"the block": without, "all sets": none, "the set": renamed, "a query instead": query} {
		_, err := mw.Open(t.Context(), ada, token)
		testkit.Want(t, name, errors.Is(err, pagestate.ErrOutdated), true)
	}
	same, _ := blockMiddleware(t, secret, `{{define "card"}}today's{{end}}`)
	state, err := same.Open(t.Context(), ada, token)
	if err != nil {
		t.Fatal(err)
	}
	html, _ := state.(*blockState).More["x"][0].HTML(nil)
	testkit.Want(t, "today's template", html, "today's")
}

func TestBlockThatFails(t *testing.T) {
	_, block := blockMiddleware(t, testkit.NewSecret(), blockText)
	html, err := block("broken").HTML(struct{}{})
	testkit.Want(t, "rendered", html, "")
	var exec interface{ Unwrap() error }
	testkit.Want(t, "wrapped", errors.As(err, &exec), true)
	testkit.Want(t, "error", strings.HasPrefix(err.Error(), "pagestate: rendering a block: template: "), true)

	// A template that renders a block of its own set.
	nested, err := block("nested").HTML(&blockState{Body: block("card"), Name: "x"})
	testkit.Want(t, "nested", string(nested)+fmt.Sprint(err), `[<p title="x" onclick="f(&#34;x&#34;)">x</p>]<nil>`)
}

func TestBlockRefused(t *testing.T) {
	type embeds = pagestate.Block
	type alias = struct{ embeds }
	_ = alias{}.embeds
	tests := []struct {
		name     string
		register func(r *pagestate.Registry)
		want     string
	}{
		{"nil template", func(r *pagestate.Registry) { pagestate.RegisterBlocks(r, "b", nil) }, `blocks "b": the template is nil`},
		{"an empty name", func(r *pagestate.Registry) { pagestate.RegisterBlocks(r, "", blockTemplates) }, `pagestate.Block: its name is empty`},
		{"twice", func(r *pagestate.Registry) {
			pagestate.RegisterBlocks(r, "b", blockTemplates)
			pagestate.RegisterBlocks(r, "b", blockTemplates)
		}, `pagestate.Block: its name "b" is taken by pagestate.Block`},
		{"a name taken", func(r *pagestate.Registry) {
			pagestate.RegisterQuery(r, "b", queryCount)
			pagestate.RegisterBlocks(r, "b", blockTemplates)
		}, `pagestate.Block: its name "b" is taken by pagestate.Query[int,string]`},
		{"as a map key", field[map[pagestate.Block]bool], `V[key]: pagestate.Block cannot be saved as a map key; use a scalar, a string, a netip or codec type, or an array or struct of these`},
		{"embedded and unexported", field[alias], `V.embeds: what is fetched or looked up again cannot be set in an embedded field that is unexported; give it a name, or leave it out with state:"-"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fault := faultOf(t, test.register)
			_, got, found := strings.Cut(fault, "].V")
			if found {
				got = "V" + got
			} else {
				got = strings.TrimPrefix(fault, "pagestate: ")
			}
			testkit.Want(t, "message", got, test.want)
		})
	}
	var none pagestate.Block
	_, err := pagestate.RegisterBlocks(pagestate.NewRegistry(), "b", nil)("x").HTML(nil)
	testkit.Want(t, "rendered from nil", fmt.Sprint(err), `pagestate: blocks "b" has no template "x"`)
	testkit.Want(t, "zero", none, pagestate.Block{})
}

func TestBlockConcurrently(t *testing.T) {
	mw, block := blockMiddleware(t, testkit.NewSecret(), blockText)
	b := block("frame")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			mustSeal(t, mw, ada, &blockState{Body: b})
			if _, err := b.HTML(map[string]string{"Name": "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
