package pagestate

// This file finds the tokens in a request: in a header, a form field or JSON. It
// hands them over as they were sent. How many may come, how long each may be and
// whether one is genuine is decided elsewhere (exchange.go, instance.go). The body that can be read again after a source has looked into it
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
// http.MaxBytesReader lets anybody read, or holds too many parts or tokens to find them
// all.
func (e *notLooked) isTooLarge() bool {
	return errors.Is(e.cause, replay.ErrLimit) || errors.Is(e.cause, errManyChildren) ||
		errors.Is(e.cause, errManyParts) || isBodyTooLarge(e.cause)
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
		found, err = multipartValues(replay.Peek(r, limit), params["boundary"], s.field, stopAtFile)
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

// What multipartValues does at a file that comes before any value.
const (
	stopAtFile = false
	passFile   = true
)

// multipartValues returns the values of field that come before a file. The files in
// front of them are passed over if passes says so. With an error, it did not look at
// the whole form.
func multipartValues(body io.Reader, boundary, field string, passes bool) ([]string, error) {
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
			if passes && len(found) == 0 {
				continue
			}
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
func JSONSource(path ...string) JSONTokens {
	return JSONTokens{path: slices.Clone(path)}
}

// JSONTokens is the source that [JSONSource] makes. Its methods make others, and
// leave it as it is. The zero JSONTokens finds nothing.
type JSONTokens struct {
	path     []string
	children *jsonChildren // nil if there are none
	inForm   bool
	field    string // of a form, which holds the JSON
}

// jsonChildren says where JSON holds the tokens of children.
type jsonChildren struct {
	path          []string // to an array of objects
	token, nested string   // keys in each of these
}

// Children returns a source that finds the tokens of children too, for [Child],
// behind those of s. The keys of path lead to an array that holds an object for each
// child. The value of its key token is the child's token. The value of its key nested
// is an array of such objects for the child's own children; "" means that they have
// none.
//
// An array that is missing or null has no children, and a child whose token is
// missing, null or empty is passed over. If anything else is not as described, or
// one of these keys occurs twice in its object, the source finds no token at all and
// says why. The tokens may be 1000 in all.
func (s JSONTokens) Children(path []string, token, nested string) JSONTokens {
	s.children = &jsonChildren{slices.Clone(path), token, nested}
	return s
}

// InForm returns a source that finds what s does, but in the JSON that a form holds
// in the field of that name, as a value and not as a file. The form is of type
// multipart/form-data. A form that has the field twice has no token.
//
// The field may come behind files, unlike that of [FormSource]: those files are held
// in memory then, and count against the limit with everything else up to the end of
// the field. In front of files it is found however long they are.
//
// If the form was parsed before, the field comes from r.MultipartForm.
func (s JSONTokens) InForm(field string) JSONTokens {
	s.inForm, s.field = true, field
	return s
}

// Tokens implements [Source].
func (s JSONTokens) Tokens(r *http.Request, limit int64) ([]string, error) {
	if s.findsNothing() || !s.isIn(r) {
		return nil, nil
	}
	data, err := s.read(r, limit)
	if err != nil {
		return nil, whyNone(r, s.where(), err)
	}
	found, err := s.find(data)
	if err != nil || len(found) == 0 {
		return nil, whyNone(r, s.where(), err)
	}
	return found, nil
}

func (s JSONTokens) findsNothing() bool {
	c := s.children
	return len(s.path) == 0 || s.inForm && s.field == "" || c != nil && (len(c.path) == 0 || c.token == "")
}

// where says where the tokens are looked for.
func (s JSONTokens) where() string {
	member := jsonName(s.path)
	if s.inForm {
		return fmt.Sprintf("%s in the field %q", member, s.field)
	}
	return member
}

func jsonName(path []string) string {
	return fmt.Sprintf("the JSON member %q", strings.Join(path, "."))
}

// isIn reports whether r is of the type that the source looks at.
func (s JSONTokens) isIn(r *http.Request) bool {
	mediaType, _ := contentType(r)
	if s.inForm {
		return r.MultipartForm != nil || mediaType == "multipart/form-data"
	}
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

var errFieldTwice = errors.New("the form has the field twice")

// read returns the JSON that r holds, nil if there is none.
func (s JSONTokens) read(r *http.Request, limit int64) ([]byte, error) {
	if !s.inForm {
		return replay.PeekAll(r, limit)
	}
	values, err := s.fieldOf(r, limit)
	switch {
	case len(values) > 1:
		return nil, errFieldTwice
	case len(values) == 0:
		return nil, err
	case int64(len(values[0])) > limit: // of a form that somebody else has parsed
		return nil, replay.ErrLimit
	}
	return []byte(values[0]), nil
}

func (s JSONTokens) fieldOf(r *http.Request, limit int64) ([]string, error) {
	if r.MultipartForm != nil {
		return r.MultipartForm.Value[s.field], nil
	}
	_, params := contentType(r)
	return multipartValues(replay.Peek(r, limit), params["boundary"], s.field, passFile)
}

// find returns the tokens in JSON, those of children last. Without one for the
// component that acts there are none: the first would be taken for it.
func (s JSONTokens) find(data []byte) ([]string, error) {
	acting, _ := jsonAt(data, s.path)
	found := nonEmpty(jsonStrings(acting))
	if len(found) == 0 || s.children == nil {
		return found, nil
	}
	array, ok := jsonAt(data, s.children.path)
	if array == nil && ok {
		return found, nil
	}
	tree := &jsonTree{dec: json.NewDecoder(bytes.NewReader(array)), jsonChildren: *s.children, n: len(found), found: found}
	if err := tree.readArray(); err != nil {
		return nil, fmt.Errorf("%s %w", jsonName(s.children.path), err)
	}
	return tree.found, nil
}

var (
	errNoChildren   = errors.New("is not an array of objects with the keys of Children, each once, and tokens in them")
	errManyChildren = fmt.Errorf("has more than %d children", maxTokens)
)

// jsonTree reads the tokens of children in one pass, however deep they are.
type jsonTree struct {
	dec *json.Decoder
	jsonChildren
	n       int // how many tokens there are, if each object so far has one
	found   []string
	skipped json.RawMessage // used again
}

// readArray reads an array of objects, or null.
func (t *jsonTree) readArray() error {
	start, err := t.dec.Token()
	if err != nil || start != nil && start != json.Delim('[') {
		return errNoChildren
	}
	if start == nil {
		return nil
	}
	for t.dec.More() {
		if err := t.readObject(); err != nil {
			return err
		}
	}
	return t.readEnd()
}

// readObject reads a child. What counts them also bounds how deep this recurses.
func (t *jsonTree) readObject() error {
	if start, err := t.dec.Token(); err != nil || start != json.Delim('{') {
		return errNoChildren
	}
	if t.n++; t.n > maxTokens {
		return errManyChildren
	}
	var tokens, arrays int
	for t.dec.More() {
		key, err := t.dec.Token()
		switch {
		case err != nil:
			err = errNoChildren
		case key == t.token:
			tokens++
			err = t.readToken()
		case key == t.nested && t.nested != "":
			arrays++
			err = t.readArray()
		default:
			err = t.skip()
		}
		if err != nil {
			return err
		}
	}
	if tokens > 1 || arrays > 1 {
		return errNoChildren
	}
	return t.readEnd()
}

// readToken reads a token, or null.
func (t *jsonTree) readToken() error {
	value, err := t.dec.Token()
	token, isString := value.(string)
	if err != nil || value != nil && !isString {
		return errNoChildren
	}
	if token != "" {
		t.found = append(t.found, token)
	}
	return nil
}

// readEnd reads the end of an array or an object.
func (t *jsonTree) readEnd() error {
	if _, err := t.dec.Token(); err != nil {
		return errNoChildren
	}
	return nil
}

// skip reads any value, as jsonMember does.
func (t *jsonTree) skip() error {
	if err := t.dec.Decode(&t.skipped); err != nil {
		return errNoChildren
	}
	return nil
}

// jsonAt returns the value that path leads to, nil if there is none. ok reports
// whether the objects on the way were objects, with each key of it at most once.
func jsonAt(data []byte, path []string) (value []byte, ok bool) {
	for _, key := range path {
		if data, ok = jsonMember(data, key); data == nil {
			return nil, ok
		}
	}
	return data, true
}

// jsonMember returns the value of key in the object that data begins with, nil if
// there is none. It reads the object to its end: ok reports whether it is one that has
// the key at most once. The value is a part of data.
func jsonMember(data []byte, key string) (found []byte, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, false
	}
	var value json.RawMessage
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, false
		}
		// A RawMessage is skipped by a state machine, which neither recurses
		// nor nests without bound.
		if err := dec.Decode(&value); err != nil {
			return nil, false
		}
		if name != key {
			continue
		}
		if found != nil {
			return nil, false
		}
		end := dec.InputOffset()
		found = data[end-int64(len(value)) : end] // value is used again
	}
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	return found, true
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
	case JSONTokens:
		return s.findsNothing()
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
