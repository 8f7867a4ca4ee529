// Command example serves a board that several people share, and whose state is
// in the page. Run it from the repository root with
//
//	go run ./example
//
// and open the address that it prints. The tasks are in a database that goes with
// the program, unless -db names a file to keep. On an address of this machine alone,
// or with -peek, the page has a tour, and a panel that shows what its tokens hold.
//
// This file holds the program: its flags, its secret, and its end. What it
// serves is put together in site.go.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "`address` to listen on; port 0 picks a free one")
	key := flag.String("key", "pagestate.key", "`file` with the secret; made if there is none")
	db := flag.String("db", "", "`file` with the tasks; made if there is none, and without it gone at the end")
	peek := flag.Bool("peek", false, "have the tour, which acts as somebody else, where other machines can open it, too")
	flag.Parse()
	if err := run(*addr, *key, *db, *peek); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(addr, keyFile, dbFile string, peek bool) (err error) {
	secret, err := loadSecret(keyFile)
	if err != nil {
		return err
	}
	if dbFile == "" {
		dir, err := os.MkdirTemp("", "pagestate-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		dbFile = filepath.Join(dir, "board.db")
	}
	tasks, err := openStore(dbFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tasks.db.Close()) }() // before its folder is removed
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	handler, err := newSite(secret, tasks, peek || isLoopback(listener.Addr()), slog.Default())
	if err != nil {
		return err
	}
	fmt.Printf("Open http://%s (stop with Ctrl-C)\n", listener.Addr())
	return serve(listener, handler)
}

// isLoopback reports whether only this machine can connect to the address.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func serve(listener net.Listener, handler http.Handler) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		stop() // from here on a second Ctrl-C ends the program at once
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		// Browsers open connections ahead of need, which are not worth a longer wait.
		return server.Close()
	}
	return err
}

// loadSecret reads the secret from a file. Whoever has it can open and forge
// every token, and without it the pages that are open now are worth nothing: it
// belongs in no repository, and in a backup.
func loadSecret(path string) ([]byte, error) {
	secret, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	// Another process may have been faster, and then its secret is the one.
	if err := createSecret(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readSecret(path)
}

func readSecret(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// On Windows, where other rules keep a file private, Go makes these bits up.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s is open to other users (mode %04o); say: chmod 600 %[1]s", path, info.Mode().Perm())
	}
	return io.ReadAll(file)
}

// createSecret fills a file of another name and then links it to path, which
// happens in one step and fails if there is something already: nobody reads
// half a secret, and none is ever overwritten.
func createSecret(path string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".pagestate-*.key") // has mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	_, err = file.Write(secret)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}
