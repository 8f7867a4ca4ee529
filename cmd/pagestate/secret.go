package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
)

func secret(args []string, _ *os.File, _, errOut io.Writer) error {
	flags := flag.NewFlagSet("pagestate secret", flag.ContinueOnError)
	flags.SetOutput(errOut)
	file := flags.String("o", "", "the new `file`, for 32 random bytes; it must not be there yet")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *file == "" {
		return errors.New("say with -o where to write the secret")
	}
	return writeSecret(*file)
}

// writeSecret makes the file in one step that fails if something is there: whoever
// overwrites a secret has lost it.
func writeSecret(name string) (err error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%q is there already, and stays as it is", name)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(name) // so that nobody takes half a secret for one
		}
	}()
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	_, err = file.Write(secret)
	return errors.Join(err, file.Sync(), file.Close())
}
