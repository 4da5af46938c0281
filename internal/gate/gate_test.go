package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// dispositions joins what becomes of each recipient: "hold pass".
func dispositions(o *Outcome) string {
	var list []string
	for _, r := range o.Recipients {
		list = append(list, string(r.Disposition))
	}
	return strings.Join(list, " ")
}

func TestPolicies(t *testing.T) {
	observe := enforce
	observe.Observe = true
	reject := Config{Refused: PolicyReject, Unknown: PolicyDefer, Foreign: PolicyReject}
	pass := Config{Refused: PolicyPass, Unknown: PolicyPass, Foreign: PolicyPass}
	foreignHold := enforce
	foreignHold.Foreign = PolicyHold
	stranger := strings.ReplaceAll(letter, "example.com", "elsewhere.example")

	tests := []struct {
		name    string
		cfg     Config
		facts   preflight.Facts
		from    string
		to      []string
		message string
		want    string // dispositions
		reply   string // beginning of the refusal
		signed  int
	}{
		{"all published", enforce, wellPublished(), "ann@example.com", []string{"b@gmail.com", "c@other.example"}, letter, "pass pass", "", 1},
		{"nothing published", enforce, unpublished(), "ann@example.com", []string{"b@gmail.com"}, letter, "hold", "", 0},
		{"one Gmail, one other", enforce, unpublished(), "ann@example.com", []string{"b@gmail.com", "c@other.example"}, letter, "hold pass", "", 1},
		{"DNS down", enforce, dnsDown(), "ann@example.com", []string{"b@gmail.com"}, letter, "hold", "", 0},
		{"observe", observe, unpublished(), "ann@example.com", []string{"b@gmail.com"}, letter, "pass", "", 1},
		{"policy pass", pass, unpublished(), "ann@example.com", []string{"b@gmail.com"}, letter, "pass", "", 1},
		{"policy reject", reject, unpublished(), "ann@example.com", []string{"b@gmail.com"}, letter, "reject", "550 5.7.26", 0},
		{"policy reject, mixed", reject, unpublished(), "ann@example.com", []string{"b@gmail.com", "c@other.example"}, letter, "hold pass", "", 1},
		{"policy reject, bounce", reject, unpublished(), "<>", []string{"b@gmail.com"}, letter, "hold", "", 0},
		{"policy defer", reject, dnsDown(), "ann@example.com", []string{"b@gmail.com"}, letter, "defer", "451 4.4.3", 0},
		{"policy defer, bounce", reject, dnsDown(), "<>", []string{"b@gmail.com"}, letter, "defer", "451 4.4.3", 0},
		{"foreign passes", enforce, unpublished(), "ann@example.com", []string{"b@gmail.com"}, stranger, "pass", "", 0},
		{"foreign is held", foreignHold, unpublished(), "ann@example.com", []string{"b@gmail.com"}, stranger, "hold", "", 0},
		{"foreign is rejected", reject, unpublished(), "ann@example.com", []string{"b@gmail.com"}, stranger, "reject", "550 5.7.1", 0},
		{"foreign bounce is not rejected", reject, unpublished(), "<>", []string{"b@gmail.com"}, stranger, "hold", "", 0},
		{"two From", enforce, wellPublished(), "ann@example.com", []string{"b@gmail.com"}, "From: x@evil.example\n" + letter, "reject", "550 5.6.0", 0},
		{"no From", enforce, wellPublished(), "ann@example.com", []string{"b@gmail.com"}, "To: b@gmail.com\n\nHello\n", "reject", "550 5.6.0", 0},
		{"no From, bounce", enforce, wellPublished(), "<>", []string{"b@gmail.com"}, "To: b@gmail.com\n\nHello\n", "pass", "", 0},
		{"no From, bounce, foreign held", foreignHold, wellPublished(), "<>", []string{"b@gmail.com"}, "To: b@gmail.com\n\nHello\n", "hold", "", 0},
		{"no From, observe", observe, wellPublished(), "ann@example.com", []string{"b@gmail.com"}, "To: b@gmail.com\n\nHello\n", "pass", "", 0},
		{"bare CR", enforce, wellPublished(), "ann@example.com", []string{"b@gmail.com"}, letter + "a\rb\n", "reject", "550 5.6.0", 0},
		{"bare CR, bounce", enforce, wellPublished(), "<>", []string{"b@gmail.com"}, letter + "a\rb\n", "defer", "451 4.7.1", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := New(tt.cfg, keyring(t, newKey(t)), &fakeChecker{facts: tt.facts}, noTXT)
			o := run(t, g, envelope(t, tt.from, tt.to...), tt.message)
			if got := dispositions(o); got != tt.want {
				t.Errorf("dispositions %q, want %q: %s", got, tt.want, o.Why)
			}
			if len(o.Signatures) != tt.signed {
				t.Errorf("%d signatures, want %d", len(o.Signatures), tt.signed)
			}
			if o.Why == "" {
				t.Error("the outcome doesn't say why")
			}
			checkReply(t, o.Refusal, tt.reply)
		})
	}
}

// What is held for want of a key says why, and so does the judgement of later.
func TestForeignSaysWhy(t *testing.T) {
	cfg := enforce
	cfg.Foreign = PolicyHold
	g := New(cfg, keyring(t, newKey(t)), &fakeChecker{facts: wellPublished()}, noTXT)
	for message, want := range map[string][2]string{
		"From: ann@example.org\n\nHello\n":                        {"dkim-no-key", "no signing key for example.org here"},
		"To: b@gmail.com\n\nHello\n":                              {"from-unusable", "From"},
		"From: MAILER-DAEMON\n\nHello\n":                          {"from-unusable", "From"},
		"From: ann@example.com\nFrom: bob@example.com\n\nHello\n": {"from-unusable", "From"},
	} {
		o := run(t, g, envelope(t, "<>", "b@gmail.com"), message)
		then := o.Recipients[0]
		now := g.Judge(t.Context(), o.From.Domain, mail.Address{}, []mail.Address{then.Address}).Recipients[0]
		for when, r := range map[string]Recipient{"then": then, "now": now} {
			if r.Disposition != Hold || r.Cause != CauseForeign || !slices.Equal(r.Prediction.Codes, want[:1]) || !strings.Contains(r.Prediction.Why, want[1]) {
				t.Errorf("%q %s: %+v", message, when, r)
			}
		}
	}
	pass := g.Judge(t.Context(), "example.com", mail.Address{}, []mail.Address{{Local: "b", Domain: "gmail.com"}}).Recipients[0]
	if len(pass.Prediction.Codes) > 0 {
		t.Errorf("what passes: %+v", pass)
	}
}

func checkReply(t *testing.T, r *Reply, want string) {
	t.Helper()
	if want == "" {
		if r != nil {
			t.Errorf("refused: %+v", *r)
		}
		return
	}
	code, enhanced, _ := strings.Cut(want, " ")
	if r == nil || r.Code != int(code[0]-'0')*100+int(code[1]-'0')*10+int(code[2]-'0') || r.Enhanced != enhanced {
		t.Errorf("refusal %+v, want %s", r, want)
	} else if strings.ContainsAny(r.Text, "\r\n") || r.Text == "" {
		t.Errorf("text %q is not one line", r.Text)
	}
}

// Nor is it ever held, whatever the policy: so no notice goes to a made-up sender.
func TestUntrustedIsUntouched(t *testing.T) {
	checker := &fakeChecker{facts: unpublished()}
	strict := enforce
	strict.Refused, strict.Unknown, strict.Foreign = PolicyHold, PolicyHold, PolicyHold
	g := New(strict, keyring(t, newKey(t)), checker, noTXT)
	header, _ := parse(t, "From: a@example.com\n"+letter)
	tx := g.Begin(t.Context(), envelope(t, "ann@example.com", "b@gmail.com"), header, false)
	if tx.Refusal() != nil || tx.NeedsBody() || tx.MayHold() {
		t.Fatal("mail of a stranger is not left alone")
	}
	if o := tx.Finish(t.Context()); dispositions(o) != "pass" || len(o.Signatures) != 0 {
		t.Errorf("%s, %d signatures", dispositions(o), len(o.Signatures))
	}
	if checker.checks != 0 {
		t.Error("DNS was asked for a stranger")
	}
}

func TestReleasedPassesAndIsSigned(t *testing.T) {
	g := New(enforce, keyring(t, newKey(t)), &fakeChecker{facts: unpublished()}, noTXT)
	header, body := parse(t, letter)
	o := finish(t, g.BeginReleased(t.Context(), envelope(t, "ann@example.com", "b@gmail.com"), header), body)
	if dispositions(o) != "pass" || len(o.Signatures) != 1 || o.Refusal != nil {
		t.Errorf("%s, %d signatures, %+v", dispositions(o), len(o.Signatures), o.Refusal)
	}
}

// Only what mailgate wrote itself, from its own host, is signed by a domain above.
func TestOwnReportIsSignedByParent(t *testing.T) {
	site := enforce
	site.Hostname = "mx1.example.com"
	g := New(site, keyring(t, newKey(t)), &fakeChecker{facts: unpublished()}, noTXT)
	for from, want := range map[string]int{"MAILER-DAEMON@mx1.example.com": 1, "MAILER-DAEMON@mx2.example.com": 0, "ann@example.com": 1} {
		header, body := parse(t, "From: "+from+"\n"+letter[strings.Index(letter, "\n")+1:])
		o := finish(t, g.BeginOwn(t.Context(), envelope(t, "", "b@gmail.com"), header), body)
		if dispositions(o) != "pass" || len(o.Signatures) != want {
			t.Errorf("%s: %s, %d signatures, want %d", from, dispositions(o), len(o.Signatures), want)
		}
	}
	header, body := parse(t, "From: MAILER-DAEMON@mx1.example.com\n"+letter[strings.Index(letter, "\n")+1:])
	if o := finish(t, g.BeginReleased(t.Context(), envelope(t, "", "b@gmail.com"), header), body); len(o.Signatures) != 0 {
		t.Error("what others wrote is signed by a domain above")
	}
}

// A message that can't be signed never leaves unsigned.
func TestFailingKeyDefers(t *testing.T) {
	good, bad := newKey(t), newKey(t)
	bad.Selector = "bad"
	bad.Signer = broken{bad.Signer}
	g := New(enforce, keyring(t, good, bad), &fakeChecker{facts: wellPublished()}, noTXT)
	o := run(t, g, envelope(t, "ann@example.com", "b@gmail.com"), letter)
	checkReply(t, o.Refusal, "451 4.7.1")
	if len(o.Signatures) != 0 || dispositions(o) != "defer" {
		t.Errorf("%d signatures, %s", len(o.Signatures), dispositions(o))
	}
}

func TestEveryKeySigns(t *testing.T) {
	second := newKey(t)
	second.Selector = "second"
	g := New(enforce, keyring(t, newKey(t), second), &fakeChecker{facts: wellPublished()}, noTXT)
	o := run(t, g, envelope(t, "ann@example.com", "b@gmail.com"), letter)
	if len(o.Signatures) != 2 {
		t.Fatalf("%d signatures", len(o.Signatures))
	}
	for i, selector := range []string{"s=mail;", "s=second;"} {
		if !strings.Contains(o.Signatures[i].Value(), selector) {
			t.Errorf("signature %d lacks %s: %s", i, selector, o.Signatures[i].Value())
		}
	}
}

// signedLetter carries a signature that somebody else made for the domain.
func signedLetter(t *testing.T, key sign.Key, message string) string {
	t.Helper()
	header, body := parse(t, message)
	s, err := sign.NewStream([]sign.Key{key}, header, sign.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	fields, err := s.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(fields[0].Raw), "\r\n", "\n") + message
}

func TestSignatureAlreadyThereCounts(t *testing.T) {
	theirs := newKey(t)
	theirs.Selector = "crm"
	txt := func(_ context.Context, name string) ([]string, error) {
		if name == "crm._domainkey.example.com" {
			return []string{theirs.Record()}, nil
		}
		return noTXT(context.Background(), name)
	}
	signed := signedLetter(t, theirs, letter)
	unreachable := func(_ context.Context, name string) ([]string, error) {
		return nil, &net.DNSError{Err: "SERVFAIL", Name: name, IsTemporary: true}
	}
	panics := func(context.Context, string) ([]string, error) { panic("x") }
	odd := func(context.Context, string) ([]string, error) { return nil, errors.New("odd") }
	sibling := theirs
	sibling.Domain = "lists.example.com"
	siblingTXT := func(_ context.Context, name string) ([]string, error) {
		return txt(context.Background(), strings.Replace(name, "lists.", "", 1))
	}
	tests := []struct {
		name, message string
		txt           LookupTXT
		refused       Policy
		want          string
	}{
		{"valid", signed, txt, PolicyHold, "pass"},
		{"body changed", signed + "More\n", txt, PolicyHold, "hold"},
		{"not published", signed, noTXT, PolicyHold, "hold"},
		{"other domain", strings.ReplaceAll(signed, "d=example.com", "d=elsewhere.example"), txt, PolicyHold, "hold"},
		{"same organisation", signedLetter(t, sibling, letter), siblingTXT, PolicyHold, "pass"},
		{"garbage", "DKIM-Signature: d=example.com\n" + letter, txt, PolicyHold, "hold"},
		{"twice", signedLetter(t, theirs, signed), txt, PolicyHold, "pass"},
		{"lookup panics", signed, panics, PolicyHold, "hold"},
		{"lookup panics, twice", signedLetter(t, theirs, signed), panics, PolicyHold, "hold"},
		{"unforeseen error, twice", signedLetter(t, theirs, signed), odd, PolicyHold, "hold"},
		{"not valid, policy reject", signed, noTXT, PolicyReject, "reject"},
		{"DNS fault, policy reject", signed, unreachable, PolicyReject, "hold"},
		{"DNS fault, twice, policy reject", signedLetter(t, theirs, signed), unreachable, PolicyReject, "hold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := enforce
			cfg.Refused = tt.refused
			g := New(cfg, keyring(t, newKey(t)), &fakeChecker{facts: unpublished()}, tt.txt)
			header, body := parse(t, tt.message)
			tx := g.Begin(t.Context(), envelope(t, "ann@example.com", "b@gmail.com"), header, true)
			if tt.refused == PolicyHold && !tx.MayHold() {
				t.Error("the door wouldn't keep a copy")
			}
			o := finish(t, tx, body)
			if dispositions(o) != tt.want {
				t.Errorf("%s, want %s: %s", dispositions(o), tt.want, o.Why)
			}
		})
	}
}

// A body that can't be signed is told to the client, not found out at the release.
func TestHeldBodyIsLookedAt(t *testing.T) {
	g := New(enforce, keyring(t, newKey(t)), &fakeChecker{facts: unpublished()}, noTXT)
	o := run(t, g, envelope(t, "ann@example.com", "b@gmail.com"), letter+"a\rb\n")
	checkReply(t, o.Refusal, "550 5.6.0")
}

// Many recipient domains that DNS is silent about are asked about side by side,
// and no longer than judgeTime.
func TestManySlowDomains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := &fakeChecker{facts: wellPublished(), slow: 4 * time.Second}
		g := New(enforce, keyring(t, newKey(t)), checker, noTXT)
		var to []mail.Address
		for i := range 100 {
			to = append(to, mail.Address{Local: "b", Domain: mail.Domain(fmt.Sprintf("d%d.example", i))})
		}
		begun := time.Now()
		v := g.judge(t.Context(), "example.com", path(t, "ann@example.com"), to, checker.Check)
		if took := time.Since(begun); took > judgeTime {
			t.Errorf("took %v", took)
		}
		if len(v.Recipients) != len(to) {
			t.Errorf("%d recipients", len(v.Recipients))
		}
	})
}

func TestGivenUpVerificationLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails on goroutines that stay
		theirs := newKey(t)
		g := New(enforce, keyring(t, newKey(t)), &fakeChecker{facts: unpublished()}, noTXT)
		header, _ := parse(t, signedLetter(t, theirs, signedLetter(t, theirs, letter)))
		tx := g.Begin(t.Context(), envelope(t, "ann@example.com", "b@gmail.com"), header, true)
		_, _ = tx.Write([]byte("Hel"))
		tx.Cancel()
	})
}

func TestCancelIsHarmless(t *testing.T) {
	theirs := newKey(t)
	g := New(enforce, keyring(t, newKey(t)), &fakeChecker{facts: unpublished()}, noTXT)
	header, _ := parse(t, signedLetter(t, theirs, letter))
	tx := g.Begin(t.Context(), envelope(t, "ann@example.com", "b@gmail.com"), header, true)
	_, _ = tx.Write([]byte("Hel"))
	tx.Cancel()
	tx.Cancel()
}

func TestJudgeAfreshAsksAgain(t *testing.T) {
	checker := &fakeChecker{facts: unpublished()}
	g := New(enforce, keyring(t, newKey(t)), checker, noTXT)
	to := []mail.Address{path(t, "b@gmail.com"), path(t, "c@other.example")}
	v := g.JudgeAfresh(t.Context(), "example.com", path(t, "ann@example.com"), to)
	if checker.afresh != 1 || v.Recipients[0].Disposition != Hold || v.Recipients[1].Disposition != Pass {
		t.Errorf("afresh %d, %+v", checker.afresh, v.Recipients)
	}
	if v.Recipients[0].Cause != CauseRefused || v.Recipients[0].Prediction.Rule == "" {
		t.Errorf("no reason given: %+v", v.Recipients[0])
	}
}

func TestWaitingIsToldFromRefused(t *testing.T) {
	g := New(enforce, keyring(t, newKey(t)), &fakeChecker{facts: dnsDown()}, noTXT)
	v := g.Judge(t.Context(), "example.com", path(t, "ann@example.com"), []mail.Address{path(t, "b@gmail.com")})
	if v.Recipients[0].Cause != CauseWaiting {
		t.Errorf("cause %q", v.Recipients[0].Cause)
	}
}

// Held mail isn't let go by a change of policy, only by a change of the facts.
func TestJudgeIgnoresPolicy(t *testing.T) {
	lax := Config{Observe: true, Refused: PolicyPass, Unknown: PolicyPass, Foreign: PolicyPass}
	g := New(lax, keyring(t, newKey(t)), &fakeChecker{facts: unpublished()}, noTXT)
	to := []mail.Address{path(t, "b@gmail.com")}
	if v := g.Judge(t.Context(), "example.com", path(t, "ann@example.com"), to); v.Recipients[0].Disposition != Hold {
		t.Errorf("refused mail: %s", v.Recipients[0].Disposition)
	}
	v := g.JudgeAfresh(t.Context(), "elsewhere.example", path(t, "ann@example.com"), to)
	if v.Recipients[0].Disposition != Hold || v.Recipients[0].Prediction.Why == "" {
		t.Errorf("foreign mail: %+v", v.Recipients[0])
	}
}
