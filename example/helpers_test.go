package main

// This file holds what several tests need: a site with a database of its own,
// and the program as people run it.

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

func newTestSite(t *testing.T, peek bool) http.Handler {
	t.Helper()
	secret, err := loadSecret(filepath.Join(t.TempDir(), "test.key"))
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := openStore(filepath.Join(t.TempDir(), "board.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tasks.db.Close() })
	site, err := newSite(secret, tasks, peek, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func startBoard(t *testing.T, site http.Handler) (address string) {
	t.Helper()
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)
	return server.URL
}

// quote makes a literal of JavaScript.
func quote(text string) string {
	literal, _ := json.Marshal(text) // cannot fail
	return string(literal)
}

// program is the built program with a key and a database that outlive it.
type program struct{ file, key, db string }

func buildProgram(t *testing.T) program {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no signal stands for Ctrl-C")
	}
	dir := t.TempDir()
	p := program{filepath.Join(dir, "example"), filepath.Join(dir, "test.key"), filepath.Join(dir, "board.db")}
	if out, err := exec.Command("go", "build", "-o", p.file, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return p
}

type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string
}

func (p program) start(t *testing.T, addr string) *process {
	t.Helper()
	return startProcess(t, exec.Command(p.file, "-addr", addr, "-key", p.key, "-db", p.db))
}

func startProcess(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	var address string
	if _, err := fmt.Fscanf(stdout, "Open %s", &address); err != nil {
		t.Fatal(err)
	}
	return &process{t, cmd, address}
}

func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("at Ctrl-C: %v", err)
	}
}
