package upload

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/owner"
)

// A File is one that a visitor sent, without its content. It comes from [Files.Save],
// [Files.SaveForm], or a state that refers to it. Like a state it is for one goroutine
// at a time.
type File struct {
	ID   string // random, for the URL of a preview
	Name string // as the visitor called it, without a path; at most 255 bytes, never empty
	Type string // by its first bytes, such as image/png; whatever the browser said
	Size int64  // in bytes; may be 0

	files *Files
	owner owner.Name // as of when it was saved or found
}

// Save reads content to its end and keeps it for the owner of the request that ctx
// is of, who has a session afterwards: call it before anything is written. name is what
// the visitor's browser called the file.
//
// It returns [pagestate.ErrTooLarge] if content is longer than Options.MaxBytes, and
// [pagestate.ErrUnavailable] if MaxPending is reached or the store fails, as when the
// disk is full. It also returns what content returns, what [pagestate.Attach] returns
// of sessions, and [pagestate.ErrNoMiddleware]. After an error nothing is left.
func (f *Files) Save(ctx context.Context, name string, content io.Reader) (*File, error) {
	who, err := ensuredOwner(ctx)
	if err != nil {
		return nil, err
	}
	var id [16]byte
	rand.Read(id[:])
	in, err := f.receive(ctx, content)
	if err != nil {
		return nil, err
	}
	saved := false
	defer func() { f.pending.settle(in.charged, saved) }()

	first, err := in.first()
	if err != nil {
		return nil, err
	}
	key := partsOf(id)
	if err := f.store.Write(ctx, key.content, io.MultiReader(bytes.NewReader(first), in)); err != nil {
		if in.err != nil {
			return nil, in.err
		}
		return nil, storing(err)
	}
	r := record{Name: cleanName(name), Type: http.DetectContentType(first), Size: in.size, Owner: ownerMark(who, id)}
	if err := f.writeRecord(ctx, id, r); err != nil {
		_ = f.store.Remove(context.WithoutCancel(ctx), key.content) // or Sweep does it
		return nil, storing(err)
	}
	saved = true
	return f.file(id, r, who), nil
}

// SaveForm is Save for a file of a form that was parsed already.
func (f *Files) SaveForm(ctx context.Context, header *multipart.FileHeader) (*File, error) {
	content, err := header.Open()
	if err != nil {
		return nil, fmt.Errorf("pagestate: opening a file of the form: %w", withoutPath(err))
	}
	defer content.Close()
	return f.Save(ctx, header.Filename, content)
}

func (f *Files) file(id [16]byte, r record, who owner.Name) *File {
	return &File{ID: formatID(id), Name: r.Name, Type: r.Type, Size: r.Size, files: f, owner: who}
}

// parts returns where the store has a file, whose id is valid.
func (f *File) parts() parts {
	id, _ := parseID(f.ID)
	return partsOf(id)
}

func (f *Files) tooLarge() error {
	return fmt.Errorf("%w: a file has more than %d bytes", pagestate.ErrTooLarge, f.opt.MaxBytes)
}

// storing says that the store failed.
func storing(err error) error {
	return fmt.Errorf("%w: storing a file: %w", pagestate.ErrUnavailable, err)
}

// incoming is what a visitor sends, up to the limits.
type incoming struct {
	ctx     context.Context
	content io.Reader
	files   *Files
	size    int64
	charged int64
	err     error // why it cannot be read to its end, nil if it can
}

func (f *Files) receive(ctx context.Context, content io.Reader) (*incoming, error) {
	if err := f.pending.charge(smallest); err != nil {
		return nil, err
	}
	return &incoming{ctx: ctx, content: content, files: f, charged: smallest}, nil
}

func (in *incoming) Read(b []byte) (int, error) {
	if in.err == nil {
		in.err = in.ctx.Err()
	}
	if in.err != nil {
		return 0, in.err
	}
	n, err := in.content.Read(b)
	if err != nil && err != io.EOF {
		in.err = fmt.Errorf("pagestate: reading a file that is sent: %w", err)
	}
	if over := in.count(n); over != nil {
		in.err = over
	}
	if in.err != nil {
		return n, in.err
	}
	return n, err
}

// count returns an error if so many bytes more are over a limit.
func (in *incoming) count(n int) error {
	in.size += int64(n)
	if in.size > in.files.opt.MaxBytes {
		return in.files.tooLarge()
	}
	more := in.size - in.charged
	if more <= 0 {
		return nil
	}
	if err := in.files.pending.charge(more); err != nil {
		return err
	}
	in.charged += more
	return nil
}

// sniffed is how much of a file [http.DetectContentType] looks at.
const sniffed = 512

// first returns the beginning of the content.
func (in *incoming) first() ([]byte, error) {
	b := make([]byte, sniffed)
	n, err := io.ReadFull(in, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = in.err // nil if the content is that short
	}
	return b[:n], err
}

// errGone is for a file that is not there, or that belongs to somebody else. To a
// client it means that what its page refers to is gone.
var errGone = fmt.Errorf("%w: a file is gone, or another owner's (%w)", pagestate.ErrStale, fs.ErrNotExist)

// find returns a file of an owner, and makes it young.
func (f *Files) find(ctx context.Context, who owner.Name, id [16]byte) (*File, error) {
	r, err := f.readRecord(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errGone
	case err != nil:
		return nil, fmt.Errorf("%w: looking for a file: %w", pagestate.ErrUnavailable, err)
	case !r.belongsTo(who, id):
		return nil, errGone
	}
	f.touch(ctx, id, r.used)
	return f.file(id, r, who), nil
}

// check returns a file as it is now, if the owner of the request has it.
func (f *Files) check(ctx context.Context, id string) (*File, error) {
	who, ok, err := existingOwner(ctx)
	if err != nil {
		return nil, err
	}
	key, valid := parseID(id)
	if !ok || !valid {
		return nil, errGone
	}
	return f.find(ctx, who, key)
}

// Open returns the content of the file, to be closed by the caller. It looks again
// whether the file is that of the request's owner. If it is not, or if the file was
// swept, the error is both [pagestate.ErrStale] and [fs.ErrNotExist], and a handler
// that returns it answers 410. If the store does not answer it is
// [pagestate.ErrUnavailable].
func (f *File) Open(ctx context.Context) (io.ReadCloser, error) {
	if f.files == nil {
		return nil, errors.New("pagestate: this File is neither from Save nor from a state")
	}
	now, err := f.files.check(ctx, f.ID)
	if err != nil {
		return nil, err
	}
	return now.open(ctx)
}

// open opens the content of a file that was just checked. It must have its size.
func (f *File) open(ctx context.Context) (io.ReadCloser, error) {
	content, item, err := f.files.store.Open(ctx, f.parts().content)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errGone
	case err != nil:
		return nil, fmt.Errorf("%w: opening a file: %w", pagestate.ErrUnavailable, err)
	case item.Size != f.Size:
		content.Close()
		return nil, errGone
	}
	return content, nil
}

// Keep copies the content of the file to name, where it stays until the application
// removes it: kept/avatars/7.jpg in the store, for avatars/7.jpg. The file itself goes
// on working until it is swept.
//
// name is a path with slashes, as [fs.ValidPath] wants it, without control characters
// and \. Make it of something of your own, such as the key of a row, and not of the
// file's Name. If it is taken, by the same file too, the error is [fs.ErrExist]; others
// are those of [File.Open].
func (f *Files) Keep(ctx context.Context, file *File, name string) error {
	if !fs.ValidPath(name) || name == "." || strings.ContainsRune(name, '\\') || strings.ContainsFunc(name, unicode.IsControl) {
		return errors.New("pagestate: keeping a file: its name must be a path as fs.ValidPath has it, without control characters")
	}
	now, err := f.check(ctx, file.ID)
	if err != nil {
		return err
	}
	err = f.store.Copy(ctx, now.parts().content, keptPrefix+name)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("pagestate: keeping a file: its name is taken: %w", fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist):
		return errGone
	}
	return storing(err)
}

// Adopt makes a file that was saved or found before [pagestate.Middleware.Renew] that
// of the present owner. Without it the file stays with the session that ended, and
// nobody can open it.
//
// The error is both [pagestate.ErrStale] and [fs.ErrNotExist] if the file is gone or
// was adopted by somebody else meanwhile.
func (f *Files) Adopt(ctx context.Context, file *File) error {
	who, err := ensuredOwner(ctx)
	if err != nil {
		return err
	}
	id, ok := parseID(file.ID)
	if !ok {
		return errGone
	}
	mu := f.lock(id)
	mu.Lock()
	defer mu.Unlock()
	r, err := f.readRecord(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !r.belongsTo(file.owner, id):
		return errGone
	case err != nil:
		return fmt.Errorf("%w: looking for a file: %w", pagestate.ErrUnavailable, err)
	}
	r.Owner = ownerMark(who, id)
	if err := f.writeRecord(ctx, id, r); err != nil {
		return storing(err)
	}
	file.owner = who
	return nil
}
