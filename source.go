package pagestate

// This file finds the tokens in a request: in a header, a form field or a JSON
// field. It hands them over as they were sent. How many may come, how long each
// may be and whether one is genuine is decided elsewhere (middleware.go,
// token.go). The body that can be read again after a source has looked into it
// is in internal/replay.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pagestate/pagestate/internal/replay"
)

// Source finds the tokens in a request. The sources of this package are
// [HeaderSource], [FormSource] and [JSONSource]; none of them ever looks at the
// URL, since URLs end up in logs and histories. One Source serves many requests
// at the same time.
type Source interface {
	// Tokens returns the tokens in the order they were sent: the first is that
	// of the component that acts. No token is no error.
	//
	// An error is for a source that could not look, and fails the request. Those
	// of this package's sources do not fail it: a body that they cannot read holds
	// no token, and they say why. [From] adds that to its [ErrMissing], and the
	// handler meets the fault itself when it reads the body.
	//
	// Tokens leaves the body as it found it: it may replace r.Body by one that
	// reads the same from the start, and changes nothing else of r. It takes no
	// token out of a body for which it would have to look further than limit
	// bytes. To see whether a body ends there, it may read one byte more.
	Tokens(r *http.Request, limit int64) ([]string, error)
}

// notLooked is the error of a source that could not look where a token may be.
type notLooked struct{ cause error }

func (e *notLooked) Error() string { return e.cause.Error() }
func (e *notLooked) Unwrap() error { return e.cause }

// isTooLarge reports whether the body is longer than the source may look, or than
// http.MaxBytesReader lets anybody read.
func (e *notLooked) isTooLarge() bool {
	return errors.Is(e.cause, replay.ErrLimit) || isBodyTooLarge(e.cause)
}

// maxFound is how many tokens a source yields at most, and how many parts of a
// form it looks at. That is as many as Options.MaxTokens may allow, and one.
const maxFound = maxTokens + 1

// HeaderSource finds tokens in the request header of that name. A repeated
// header holds several tokens, and so does one with commas in it, since a proxy
// may join repeated headers that way. The body is not touched; the header's
// size is limited by [http.Server].MaxHeaderBytes. Since Go 1.27 a server also
// refuses requests with more than 500 header values, unless its
// MaxHeaderValueCount says otherwise: each repetition counts as one, and tokens
// with commas between them count as one together.
func HeaderSource(name string) Source {
	return headerSource{http.CanonicalHeaderKey(name)}
}

type headerSource struct{ name string } // canonical

func (s headerSource) Tokens(r *http.Request, _ int64) ([]string, error) {
	lines := r.Header[s.name]
	if len(lines) == 1 && lines[0] != "" && strings.IndexByte(lines[0], ',') < 0 && lines[0] == trimmed(lines[0]) {
		return lines[:1:1], nil // as nearly all of them are
	}
	var found []string
	for _, line := range lines {
		for token := range strings.SplitSeq(line, ",") {
			token = trimmed(token)
			if token == "" {
				continue
			}
			if found = append(found, token); len(found) == maxFound {
				return found, nil
			}
		}
	}
	return found, nil
}

// FormSource finds tokens in the form field of that name, in a body of type
// application/x-www-form-urlencoded or multipart/form-data, whatever the
// method. A repeated field holds several tokens.
//
// In a multipart form the tokens must come before the files: looking stops at
// the first file, so that an upload is not held in memory. The limit counts
// what comes before that file's content. A urlencoded body longer than the
// limit has no token.
//
// If the form was parsed before, the tokens come from r.MultipartForm or
// r.PostForm.
func FormSource(field string) Source {
	return formSource{field}
}

func trimmed(token string) string { return strings.Trim(token, " \t") }

type formSource struct{ field string }

func (s formSource) Tokens(r *http.Request, limit int64) ([]string, error) {
	// An empty PostForm does not show that the body was read: ParseForm also
	// leaves one behind when it passed over the body, because that is multipart
	// or the method is DELETE.
	switch {
	case r.MultipartForm != nil:
		return nonEmpty(r.MultipartForm.Value[s.field]), nil
	case len(r.PostForm) > 0:
		return nonEmpty(r.PostForm[s.field]), nil
	}

	mediaType, params := contentType(r)
	var found []string
	var err error
	switch mediaType {
	case "application/x-www-form-urlencoded":
		var body []byte
		if body, err = replay.PeekAll(r, limit); err == nil {
			found = nonEmpty(urlencodedValues(body, s.field))
		}
	case "multipart/form-data":
		found, err = multipartValues(replay.Peek(r, limit), params["boundary"], s.field)
		found = nonEmpty(found)
	default:
		return nil, nil
	}
	if len(found) > 0 {
		return found, nil
	}
	return nil, whyNone(r, fmt.Sprintf("the field %q", s.field), err)
}

// whyNone says why a body holds no token there, if it may hold one all the same.
func whyNone(r *http.Request, where string, err error) error {
	if r.Header.Get("Content-Encoding") != "" {
		return &notLooked{fmt.Errorf("the body has a Content-Encoding, and is not decoded to look for %s", where)}
	}
	if err != nil {
		return &notLooked{fmt.Errorf("looking for %s: %w", where, err)}
	}
	return nil
}

// urlencodedValues returns what url.ParseQuery would for one field, without the
// map of all the others.
func urlencodedValues(body []byte, field string) []string {
	var found []string
	for pair := range bytes.SplitSeq(body, []byte("&")) {
		key, value, _ := bytes.Cut(pair, []byte("="))
		if bytes.IndexByte(pair, ';') >= 0 || !unescapesTo(key, field) {
			continue
		}
		if token, err := url.QueryUnescape(string(value)); err == nil && token != "" {
			found = append(found, token)
		}
		if len(found) == maxFound {
			break
		}
	}
	return found
}

func unescapesTo(key []byte, field string) bool {
	if !bytes.ContainsAny(key, "%+") {
		return string(key) == field
	}
	unescaped, err := url.QueryUnescape(string(key))
	return err == nil && unescaped == field
}

var (
	errBehindFile = errors.New("the form has a file, and only what comes before the first file is looked at; put the token there")
	errManyParts  = fmt.Errorf("the form has more than %d parts", maxFound)
	errMalformed  = errors.New("the form is malformed")
)

// multipartValues returns the values of field that come before the first file.
// With an error, it did not look at the whole form.
func multipartValues(body io.Reader, boundary, field string) ([]string, error) {
	var found []string
	read := &faultReader{Reader: body}
	parts := multipart.NewReader(read, boundary)
	for range maxFound {
		part, err := parts.NextPart()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return nil, read.why(err)
		}
		if part.FileName() != "" {
			return found, errBehindFile
		}
		if part.FormName() != field {
			continue
		}
		token, err := io.ReadAll(part)
		if err != nil {
			return nil, read.why(err)
		}
		found = append(found, string(token))
	}
	return nil, errManyParts
}

// faultReader notes why it could not be read on. Errors of package multipart
// repeat lines of the form, which may hold a token or what a visitor typed.
type faultReader struct {
	io.Reader
	fault error
}

func (r *faultReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.fault = err
	}
	return n, err
}

// why returns what stands behind an error of package multipart, and nothing of
// the form.
func (r *faultReader) why(err error) error {
	switch {
	case r.fault != nil:
		return r.fault
	case errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	default:
		return errMalformed
	}
}

// JSONSource finds tokens in a JSON body: path is the object keys that lead to
// them, spelled exactly, and there stands a string or an array of strings. The
// Content-Type is application/json or ends in +json. What follows the first
// JSON value of the body is ignored.
//
// A key of the path that occurs twice in its object leads to no token: the
// handler's decoder might take the other one. Nor does anything of another type
// on the path, malformed JSON, nesting deeper than encoding/json accepts, a
// body longer than the limit, or an empty path.
func JSONSource(path ...string) Source {
	return jsonSource{slices.Clone(path)}
}

type jsonSource struct{ path []string }

func (s jsonSource) Tokens(r *http.Request, limit int64) ([]string, error) {
	mediaType, _ := contentType(r)
	if len(s.path) == 0 || mediaType != "application/json" && !strings.HasSuffix(mediaType, "+json") {
		return nil, nil
	}
	value, err := replay.PeekAll(r, limit)
	for _, key := range s.path {
		value = jsonMember(value, key)
	}
	if found := nonEmpty(jsonStrings(value)); len(found) > 0 {
		return found, nil
	}
	return nil, whyNone(r, fmt.Sprintf("the JSON member %q", strings.Join(s.path, ".")), err)
}

// jsonMember returns the value of key in the object that data begins with. It
// returns nil if there is not exactly one, and reads the object to its end to
// know.
func jsonMember(data []byte, key string) []byte {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	var found, value json.RawMessage
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil
		}
		// A RawMessage is skipped by a state machine, which neither recurses
		// nor nests without bound.
		if err := dec.Decode(&value); err != nil {
			return nil
		}
		if name != key {
			continue
		}
		if found != nil {
			return nil
		}
		found = slices.Clone(value) // value is used again
	}
	if _, err := dec.Token(); err != nil {
		return nil
	}
	return found
}

// jsonStrings returns the string, or the strings of the array, that data
// consists of.
func jsonStrings(data []byte) []string {
	dec := json.NewDecoder(bytes.NewReader(data))
	first, err := dec.Token()
	if s, ok := first.(string); ok {
		return []string{s}
	}
	if err != nil || first != json.Delim('[') {
		return nil
	}
	var found []string
	for dec.More() {
		element, err := dec.Token()
		s, ok := element.(string)
		if err != nil || !ok {
			return nil
		}
		if found = append(found, s); len(found) == maxFound {
			break
		}
	}
	return found
}

// findsNothing reports whether a source was made without a name.
func findsNothing(s Source) bool {
	switch s := s.(type) {
	case nil:
		return true
	case headerSource:
		return s.name == ""
	case formSource:
		return s.field == ""
	case jsonSource:
		return len(s.path) == 0
	}
	return false
}

// contentType returns the media type of the body, "" if there is none. Like
// net/http it overlooks a malformed parameter.
func contentType(r *http.Request) (mediaType string, params map[string]string) {
	mediaType, params, _ = mime.ParseMediaType(r.Header.Get("Content-Type"))
	return mediaType, params
}

// nonEmpty returns the tokens that are not empty, nil if none. The argument may
// belong to the request and is left alone.
func nonEmpty(tokens []string) []string {
	var found []string
	for _, token := range tokens {
		if token != "" {
			found = append(found, token)
		}
	}
	return found
}
