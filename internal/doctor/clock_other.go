//go:build !linux

package doctor

import "time"

func kernelClock() (synchronised, known bool, off time.Duration) { return false, false, 0 }
