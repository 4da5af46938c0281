package tlsreport

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mjl-/mox/tlsrpt"

	"mailgate/internal/mail"
)

// report is what a domain is sent (RFC 8460, section 4.4). tlsrpt.ReportJSON would
// write what isn't known as empty strings, which are no addresses.
type report struct {
	Organization string    `json:"organization-name"`
	Range        dateRange `json:"date-range"`
	Contact      string    `json:"contact-info"`
	ID           string    `json:"report-id"`
	Policies     []*result `json:"policies"`
}

type dateRange struct {
	Start time.Time `json:"start-datetime"`
	End   time.Time `json:"end-datetime"`
}

// result is how sessions under one policy went.
type result struct {
	Policy  policy     `json:"policy"`
	Summary summary    `json:"summary"`
	Details []*details `json:"failure-details,omitempty"`
}

type policy struct {
	Type   tlsrpt.PolicyType `json:"policy-type"`
	String []string          `json:"policy-string,omitempty"` // TLSA records, or the lines of an MTA-STS policy
	Domain string            `json:"policy-domain"`
	MX     []string          `json:"mx-host,omitempty"` // patterns of an MTA-STS policy; a list since erratum 6241
}

func (p policy) equal(q policy) bool {
	return p.Type == q.Type && p.Domain == q.Domain && slices.Equal(p.String, q.String) && slices.Equal(p.MX, q.MX)
}

type summary struct {
	Successes int64 `json:"total-successful-session-count"`
	Failures  int64 `json:"total-failure-session-count"`
}

// details are failures of one kind.
type details struct {
	failure
	Sessions int64 `json:"failed-session-count"`
}

// failure is why, and with which server.
type failure struct {
	Type   tlsrpt.ResultType `json:"result-type"`
	Local  string            `json:"sending-mta-ip,omitempty"`
	Host   string            `json:"receiving-mx-hostname,omitempty"`
	Helo   string            `json:"receiving-mx-helo,omitempty"`
	Remote string            `json:"receiving-ip,omitempty"`
	Reason string            `json:"failure-reason-code,omitempty"`
}

// letter is a report on its way.
type letter struct {
	settings Settings
	day      Day
	domain   mail.Domain
	content  []byte // the report, compressed
}

func newLetter(s Settings, day Day, domain mail.Domain, results []*result) (*letter, error) {
	l := &letter{settings: s, day: day, domain: domain}
	text, err := json.Marshal(report{
		Organization: s.Name,
		Range:        dateRange{day.start(), day.end()},
		Contact:      s.From.String(),
		ID:           l.id(),
		Policies:     results,
	})
	if err != nil {
		return nil, fmt.Errorf("write the TLS report for %s: %w", domain, err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text) // a bytes.Buffer takes everything
	_ = z.Close()
	l.content = b.Bytes()
	return l, nil
}

// id is the same whenever the report is written: a receiver knows it again.
func (l *letter) id() string {
	return fmt.Sprintf("%s.%s@%s", l.day, l.domain, l.settings.Hostname)
}

// filename is by RFC 8460, section 5.1.
func (l *letter) filename() string {
	return fmt.Sprintf("%s!%s!%d!%d.json.gz", l.settings.Hostname, l.domain, l.day.start().Unix(), l.day.end().Unix())
}
