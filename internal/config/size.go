package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseSize reads a number of bytes: plain, or with one of kB, MB, GB, TB (powers
// of 1000), KiB, MiB, GiB, TiB (powers of 1024). Case doesn't matter.
func ParseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "kKmMgGtTiIbB")
	factor, known := unitOf(s[len(digits):])
	n, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 63)
	if err != nil || !known || n > uint64(math.MaxInt64/factor) {
		return 0, fmt.Errorf(`%s is no size: want bytes, as "500MB", "10GiB" or "1TB", or "0" for no bound`, shown(s))
	}
	return int64(n) * factor, nil
}

func unitOf(name string) (factor int64, known bool) {
	switch name = strings.ToLower(name); name {
	case "", "b":
		return 1, true
	}
	base := int64(1000)
	if strings.HasSuffix(name, "ib") {
		base = 1024
	}
	factor = base
	for _, prefix := range []string{"k", "m", "g", "t"} {
		if name == prefix+"b" || name == prefix+"ib" {
			return factor, true
		}
		factor *= base
	}
	return 1, false
}
