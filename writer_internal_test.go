package pagestate

import "context"

// WriterRevision lets the tests of the response writer see how often the
// instance in an unbound token has been sealed.
func WriterRevision(m *Middleware, token string) (uint64, error) {
	in, err := m.openFor(context.Background(), Owner{}, token)
	if err != nil {
		return 0, err
	}
	return in.Revision, nil
}
