package upload_test

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/upload"
)

// Files are swept when the program starts, and every hour.
func ExampleFiles_Sweep() {
	store, err := upload.Dir("uploads")
	if err != nil {
		slog.Error(err.Error())
		return
	}
	files, err := upload.New(store, upload.Options{})
	if err != nil {
		slog.Error(err.Error())
		return
	}
	go func() {
		for hourly := time.Tick(time.Hour); ; <-hourly {
			if err := files.Sweep(context.Background()); err != nil {
				slog.Error(err.Error())
			}
		}
	}()
}

type Profile struct {
	pagestate.Component
	Picture *upload.File
}

// A handler saves the file of a form, and the state refers to it from then on.
func ExampleFiles_SaveForm() {
	var files *upload.Files
	http.Handle("POST /profile", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, p *Profile) error {
		_, header, err := r.FormFile("picture")
		if err != nil {
			return err
		}
		if p.Picture, err = files.SaveForm(r.Context(), header); err != nil {
			return err
		}
		return pagestate.Redirect(w, r, "/profile", p)
	}))
}
