package doctor

import (
	"time"

	"golang.org/x/sys/unix"
)

// kernelClock asks the kernel whether something keeps the clock right, and how far off
// it may be.
func kernelClock() (synchronised, known bool, off time.Duration) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, false, 0
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, true, time.Duration(t.Maxerror) * time.Microsecond
}
