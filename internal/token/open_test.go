package token_test

// A reader of tokens in another language.

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
)

const tokenPython = "/usr/bin/python3" // the one that Debian's packages are for

// TestAnotherLanguageOpensTokens runs a reader that was written from
// docs/token.md alone. It checks the vectors, opens a token of a secret it has
// not seen before, and makes one that this package opens.
func TestAnotherLanguageOpensTokens(t *testing.T) {
	if out, err := exec.Command(tokenPython, "-c", "import cryptography, msgpack").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("install python3-cryptography and python3-msgpack: %v\n%s", err, out)
		}
		t.Skipf("%s has no cryptography or no msgpack; apt-get install python3-cryptography python3-msgpack", tokenPython)
	}
	t.Log(tokenRunPython(t, "--check", tokenVectorsFile))
	t.Log(tokenRunPython(t, "--check-changed", changedVectorsFile))
	t.Log(tokenRunPython(t, "--check-changed", invalidVectorsFile))

	secret := make([]byte, 32)
	rand.Read(secret)
	m := tokenAppOf(t, secret, tokenNow, func(o *pagestate.Options) {
		o.Clock = time.Now // the reader seals by it
		o.Purpose = "shop"
	})
	owner := pagestate.Owner{Session: "s é", User: "zoë"}
	first, err := m.Seal(owner, &tokenText{ASCII: "from Go", Broken: []string{"\xff"}, Raw: json.RawMessage("{}")})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "secret.key")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--secret-file", file, "--purpose", "shop", "--binding", "2", "--session", owner.Session, "--user-kind", "2", "--user", owner.User, first}
	var opened tokenVector
	if err := json.Unmarshal([]byte(tokenRunPython(t, args...)), &opened); err != nil {
		t.Fatal(err)
	}
	if opened.Component != "text" || opened.Revision != 1 || !bytes.Contains(opened.State, []byte(`"from Go"`)) {
		t.Errorf("the reader saw component %q in revision %d, with state %.200s", opened.Component, opened.Revision, opened.State)
	}

	second := tokenRunPython(t, append(args, "--reseal", "--set", `ASCII="from Python, é"`)...)
	state, err := m.Open(context.Background(), owner, second)
	if err != nil {
		t.Fatal(err)
	}
	want := &tokenText{ASCII: "from Python, é", Broken: []string{"\xff"}, Raw: json.RawMessage("{}")}
	if !reflect.DeepEqual(state, want) {
		t.Errorf("opened %+v, want %+v", state, want)
	}
}

func tokenRunPython(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(tokenPython, append([]string{"testdata/open.py"}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONUTF8=1")
	var out, failure strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		t.Fatalf("open.py: %v\n%s", err, failure.String())
	}
	return strings.TrimSpace(out.String())
}
