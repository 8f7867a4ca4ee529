// Package upload keeps files that visitors send, and lets a state refer to them. A
// state saves the id of a file and not what is in it, so a file that was sent once is
// still there after an error in another field, a redirect, and a restart.
//
//	store, err := upload.Dir("uploads")
//	files, err := upload.New(store, upload.Options{})
//	files.Register(registry, "upload")
//
//	type Profile struct {
//		pagestate.Component
//		Picture *upload.File
//	}
//
//	p.Picture, err = files.SaveForm(r.Context(), header)
//
// A file belongs to the owner of the request that saved it: a session, and a user
// where Options.User names one. For everybody else it does not exist, whatever id or
// token they send. With [pagestate.Unbound] only users who are logged in can save
// files.
//
// Files are pending until they are swept: the application calls [Files.Sweep] now and
// then. What it wants to have for longer it copies with [Files.Keep].
package upload

// The files:
//
//	upload.go   what a program sets up
//	file.go     what a handler does with a file
//	serve.go    previews
//	sweep.go    what removes files
//	pending.go  how many bytes are pending
//	record.go   what is saved beside a file
//	name.go     names of visitors' files
//	store.go    what a store is, and the one in memory
//	dir.go      the one in a directory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"sync"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/owner"
)

// Options limit what visitors can send. A negative one is an error of [New].
type Options struct {
	// MaxBytes is the size of the largest file. 0 means 10 MiB.
	MaxBytes int64

	// MaxPending is how many bytes are pending in all. A file counts until it is
	// swept, and as 4 KiB at least. 0 means 1 GiB.
	MaxPending int64

	// MaxAge is for how long a file stays at least after it was saved, opened, or a
	// state that refers to it was resumed. Let it be as long as the MaxAge of
	// [pagestate.Options], or longer. 0 means 24 hours.
	MaxAge time.Duration
}

func (o *Options) fillIn() {
	orDefault(&o.MaxBytes, 10<<20)
	orDefault(&o.MaxPending, 1<<30)
	orDefault(&o.MaxAge, 24*time.Hour)
}

func orDefault[T int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func (o *Options) check() error {
	var errs []error
	fault := func(text string) { errs = append(errs, errors.New("pagestate: upload: Options."+text)) }
	if o.MaxBytes < 0 {
		fault("MaxBytes is negative; 0 means 10 MiB")
	}
	if o.MaxPending < 0 {
		fault("MaxPending is negative; 0 means 1 GiB")
	} else if o.MaxPending < o.MaxBytes {
		fault("MaxPending is less than MaxBytes, so the largest file would never fit")
	}
	if o.MaxAge < 0 {
		fault("MaxAge is negative; 0 means 24 hours")
	}
	return errors.Join(errs...)
}

// Files are the pending files of one store. They are safe for concurrent use.
type Files struct {
	store    Store
	opt      Options
	pending  pending
	sweeping sync.Mutex
	records  [64]sync.Mutex // held while a record is changed or removed, by the first byte of its id
}

// New returns the files in a store. It looks through the store to count what is
// pending there, so its error may be the store's.
//
// Several processes may share a store. Each counts what it saves itself, and learns of
// the others' files when it sweeps, so each has to.
func New(s Store, o Options) (*Files, error) {
	if v := reflect.ValueOf(s); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, errors.New("pagestate: upload.New needs a store")
	}
	o.fillIn()
	if err := o.check(); err != nil {
		return nil, err
	}
	f := &Files{store: s, opt: o, pending: pending{most: o.MaxPending}}
	if err := f.count(context.Background()); err != nil {
		return nil, fmt.Errorf("pagestate: upload: counting what is pending: %w", err)
	}
	return f, nil
}

// Register lets states refer to files: each *[File] is saved as its id, as
// [pagestate.RegisterModel] has it. Where the file is gone, or another owner's, the
// state is stale, or the field nil if its tag has the option optional.
func (f *Files) Register(r *pagestate.Registry, name string) {
	pagestate.RegisterModel(r, name, pagestate.Model[[16]byte, File]{
		Key: func(file *File) [16]byte {
			id, _ := parseID(file.ID)
			return id
		},
		Fetch: f.fetch,
	})
}

// fetch returns the files of the present owner.
func (f *Files) fetch(ctx context.Context, ids [][16]byte) ([]*File, error) {
	who, ok, err := existingOwner(ctx)
	if err != nil || !ok {
		return nil, err
	}
	var found []*File
	for _, id := range ids {
		file, err := f.find(ctx, who, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, file)
	}
	return found, nil
}

func existingOwner(ctx context.Context) (who owner.Name, ok bool, err error) {
	r := owner.Of(ctx)
	if r == nil {
		return owner.Name{}, false, pagestate.ErrNoMiddleware
	}
	return r.Existing()
}

func ensuredOwner(ctx context.Context) (owner.Name, error) {
	r := owner.Of(ctx)
	if r == nil {
		return owner.Name{}, pagestate.ErrNoMiddleware
	}
	return r.Ensured()
}
