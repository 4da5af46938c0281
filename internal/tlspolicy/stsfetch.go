package tlspolicy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// fetcher gets MTA-STS policies: HTTPS, no redirects, no proxy, at most 64 KiB in a
// minute, text/plain, from no address inside.
type fetcher struct {
	roots   *x509.CertPool
	private func() bool
	port    uint16
}

const fetchTime = time.Minute // RFC 8461, section 3.3

var errRedirect = errors.New("redirects are not followed") // RFC 8461, section 3.3

// fetch returns the policy's text.
func (f fetcher) fetch(ctx context.Context, dns DNS, domain mail.Domain) (string, error) {
	host := "mta-sts." + string(domain)
	place := url.URL{Scheme: "https", Host: host, Path: "/.well-known/mta-sts.txt"}
	if f.port != 443 {
		place.Host = net.JoinHostPort(host, strconv.Itoa(int(f.port)))
	}
	text, err := f.get(ctx, dns, host, place.String())
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", place.String(), err)
	}
	return text, nil
}

func (f fetcher) get(ctx context.Context, dns DNS, host, place string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("User-Agent", "mailgate")
	response, err := f.client(dns, host).Do(request)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // it names the address again
		}
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the server answers %d, 200 is needed", response.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return "", fmt.Errorf("the media type is %q, text/plain is needed", response.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxSTSText+1)) // parseSTS refuses what is longer
	return string(body), err
}

// HTTPClient returns a client for one request to a host, as hardened as that for
// MTA-STS policies: no redirects, no proxy, the addresses that DNS in force has for the
// host and none inside unless Options.Private. The caller limits the time.
func (p *Policies) HTTPClient(host string, port uint16) *http.Client {
	f := p.sts.fetcher
	f.port = port
	return f.client(p.view().DNS, host)
}

// client is for one request.
func (f fetcher) client(dns DNS, host string) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return f.dial(ctx, dns, network, host)
			},
			TLSClientConfig:        &tls.Config{RootCAs: f.roots, ServerName: host, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    20 * time.Second,
			ResponseHeaderTimeout:  30 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
	}
}

// dial connects to one of the addresses that DNS, as we see it, gives for the host.
func (f fetcher) dial(ctx context.Context, dns DNS, network, host string) (net.Conn, error) {
	addresses, err := f.addresses(ctx, dns, host)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 15 * time.Second}
	var failures error
	for _, a := range addresses {
		conn, err := dialer.DialContext(ctx, network, netip.AddrPortFrom(a, f.port).String())
		if err == nil {
			return conn, nil
		}
		failures = errors.Join(failures, err)
	}
	return nil, failures
}

const maxSTSAddresses = 4 // tried

func (f fetcher) addresses(ctx context.Context, dns DNS, host string) ([]netip.Addr, error) {
	var all []netip.Addr
	var doubt, inside error
	for _, qtype := range []string{"A", "AAAA"} {
		answer := dns.Recursive(ctx, host, qtype)
		if answer.Status == dnsview.Unknown {
			doubt = errors.New(fault(answer))
		}
		for _, text := range answer.Texts() {
			a, err := netip.ParseAddr(text)
			switch {
			case err != nil:
			case !f.private() && !outside(a):
				inside = fmt.Errorf("%s has the address %s, which is not of the Internet", host, a)
			default:
				all = append(all, a)
			}
		}
	}
	switch {
	case len(all) > 0:
		return all[:min(len(all), maxSTSAddresses)], nil
	case inside != nil:
		return nil, inside
	case doubt != nil:
		return nil, doubt
	}
	return nil, fmt.Errorf("%s has no address", host)
}

// outside tells addresses that a server of the Internet can have.
func outside(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return false
	}
	return !slices.ContainsFunc(insidePrefixes(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// insidePrefixes are those of the special-purpose registries (RFC 6890) that the
// standard library knows no name for, and those that lead to IPv4 addresses.
func insidePrefixes() []netip.Prefix {
	var all []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2002::/16", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}
