package pagestate

// This file holds what a handler calls to bring states over a redirect, the URL
// that it leads to, and FromOrAttach, which finds them there. What a parcel holds
// is in parcel.go, and what keeps it meanwhile in carrier.go.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pagestate/pagestate/internal/sessionid"
)

// Redirect answers 303 See Other and carries the states, pointers to components, to
// the page at url, where [FromOrAttach] finds them. Call it instead of
// [http.Redirect] in answer to a form:
//
//	return pagestate.Redirect(w, r, "/cart", cart)
//
// url is a place of this site: "/cart", "next?page=2", or "" for the one that the
// browser asked for. It resolves against that one, also under [http.StripPrefix].
// A scheme, a host, and control characters are errors. The query gets the parameter
// page_state with a random id, which opens nothing for anybody else; no token ever
// stands in a URL.
//
// A state that this request has opened or attached is sealed as it is now: a later
// change is lost, and a warning is logged. One that it does not know, as a notice
// for the next page, is sealed too, for the visitor of the response, and is loaded
// where it arrives. A child comes along if its parent does, and Load runs there.
// With a [Guard], what an unsafe request carries starts a new instance each time its
// page is loaded: reloading is no conflict. Without states it is a plain redirect.
//
// What cannot be carried is an error before anything is written: [ErrTooLarge] if
// there are more states than Options.Carrier takes, [ErrUnavailable] if it does not
// answer, [ErrCrossOrigin] as with [Attach], two states of one component, a child
// without its parent, a state from before [Middleware.Renew], and a response that has
// begun.
func Redirect(w http.ResponseWriter, r *http.Request, url string, states ...any) error {
	x, err := exchangeOf(r.Context())
	if err != nil {
		return err
	}
	if x.hasBegun() {
		return errors.New("pagestate: Redirect: the first byte has left; redirect before anything is written")
	}
	link, err := x.link(r, url, states, maxRedirectHeader)
	if err != nil {
		return err
	}
	w.Header().Set("Location", link)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// maxRedirectHeader is how long Location and the carrier's cookies may be together:
// proxies allow 4 KiB for all headers of a response.
const maxRedirectHeader = 4<<10 - 384

// Link returns url as [Redirect] would send it, with the same errors: for the
// headers HX-Redirect and HX-Location, for JSON, or for an href. The page that stays
// open gets its token as usual.
func Link(r *http.Request, url string, states ...any) (string, error) {
	x, err := exchangeOf(r.Context())
	if err != nil {
		return "", err
	}
	return x.link(r, url, states, math.MaxInt)
}

// link carries the states and returns where they arrive. That and the cookies of the
// carrier must fit into so many bytes.
func (x *exchange) link(r *http.Request, to string, states []any, room int) (string, error) {
	u, err := onThisSite(r, to)
	if err != nil {
		return "", fmt.Errorf("pagestate: the URL of a redirect %w", err)
	}
	if len(states) == 0 {
		return printURL(u), nil
	}
	id := sessionid.New()
	u.RawQuery = withID(u.RawQuery, id)
	link := printURL(u)
	return link, x.carry(id, states, room-len("Location: \r\n")-len(link))
}

// onThisSite resolves to as the browser that sent r would, and refuses what may
// lead to another site. Its errors leave the URL out, which may hold what a visitor
// has sent.
func onThisSite(r *http.Request, to string) (*url.URL, error) {
	isControl := func(c rune) bool { return c < ' ' || c == 0x7f }
	if strings.ContainsFunc(to, isControl) || strings.HasPrefix(to, " ") {
		return nil, errors.New("holds a control character or begins with a space")
	}
	if rest, ok := strings.CutPrefix(to, "/"); strings.HasPrefix(to, `\`) || ok && strings.IndexAny(rest, `/\`) == 0 {
		return nil, errNamesHost
	}
	u, err := url.Parse(escape(to))
	if err != nil {
		return nil, errors.New("is malformed")
	}
	if u.Scheme != "" || u.Host != "" || u.User != nil {
		return nil, errNamesHost
	}
	u = asked(r).ResolveReference(u)
	if path := u.EscapedPath(); !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return nil, errNamesHost
	}
	return u, nil
}

var errNamesHost = errors.New("names a scheme or a host; give a path of this site")

// asked is the path and query that the browser asked for: http.StripPrefix changes
// those of r.URL.
func asked(r *http.Request) *url.URL {
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		u = r.URL
	}
	return &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: escape("?" + u.RawQuery)[1:]}
}

// escape makes a URL fit for a header, as browsers do. What is escaped in it stays as
// it is.
func escape(to string) string {
	const never = " \\\"<>^`{|}" // in a path
	end := strings.IndexAny(to, "?#")
	if end < 0 {
		end = len(to)
	}
	var b strings.Builder
	for i := range len(to) {
		c := to[i]
		if c <= ' ' || c >= 0x7f || i < end && strings.IndexByte(never, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// printURL is u.String for a URL without a host.
func printURL(u *url.URL) string {
	text := u.EscapedPath()
	if u.RawQuery != "" || u.ForceQuery {
		text += "?" + u.RawQuery
	}
	if u.Fragment != "" {
		text += "#" + u.EscapedFragment()
	}
	return text
}

// idParameter is the parameter of a URL with the id of a parcel. It is never a
// token.
const idParameter = "page_state"

// withID returns a query with that id, and all else as it is.
func withID(query, id string) string {
	var parts []string
	for part := range strings.SplitSeq(query, "&") {
		if part != "" && !isID(part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(append(parts, idParameter+"="+id), "&")
}

// isID reports whether a part of a query is the parameter idParameter.
func isID(part string) bool {
	name, _, _ := strings.Cut(part, "=")
	name, err := url.QueryUnescape(name)
	return err == nil && name == idParameter
}

// arrivingID is the id in the URL of a page that is asked for, "" if there is none.
// Anything else that stands there is for the application.
func arrivingID(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return ""
	}
	return idIn(r.URL.RawQuery)
}

// idIn is the id in a query, "" if there is none or more than one.
func idIn(query string) (id string) {
	if !strings.Contains(query, "state=") {
		return ""
	}
	for part := range strings.SplitSeq(query, "&") {
		if !isID(part) {
			continue
		}
		_, value, _ := strings.Cut(part, "=")
		if id != "" || !sessionid.Is(value) {
			return ""
		}
		id = value
	}
	return id
}

// FromOrAttach returns the state that the request brings for this place of the page
// or, if there is none, attaches fresh and returns it. It is for the handler that
// shows a page: whether the page is new, is reloaded, comes after a [Redirect], or is
// asked for by a script with the page's token.
//
// The state is the one of the component that acts, if it is a T; otherwise that of a
// further token; otherwise what was carried here. What was carried comes first where a
// script has followed the redirect, with tokens of the page before. With [Under], only
// a child of that parent and key counts, and without it only what is no child. A second
// call for a place returns what the first did. It may run at the same time, with a fresh
// of its own.
//
// What was carried and opens no more, because it is too old, of another visitor, or
// what it refers to is gone, is passed over: the page starts fresh, and the log says
// why at level info. Other errors are returned, among them those of a Load, of a
// Fetch, and of a carrier that does not answer. So are the errors of [Child] and
// [Attach].
func FromOrAttach[T any](ctx context.Context, fresh *T, opts ...AttachOption) (*T, error) {
	x, err := exchangeOf(ctx)
	if err != nil {
		return nil, err
	}
	in, err := x.fromOrAttach(ctx, fresh, opts)
	if err != nil {
		return nil, err
	}
	return in.state.(*T), nil
}

func (x *exchange) fromOrAttach(ctx context.Context, fresh any, opts []AttachOption) (*instance, error) {
	in, err := x.m.newInstance(fresh)
	if err != nil {
		return nil, err
	}
	p, err := x.placeOf(in.component, opts)
	if err != nil {
		return nil, err
	}
	if found := x.lookUpAt(p); found != nil {
		x.noteFound(p)
		return found, nil
	}
	find := [...]func(context.Context, place) (*instance, error){x.openBrought, x.openCarried}
	if arrived, err := x.arrived(); err != nil {
		return nil, err
	} else if arrived.follows(x.brought) { // with tokens of the page before
		slices.Reverse(find[:])
	}
	for _, open := range find {
		if found, err := open(ctx, p); found != nil || err != nil {
			return found, err
		}
	}
	return x.attachAt(ctx, &in, p)
}

// openBrought makes an instance of the further token that is for that place, and puts
// it there. It is nil if there is none.
func (x *exchange) openBrought(ctx context.Context, p place) (*instance, error) {
	in, err := x.openFurther(ctx, p, asSaved)
	if in == nil {
		return nil, err
	}
	return x.holdAt(in, p), nil
}

// attachAt loads in and puts it into its place.
func (x *exchange) attachAt(ctx context.Context, in *instance, p place) (*instance, error) {
	if err := x.canAttach(in); err != nil {
		return nil, err
	}
	keys, err := x.visitor.ensured()
	if err != nil {
		return nil, err
	}
	in.keys = keys
	p.put(in)
	if err := in.load(ctx); err != nil {
		return nil, err
	}
	return x.holdAt(in, p), nil
}
