package redisstate_test

// The program in the README compiles, runs, and refuses a token that was used.

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/testkit"
)

func TestProgramOfTheReadme(t *testing.T) {
	redisServer := newServer(t)
	address := net.JoinHostPort("localhost", freePort(t))
	runReadme(t, strings.NewReplacer(
		`Addr:                  "localhost:6379"`, `Network: "`+redisServer.network+`", Addr: "`+redisServer.addr+`"`,
		`"localhost:8080"`, `"`+address+`"`,
	))
	b := newBrowser(t)
	press := func(page string) (status int, body string) {
		token := regexp.MustCompile(`name="page_state" value="([^"]*)"`).FindStringSubmatch(page)
		if token == nil {
			t.Fatalf("no token in: %s", page)
		}
		res, err := b.PostForm("http://"+address+"/increment", url.Values{"page_state": {token[1]}})
		return read(t, res, err)
	}
	var res *http.Response
	var err error
	eventually(t, "the program listens", func() bool {
		res, err = b.Get("http://" + address)
		return err == nil
	})
	_, first := read(t, res, err)
	status, second := press(first)
	testkit.Want(t, "pressed", status, 200)
	testkit.WantText(t, "page", second, "<button>1</button>")
	status, _ = press(first)
	testkit.Want(t, "reloaded", status, 409)
}

// runReadme compiles the program with other addresses, and runs it until the
// test ends.
func runReadme(t *testing.T, addresses *strings.Replacer) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(readme), "```go\n")
	program, _, _ = strings.Cut(program, "```\n")
	dir := t.TempDir()
	for name, text := range map[string][]byte{"main.go": []byte(addresses.Replace(program)), "pagestate.key": testkit.NewSecret()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "program.exe")
	if out, err := exec.Command("go", "build", "-o", binary, filepath.Join(dir, "main.go")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(binary)
	cmd.Dir, cmd.Stderr = dir, t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

func read(t *testing.T, res *http.Response, err error) (status int, body string) {
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
