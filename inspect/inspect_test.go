package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/inspect"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/internal/token"
)

// cart has a field of each kind whose code must not run.
type cart struct {
	pagestate.Component
	Note   string `state:"the note"`
	Buyer  *buyer
	Search pagestate.Query[string, *buyer]
	Part   pagestate.Block
	Lines  []cartLine
	Price  money
	Held   any
}

func (*cart) Load(context.Context) error { panic("loaded") }

type (
	cartLine struct {
		Item  string
		Count int
	}
	buyer struct{ ID int64 }
	money struct{ cents int }
)

// shop registers all of a cart. To open one as a state panics.
func shop(options ...pagestate.ComponentOption) (*pagestate.Registry, *cart) {
	r := pagestate.NewRegistry()
	pagestate.Register[cart](r, "cart", options...)
	pagestate.Register[cartLine](r, "line")
	pagestate.RegisterModel(r, "buyer", pagestate.Model[int64, buyer]{
		Key:   func(b *buyer) int64 { return b.ID },
		Fetch: func(context.Context, []int64) ([]*buyer, error) { panic("fetched") },
	})
	pagestate.RegisterCodec(r, "money", pagestate.Codec[money]{
		Encode: func(m money) ([]byte, error) { return fmt.Append(nil, m.cents), nil },
		Decode: func([]byte) (money, error) { panic("decoded") },
	})
	buyers := pagestate.RegisterQuery(r, "buyers", func(context.Context, string) iter.Seq2[*buyer, error] { panic("asked") })
	block := pagestate.RegisterBlocks(r, "shop.html", template.Must(template.New("row").Parse("")))
	return r, &cart{
		Note:   "\x1b[31m<b>" + strings.Repeat("n", 50),
		Buyer:  &buyer{7},
		Search: buyers("Z"),
		Part:   block("row"),
		Lines:  []cartLine{{"tea", 2}},
		Price:  money{1999},
		Held:   cartLine{Item: "any"},
	}
}

var (
	owner  = pagestate.Owner{Session: "a session", User: "Ada"}
	sealed = time.Unix(1_700_000_000, 0)
)

func newMiddleware(t *testing.T, r *pagestate.Registry, secret []byte, change func(*pagestate.Options)) *pagestate.Middleware {
	t.Helper()
	o := pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "session"}),
		User:    func(*http.Request) string { return "" },
		Clock:   func() time.Time { return sealed },
	}
	if change != nil {
		change(&o)
	}
	m, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func seal(t *testing.T, m *pagestate.Middleware, state any) string {
	t.Helper()
	token, err := m.Seal(owner, state)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func fields(t *inspect.Token) string {
	var lines []string
	for _, f := range t.Fields {
		lines = append(lines, fmt.Sprintf("%s=%s (%d)", f.Name, f.Value, f.Bytes))
	}
	return strings.Join(lines, "\n")
}

const cartFields = `the note="\x1b[31m<b>` + "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" + `" (60)
Part=shop.html("row") (15)
Search=buyers("Z") (10)
Held=line {Item: "any", Count: 0} (8)
Lines=[{Item: "tea", Count: 2}] (7)
Price=money "1999" (6)
Buyer=buyer 7 (1)`

// A token is shown by its own table, whoever looks: the application that sealed it, one
// that has raised the version or changed the types, and one that knows nothing of it.
func TestOpen(t *testing.T) {
	secret := testkit.NewSecret()
	r, state := shop(pagestate.Schema(3), pagestate.Compressed())
	token := seal(t, newMiddleware(t, r, secret, nil), state)

	raised, _ := shop(pagestate.Schema(4))
	changed := pagestate.NewRegistry()
	pagestate.Register[struct{ Note int }](changed, "cart")
	for name, r := range map[string]*pagestate.Registry{"its own": r, "raised": raised, "changed": changed, "nothing": pagestate.NewRegistry()} {
		m := newMiddleware(t, r, secret, func(o *pagestate.Options) {
			o.Clock = func() time.Time { return sealed.Add(1000 * time.Hour) } // it has expired
			o.Guard = usedUp{t}
			o.Observer.Opened = func(context.Context, pagestate.Opened) { t.Error("observed") }
		})
		got, err := inspect.Open(t.Context(), m, owner, token)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		testkit.Want(t, name, fields(got), cartFields)
		testkit.Want(t, "component", got.Component, "cart")
		testkit.Want(t, "version", got.Version, 3)
		testkit.Want(t, "owner", got.Owner, "a session, a user")
		testkit.Want(t, "instance", len(got.Instance), 32)
		testkit.Want(t, "revision", got.Revision, 1)
		testkit.Want(t, "first sealed", got.FirstSealed, sealed.UTC())
		testkit.Want(t, "last sealed", got.LastSealed, sealed.UTC())
		testkit.Want(t, "bytes", got.Bytes, len(token))
		testkit.Want(t, "compressed", got.Compressed, true)
		testkit.Want(t, "has names", got.Names > 50, true)
		testkit.Want(t, "parent", got.Key+got.Parent, "")
	}
}

// usedUp is a guard that must not be asked.
type usedUp struct{ t *testing.T }

func (g usedUp) Claim(context.Context, string, uint64, time.Duration) error {
	g.t.Error("the guard was asked")
	return nil
}

func TestOpenErrors(t *testing.T) {
	secret := testkit.NewSecret()
	r, state := shop()
	m := newMiddleware(t, r, secret, nil)
	token := seal(t, m, state)
	nobody := pagestate.Owner{User: "Ada"}
	for _, test := range []struct {
		what  string
		m     *pagestate.Middleware
		owner pagestate.Owner
		token string
		want  error
	}{
		{"no token", m, owner, "", pagestate.ErrInvalid},
		{"half a token", m, owner, token[:len(token)/2], pagestate.ErrInvalid},
		{"another character", m, owner, token[:40] + flipped(token[40]) + token[41:], pagestate.ErrInvalid},
		{"no session", m, nobody, token, pagestate.ErrInvalid},
		{"forged for no session", m, nobody, forgedForNobody(t, secret, token), pagestate.ErrInvalid},
		{"another session", m, pagestate.Owner{Session: "another", User: "Ada"}, token, pagestate.ErrInvalid},
		{"another user", m, pagestate.Owner{Session: owner.Session, User: "Grace"}, token, pagestate.ErrInvalid},
		{"another secret", newMiddleware(t, r, testkit.NewSecret(), nil), owner, token, pagestate.ErrInvalid},
		{"another purpose", newMiddleware(t, r, secret, func(o *pagestate.Options) { o.Purpose = "x" }), owner, token, pagestate.ErrInvalid},
		{"too long", newMiddleware(t, r, secret, func(o *pagestate.Options) { o.MaxTokenBytes = len(token) - 1 }), owner, token, pagestate.ErrTooLarge},
	} {
		got, err := inspect.Open(t.Context(), test.m, test.owner, test.token)
		if !errors.Is(err, test.want) || got != nil {
			t.Errorf("%s: got %v and the error %v, want %v", test.what, got, err, test.want)
		}
	}
}

// forgedForNobody seals what is in token again, for nobody's session.
func forgedForNobody(t *testing.T, secret []byte, text string) string {
	t.Helper()
	secrets := token.NewSecrets([][]byte{secret})
	o := token.Owner{Binding: token.Bound, Session: owner.Session, UserKind: token.Named, User: owner.User}
	keys := secrets.Keyring(o)
	plain, err := keys.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	o.Session = ""
	keys = secrets.Keyring(o)
	forged, err := keys.Seal(plain, sealed)
	if err != nil {
		t.Fatal(err)
	}
	return forged
}

func flipped(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestOwnerKinds(t *testing.T) {
	for want, change := range map[string]func(*pagestate.Options){
		"no session, a user": func(o *pagestate.Options) { o.Session = pagestate.Unbound() },
		"a session, a user":  func(*pagestate.Options) {},
		"a session of SessionFunc, a user": func(o *pagestate.Options) {
			o.Session = pagestate.SessionFunc(func(*http.Request) string { return "" })
		},
	} {
		r, state := shop()
		m := newMiddleware(t, r, testkit.NewSecret(), change)
		got, err := inspect.Open(t.Context(), m, owner, seal(t, m, state))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "owner", got.Owner, want)
	}
}
