package quarantine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailgate/internal/gate"
	"mailgate/internal/notice"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// report is what is to be told of some held recipients of m, by the verdict of
// now: to its sender.
func (q *Quarantine) report(ctx context.Context, kind notice.Kind, m *spool.Message, held []spool.Recipient) *notice.Report {
	verdict := q.o.Judge().Judge(ctx, m.From.Domain, m.Envelope.From, addresses(held))
	return q.reportOf(ctx, kind, m, keepByHand(m, verdict))
}

func (q *Quarantine) reportOf(ctx context.Context, kind notice.Kind, m *spool.Message, v gate.Verdict) *notice.Report {
	r := &notice.Report{
		Kind: kind, Hostname: q.o.Policy().Hostname, To: m.Envelope.From, Message: m, At: q.o.Now(),
	}
	if content, err := q.store.Open(ctx, m.ID); err == nil { // a report without it is better than none
		_ = r.Return(content)
		content.Close()
	}
	var codes []string
	for _, to := range v.Recipients {
		r.Recipients = append(r.Recipients, fate(kind, m, to))
		codes = append(codes, to.Prediction.Codes...)
	}
	if v.Report == nil {
		r.Findings = unsigned(m, codes)
		return r
	}
	for _, f := range v.Report.Findings {
		if slices.Contains(codes, f.Code) && f.Status != preflight.Pass {
			r.Findings = append(r.Findings, f)
		}
	}
	if len(r.Findings) > 0 {
		r.Records = q.o.Publish(ctx, v.Report)
	}
	return r
}

// unsigned is why no key signs m, of which DNS was not asked.
func unsigned(m *spool.Message, codes []string) []preflight.Finding {
	slices.Sort(codes)
	var list []preflight.Finding
	for _, code := range slices.Compact(codes) {
		list = append(list, preflight.Finding{Code: code, Status: preflight.Fail, Name: string(m.From.Domain)})
	}
	return list
}

// fate is what a report says of one held recipient.
func fate(kind notice.Kind, m *spool.Message, r gate.Recipient) notice.Recipient {
	to := notice.Recipient{Address: r.Address, Status: "5.4.7", Why: r.Prediction.Why} // 5.4.7: its time is over
	switch {
	case r.Disposition == gate.Pass && kind == notice.Delayed:
		to.Status, to.Why = "4.0.0", "It would be taken now, and is about to leave."
	case r.Disposition == gate.Pass:
		to.Why = "It waited for a release that didn't come in time."
	case r.Cause == causeByHand && kind == notice.Delayed:
		to.ByHand, to.Why = true, "An administrator holds it back."
	case r.Cause == causeByHand:
		to.ByHand, to.Why = true, "An administrator held it back, and it was not released in time."
	case r.Cause == gate.CauseForeign:
		to.Status, to.Why = "5.7.1", fmt.Sprintf("%s has no signing key on this server, and mail from such domains is held.", m.From.Domain)
		if m.From.Domain == "" {
			to.Why = "Its From field doesn't have exactly one usable address, so no key can sign it, and such mail is held."
		}
	case r.Cause == gate.CauseWaiting:
		to.Status = "4.4.7"
		if kind == notice.Delayed {
			to.Status = "4.4.3" // directory server failure
		}
	default:
		to.Diagnostic, to.Predicted = r.Prediction.Reply, r.Prediction.Reply != ""
		if code := enhanced(r.Prediction.Reply); strings.HasPrefix(code, "5.") {
			to.Status = code
		}
	}
	if kind == notice.Delayed && strings.HasPrefix(to.Status, "5.") {
		to.Status = "4.7.0" // security or policy
	}
	return to
}

// enhanced is the enhanced status code of an SMTP reply (RFC 2034): "5.7.26" of
// "550 5.7.26 …"; empty if it has none.
func enhanced(reply string) string {
	words := strings.Fields(reply)
	if len(words) < 2 || strings.Count(words[1], ".") != 2 || strings.Trim(words[1], "0123456789.") != "" {
		return ""
	}
	return words[1]
}
