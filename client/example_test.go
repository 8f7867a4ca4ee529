package client_test

import (
	"html/template"
	"net/http"
	"os"

	"github.com/pagestate/pagestate/client"
)

func ExampleHandler() {
	mux := http.NewServeMux()
	mux.Handle("GET /pagestate.js", client.Handler())
}

// The tag of a page that names what it runs.
func ExampleIntegrity() {
	page := template.Must(template.New("head").Funcs(template.FuncMap{"integrity": client.Integrity}).Parse(
		`<script type="module" src="/pagestate.js" integrity="{{integrity}}"></script>`))
	page.Execute(os.Stdout, nil)
}
