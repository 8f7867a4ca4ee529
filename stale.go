package pagestate

// This file holds what can go wrong: the errors, the status and code that each
// one means to a client, and the answer that tells it, as JSON or as a small
// HTML page.
//
// What does not live here: the decision that a state is stale (load.go,
// model.go), the logging of causes (log.go), the call of Options.ErrorHandler
// (exchange.go), and what an Accept header says (internal/accept).

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pagestate/pagestate/internal/accept"
	"github.com/pagestate/pagestate/internal/token"
)

// ErrNoMiddleware is returned by the functions that take a context if the
// request did not pass through [Middleware.Handler]. It is a mistake of the
// program, so the client gets 500 StateError and can only report it. Wrap the
// handler's route.
var ErrNoMiddleware = errors.New("pagestate: the request did not pass through the middleware; serve its route through Middleware.Handler")

// ErrMissing is returned by [From], [Child] and [Handle] if the request carries
// no token for the state that was asked for. The client gets 400 MissingState:
// its page did not send the token, which is a mistake in the page and not
// something to try again. The error says where the token may have been left, if
// that is known: behind a file, or in a body that could not be read.
var ErrMissing = errors.New("pagestate: the request carries no such state")

// ErrInvalid is returned for a token that is damaged or forged, or that belongs
// to another session, user, purpose or component. The client gets 400
// InvalidState, which looks the same for all of these: what told them apart
// would help whoever is forging. It may report the error; the same token will
// never become valid.
var ErrInvalid = token.ErrInvalid

// ErrCrossOrigin is returned for a request with an unsafe method that carries a
// token and comes from another site, and by [Attach] in such a request without a
// session. The client gets 403 CrossOriginState. Options.CrossOrigin says which
// other origins to trust.
var ErrCrossOrigin = errors.New("pagestate: the request comes from another site")

// ErrExpired is returned for a token older than Options.MaxAge or MaxLifetime
// allow, or first sealed before Options.NotBefore. The client gets 409
// ExpiredState and should offer a reload of the page.
var ErrExpired = token.ErrExpired

// ErrOutdated is returned for a token sealed by a version of the component that
// this one can't read: its [Schema] differs, or one of its fields has changed
// its kind. The client gets 409 OutdatedState and should offer a reload of the
// page.
var ErrOutdated = token.ErrOutdated

// ErrStale says that what a state refers to is gone. An application returns it,
// alone or wrapped, from Load, from a model's Fetch or from a handler; the
// package itself returns a [*StaleError], which is an ErrStale too. The client
// gets 410 StaleComponentState and should take the component off the page.
//
// Return it only if the component has no reason to exist any more. A row that
// is missing elsewhere is not that, and an sql.ErrNoRows that a handler returns
// is therefore just a 500.
var ErrStale = errors.New("pagestate: what the state refers to is gone")

// ErrForbidden is for applications to return, alone or wrapped, from Load, from
// Fetch or from a handler when this user may not see or do this. The client
// gets 403 ForbiddenState and should report it.
var ErrForbidden = errors.New("pagestate: access is forbidden")

// ErrConflict is returned for a token that was used before, if there is an
// Options.Guard, which returns it. Applications return it too, alone or wrapped,
// from Load or from a handler, when what the token was sealed for was done
// already. The client gets 409 StateConflict and should offer a reload of the
// page.
var ErrConflict = errors.New("pagestate: this revision of the state was already used")

// ErrTooLarge is returned for a request whose tokens are over a limit: their
// number, their size, or what is inside them, and for a body that is too long to
// be looked at for tokens. It is also returned for a state that is too large to be
// sealed; the error names the field that holds the most. The client gets 413
// StateTooLarge and should report it. So it does for the [*http.MaxBytesError] or
// [multipart.ErrMessageTooLarge] that a handler returns, alone or wrapped in another of
// these errors.
var ErrTooLarge = errors.New("pagestate: the state is over a limit")

// ErrUnavailable says that the data behind a state can't be reached at the
// moment. Applications return it, alone or wrapped, from Load or Fetch;
// context.DeadlineExceeded and context.Canceled mean the same. The client gets
// 503 StateUnavailable and may try again with the same token. So it does for every
// error of [Handle] and [WriteError] that would be a 500 StateError, once the
// context of the request has ended, as when the client goes away during an upload.
var ErrUnavailable = errors.New("pagestate: the data behind the state is unavailable")

// A StaleError says which component is stale, and why. It is an [ErrStale], so
// it leads to 410 StaleComponentState. Find it with errors.As in
// Options.ErrorHandler; it is not changed once it has been returned, and so is
// safe for concurrent use.
type StaleError struct {
	// Component is the name under which the component was registered.
	Component string

	// Reference names what is gone, with its key. It may be empty. It is for
	// the application alone: a key can be private, so Error leaves it out, and
	// neither a client nor a log should see it.
	Reference string

	// Err is the error of Load or Fetch that meant "gone", or one that names
	// the model whose row did not come back. It may be nil.
	Err error
}

// Error names the component and what Err adds to that, never Reference.
func (e *StaleError) Error() string {
	if e.Err == nil || e.Err == ErrStale {
		return fmt.Sprintf("pagestate: component %q is stale", e.Component)
	}
	return fmt.Sprintf("pagestate: component %q is stale: %v", e.Component, e.Err)
}

// Unwrap returns ErrStale and, unless it is nil, Err.
func (e *StaleError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrStale}
	}
	return []error{ErrStale, e.Err}
}

// An answer is what a client is told about the errors that mean the same to it.
// Its message is for the person at the screen: what happened and what to do,
// and nothing of the cause.
type answer struct {
	status  int
	code    string
	message string
	reload  bool // a fresh copy of the page helps, so the HTML page points to it
	errs    []error
}

// answers is searched from the top, if the body is not too large: that is why it could
// not be read, whatever the application calls it. Stale comes first, as the application
// said that explicitly.
var answers = []answer{
	{http.StatusGone, "StaleComponentState",
		"What you were working on no longer exists.",
		true, []error{ErrStale}},
	{http.StatusConflict, "ExpiredState",
		"The page was open for too long. Reload it and try again.",
		true, []error{ErrExpired}},
	{http.StatusConflict, "OutdatedState",
		"The application has been updated since the page was opened. Reload it and try again.",
		true, []error{ErrOutdated}},
	{http.StatusConflict, "StateConflict",
		"This was already changed, by an earlier click or in another tab. Reload the page to see how it stands.",
		true, []error{ErrConflict}},
	{http.StatusBadRequest, "InvalidState",
		"The page sent something that cannot be used here. Reload it and try again.",
		true, []error{ErrInvalid}},
	{http.StatusBadRequest, "MissingState",
		"The page did not send everything that was needed. Reload it and try again.",
		true, []error{ErrMissing}},
	{http.StatusForbidden, "CrossOriginState",
		"This request came from another site and was refused.",
		false, []error{ErrCrossOrigin}},
	{http.StatusForbidden, "ForbiddenState",
		"You are not allowed to do this.",
		false, []error{ErrForbidden}},
	overLimit,
	{http.StatusServiceUnavailable, "StateUnavailable",
		"This is not available at the moment. Wait a little and try again.",
		true, []error{ErrUnavailable, context.DeadlineExceeded, context.Canceled}},
}

var overLimit = answer{
	status:  http.StatusRequestEntityTooLarge,
	code:    "StateTooLarge",
	message: "This is more than can be accepted. Send less.",
	errs:    []error{ErrTooLarge},
}

// failed answers every error that answers does not list, ErrNoMiddleware among
// them.
var failed = answer{
	status:  http.StatusInternalServerError,
	code:    "StateError",
	message: "Something went wrong. Try again later.",
	reload:  true,
}

func answerTo(err error) answer {
	if isBodyTooLarge(err) {
		return overLimit
	}
	for _, a := range answers {
		if slices.ContainsFunc(a.errs, func(target error) bool { return errors.Is(err, target) }) {
			return a
		}
	}
	return failed
}

// isBodyTooLarge reports whether err is that of http.MaxBytesReader, or of a
// multipart form whose fields are over net/http's own limit.
func isBodyTooLarge(err error) bool {
	var tooLarge *http.MaxBytesError
	return errors.As(err, &tooLarge) || errors.Is(err, multipart.ErrMessageTooLarge)
}

// ifEnded returns an error that means nothing to a client as an ErrUnavailable if
// ctx, of the request, has ended: the client went away, which shows as an error of
// whatever was asked last, such as the body or a database.
func ifEnded(ctx context.Context, err error) error {
	if _, code := Status(err); ctx.Err() == nil || code != failed.code {
		return err
	}
	return fmt.Errorf("%w: the request has ended: %w", ErrUnavailable, err)
}

// Status returns the HTTP status and the code that err means to a client, as
// [WriteError] sends them. Wrapped and joined errors count as what they wrap.
// Of several that match, the first of this table decides:
//
//	413 StateTooLarge        *http.MaxBytesError, multipart.ErrMessageTooLarge
//	410 StaleComponentState  ErrStale
//	409 ExpiredState         ErrExpired
//	409 OutdatedState        ErrOutdated
//	409 StateConflict        ErrConflict
//	400 InvalidState         ErrInvalid
//	400 MissingState         ErrMissing
//	403 CrossOriginState     ErrCrossOrigin
//	403 ForbiddenState       ErrForbidden
//	413 StateTooLarge        ErrTooLarge
//	503 StateUnavailable     ErrUnavailable, context.DeadlineExceeded, context.Canceled
//	500 StateError           everything else
//
// If err is nil, Status returns 200 and "". It is safe for concurrent use.
func Status(err error) (status int, code string) {
	if err == nil {
		return http.StatusOK, ""
	}
	a := answerTo(err)
	return a.status, a.code
}

// WriteError answers r with what err means to a client: the status and code of
// [Status], and a message for people. Nothing of the cause leaves the server.
// Within [Middleware.Handler] the cause is logged, and the response seals no
// state. WriteError is what answers if Options.ErrorHandler is nil, and an
// ErrorHandler may call it: it never calls back.
//
// The body is JSON,
//
//	{"success":false,"error":{"code":"ExpiredState","message":"…"}}
//
// or a small HTML page if the request prefers text/html in its Accept header
// and carries neither a Page-State nor an HX-Request header. The page links to
// the one it came from if the Referer header names this host.
//
// A 410 to a request with the header HX-Request: true also tells htmx to delete
// the closest element with the attribute data-page-state, and any other error to
// leave the page as it is.
//
// Of the headers that are set already, those that described another body
// (Content-Length, ETag, Location and the like) and all that give htmx an order
// (HX-…) are removed, since the handler that set them has failed. Others, such
// as Set-Cookie, Retry-After and Page-State, stay.
//
// WriteError must be called before anything is written to w: afterwards the
// status is out, and the error would land in the middle of another body. If err
// is nil it does nothing. It may be called from several goroutines at once,
// each with a w of its own.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		return
	}
	err = ifEnded(r.Context(), err)
	if x, _ := exchangeOf(r.Context()); x != nil {
		x.refuse(err)
	} else if errors.Is(err, ErrNoMiddleware) {
		slog.Default().Log(r.Context(), slog.LevelError, err.Error()) // there is no Options.Logger to tell
	}
	a := answerTo(err)
	h := w.Header()
	removeLeftovers(h)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	addVary(h)
	switch {
	case r.Header.Get("HX-Request") != "true":
	case a.status == http.StatusGone:
		h.Set("HX-Reswap", "delete")
		h.Set("HX-Retarget", "closest [data-page-state]")
	default:
		h.Set("HX-Reswap", "none") // htmx 4 would put the JSON into the page
	}
	// A write that fails below means that the client is gone, and there is
	// nobody left to tell.
	if wantsPage(r) {
		a.writePage(w, r)
	} else {
		a.writeJSON(w)
	}
}

func (a answer) writeJSON(w http.ResponseWriter) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, _ := json.Marshal(struct {
		Success bool    `json:"success"`
		Error   problem `json:"error"`
	}{false, problem{a.code, a.message}}) // strings and a bool can't fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	w.Write(body)
}

func (a answer) writePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(a.status)
	errorPage.Execute(w, struct {
		Status        int
		Code, Message string
		Reload, Typed bool
		From          string
	}{a.status, a.code, a.message, a.reload, a.reload && !isSafe(r.Method), cameFrom(r)})
}

// errorPage has its few lines of style inline, so that the package need serve
// no file. A strict Content-Security-Policy blocks them, which leaves plain
// headings and paragraphs; color-scheme is a meta tag and works even then.
var errorPage = template.Must(template.New("error").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>This did not work</title>
<style>
body { max-width: 32rem; margin: 15vh auto; padding: 0 1.5rem; font: 1.125rem/1.6 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.3 }
a { display: inline-block; padding: .5rem 1rem; border: 1px solid; border-radius: .5rem; text-decoration: none }
small { opacity: .75 }
</style>
</head>
<body>
<main>
<h1>This did not work</h1>
<p>{{.Message}}</p>
{{if and .Reload .From}}<p><a href="{{.From}}">Reload the page</a></p>
{{else if .Reload}}<p>Go back and reload the page.</p>
{{end}}{{if .Typed}}<p>If you have typed something, go back and copy it first.</p>
{{end}}<p><small>Error {{.Status}}: <code>{{.Code}}</code></small></p>
</main>
</body>
</html>
`))

// cameFrom returns the path and query of the page that sent r, or "" unless it
// is surely one of ours that can be loaded again: what was just posted to may be
// for POST alone, except where a redirect has led to it. The scheme is not compared,
// because behind a proxy ours is not known.
func cameFrom(r *http.Request) string {
	from, err := url.Parse(r.Referer())
	if err != nil || from.Scheme != "http" && from.Scheme != "https" {
		return ""
	}
	if from.Host == "" || !strings.EqualFold(from.Host, r.Host) {
		return ""
	}
	if strings.HasPrefix(from.Path, "//") {
		return "" // as a link without its host, this would lead to another one
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	if from.Path == asked(r).Path && !safe && idIn(from.RawQuery) == "" {
		return ""
	}
	return from.RequestURI()
}

// wantsPage reports whether r comes from a browser that will show the answer as
// a page. What a script sends carries one of the two headers, and gets JSON
// however its Accept header reads.
func wantsPage(r *http.Request) bool {
	if len(r.Header.Values(stateHeader)) > 0 || len(r.Header.Values("HX-Request")) > 0 {
		return false
	}
	return accept.Prefers(r.Header.Values("Accept"), "text/html", "application/json")
}
