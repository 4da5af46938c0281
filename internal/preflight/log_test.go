package preflight

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
)

// TestLogOfUnknowns: the log says which names, once; again when they are others, or
// after all was well.
func TestLogOfUnknowns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		dns := newFakeDNS(goodZone)
		c := New(dns, Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		said := func(want ...string) {
			t.Helper()
			c.Recheck(t.Context(), goodIdentity())
			got := log.String()
			log.Reset()
			for _, w := range want {
				if !strings.Contains(got, w) {
					t.Errorf("log %q, want %q", got, w)
				}
			}
			if want == nil && got != "" {
				t.Errorf("log %q, want none", got)
			}
		}
		const key, dmarc = "fault mail._domainkey.example.com TXT", "fault _dmarc.example.com TXT"
		said()
		dns.add(key)
		said("level=WARN", "from=example.com", "names=mail._domainkey.example.com")
		said("level=DEBUG", "names=mail._domainkey.example.com")
		dns.add(dmarc)
		said("level=WARN", "names=_dmarc.example.com,mail._domainkey.example.com")
		clear(dns.faults)
		said()
		dns.add(dmarc)
		said("level=WARN", "names=_dmarc.example.com")
	})
}
