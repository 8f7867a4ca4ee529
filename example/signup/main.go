// A sign-up in four steps, each a page with a URL of its own: with a picture, dates, an
// amount of money, and a list that grows. It needs no JavaScript. Run it with
//
//	go run ./example/signup
//
// and use it with and without. Stop it half-way and start it again: what was filled in is
// in the page, and the picture in the folder that -dir names.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/client"
	"github.com/pagestate/pagestate/upload"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "`address` to listen on")
	dir := flag.String("dir", "signup-data", "`folder` with the secret and the pictures; made if there is none")
	flag.Parse()
	site, files, err := newSite(*dir, slog.Default())
	if err != nil {
		log.Fatal(err)
	}
	go sweep(context.Background(), files)
	fmt.Printf("Open http://%s (stop with Ctrl-C)\n", *addr)
	log.Fatal(http.ListenAndServe(*addr, site))
}

// newSite puts the site together, with what it has in a folder.
func newSite(dir string, logger *slog.Logger) (http.Handler, *upload.Files, error) {
	secret, err := loadSecret(dir)
	if err != nil {
		return nil, nil, err
	}
	store, err := upload.Dir(filepath.Join(dir, "files"))
	if err != nil {
		return nil, nil, err
	}
	files, err := upload.New(store, upload.Options{MaxBytes: maxPicture})
	if err != nil {
		return nil, nil, err
	}
	registry := pagestate.NewRegistry()
	pagestate.Register[Signup](registry, "signup")
	files.Register(registry, "file")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "signup"}), // behind HTTPS set Secure as well
		Logger:  logger,

		ErrorHandler: refuse,
	})
	if err != nil {
		return nil, nil, err
	}
	return bounded(secured(mw.Handler(routes(files)))), files, nil
}

const maxPicture = 5_000_000

func routes(files *upload.Files) http.Handler {
	c := &club{files}
	mux := http.NewServeMux()
	for n, step := range steps {
		path := step.Path
		if path == "/" {
			path = "/{$}"
		}
		mux.Handle("GET "+path, pagestate.HandlePage(c.page(n)))
		mux.Handle("POST "+path, pagestate.Handle(c.take(n)))
	}
	mux.Handle("GET /welcome", pagestate.HandlePage(c.welcome))
	mux.Handle("GET /files/{id}", files.Serve())
	mux.Handle("GET /pagestate.js", client.Handler())
	mux.Handle("GET /static/", http.FileServerFS(static))
	return mux
}

// bounded limits bodies. One over the limit is answered with 413, and one with a picture
// that is too large, but not that large, with the form.
//
// http.MaxBytesHandler would hand on a copy of the request, and net/http removes the
// temporary files of the one that it knows.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 4*maxPicture)
		next.ServeHTTP(w, r)
	})
}

// secured allows this site's own scripts and styles, and nothing inline.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "+
			"img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// loadSecret reads the secret, or makes it.
func loadSecret(dir string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "secret")
	secret, err := os.ReadFile(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	secret = make([]byte, 32)
	rand.Read(secret) // never fails
	return secret, os.WriteFile(name, secret, 0o600)
}

// sweep removes the pictures that nobody has used for a day, until ctx ends.
func sweep(ctx context.Context, files *upload.Files) {
	hourly := time.NewTicker(time.Hour)
	defer hourly.Stop()
	for {
		if err := files.Sweep(ctx); err != nil {
			slog.Error(err.Error())
		}
		select {
		case <-hourly.C:
		case <-ctx.Done():
			return
		}
	}
}
