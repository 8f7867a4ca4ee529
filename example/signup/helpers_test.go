package main

// This file holds what several tests need: a site that can be started again, and a
// picture.

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pagestate/pagestate/example/internal/chromium"
	"github.com/pagestate/pagestate/example/internal/firefox"
)

// The browsers of all tests. Chromium switches scripts off in a tab, Firefox as a whole.
var (
	chrome   = chromium.Browser{BackForwardCache: true}
	fox      firefox.Browser
	plainFox = firefox.Browser{NoScript: true}
)

func TestMain(m *testing.M) {
	m.Run()
	chrome.Stop()
	fox.Stop()
	plainFox.Stop()
}

// site is the sign-up, on a server that can be started again.
type site struct {
	*httptest.Server
	t   *testing.T
	dir string
	now atomic.Value // of http.HandlerFunc
}

func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	s.restart()
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.now.Load().(http.HandlerFunc)(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// restart starts a server that knows nothing but what is in its folder.
func (s *site) restart() {
	s.t.Helper()
	handler, _, err := newSite(s.dir, slog.New(slog.NewTextHandler(testLog{s.t}, nil)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.now.Store(http.HandlerFunc(handler.ServeHTTP))
}

// testLog fails the test when something is logged that is no mere information.
type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	if !bytes.Contains(line, []byte("level=INFO")) {
		l.t.Errorf("logged: %s", line)
	}
	return l.t.Output().Write(line)
}

// today is the same for all tests, also around midnight.
var today = time.Now()

// day is a date from now, as a field has it.
func day(years, days int) string { return today.AddDate(years, 0, days).Format(time.DateOnly) }

// longDay is such a date as the last page has it.
func longDay(years, days int) string { return today.AddDate(years, 0, days).Format("2 January 2006") }

// picture is a PNG of a morning by the sea.
func picture() []byte {
	const size = 240
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			img.Set(x, y, morning(float64(x)/size, float64(y)/size))
		}
	}
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		panic(err)
	}
	return file.Bytes()
}

func morning(x, y float64) color.Color {
	for i, wave := range []color.RGBA{{0x1b, 0x3f, 0x5e, 255}, {0x2c, 0x62, 0x86, 255}, {0x4f, 0x8f, 0xad, 255}} {
		if y > .86-.1*float64(i)+.02*math.Sin(9*x+2*float64(i)) {
			return wave
		}
	}
	if math.Hypot(x-.6, y-.52) < .17 {
		return color.RGBA{0xff, 0xe3, 0xa3, 255}
	}
	return color.RGBA{0xf2, uint8(0x86 + 90*y), uint8(0x6c + 60*y), 255}
}

// pictureFile is a file to choose.
func pictureFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "morning.png")
	if err := os.WriteFile(name, picture(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// multipartOf is a form as a browser sends it.
func multipartOf(t *testing.T, fields map[string]string) (body *bytes.Buffer, contentType string) {
	t.Helper()
	body = new(bytes.Buffer)
	w := multipart.NewWriter(body)
	for name, value := range fields {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body, w.FormDataContentType()
}
