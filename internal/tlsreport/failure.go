package tlsreport

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"

	"github.com/mjl-/mox/mtasts"
	"github.com/mjl-/mox/tlsrpt"

	"mailgate/internal/tlspolicy"
)

// failure is why a session counts as failed; false: it went well.
func (s *Session) failure(p policy, sts tlspolicy.STSState) (failure, bool) {
	f := failure{
		Local:  address(s.Local, s.Heard.SendingMTAIP),
		Remote: address(s.Remote, s.Heard.ReceivingIP),
		Host:   string(s.Host),
	}
	switch {
	case s.Err != nil:
		f.Type, f.Reason = s.why()
		if helo, _, _ := strings.Cut(s.Heard.ReceivingMXHelo, " "); helo != f.Host {
			f.Helo = oneLine(helo)
		}
	case p.Type == tlsrpt.TLSA && s.Policy.Level == tlspolicy.Encrypt: // RFC 7672, section 2.2
		f.Type, f.Reason = tlsrpt.ResultTLSAInvalid, "all-unusable-records"
	case p.Type == tlsrpt.STS && sts.Fault != nil:
		f = failure{Host: f.Host}
		f.Type, f.Reason = whyNoSTS(sts.Fault)
	default:
		return f, false
	}
	f.Reason = oneLine(f.Reason)
	return f, true
}

// why finds the result type (RFC 8460, section 4.3). For what has none of its own the
// reason codes are mox's.
func (s *Session) why() (tlsrpt.ResultType, string) {
	err := s.Err
	for _, known := range []struct {
		err    error
		result tlsrpt.ResultType
		reason string
	}{
		{ErrNoSTARTTLS, tlsrpt.ResultSTARTTLSNotSupported, ""},
		{tlspolicy.ErrNoTLS, tlsrpt.ResultSTARTTLSNotSupported, ""},
		{tlspolicy.ErrName, tlsrpt.ResultCertificateHostMismatch, ""},
		{tlspolicy.ErrHost, tlsrpt.ResultValidationFailure, "mtasts-policy-mx-mismatch"},
		{tlspolicy.ErrTLSA, tlsrpt.ResultDANERequired, ""},
		{tlspolicy.ErrUnsettled, tlsrpt.ResultDNSSECInvalid, ""},
	} {
		if errors.Is(err, known.err) {
			return known.result, cmp.Or(s.Heard.FailureReasonCode, known.reason)
		}
	}
	result, reason := tlsrpt.TLSFailureDetails(err)
	switch {
	case result != tlsrpt.ResultValidationFailure:
		return result, reason
	case errors.Is(err, tlspolicy.ErrTLSAMismatch):
		return result, "dane-no-match"
	case s.Heard.ResultType != "":
		return s.Heard.ResultType, s.Heard.FailureReasonCode
	}
	return result, reason
}

// whyNoSTS finds the result type of an MTA-STS policy that can't be had.
func whyNoSTS(err error) (tlsrpt.ResultType, string) {
	result, reason := tlsrpt.TLSFailureDetails(err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case untrusted || result != tlsrpt.ResultValidationFailure:
		return tlsrpt.ResultSTSWebPKIInvalid, cmp.Or(reason, string(result))
	case errors.Is(err, mtasts.ErrPolicySyntax):
		return tlsrpt.ResultSTSPolicyInvalid, ""
	}
	return tlsrpt.ResultSTSPolicyFetch, reason
}

// address is the one known, or else the one heard; nothing that is no address.
func address(known netip.Addr, heard string) string {
	if !known.IsValid() {
		known, _ = netip.ParseAddr(heard)
	}
	if !known.IsValid() {
		return ""
	}
	return known.Unmap().WithZone("").String()
}

const maxReason = 200 // bytes

// oneLine bounds what may be somebody else's words.
func oneLine(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
	return s[:min(len(s), maxReason)]
}
