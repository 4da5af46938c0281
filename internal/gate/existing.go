package gate

import (
	"context"
	"io"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
)

// maxVerifications bounds the work a message can ask for (RFC 6376 section 6.1).
const maxVerifications = 5

// verification checks, as the body goes by, the signatures a message already
// carries.
type verification struct {
	pipe   *io.PipeWriter
	result chan []mail.Domain
}

// alignedSignatures returns the d= of signatures that could align with from.
// Strict or relaxed alignment is decided later; a common parent is needed at
// least.
func alignedSignatures(header mail.Header, from mail.Domain) []mail.Domain {
	var domains []mail.Domain
	for _, field := range header.All("DKIM-Signature") {
		d, err := mail.ParseDomain(signatureTag(field.Value(), "d"))
		if err == nil && (d.IsUnder(from) || from.IsUnder(d)) {
			domains = append(domains, d)
		}
		if len(domains) == maxVerifications {
			break
		}
	}
	return domains
}

func signatureTag(value, name string) string {
	for tag := range strings.SplitSeq(value, ";") {
		if k, v, ok := strings.Cut(tag, "="); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// hangsOn reports whether valid signatures of these domains would change what
// becomes of a recipient.
func (g *Gate) hangsOn(v Verdict, domains []mail.Domain) bool {
	if len(domains) == 0 || g.txt == nil {
		return false
	}
	for i, r := range v.Recipients {
		if r.Prediction.Verdict == preflight.Accept {
			continue
		}
		if preflight.Predict(v.providers[i], v.Report, preflight.Extra{Signature: domains}).Verdict == preflight.Accept {
			return true
		}
	}
	return false
}

func (g *Gate) startVerification(ctx context.Context, header mail.Header, domains []mail.Domain) *verification {
	r, w := io.Pipe()
	v := &verification{pipe: w, result: make(chan []mail.Domain, 1)}
	options := &dkim.VerifyOptions{
		LookupTXT:        func(name string) ([]string, error) { return g.txt(ctx, name) },
		MaxVerifications: maxVerifications,
	}
	go func() {
		results := verify(r, options)
		// The rest of a body nobody reads any more must not block the writer.
		r.CloseWithError(io.EOF)
		v.result <- validDomains(results, domains)
	}()
	v.Write(header.Bytes())
	v.Write([]byte("\r\n"))
	return v
}

// verify runs the library's verifier. A message that makes it panic has no valid
// signature, and the process lives on.
func verify(r io.Reader, options *dkim.VerifyOptions) (results []*dkim.Verification) {
	defer func() {
		if recover() != nil {
			results = nil
		}
	}()
	results, _ = dkim.VerifyWithOptions(r, options)
	return results
}

func validDomains(results []*dkim.Verification, wanted []mail.Domain) []mail.Domain {
	var valid []mail.Domain
	for _, r := range results {
		if r.Err != nil {
			continue
		}
		for _, d := range wanted {
			if strings.EqualFold(r.Domain, string(d)) {
				valid = append(valid, d)
				break
			}
		}
	}
	return valid
}

// Write passes on a piece of the message; a verifier that stopped reading is no
// fault of the message.
func (v *verification) Write(p []byte) { _, _ = v.pipe.Write(p) }

// Finish returns the domains whose signatures are valid.
func (v *verification) Finish() []mail.Domain {
	v.pipe.Close()
	return <-v.result
}

// Cancel gives up.
func (v *verification) Cancel() { v.pipe.CloseWithError(io.ErrClosedPipe) }
