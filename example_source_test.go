package pagestate_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/pagestate/pagestate"
)

// Gallery shows pictures.
type Gallery struct {
	Title string
}

// Picture is a child of a Gallery.
type Picture struct {
	Votes int
}

// Tetra, a component framework for Django, calls the server with JSON. Where a call
// has a file, that JSON is a field of a form, behind the file.
func ExampleJSONSource() {
	registry := pagestate.NewRegistry()
	pagestate.Register[Gallery](registry, "gallery")
	pagestate.Register[Picture](registry, "picture")
	secret := make([]byte, 32)
	rand.Read(secret)

	call := pagestate.JSONSource("payload", "encrypted_state").
		Children([]string{"payload", "children_state"}, "encrypted", "children")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}),
		Sources: []pagestate.Source{call, call.InForm("tetra_payload")},
	})
	if err != nil {
		panic(err)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /gallery", pagestate.HandlePage(showGallery))
	mux.Handle("POST /vote", pagestate.Handle(voteForPicture))
	handler := mw.Handler(mux)

	page := httptest.NewRecorder()
	handler.ServeHTTP(page, httptest.NewRequest("GET", "/gallery", nil))
	tokens := anyToken.FindAllString(page.Body.String(), -1)
	envelope := fmt.Sprintf(`{"protocol": "tetra-1.0", "type": "call", "payload": {"method": "vote", "args": [],
		"encrypted_state": %q, "children_state": [{"encrypted": %q, "data": {}, "children": []}]}}`, tokens[0], tokens[1])

	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	file, _ := parts.CreateFormFile("picture", "cat.png")
	file.Write([]byte("a picture"))
	parts.WriteField("tetra_payload", envelope)
	parts.Close()

	for contentType, body := range map[string]string{"application/json": envelope, parts.FormDataContentType(): form.String()} {
		req := httptest.NewRequest("POST", "/vote", strings.NewReader(body))
		req.Header.Set("Content-Type", contentType)
		req.AddCookie(page.Result().Cookies()[0])
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		fmt.Println(rec.Code, withoutTokens(strings.TrimSpace(rec.Body.String())))
	}
	// Output:
	// 200 {"votes":1,"gallery":"Animals","picture_state":"…"}
	// 200 {"votes":1,"gallery":"Animals","picture_state":"…"}
}

func showGallery(w http.ResponseWriter, r *http.Request) error {
	gallery, picture := &Gallery{Title: "Animals"}, &Picture{}
	if err := pagestate.Attach(r.Context(), gallery); err != nil {
		return err
	}
	if err := pagestate.Attach(r.Context(), picture, pagestate.Under(gallery, "cat")); err != nil {
		return err
	}
	for _, state := range []any{gallery, picture} {
		token, err := pagestate.Token(r.Context(), state)
		if err != nil {
			return err
		}
		fmt.Fprintln(w, token)
	}
	return nil
}

func voteForPicture(w http.ResponseWriter, r *http.Request, gallery *Gallery) error {
	picture, err := pagestate.Child[Picture](r.Context(), gallery, "cat", nil)
	if err != nil {
		return err
	}
	picture.Votes++
	token, err := pagestate.Token(r.Context(), picture)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(struct {
		Votes   int    `json:"votes"`
		Gallery string `json:"gallery"`
		State   string `json:"picture_state"`
	}{picture.Votes, gallery.Title, token})
}
