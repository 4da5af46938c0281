package quarantine

import (
	"context"
	"slices"
	"testing"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/notice"
	"mailgate/internal/preflight"
)

// reporting is a judge that has a report.
type reporting struct{ *fakeJudge }

func (j reporting) Judge(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) gate.Verdict {
	v := j.fakeJudge.Judge(ctx, from, sender, to)
	v.Report = &preflight.Report{From: from, Findings: []preflight.Finding{
		{Code: "dkim-missing", Status: preflight.Fail, Name: "mail._domainkey.example.com", Text: "No name server of " + string(from) + " has the key."},
		{Code: "spf-missing", Status: preflight.Fail, Name: "mx1.example.com"},
	}}
	return v
}

func newDigest(t *testing.T) (*world, *postman) {
	w, p := newDigestNever(t)
	w.digest(t.Context()) // the start: there is nothing to tell
	return w, p
}

// newDigestNever is a world that never had a digest.
func newDigestNever(t *testing.T) (*world, *postman) {
	w, p := newPost(t)
	w.policy.Postmaster, w.policy.Digest = path(t, "postmaster@example.com"), 24*time.Hour
	w.o.Judge = func() Judge { return reporting{w.judge} }
	w.o.Publish = func(_ context.Context, r *preflight.Report) []notice.Record {
		return []notice.Record{{At: "Cloudflare", Type: "TXT", Name: "mail._domainkey", Value: "v=DKIM1 for " + string(r.From)}}
	}
	return w, p
}

func TestDigest(t *testing.T) {
	w, p := newDigest(t)
	w.holdBy(t, "ann@example.com", "b@gmail.com", "c@gmail.com")
	w.later = 23 * time.Hour
	w.digest(t.Context())
	p.wantMail(t, "")
	w.later = 25 * time.Hour
	w.digest(t.Context())
	w.digest(t.Context())
	p.wantMail(t, "postmaster@example.com", "mail for 2 recipients newly held", "dkim-missing: No name server of example.com has the key.", "v=DKIM1 for example.com", "Cloudflare",
		"mailgate quarantine list --domain example.com", "mailgate explain dkim-missing", "Auto-Submitted: auto-generated")
	w.later = 50 * time.Hour
	w.digest(t.Context()) // nothing new: no digest
	p.wantMail(t, "postmaster@example.com")
}

// What ends soon is told once, however late it became known; with another end it is
// told again.
func TestDigestOfWhatEnds(t *testing.T) {
	w, p := newDigest(t)
	gmail := notice.Ending{Name: "TLS override gmail.com", What: "The TLS override for gmail.com (encrypt: old gateway)", End: w.o.Now().AddDate(0, 0, 7), Look: "mailgate tls policy gmail.com"}
	late := notice.Ending{Name: "TLS override late.example", What: "The TLS override for late.example (may)", End: w.o.Now().AddDate(0, 0, 6), Look: "mailgate tls policy late.example"}
	longer := gmail
	longer.End = gmail.End.AddDate(0, 0, 2)
	const postmaster = "postmaster@example.com"
	for day, c := range []struct {
		ending []notice.Ending
		to     string
		words  []string
	}{
		{[]notice.Ending{gmail}, postmaster, []string{"something ends soon", "The TLS override for gmail.com (encrypt: old gateway) ends on", "mailgate tls policy gmail.com"}},
		{[]notice.Ending{gmail}, "", nil},
		{[]notice.Ending{late, gmail}, postmaster, []string{"something ends soon", "The TLS override for late.example (may) ends on"}},
		{[]notice.Ending{late, gmail}, "", nil},
		{[]notice.Ending{late, longer}, postmaster, []string{"something ends soon", "The TLS override for gmail.com (encrypt: old gateway) ends on"}},
		{[]notice.Ending{late, longer}, "", nil},
	} {
		w.later = time.Duration(day+1) * 25 * time.Hour
		w.o.Ending = func() []notice.Ending { return slices.Clone(c.ending) }
		p.got = nil
		w.digest(t.Context())
		p.wantMail(t, c.to, c.words...)
	}
}

// What a digest that couldn't be sent would have told is in the next.
func TestDigestOfWhatEndsIsTriedAgain(t *testing.T) {
	w, p := newDigest(t)
	w.o.Ending = func() []notice.Ending {
		return []notice.Ending{{Name: "TLS override gmail.com", What: "The TLS override for gmail.com", End: time.Now().AddDate(0, 0, 7), Look: "mailgate tls policy gmail.com"}}
	}
	w.later = 25 * time.Hour
	p.notNow["postmaster@example.com"] = true
	w.digest(t.Context())
	p.notNow = nil
	w.later += 2 * time.Minute
	w.digest(t.Context())
	p.wantMail(t, "postmaster@example.com", "something ends soon")
}

func TestDigestIsTriedAgain(t *testing.T) {
	w, p := newDigest(t)
	w.holdBy(t, "ann@example.com", "b@gmail.com")
	w.later = 25 * time.Hour
	p.notNow["postmaster@example.com"] = true
	w.digest(t.Context())
	w.digest(t.Context())
	if p.tried != 1 {
		t.Errorf("%d tries", p.tried)
	}
	p.notNow = nil
	w.later += 2 * time.Minute
	w.digest(t.Context())
	p.wantMail(t, "postmaster@example.com", "mail for 1 recipient newly held")
}

func TestDigestRefused(t *testing.T) {
	w, p := newDigest(t)
	w.holdBy(t, "ann@example.com", "b@gmail.com")
	p.never["postmaster@example.com"] = true
	for range 3 {
		w.later += 25 * time.Hour
		w.digest(t.Context())
	}
	if p.tried != 1 {
		t.Errorf("%d tries, want one", p.tried)
	}
}

// The first digest tells of the time just before it.
func TestFirstDigest(t *testing.T) {
	w, p := newDigestNever(t)
	w.holdBy(t, "ann@example.com", "b@gmail.com")
	now := time.Now().Add(time.Hour)
	w.o.Now = func() time.Time { return now }
	w.digest(t.Context())
	p.wantMail(t, "postmaster@example.com", "mail for 1 recipient newly held", "Since "+now.Add(-24*time.Hour-time.Minute).UTC().Format(time.RFC1123Z))
}

// A message that has its time just before a digest, and is in the store after it, is
// in the next.
func TestDigestOfTheLastMoment(t *testing.T) {
	w, p := newDigestNever(t)
	w.later = 10 * time.Second
	w.digest(t.Context())
	w.holdBy(t, "ann@example.com", "b@gmail.com") // by the store's clock, before that digest
	w.later = 25 * time.Hour
	w.digest(t.Context())
	p.wantMail(t, "postmaster@example.com", "mail for 1 recipient newly held")
}

// A clock that was ahead once doesn't silence digests for ever.
func TestDigestAfterAWrongClock(t *testing.T) {
	w, p := newDigest(t)
	if err := w.store.SetMark(t.Context(), markDigest, time.Now().Add(1000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.digest(t.Context())
	w.holdBy(t, "ann@example.com", "b@gmail.com")
	w.later = 25 * time.Hour
	w.digest(t.Context())
	p.wantMail(t, "postmaster@example.com")
}
