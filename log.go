package pagestate

// This file holds what is logged, and how often: a visitor who causes one warning
// again and again must not fill the log.

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// quietFor is how long a warning or error is not logged again.
const quietFor = time.Minute

// limiter remembers which lines were logged lately. It is safe for concurrent use.
// It is bounded by the program: no part of a lineKind is a visitor's choice.
type limiter struct {
	mu    sync.Mutex
	lines map[lineKind]*recentLine
}

// lineKind is what makes two lines the same.
type lineKind struct {
	text      string
	component string // or the code of an error
	pattern   string // of the route that the error is about
}

type recentLine struct {
	logged time.Time
	count  int // since then
}

// count reports whether to log a line now, and how often it was to be logged since
// the last time.
func (l *limiter) count(kind lineKind, now time.Time) (count int, logs bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	recent := l.lines[kind]
	if recent == nil {
		if l.lines == nil {
			l.lines = make(map[lineKind]*recentLine)
		}
		recent = new(recentLine)
		l.lines[kind] = recent
	}
	recent.count++
	if since := now.Sub(recent.logged); 0 <= since && since < quietFor {
		return 0, false
	}
	count, recent.count, recent.logged = recent.count, 0, now
	return count, true
}

// log logs a warning or error, unless one of its kind was logged less than a
// minute ago. Then the next one says how many there were.
func (m *Middleware) log(ctx context.Context, level slog.Level, kind lineKind, attrs ...slog.Attr) {
	count, logs := m.logged.count(kind, m.opt.Clock())
	if !logs {
		return
	}
	if count > 1 {
		attrs = append(attrs, slog.Int("count", count))
	}
	m.opt.Logger.LogAttrs(ctx, level, kind.text, attrs...)
}

const refused = "pagestate: request refused"

// maxMethod is how much is logged of a method, which may be anything that a
// visitor sends.
const maxMethod = 20

// logFailure logs the cause of an error. A path may hold a row's key, so only its
// pattern is logged.
func (x *exchange) logFailure(what string, err error) {
	status, code := Status(err)
	if observe := x.m.opt.Observer.Refused; observe != nil {
		observe(x.r.Context(), Refused{Code: code, Status: status})
	}
	attrs := []slog.Attr{
		slog.String("code", code),
		slog.Int("status", status),
		slog.String("cause", err.Error()),
		slog.String("method", x.r.Method[:min(len(x.r.Method), maxMethod)]),
		slog.String("pattern", x.r.Pattern),
	}
	kind := lineKind{text: what, component: code, pattern: x.r.Pattern}
	switch {
	case status == http.StatusServiceUnavailable: // also when the client went away
		x.m.log(x.r.Context(), slog.LevelWarn, kind, attrs...)
	case status >= http.StatusInternalServerError:
		x.m.log(x.r.Context(), slog.LevelError, kind, attrs...)
	default:
		x.m.opt.Logger.LogAttrs(x.r.Context(), slog.LevelInfo, what, attrs...)
	}
}

// warning is a line for the log, about a component.
type warning struct {
	kind  lineKind
	attrs []slog.Attr
}

// warn is called with mu held. unlock logs the warning, since a logger may ask
// for what mu guards.
func (x *exchange) warn(in *instance, text string, attrs ...slog.Attr) {
	component := in.component.name
	x.warnings = append(x.warnings, warning{
		lineKind{text: "pagestate: " + text, component: component},
		append([]slog.Attr{slog.String("component", component)}, attrs...),
	})
}

func (x *exchange) unlock() {
	warnings := x.warnings
	x.warnings = nil
	x.mu.Unlock()
	for _, w := range warnings {
		x.m.log(x.r.Context(), slog.LevelWarn, w.kind, w.attrs...)
	}
}
