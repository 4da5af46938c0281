package preflight

import (
	"fmt"
	"strings"
)

// String gives a report as a failing test shows it.
func (r *Report) String() string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-7s %-6s %-24s %-30s %s\n", f.Status, f.Check, f.Code, f.Name, f.Text)
	}
	return b.String()
}
