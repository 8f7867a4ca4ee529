//go:build unix

package pagestate_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pagestate/pagestate"
)

// readDir reads a secret from each file of a directory, in the order of their names.
// The first is the one that seals.
func readDir(dir string) ([][]byte, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var secrets [][]byte
	for _, file := range files {
		if strings.HasPrefix(file.Name(), ".") {
			continue // Kubernetes mounts some beside the secrets
		}
		secret, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// reload has mw go on with the secrets of the directory, or with those that it has if
// there is anything wrong with them.
func reload(mw *pagestate.Middleware, dir string) error {
	secrets, err := readDir(dir)
	if err != nil {
		return err
	}
	return mw.SetSecrets(secrets)
}

// A server reads its secrets again when it gets SIGHUP.
func ExampleMiddleware_SetSecrets() {
	dir, err := os.MkdirTemp("", "secrets")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	write := func(name string) {
		secret := make([]byte, 32)
		rand.Read(secret)
		if err := os.WriteFile(filepath.Join(dir, name), secret, 0o600); err != nil {
			panic(err)
		}
	}
	write("2026.key")

	secrets, err := readDir(dir)
	if err != nil {
		panic(err)
	}
	registry := pagestate.NewRegistry()
	pagestate.Register[Filter](registry, "filter")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: secrets,
		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}),
	})
	if err != nil {
		panic(err)
	}

	reloaded := make(chan bool) // for this example
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for range hangup {
			err := reload(mw, dir)
			if err != nil {
				slog.Error("the secrets stay as they are", "error", err)
			}
			reloaded <- err == nil
		}
	}()
	sendHangup := func() bool {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			panic(err)
		}
		return <-reloaded
	}

	owner := pagestate.Owner{Session: "of a visitor"}
	token, err := mw.Seal(owner, Filter{Word: "milk"})
	if err != nil {
		panic(err)
	}
	opens := func() bool {
		_, err := mw.Open(context.Background(), owner, token)
		return !errors.Is(err, pagestate.ErrInvalid)
	}
	write("2027.key") // the second of the two
	fmt.Println(sendHangup(), opens())
	if err := os.Remove(filepath.Join(dir, "2026.key")); err != nil {
		panic(err)
	}
	fmt.Println(sendHangup(), opens())
	// Output:
	// true true
	// true false
}
