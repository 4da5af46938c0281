package main

import (
	"fmt"
	"strings"

	"mailgate/internal/preflight"
)

// signerNotes says which keys don't sign, and which do in their place.
func signerNotes(r *preflight.Report) []string {
	var notes []string
	for _, k := range r.Facts.DKIM {
		if amissWith(k) == leftOut {
			signing := r.Facts.Signing()
			notes = append(notes, fmt.Sprintf("%s (%s) does not sign: %s", k.Selector, keyFinding(r, k),
				strings.Join(signing, " and ")+map[bool]string{true: " does", false: " do"}[len(signing) == 1]))
		}
	}
	return notes
}
