package relay

import (
	"fmt"
	"strings"
	"testing"

	"mailgate/internal/spool"
)

// Recipients of a message at one domain are given up by one report, whatever was said
// of each of them, and also where they take more than one transaction.
func TestOneReportForADomain(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	b.answers(func(line string) string {
		switch {
		case strings.HasPrefix(line, "RCPT TO:<odd"):
			return "550 5.1.1 no such user"
		case strings.HasPrefix(line, "RCPT"):
			return "552 5.2.2 mailbox full"
		}
		return ""
	})
	var to []string
	for i := range maxRecipients + 20 {
		to = append(to, fmt.Sprintf("%s%d@dest.example", []string{"even", "odd"}[i%2], i))
	}
	m := w.queue(nil, to...)
	w.pass()
	w.want(m, spool.Bounced, "55")
	all := w.reports()
	if len(all) != 1 {
		t.Fatalf("%d reports, want 1", len(all))
	}
	if n := strings.Count(all[0], "\nFinal-Recipient: "); n != len(to) {
		t.Errorf("%d recipients in the report, want %d", n, len(to))
	}
}
