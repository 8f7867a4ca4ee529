// Command templ serves a recipe whose page is written in templ. Run it from the
// repository root with
//
//	go run ./example/templ
//
// and open the address that it prints. After a change of page.templ, run
//
//	go -C example tool templ generate -path templ
package main

import (
	"bytes"
	"crypto/rand"
	"embed"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/a-h/templ"
	"github.com/pagestate/pagestate"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "`address` to listen on; port 0 picks a free one")
	flag.Parse()
	secret := make([]byte, 32)
	rand.Read(secret) // ends with the program, and with it the pages that are open
	_, handler, err := newSite(secret)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Open http://%s (stop with Ctrl-C)\n", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(listener))
}

//go:embed style.css
var static embed.FS

func newSite(secret []byte) (*pagestate.Middleware, http.Handler, error) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Recipe](registry, "recipe")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}), // behind HTTPS set Secure as well
	})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", pagestate.HandlePage(show))
	mux.Handle("POST /{$}", pagestate.Handle(change))
	mux.Handle("GET /style.css", http.FileServerFS(static))
	return mw, mw.Handler(mux), nil
}

// show shows the recipe to a visitor who comes to it in any way.
func show(w http.ResponseWriter, r *http.Request) error {
	c, err := pagestate.FromOrAttach(r.Context(), &Recipe{Servings: 2})
	if err != nil {
		return err
	}
	return render(w, r, recipePage(c))
}

// change works on the recipe of the page that was clicked.
func change(w http.ResponseWriter, r *http.Request, c *Recipe) error {
	switch r.FormValue("do") {
	case "more":
		c.Servings = min(c.Servings+1, 12)
	case "fewer":
		c.Servings = max(c.Servings-1, 1)
	}
	c.toggle(r.FormValue("have"))
	return pagestate.Redirect(w, r, "/", c)
}

// render writes a page when all of it is there. One that fails is an error, and
// nothing of it is seen.
func render(w http.ResponseWriter, r *http.Request, page templ.Component) error {
	var b bytes.Buffer
	if err := page.Render(r.Context(), &b); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := b.WriteTo(w)
	return err
}
