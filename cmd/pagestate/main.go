// Command pagestate looks into tokens, and makes secrets.
//
//	pagestate secret -o FILE
//	pagestate open -secret FILE -session FILE [-user NAME] [-purpose NAME] [-binding cookie|func|none] [-json] <TOKEN
//
// Install it with
//
//	go install github.com/pagestate/pagestate/cmd/pagestate@latest
//
// The command secret writes 32 random bytes into a new file that its owner alone may
// read. It replaces no file, and follows no link.
//
// The command open says what is in a token: which component, how old it is, and each
// field with its value and size, the largest first. It needs neither the application
// nor its types. The token comes from standard input. The secret and the session come
// from files, so that none of the three stands in the history of a shell or in a list
// of processes:
//
//	pagestate open -secret pagestate.key -session session.txt <token.txt
//
// The file of -secret holds the bytes that the application has in Options.Secrets. The
// file of -session holds one line, what Middleware.Owner gives as Session, and that
// depends on the binding:
//
//	cookie   pagestate.Cookie: the value of its cookie
//	         pagestate.Session: what is in the session under the key "pagestate"; not
//	         the value of its cookie
//	         a binding of the application's own: the id that it returns
//	func     pagestate.SessionFunc: what its function returns
//	none     pagestate.Unbound: there is no session, and no -session
//
// With -user it is what Options.User returned when the token was sealed, and with
// -purpose it is Options.Purpose.
//
// The exit status is 1 for a token that is refused, and 2 for everything else that
// goes wrong.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

const usage = `usage:
  pagestate secret -o FILE
        writes 32 random bytes into a new file
  pagestate open -secret FILE -session FILE [flags] <TOKEN
        says what is in the token on standard input

pagestate open -help says what the files must hold.
`

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// What run returns.
const (
	ok      = 0
	refused = 1
	failed  = 2
)

func run(args []string, in *os.File, out, errOut io.Writer) (status int) {
	var command func(args []string, in *os.File, out, errOut io.Writer) error
	switch {
	case len(args) == 0:
		fmt.Fprint(errOut, usage)
		return failed
	case args[0] == "open":
		command = open
	case args[0] == "secret":
		command = secret
	case args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help":
		fmt.Fprint(out, usage)
		return ok
	default:
		fmt.Fprintf(errOut, "pagestate: there is no command %q\n%s", args[0], usage)
		return failed
	}
	err := command(args[1:], in, out, errOut)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return ok
	case errors.Is(err, errFlags): // the flag package has said it
		return failed
	}
	fmt.Fprintf(errOut, "pagestate: %s\n", strings.TrimPrefix(err.Error(), "pagestate: "))
	if _, is := errors.AsType[*refusal](err); is {
		return refused
	}
	return failed
}

// refusal is the error for a token that does not open.
type refusal struct{ error }

var errFlags = errors.New("wrong flags")

// parse reads flags, and refuses whatever follows them.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errFlags
	}
	if flags.NArg() > 0 {
		return errors.New("there is an argument behind the flags; a token comes from standard input, and secret and session from files")
	}
	return nil
}
