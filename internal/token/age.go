package token

import (
	"fmt"
	"time"
)

// MaxSkew is how far apart the clocks of two servers may be.
const MaxSkew = time.Minute

// Ages say how old a token may be.
type Ages struct {
	MaxAge      time.Duration // since it was last sealed
	MaxLifetime time.Duration // since it was first sealed; not above 0 means no limit
	NotBefore   time.Time     // when it was first sealed at the earliest
}

// Check returns ErrExpired for what is too old, and ErrInvalid for what was
// sealed in the future. A token knows its times to the second, and so must now.
func (a Ages) Check(e *Envelope, now time.Time) error {
	switch {
	case e.LastSealed.Sub(now) > MaxSkew || e.FirstSealed.After(e.LastSealed):
		return fmt.Errorf("%w: it was sealed in the future", ErrInvalid)
	case now.Sub(e.LastSealed) > a.MaxAge:
		return fmt.Errorf("%w: it was last sealed more than %v ago", ErrExpired, a.MaxAge)
	case a.MaxLifetime > 0 && now.Sub(e.FirstSealed) > a.MaxLifetime:
		return fmt.Errorf("%w: it was first sealed more than %v ago", ErrExpired, a.MaxLifetime)
	case e.FirstSealed.Before(a.NotBefore):
		return fmt.Errorf("%w: it was first sealed before the cut-off", ErrExpired)
	}
	return nil
}
