package redisstate

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/redis/go-redis/v9"
)

// Carrier is a [pagestate.Carrier] that keeps parcels in Redis. It is safe for
// concurrent use.
type Carrier struct {
	client   redis.UniversalClient
	prefix   string
	maxAge   time.Duration
	maxBytes int
}

// NewCarrier returns a carrier that asks client, which stays the caller's to close,
// and panics if that is nil. Its keys are prefix and a hash; all servers of one
// application need the same prefix, and nothing else may write below it.
//
// A parcel is kept for an hour, or for as long as the states in it open if that is
// less. One of more than 64 KiB is a [pagestate.ErrTooLarge].
func NewCarrier(client redis.UniversalClient, prefix string) *Carrier {
	if client == nil {
		panic("pagestate: redisstate.NewCarrier: a carrier needs a client")
	}
	return &Carrier{client, prefix, time.Hour, 64 << 10}
}

// MaxAge returns a carrier like c that keeps parcels for d, or for as long as the
// states in them open if that is less. It panics if d is less than a millisecond.
func (c *Carrier) MaxAge(d time.Duration) *Carrier {
	if d < time.Millisecond {
		panic("pagestate: redisstate: the MaxAge of a carrier is a millisecond or more")
	}
	other := *c
	other.maxAge = d
	return &other
}

// MaxBytes returns a carrier like c for parcels of at most so many bytes, each of some
// four thirds of the states in it. It panics if bytes is less than 1.
func (c *Carrier) MaxBytes(bytes int) *Carrier {
	if bytes < 1 {
		panic("pagestate: redisstate: the MaxBytes of a carrier is 1 or more")
	}
	other := *c
	other.maxBytes = bytes
	return &other
}

// Put keeps p. It returns a [pagestate.ErrTooLarge] if its value is over the limit.
// Any other error says that Redis could not be asked before the context of r ended.
// Errors never name the key.
func (c *Carrier) Put(_ http.ResponseWriter, r *http.Request, p pagestate.Parcel) error {
	if len(p.Value) > c.maxBytes {
		return fmt.Errorf("%w: what is to be carried takes %d bytes, and the carrier keeps %d; keep less in the state, or raise the carrier's MaxBytes",
			pagestate.ErrTooLarge, len(p.Value), c.maxBytes)
	}
	keep := max(time.Millisecond, min(p.Keep, c.maxAge).Truncate(time.Millisecond))
	ctx := r.Context()
	_, err := ask(ctx, func() (string, error) {
		status, err := c.client.Set(ctx, c.key(p.ID), p.Value, keep).Result()
		return status, explain(err, "a parcel")
	})
	return err
}

// Get returns the value of the parcel with that id, "" if it is not known. Errors are
// as those of Put.
func (c *Carrier) Get(_ http.ResponseWriter, r *http.Request, id string) (string, error) {
	ctx := r.Context()
	return ask(ctx, func() (string, error) {
		value, err := c.client.Get(ctx, c.key(id)).Result()
		if errors.Is(err, redis.Nil) {
			return "", nil
		}
		return value, explain(err, "to look for a parcel")
	})
}

// key is where the parcel with that id is kept.
func (c *Carrier) key(id string) string {
	sum := sha256.Sum256([]byte(id))
	return c.prefix + base64.RawURLEncoding.EncodeToString(sum[:])
}
