package main

// The command as people run it: a program of its own, with files and standard input.

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/inspect"
	"github.com/pagestate/pagestate/internal/testkit"
)

// asProgram is set where the binary of the tests is to be the program itself.
const asProgram = "PAGESTATE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	m.Run()
}

// result is what a run of the program wrote, and its exit status.
type result struct {
	out, err string
	status   int
}

func runProgram(t *testing.T, in string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &errOut
	err = cmd.Run()
	if _, is := errors.AsType[*exec.ExitError](err); err != nil && !is {
		t.Fatal(err)
	}
	return result{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

type order struct {
	pagestate.Component
	Note  string
	Items []string
	Paid  bool
	Odd   int `state:"\x1b]0;\u009b"`
}

const sessionID = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

var secretBytes = testkit.NewSecret()

// seal is a token of a visitor, as an application of these options seals it.
func seal(t *testing.T, o pagestate.Options, owner pagestate.Owner) string {
	t.Helper()
	r := pagestate.NewRegistry()
	pagestate.Register[order](r, "order", pagestate.Schema(2))
	o.Secrets = [][]byte{secretBytes}
	m, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	token, err := m.Seal(owner, &order{Note: "for\x1b[31m Ada\u202e\u009b", Items: []string{strings.Repeat("tea ", 100)}, Paid: true})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

var (
	cookie  = pagestate.Cookie(http.Cookie{Name: "c"})
	byFunc  = pagestate.SessionFunc(func(*http.Request) string { return "" })
	noUser  = func(*http.Request) string { return "" }
	visitor = pagestate.Owner{Session: sessionID}
)

func TestOpen(t *testing.T) {
	secret, sessionFile := write(t, "secret", secretBytes), write(t, "session", []byte(sessionID+"\n"))
	plain := seal(t, pagestate.Options{Session: cookie}, visitor)
	for _, test := range []struct {
		what  string
		token string
		args  []string
		owner string
	}{
		{"a cookie", plain, nil, "a session"},
		{"white space", " " + plain + "\r\n\n", nil, "a session"},
		{"nobody logged in", seal(t, pagestate.Options{Session: cookie, User: noUser}, visitor), nil, "a session, nobody logged in"},
		{"a user", seal(t, pagestate.Options{Session: cookie, User: noUser}, pagestate.Owner{Session: sessionID, User: "zoë"}), []string{"-user", "zoë"}, "a session, a user"},
		{"a purpose", seal(t, pagestate.Options{Session: cookie, Purpose: "shop"}, visitor), []string{"-purpose", "shop"}, "a session"},
		{"a function", seal(t, pagestate.Options{Session: byFunc}, visitor), []string{"-binding", "func"}, "a session of SessionFunc"},
	} {
		args := append([]string{"open", "-secret", secret, "-session", sessionFile}, test.args...)
		got := runProgram(t, test.token, args...)
		testkit.Want(t, test.what, got.status, 0)
		testkit.Want(t, test.what, got.err, "")
		testkit.WantText(t, test.what, got.out,
			"component     order, schema version 2\n", "owner         "+test.owner+"\n", ", revision 1\n",
			"\n bytes  field            value\n   404  Items            [\"tea tea ", "… (all of it: -json)\n", `    18  Note             "for\x1b[31m Ada\u202e\u009b"`, "     1  Paid             true\n", `     1  "\x1b]0;\u009b"  0`)
		testkit.Want(t, test.what+" has what a terminal obeys", strings.ContainsAny(got.out, "\x1b\u202e\u009b\r"), false)
	}
	unbound := runProgram(t, seal(t, pagestate.Options{Session: pagestate.Unbound()}, pagestate.Owner{}), "open", "-secret", secret, "-binding", "none")
	testkit.Want(t, "no session", unbound.status, 0)
	testkit.WantText(t, "no session", unbound.out, "owner         no session\n")
}

func TestOpenJSON(t *testing.T) {
	token := seal(t, pagestate.Options{Session: cookie}, visitor)
	got := runProgram(t, token, "open", "-json", "-secret", write(t, "secret", secretBytes), "-session", write(t, "session", []byte(sessionID)))
	testkit.Want(t, "status", got.status, 0)
	testkit.Want(t, "has what a terminal obeys", strings.ContainsAny(got.out, "\x1b\u202e\u009b"), false)
	var parsed inspect.Token
	if err := json.Unmarshal([]byte(got.out), &parsed); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "component", parsed.Component, "order")
	testkit.Want(t, "bytes", parsed.Bytes, len(token))
	testkit.Want(t, "the largest", parsed.Fields[0].Value, `["`+strings.Repeat("tea ", 100)+`"]`)
	testkit.Want(t, "name", parsed.Fields[3].Name+parsed.Fields[2].Name, "\x1b]0;\u009bPaid")
}

// TestRefused wants status 1 and one line that says what to look for.
func TestRefused(t *testing.T) {
	secret, sessionFile := write(t, "secret", secretBytes), write(t, "session", []byte(sessionID))
	other, otherSession := write(t, "other", testkit.NewSecret()), write(t, "session", []byte("BBCDEFGHIJKLMNOPQRSTUVWXYZ"))
	odd := write(t, "session", []byte("gorilla-cookie=="))
	withBreak := write(t, "secret", append(bytes.Clone(secretBytes), '\n'))
	encoded := write(t, "secret", base64.StdEncoding.AppendEncode(nil, secretBytes))
	inHex := write(t, "secret", []byte(hex.EncodeToString(secretBytes)+"\n"))
	token := seal(t, pagestate.Options{Session: cookie}, visitor)
	const nothing = "the token does not open: it was sealed with another secret or for another session, user or purpose, or it was damaged"
	for _, test := range []struct {
		what, token, secret, session string
		args                         []string
		want                         string
	}{
		{"no token", "hello", secret, sessionFile, nil, "this is no token"},
		{"half a token", token[:len(token)/2+1], secret, sessionFile, nil, "this is no token, or not all of one"},
		{"another secret", token, other, sessionFile, nil, nothing},
		{"another session", token, secret, otherSession, nil, nothing},
		{"no session of ours", token, secret, odd, nil, "sessions of 26 characters, A to Z and 2 to 7, which this one is not"},
		{"another purpose", seal(t, pagestate.Options{Session: cookie, Purpose: "shop"}, visitor), secret, sessionFile, []string{"-purpose", "blog"}, nothing},
		{"another binding", token, secret, sessionFile, []string{"-binding", "func"}, "does not open like this, but with -binding cookie"},
		{"no user", token, secret, sessionFile, []string{"-user", "Ada"}, "does not open like this, but without -user"},
		{"no purpose", token, secret, sessionFile, []string{"-purpose", "shop"}, "does not open like this, but without -purpose"},
		{"a line break", token, withBreak, sessionFile, nil, "but with the secret without the line break at its end"},
		{"base64", token, encoded, sessionFile, nil, "but with the secret decoded from base64"},
		{"hexadecimal", token, inHex, sessionFile, nil, "but with the secret decoded from hexadecimal"},
		{"a space", token, secret, write(t, "session", []byte(sessionID+" \n")), nil, "but without the space around the session"},
	} {
		got := runProgram(t, test.token, append([]string{"open", "-secret", test.secret, "-session", test.session}, test.args...)...)
		testkit.Want(t, test.what, got.status, 1)
		testkit.Want(t, test.what, got.out, "")
		testkit.WantText(t, test.what, got.err, "pagestate: ", test.want)
		testkit.Want(t, test.what+": lines", strings.Count(got.err, "\n"), 1)
		for what, part := range map[string]string{"token": token[20:40], "session": sessionID, "secret": hex.EncodeToString(secretBytes)} {
			testkit.Want(t, test.what+" says the "+what, strings.Contains(got.err, part), false)
		}
	}
}

// TestUsage wants status 2 for what is no fault of a token.
func TestUsage(t *testing.T) {
	secret, sessionFile := write(t, "secret", secretBytes), write(t, "session", []byte(sessionID))
	token := seal(t, pagestate.Options{Session: cookie}, visitor)
	for _, test := range []struct {
		what string
		args []string
		want string
	}{
		{"nothing", nil, "usage:"},
		{"another command", []string{"seal"}, `there is no command "seal"`},
		{"another flag", []string{"open", "-token", token}, "flag provided but not defined: -token"},
		{"a token as an argument", []string{"open", "-secret", secret, "-session", sessionFile, token}, "a token comes from standard input"},
		{"no secret", []string{"open", "-session", sessionFile}, "-secret is missing"},
		{"no session", []string{"open", "-secret", secret}, "-session is missing"},
		{"no such secret", []string{"open", "-secret", secret + "x", "-session", sessionFile}, "no such file"},
		{"no such session", []string{"open", "-secret", secret, "-session", sessionFile + "x"}, "no such file"},
		{"a short secret", []string{"open", "-secret", sessionFile, "-session", sessionFile}, "is 26 bytes long; make it at least 32"},
		{"an empty session", []string{"open", "-secret", secret, "-session", write(t, "empty", []byte("\n"))}, "is empty"},
		{"another binding", []string{"open", "-secret", secret, "-session", sessionFile, "-binding", "x"}, "-binding is cookie, func or none"},
		{"a session for none", []string{"open", "-secret", secret, "-session", sessionFile, "-binding", "none"}, "leave out -session"},
		{"no token", []string{"open", "-secret", secret, "-session", sessionFile}, "there is no token on standard input"},
		{"secret without a file", []string{"secret"}, "say with -o where to write"},
		{"secret in no folder", []string{"secret", "-o", filepath.Join(t.TempDir(), "no", "such")}, "no such file"},
	} {
		got := runProgram(t, "", test.args...)
		testkit.Want(t, test.what, got.status, 2)
		testkit.WantText(t, test.what, got.err, test.want)
		testkit.Want(t, test.what, got.out, "")
	}
	testkit.WantText(t, "help", runProgram(t, "", "help").out, "pagestate open")
	help := runProgram(t, "", "open", "-help")
	testkit.Want(t, "help", help.status, 0)
	testkit.WantText(t, "help", help.err, "Middleware.Owner", `under the key "pagestate"`)
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "new.key")
	testkit.Want(t, "status", runProgram(t, "", "secret", "-o", file), result{})
	made, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "bytes", len(made), 32)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		testkit.Want(t, "mode", info.Mode(), fs.FileMode(0o600))
	}
	if _, err := pagestate.New(pagestate.NewRegistry(), pagestate.Options{Secrets: [][]byte{made}, Session: cookie}); err != nil {
		t.Error(err)
	}

	// Nothing is overwritten, and no link followed, whether or not it leads somewhere.
	link, dangling, target := filepath.Join(dir, "link"), filepath.Join(dir, "dangling"), filepath.Join(dir, "target")
	if err := errors.Join(os.Symlink(file, link), os.Symlink(target, dangling)); err != nil {
		t.Skip(err)
	}
	for _, taken := range []string{file, link, dangling, dir} {
		got := runProgram(t, "", "secret", "-o", taken)
		testkit.Want(t, taken, got.status, 2)
		testkit.WantText(t, taken, got.err, "is there already, and stays as it is")
	}
	again, err := os.ReadFile(file)
	testkit.Want(t, "stays as it is", bytes.Equal(again, made) && err == nil, true)
	_, err = os.Lstat(target)
	testkit.Want(t, "the target is not there", errors.Is(err, fs.ErrNotExist), true)
}
