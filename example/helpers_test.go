package main

// This file holds what several tests need: a site with a database of its own,
// and the program as people run it.

import (
	"bytes"
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

	"github.com/pagestate/pagestate/example/internal/chromium"
)

// chrome is the browser of all tests.
var chrome chromium.Browser

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	m.Run()
	chrome.Stop()
}

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
	site, err := newSite(secret, tasks, peek, slog.New(slog.NewTextHandler(testLog{t}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return site
}

// testLog fails the test when something is logged that is no mere information, as
// that a state was lost.
type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	if !bytes.Contains(line, []byte("level=INFO")) {
		l.t.Errorf("logged: %s", line)
	}
	return l.t.Output().Write(line)
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

// program is the program as people run it, with a key and a database that outlive
// it. Its file is that of the tests, where TestMain calls main.
type program struct{ key, db string }

// asProgram is the variable that makes the file of the tests the program.
const asProgram = "PAGESTATE_EXAMPLE"

func newProgram(t *testing.T) program {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no signal stands for Ctrl-C")
	}
	dir := t.TempDir()
	return program{filepath.Join(dir, "test.key"), filepath.Join(dir, "board.db")}
}

func (p program) command(t *testing.T, flags ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append(flags, "-key", p.key)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string
}

func (p program) start(t *testing.T, addr string) *process {
	t.Helper()
	return startProcess(t, p.command(t, "-addr", addr, "-db", p.db))
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
