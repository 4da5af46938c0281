package tlsreport

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/mjl-/mox/tlsrpt"

	"mailgate/internal/mail"
)

// target is where a report goes.
type target struct {
	uri  string       // as in the record
	mail mail.Address // zero: HTTPS
	url  *url.URL
	port uint16
}

func (t target) via() string {
	if t.url != nil {
		return "https"
	}
	return "mail"
}

const maxTargets = 5 // of a record

var errNoDestination = errors.New("not a mailto or https URI that can be used")

// targets looks up where a domain wants its reports; none: nowhere. The error says that
// DNS doesn't tell.
func (r *Reports) targets(ctx context.Context, domain mail.Domain) ([]target, error) {
	texts, err := r.o.DNS.TXT(ctx, "_smtp._tls."+string(domain))
	if err != nil {
		return nil, fmt.Errorf("look up where the TLS reports for %s go: %w", domain, err)
	}
	list, err := readRecords(texts)
	if err != nil {
		r.log.InfoContext(ctx, "no TLS report: the domain's record can't be used", "domain", domain, "error", err)
	}
	return list, nil
}

// readRecords reads a domain's one record (RFC 8460, section 3).
func readRecords(texts []string) ([]target, error) {
	var record *tlsrpt.Record
	for _, text := range texts {
		r, is, err := tlsrpt.ParseRecord(text)
		switch {
		case !is:
			continue
		case err != nil:
			return nil, err
		case record != nil:
			return nil, tlsrpt.ErrMultipleRecords
		}
		record = r
	}
	if record == nil {
		return nil, nil
	}
	var list []target
	var failures error
	for _, uris := range record.RUAs {
		for _, uri := range uris {
			t, err := readURI(string(uri))
			if err != nil {
				failures = errors.Join(failures, fmt.Errorf("rua=%s: %w", oneLine(string(uri)), err))
			} else if len(list) < maxTargets {
				list = append(list, t)
			}
		}
	}
	if len(list) == 0 {
		return nil, failures
	}
	return list, nil
}

func readURI(uri string) (target, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return target{}, errNoDestination
	}
	t := target{uri: uri}
	switch u.Scheme {
	case "mailto":
		path, err := url.PathUnescape(u.Opaque)
		if err != nil {
			return t, err
		}
		if t.mail, err = mail.ParsePath(path); err != nil {
			return t, err
		}
		if t.mail.Domain == "" || t.mail.NeedsUTF8() {
			return t, errNoDestination
		}
		return t, nil
	case "https":
		t.port = 443
		if port := u.Port(); port != "" {
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil || n == 0 {
				return t, fmt.Errorf("port %s", port)
			}
			t.port = uint16(n)
		}
		if u.Hostname() == "" || u.User != nil {
			return t, errNoDestination
		}
		u.Fragment = ""
		t.url = u
		return t, nil
	}
	return t, errNoDestination
}
