package gate

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
)

// maxVerifications bounds the work a message can ask for (RFC 6376 section 6.1).
const maxVerifications = 5

// alignedSignatures returns the d= of signatures that align with the author, as far
// as the organisational domain tells; strict alignment is for the prediction.
func alignedSignatures(header mail.Header, report *preflight.Report) []mail.Domain {
	if report == nil {
		return nil // foreign mail
	}
	var domains []mail.Domain
	for _, field := range header.All("DKIM-Signature") {
		d, err := mail.ParseDomain(signatureTag(field.Value(), "d"))
		if err == nil && sameOrganisation(d, report) && !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
		if len(domains) == maxVerifications {
			break
		}
	}
	return domains
}

// sameOrganisation reports whether d is under the author's organisational domain,
// found either way; where neither is known, whether one is under the other.
func sameOrganisation(d mail.Domain, report *preflight.Report) bool {
	tree, suffix := report.Facts.DMARC.TreeOrg, report.Facts.DMARC.SuffixOrg
	if tree == "" && suffix == "" {
		return d.IsUnder(report.From) || report.From.IsUnder(d)
	}
	return (tree == "" || d.IsUnder(tree)) && (suffix == "" || d.IsUnder(suffix))
}

func signatureTag(value, name string) string {
	for tag := range strings.SplitSeq(value, ";") {
		if k, v, ok := strings.Cut(tag, "="); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// hangsOn reports whether valid signatures of these domains would change what is
// predicted for a recipient.
func (g *Gate) hangsOn(v Verdict, domains []mail.Domain) bool {
	if len(domains) == 0 || g.txt == nil {
		return false
	}
	extra := preflight.Extra{Bulk: g.cfg.Bulk(v.Report.From), Signature: domains}
	for i, r := range v.Recipients {
		if r.Prediction.Verdict == preflight.Accept {
			continue
		}
		if preflight.Predict(v.providers[i], v.Report, extra).Verdict != r.Prediction.Verdict {
			return true
		}
	}
	return false
}

// verified is what became of the signatures: by d=, the valid ones and those DNS
// gave no answer about.
type verified struct{ valid, open []mail.Domain }

// verification checks, as the body goes by, the signatures a message already
// carries.
type verification struct {
	pipe   *io.PipeWriter
	result chan verified
}

func (g *Gate) startVerification(ctx context.Context, header mail.Header, domains []mail.Domain) *verification {
	r, w := io.Pipe()
	v := &verification{pipe: w, result: make(chan verified, 1)}
	options := &dkim.VerifyOptions{
		LookupTXT:        func(name string) ([]string, error) { return g.lookup(ctx, name) },
		MaxVerifications: maxVerifications,
	}
	go func() {
		results := verify(r, options)
		_, _ = io.Copy(io.Discard, r) // what it didn't read must not block the writer
		v.result <- sortOut(results, domains)
	}()
	v.Write(header.Bytes())
	v.Write([]byte("\r\n"))
	return v
}

// verify returns what the library says of each signature. With an unforeseen error
// it clears the failed signature's own, which would then look valid: so nothing of
// that is used.
func verify(r io.Reader, options *dkim.VerifyOptions) (results []*dkim.Verification) {
	defer func() {
		if recover() != nil {
			results = nil
		}
	}()
	results, err := dkim.VerifyWithOptions(r, options)
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) {
		return nil
	}
	return results
}

// lookup asks for a key. It runs on the verifier's goroutines, where a panic would
// end the process.
func (g *Gate) lookup(ctx context.Context, name string) (texts []string, err error) {
	defer func() {
		if recover() != nil {
			err = &net.DNSError{Err: "look-up failed", Name: name, IsTemporary: true}
		}
	}()
	return g.txt(ctx, name)
}

func sortOut(results []*dkim.Verification, wanted []mail.Domain) verified {
	var v verified
	for _, r := range results {
		d := mail.Domain(strings.ToLower(r.Domain))
		switch {
		case !slices.Contains(wanted, d):
		case r.Err == nil:
			v.valid = append(v.valid, d)
		case dkim.IsTempFail(r.Err):
			v.open = append(v.open, d)
		}
	}
	return v
}

// Write passes on a piece of the message; a verifier that stopped reading is no
// fault of the message.
func (v *verification) Write(p []byte) { _, _ = v.pipe.Write(p) }

// Finish returns the domains whose signatures are valid, and those that can't be
// told.
func (v *verification) Finish() (valid, open []mail.Domain) {
	v.pipe.Close()
	result := <-v.result
	return result.valid, result.open
}

// Cancel gives up. To the verifier the message ends here: an error would leave
// goroutines of the library behind.
func (v *verification) Cancel() { v.pipe.Close() }
