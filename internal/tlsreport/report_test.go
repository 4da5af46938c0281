package tlsreport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mjl-/mox/tlsrpt"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// schema is RFC 8460, section 4.4, field by field.
type schema struct {
	Organization *string `json:"organization-name"`
	Range        *struct {
		Start *time.Time `json:"start-datetime"`
		End   *time.Time `json:"end-datetime"`
	} `json:"date-range"`
	Contact  *string `json:"contact-info"`
	ID       *string `json:"report-id"`
	Policies []struct {
		Policy *struct {
			Type   *string      `json:"policy-type"`
			String []string     `json:"policy-string"`
			Domain *string      `json:"policy-domain"`
			MX     oneOrSeveral `json:"mx-host"`
		} `json:"policy"`
		Summary *struct {
			Successes *uint64 `json:"total-successful-session-count"`
			Failures  *uint64 `json:"total-failure-session-count"`
		} `json:"summary"`
		Details []struct {
			Type        *string     `json:"result-type"`
			Local       *netip.Addr `json:"sending-mta-ip"`
			Host        *string     `json:"receiving-mx-hostname"`
			Helo        *string     `json:"receiving-mx-helo"`
			Remote      *netip.Addr `json:"receiving-ip"`
			Sessions    *uint64     `json:"failed-session-count"`
			Information *string     `json:"additional-information"`
			Reason      *string     `json:"failure-reason-code"`
		} `json:"failure-details"`
	} `json:"policies"`
}

// oneOrSeveral: the example has one string, which erratum 6241 makes a list.
type oneOrSeveral []string

func (o *oneOrSeveral) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*o = []string{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(o))
}

// validate reads a report, and takes nothing that the RFC doesn't have.
func validate(text []byte) (*schema, error) {
	var s schema
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, err
	}
	if s.Organization == nil || s.Range == nil || s.Range.Start == nil || s.Range.End == nil || s.Contact == nil || s.ID == nil || len(s.Policies) == 0 {
		return nil, fmt.Errorf("something is missing: %s", text)
	}
	for _, p := range s.Policies {
		if p.Policy == nil || p.Policy.Type == nil || p.Policy.Domain == nil || p.Summary == nil || p.Summary.Successes == nil || p.Summary.Failures == nil {
			return nil, fmt.Errorf("something is missing of a policy: %s", text)
		}
		if !slices.Contains([]string{"tlsa", "sts", "no-policy-found"}, *p.Policy.Type) {
			return nil, fmt.Errorf("policy type %s", *p.Policy.Type)
		}
		for _, d := range p.Details {
			if d.Type == nil || d.Sessions == nil || *d.Sessions == 0 {
				return nil, fmt.Errorf("something is missing of the details: %s", text)
			}
			for _, a := range []*netip.Addr{d.Local, d.Remote} {
				if a != nil && !a.IsValid() {
					return nil, fmt.Errorf("an address is empty: %s", text)
				}
			}
			if !slices.Contains(resultTypes, *d.Type) {
				return nil, fmt.Errorf("result type %s", *d.Type)
			}
		}
	}
	return &s, nil
}

// resultTypes is IANA's registry of STARTTLS validation result types.
var resultTypes = []string{
	"starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "tlsa-invalid", "dnssec-invalid", "dane-required",
	"certificate-not-trusted", "sts-policy-invalid", "sts-webpki-invalid", "validation-failure", "sts-policy-fetch-error",
}

// example has the facts of RFC 8460, appendix B.
const example = `{"organization-name": "Company-X",
"date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
"contact-info": "sts-reporting@company-x.example", "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
"policies": [{
"policy": {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
"policy-domain": "company-y.example", "mx-host": "*.mail.company-y.example"},
"summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
"failure-details": [
{"result-type": "certificate-expired", "sending-mta-ip": "2001:db8:abcd:0012::1", "receiving-mx-hostname": "mx1.mail.company-y.example", "failed-session-count": 100},
{"result-type": "starttls-not-supported", "sending-mta-ip": "2001:db8:abcd:0013::1", "receiving-mx-hostname": "mx2.mail.company-y.example",
"receiving-ip": "203.0.113.56", "failed-session-count": 200, "additional-information": "https://reports.company-x.example/report_info"},
{"result-type": "validation-failure", "sending-mta-ip": "198.51.100.62", "receiving-ip": "203.0.113.58",
"receiving-mx-hostname": "mx-backup.mail.company-y.example", "failed-session-count": 3, "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"}]}]}`

// The RFC's example and what we write have the same structure; what we write is that
// example, as far as its facts are what we would see.
func TestReportStructure(t *testing.T) {
	wanted, err := validate([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	const domain, text = mail.Domain("company-y.example"), "version: STSv1\r\nmode: testing\r\nmx: *.mail.company-y.example\r\nmax_age: 86400\r\n"
	w := newWorld(t)
	w.reports.o.STS = func(d mail.Domain) (tlspolicy.STSState, bool) {
		return tlspolicy.STSState{Domain: d, Text: text}, d == domain
	}
	tested := tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault, Testing: true, TestHosts: []string{"*.mail.company-y.example"}}
	session := func(n int, host mail.Domain, local, remote string, err error, heard tlsrpt.ResultType, reason string) {
		s := Session{Domain: domain, Host: host, Policy: tested, Err: err, Heard: tlsrpt.FailureDetails{ResultType: heard, FailureReasonCode: reason}}
		s.Local, s.Remote = netip.MustParseAddr(local), netip.Addr{}
		if remote != "" {
			s.Remote = netip.MustParseAddr(remote)
		}
		for range n {
			w.reports.Session(s)
		}
	}
	session(5326, "mx1.mail.company-y.example", "198.51.100.62", "203.0.113.58", nil, "", "")
	session(100, "mx1.mail.company-y.example", "2001:db8:abcd:12::1", "", errAny, tlsrpt.ResultCertificateExpired, "")
	session(200, "mx2.mail.company-y.example", "2001:db8:abcd:13::1", "203.0.113.56", tlspolicy.ErrNoTLS, "", "")
	session(3, "mx-backup.mail.company-y.example", "198.51.100.62", "::ffff:203.0.113.58", errAny, tlsrpt.ResultValidationFailure, "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED")

	l, err := newLetter(w.reports.settings(), "2016-04-01", domain, w.reports.counted(day1, domain))
	if err != nil {
		t.Fatal(err)
	}
	written := unzip(t, l.content)
	got, err := validate(written)
	if err != nil {
		t.Fatal(err)
	}
	if *got.Organization != "Sender, Inc." || *got.Contact != "tls@sender.example" || *got.ID != "2016-04-01.company-y.example@mx1.sender.example" {
		t.Errorf("%s", written)
	}
	got.Organization, got.Contact, got.ID = wanted.Organization, wanted.Contact, wanted.ID
	wanted.Policies[0].Details[1].Information = nil
	a, _ := json.MarshalIndent(got, "", " ")
	b, _ := json.MarshalIndent(wanted, "", " ")
	if !bytes.Equal(a, b) {
		t.Errorf("got %s\nwant %s", a, b)
	}
	if read, err := tlsrpt.Parse(bytes.NewReader(written)); err != nil || read.Policies[0].Summary.TotalFailureSessionCount != 303 ||
		!read.DateRange.End.Equal(time.Date(2016, 4, 1, 23, 59, 59, 0, time.UTC)) {
		t.Errorf("another reader: %+v, %v", read, err)
	}
	for _, f := range []string{`""`, "null", "[]"} {
		if strings.Contains(string(written), f) {
			t.Errorf("%s in %s", f, written)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	for _, change := range [][2]string{
		{`"report-id"`, `"report_id"`},
		{`"certificate-expired"`, `"expired"`},
		{`"203.0.113.56"`, `""`},
		{`303`, `"303"`},
		{`"2016-04-01T23:59:59Z"`, `"2016-04-01"`},
		{`"sts"`, `"mta-sts"`},
	} {
		if _, err := validate([]byte(strings.Replace(example, change[0], change[1], 1))); err == nil {
			t.Errorf("%s in place of %s is valid", change[1], change[0])
		}
	}
}
