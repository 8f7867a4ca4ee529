package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/inspect"
	"github.com/pagestate/pagestate/internal/sessionid"
	"github.com/pagestate/pagestate/internal/token"
)

const openUsage = `usage: pagestate open -secret FILE -session FILE [flags] <TOKEN

Says what is in the token on standard input. The token is what the page has in
the attribute data-page-state, in a field page_state, or in the header Page-State.

  -secret FILE    the bytes of Options.Secrets, as they are
  -session FILE   one line, what Middleware.Owner gives as Session:
                  for pagestate.Cookie the value of its cookie; for pagestate.Session
                  what is in the session under the key "pagestate", and not the
                  value of its cookie; for SessionFunc what its function returns
  -binding KIND   cookie (if it is not given): Cookie, Session, or a binding of your own
                  func: SessionFunc
                  none: Unbound, which has no session
  -user NAME      what Options.User returned, if somebody was logged in
  -purpose NAME   Options.Purpose, if it is set
  -json           all of it, in JSON

The exit status is 1 for a token that is refused, and 2 for everything else that
goes wrong.
`

// asked is what the token is to be opened with.
type asked struct {
	secret  []byte
	session string
	binding string
	user    string
	purpose string
}

func open(args []string, in *os.File, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("pagestate open", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() { fmt.Fprint(errOut, openUsage) }
	var a asked
	secretFile := flags.String("secret", "", "")
	sessionFile := flags.String("session", "", "")
	flags.StringVar(&a.binding, "binding", "cookie", "")
	flags.StringVar(&a.user, "user", "", "")
	flags.StringVar(&a.purpose, "purpose", "", "")
	asJSON := flags.Bool("json", false, "")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := a.read(*secretFile, *sessionFile); err != nil {
		return err
	}
	text, err := readToken(in, errOut)
	if err != nil {
		return err
	}
	t, err := a.open(text)
	if err != nil {
		return a.refusal(text, err)
	}
	if *asJSON {
		return writeJSON(out, t)
	}
	return writeText(out, t)
}

// read reads the files, and looks whether what is asked for can be.
func (a *asked) read(secretFile, sessionFile string) (err error) {
	switch {
	case !slices.Contains(bindings, a.binding):
		return fmt.Errorf("-binding is cookie, func or none, and not %q", a.binding)
	case secretFile == "":
		return errors.New("-secret is missing: a file with the bytes of Options.Secrets")
	case a.binding == "none" && sessionFile != "":
		return errors.New("-binding none is for tokens without a session; leave out -session")
	case a.binding != "none" && sessionFile == "":
		return errors.New("-session is missing: a file with the visitor's session; see pagestate open -help for what it holds")
	}
	if a.secret, err = os.ReadFile(secretFile); err != nil {
		return err
	}
	if err := token.CheckSecret(a.secret); err != nil {
		return fmt.Errorf("the secret in %q %w", secretFile, err)
	}
	if a.binding == "none" {
		return nil
	}
	session, err := os.ReadFile(sessionFile)
	if err != nil {
		return err
	}
	a.session = strings.TrimRight(string(session), "\r\n")
	if a.session == "" {
		return fmt.Errorf("the session in %q is empty", sessionFile)
	}
	return nil
}

const maxToken = 64 << 20

func readToken(in *os.File, errOut io.Writer) (string, error) {
	if info, err := in.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintln(errOut, "Paste the token, and end with Enter and Ctrl-D. A terminal may cut a long one: then use <FILE.")
	}
	text, err := io.ReadAll(io.LimitReader(in, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("reading the token from standard input: %w", err)
	}
	trimmed := strings.TrimSpace(string(text))
	if trimmed == "" {
		return "", errors.New("there is no token on standard input")
	}
	return trimmed, nil
}

// bindings are the kinds of them, the usual one first.
var bindings = []string{"cookie", "func", "none"}

// open opens a token. Without the name of a user it tries both ways to have none.
func (a *asked) open(text string) (*inspect.Token, error) {
	t, err := a.openFor(text, nil)
	if errors.Is(err, pagestate.ErrInvalid) && a.user == "" {
		if other, otherErr := a.openFor(text, func(*http.Request) string { return "" }); otherErr == nil || !errors.Is(otherErr, pagestate.ErrInvalid) {
			return other, otherErr
		}
	}
	return t, err
}

func (a *asked) openFor(text string, user func(*http.Request) string) (*inspect.Token, error) {
	o := pagestate.Options{Secrets: [][]byte{a.secret}, User: user, Purpose: a.purpose, MaxTokenBytes: maxToken}
	switch a.binding {
	case "cookie":
		o.Session = pagestate.Cookie(http.Cookie{Name: "session"})
	case "func":
		o.Session = pagestate.SessionFunc(func(*http.Request) string { return "" })
	default:
		o.Session = pagestate.Unbound()
	}
	m, err := pagestate.New(pagestate.NewRegistry(), o)
	if err != nil {
		return nil, err
	}
	return inspect.Open(context.Background(), m, pagestate.Owner{Session: a.session, User: a.user}, text)
}

// refusal says in one line why a token does not open. Which of secret, session, user
// and purpose is wrong cannot be seen in it: only that another way opens it.
func (a *asked) refusal(text string, err error) error {
	switch {
	case !errors.Is(err, pagestate.ErrInvalid):
		return &refusal{err}
	case token.CheckForm(text) != nil:
		return &refusal{errors.New("this is no token, or not all of one: a token begins with gAAAAA, and has letters, digits, - and _, and perhaps = at its end")}
	}
	for _, other := range a.others() {
		if _, err := other.open(text); err == nil {
			return &refusal{fmt.Errorf("the token does not open like this, but %s", other.how)}
		}
	}
	hint := ""
	if a.binding == "cookie" && !sessionid.Is(a.session) {
		hint = fmt.Sprintf(". Cookie and Session have sessions of %d characters, A to Z and 2 to 7, which this one is not", sessionid.Length)
	}
	return &refusal{fmt.Errorf("the token does not open: it was sealed with another secret or for another session, user or purpose, or it was damaged%s", hint)}
}

// another is a way to open a token that was not asked for.
type another struct {
	asked
	how string
}

// others are the usual mistakes, put right.
func (a *asked) others() (all []another) {
	add := func(how string, change func(*asked)) {
		b := *a
		change(&b)
		all = append(all, another{b, how})
	}
	for _, binding := range bindings {
		if binding != a.binding {
			add("with -binding "+binding, func(b *asked) { b.binding = binding })
		}
	}
	if a.user != "" {
		add("without -user", func(b *asked) { b.user = "" })
	}
	if a.purpose != "" {
		add("without -purpose", func(b *asked) { b.purpose = "" })
	}
	if session := strings.TrimSpace(a.session); session != a.session {
		add("without the space around the session", func(b *asked) { b.session = session })
	}
	line := bytes.TrimRight(a.secret, "\r\n")
	try := func(how string, secret []byte, err error) {
		if err == nil && token.CheckSecret(secret) == nil {
			add(how, func(b *asked) { b.secret = secret })
		}
	}
	if len(line) < len(a.secret) {
		try("with the secret without the line break at its end", line, nil)
	}
	decoded, err := base64.StdEncoding.DecodeString(string(line))
	try("with the secret decoded from base64", decoded, err)
	decoded, err = hex.DecodeString(string(line))
	try("with the secret decoded from hexadecimal", decoded, err)
	return all
}
