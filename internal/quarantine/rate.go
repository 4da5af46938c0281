package quarantine

import (
	"errors"
	"fmt"
	"time"
)

// ErrPaced: a Paced release has to wait, since as many messages as
// Policy.ReleaseRate allows went to a destination of this one. Nothing was done.
var ErrPaced = errors.New("as many were released as go to one destination in a minute")

// PaceError is an ErrPaced that says after how long to try again.
type PaceError struct{ Wait time.Duration }

func (e *PaceError) Error() string {
	return fmt.Sprintf("%v; there is room in %v", ErrPaced, e.Wait.Round(time.Second))
}

func (e *PaceError) Unwrap() error { return ErrPaced }
