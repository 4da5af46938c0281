package milter

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	mta "github.com/d--j/go-milter"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

const helloBytes = "From: Ann <ann@example.com>\r\nTo: somebody\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n" +
	"Message-ID: <1@example.com>\r\n\r\nHello,\r\nworld\r\n"

// edits in the order the MTA is told them.
func editList(edits []mta.ModifyAction) []string {
	var list []string
	for _, e := range edits {
		switch e.Type {
		case mta.ActionDelRcpt:
			list = append(list, "delete "+e.Rcpt)
		case mta.ActionChangeHeader:
			list = append(list, fmt.Sprintf("change %d %s=%q", e.HeaderIndex, e.HeaderName, e.HeaderValue))
		case mta.ActionInsertHeader:
			list = append(list, fmt.Sprintf("insert %d %s=%q", e.HeaderIndex, e.HeaderName, e.HeaderValue))
		default:
			list = append(list, fmt.Sprint(e))
		}
	}
	return list
}

var signed = []string{
	`insert 0 DKIM-Signature=" a=second; d=example.com;\n\ts=second; b=x"`,
	`insert 0 DKIM-Signature=" a=first; d=example.com;\n\ts=first; b=x"`,
}

func wantEdits(t *testing.T, a answer, want ...string) {
	t.Helper()
	if got := editList(a.edits); !slices.Equal(got, want) {
		t.Errorf("edits\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSign(t *testing.T) {
	r := start(t, nil)
	a := r.session(t, trustedClient).send(hello("bob@example.net")).want(t, mta.ActionAccept)
	wantEdits(t, a, signed...)
	tx := r.gate.last(t)
	if got := string(tx.header.Bytes()) + "\r\n" + string(tx.body); got != helloBytes {
		t.Errorf("the gate saw %q", got)
	}
	env := tx.env
	if env.From.String() != "ann@example.com" || env.Helo != "helo.example.com" || env.Host != "app.example.com" ||
		env.Client.String() != "192.0.2.7" || env.QueueID != "4XYZ" || env.SMTPUTF8 {
		t.Errorf("envelope %+v", env)
	}
	r.log.has(t, `qid=4XYZ from=<ann@example.com> to=<bob@example.net> verdict=pass signed="example.com/first example.com/second"`)
}

// An MTA that offers less gets the answers it waits for, and its own space.
func TestOffers(t *testing.T) {
	noReply := mta.OptNoConnReply | mta.OptNoHeloReply | mta.OptNoMailReply | mta.OptNoRcptReply |
		mta.OptNoHeaderReply | mta.OptNoBodyReply | mta.OptNoUnknown | mta.OptNoData
	unspaced := []string{
		`insert 0 DKIM-Signature="a=second; d=example.com;\n\ts=second; b=x"`,
		`insert 0 DKIM-Signature="a=first; d=example.com;\n\ts=first; b=x"`,
	}
	tests := map[string]struct {
		opts []mta.Option
		want []string
	}{
		"everything":       {nil, signed},
		"no leading space": {[]mta.Option{mta.WithoutProtocol(mta.OptHeaderLeadingSpace)}, unspaced},
		"replies to all":   {[]mta.Option{mta.WithoutProtocol(noReply)}, signed},
		"nothing":          {[]mta.Option{mta.WithoutProtocol(noReply | mta.OptHeaderLeadingSpace | mta.OptSkip)}, unspaced},
		"version 2":        {[]mta.Option{mta.WithMaximumVersion(2), mta.WithProtocols(0), mta.WithActions(0x3f)}, unspaced},
		"no macro lists":   {[]mta.Option{mta.WithoutAction(mta.OptSetMacros)}, signed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			said := globalLog(t)
			r := start(t, nil)
			l := hello("bob@example.net")
			if !strings.Contains(test.want[0], `" `) { // such an MTA eats the space itself
				l.header = strings.ReplaceAll(l.header, ": ", ":")
			}
			s := r.session(t, trustedClient, test.opts...)
			for range 2 {
				wantEdits(t, s.send(l).want(t, mta.ActionAccept), test.want...)
			}
			if got := string(r.gate.last(t).header.Bytes()); !strings.HasPrefix(helloBytes, got+"\r\n") {
				t.Errorf("header %q", got)
			}
			if said.String() != "" {
				t.Errorf("global log: %s", said)
			}
		})
	}
}

// What the MTA doesn't let us do is known before anything is done.
func TestActionsNotOffered(t *testing.T) {
	tests := map[string]struct {
		without mta.OptAction
		letter  letter
	}{
		"add header":       {mta.OptAddHeader, hello("bob@example.net")},
		"remove recipient": {mta.OptRemoveRcpt, hello("bob@example.net", "hold@example.org")},
		"change header":    {mta.OptChangeHeader, withToken(hello("bob@example.net"), "forged")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			s := r.session(t, trustedClient, mta.WithoutAction(test.without))
			s.send(test.letter).wantReply(t, "451 4.7.1")
			if r.spool.count() != 0 {
				t.Error("taken into custody all the same")
			}
		})
	}
}

func TestTrust(t *testing.T) {
	tests := []struct {
		name    string
		client  smtpClient
		trusted bool
	}{
		{"trusted network", trustedClient, true},
		{"stranger", stranger, false},
		{"authenticated stranger", smtpClient{host: "x", addr: "198.51.100.9", user: "ann", family: mta.FamilyInet, port: 1}, true},
		{"pickup", smtpClient{host: "localhost", addr: "127.0.0.1", family: mta.FamilyInet}, true},
		{"unix socket", smtpClient{host: "localhost", addr: "/run/x", family: mta.FamilyUnix}, true},
		{"loopback over TCP", smtpClient{host: "localhost", addr: "127.0.0.1", family: mta.FamilyInet, port: 9}, false},
		{"client that hung up", smtpClient{host: "unknown", family: mta.FamilyUnknown}, false},
		{"mapped IPv6", smtpClient{host: "x", addr: "::ffff:192.0.2.9", family: mta.FamilyInet6, port: 1}, true},
		{"IPv6 stranger", smtpClient{host: "localhost", addr: "2001:db8::1", family: mta.FamilyInet6}, false},
	}
	r := start(t, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := r.session(t, test.client).send(hello("hold@example.net"))
			if got := r.gate.last(t).trusted; got != test.trusted {
				t.Errorf("trusted = %v", got)
			}
			if test.trusted {
				a.want(t, mta.ActionDiscard)
				return
			}
			if a.want(t, mta.ActionAccept); !a.atEOH || len(a.edits) != 0 {
				t.Errorf("touched: %+v", a)
			}
		})
	}
}

// Connect and HELO outlive final answers of every kind.
func TestSeveralMessages(t *testing.T) {
	r := start(t, nil)
	r.gate.refusal = func(env mail.Envelope) *gate.Reply {
		if env.From.Local == "bad" {
			return &gate.Reply{Code: 550, Enhanced: "5.7.26", Text: "50% of\r\nnothing ü"}
		}
		return nil
	}
	s := r.session(t, trustedClient)
	s.send(hello("bob@example.net")).want(t, mta.ActionAccept)
	bad := hello("bob@example.net")
	bad.from = "bad@example.com"
	s.send(bad).wantReply(t, "550 5.7.26 50%% of nothing ?")
	s.send(hello("hold@example.net")).want(t, mta.ActionDiscard)
	s.on(s.Mail("gone@example.com", ""))
	if err := s.Abort(nil); err != nil {
		t.Fatal(err)
	}
	s.send(hello("carl@example.net")).want(t, mta.ActionAccept)

	env := r.gate.last(t).env
	if env.Client.String() != "192.0.2.7" || env.Helo != "helo.example.com" || env.From.Local != "ann" ||
		len(env.To) != 1 || env.To[0].Local != "carl" {
		t.Errorf("envelope of the last message: %+v", env)
	}
	r.log.has(t, `verdict=reject client="client 192.0.2.7 is trusted" reply="550 5.7.26`)
}

func TestHoldAll(t *testing.T) {
	r := start(t, nil)
	a := r.session(t, trustedClient).send(hello("hold@example.net", "hold@example.org")).want(t, mta.ActionDiscard)
	wantEdits(t, a)
	if r.spool.count() != 1 || r.spool.bytes[0] != helloBytes {
		t.Fatalf("in custody: %q", r.spool.bytes)
	}
	m := r.spool.taken[0]
	if m.Source != "milter" || m.Subject != "Grüße" || m.MessageID != "<1@example.com>" || len(m.Envelope.To) != 2 ||
		m.Size != int64(len(helloBytes)) || len(m.Recipients) != 2 || m.Recipients[1].State != spool.Held ||
		m.Recipients[1].Reason != spool.Refused || m.Recipients[1].Rule != "gmail-unauthenticated" {
		t.Errorf("message %+v", m)
	}
	r.log.has(t, "id=q7f3a qid=4XYZ")
	if strings.Contains(r.log.String(), "signed=") {
		t.Error("said to be signed")
	}
}

// Mail that was not pre-flighted has no evidence, not an empty one.
func TestEvidence(t *testing.T) {
	r := start(t, nil)
	s := r.session(t, trustedClient)
	s.send(hello("hold@example.net")).want(t, mta.ActionDiscard)
	r.gate.atFinish = func(_ *fakeTx, o *gate.Outcome) {
		if err := json.Unmarshal([]byte("{}"), &o.Report); err != nil {
			t.Error(err)
		}
	}
	s.send(hello("hold@example.net")).want(t, mta.ActionDiscard)
	if foreign, ours := r.spool.taken[0].Evidence, r.spool.taken[1].Evidence; foreign != nil || !strings.HasPrefix(string(ours), "{") {
		t.Errorf("evidence %q and %q", foreign, ours)
	}
}

func TestHoldSome(t *testing.T) {
	r := start(t, nil)
	a := r.session(t, trustedClient).send(hello("bob@example.net", "hold@EXAMPLE.org", `"hold"@example.org`, "hold@example.org", "carl@example.net"))
	a.want(t, mta.ActionAccept)
	// Each spelling the MTA used is one it may know the recipient by.
	wantEdits(t, a, append([]string{"delete <hold@EXAMPLE.org>", `delete <"hold"@example.org>`, "delete <hold@example.org>"}, signed...)...)
	if m := r.spool.taken[0]; len(m.Recipients) != 1 || m.Envelope.To[0].String() != "hold@example.org" {
		t.Errorf("in custody for %+v", m.Recipients)
	}
	if to := r.gate.last(t).env.To; len(to) != 3 {
		t.Errorf("judged for %v", to)
	}
}

func TestCustodyFails(t *testing.T) {
	for _, err := range []error{spool.ErrFull, errors.New("disk on fire")} {
		r := start(t, nil)
		r.spool.err = err
		s := r.session(t, trustedClient)
		a := s.send(hello("bob@example.net", "hold@example.net"))
		a.wantReply(t, "452 4.3.1")
		wantEdits(t, a)
		s.send(hello("bob@example.net")).want(t, mta.ActionAccept)
		r.log.has(t, "verdict=defer")
	}
}

// A copy that can't be kept is found out before the end.
func TestNoRoomForCopy(t *testing.T) {
	r := start(t, func(s *Server) { s.SpillDir = filepath.Join(s.SpillDir, "missing") })
	l := hello("hold@example.net")
	l.body = strings.Repeat("x", 1<<20)
	s := r.session(t, trustedClient)
	s.send(l).wantReply(t, "452 4.3.1")
	if r.spool.count() != 0 {
		t.Error("taken into custody")
	}
	s.send(hello("bob@example.net")).want(t, mta.ActionAccept)
}

func TestOutcomesThatCantBe(t *testing.T) {
	tests := map[string]func(*fakeTx, *gate.Outcome){
		"reject of one":          func(_ *fakeTx, o *gate.Outcome) { o.Recipients[0].Disposition = gate.Reject },
		"no disposition":         func(_ *fakeTx, o *gate.Outcome) { o.Recipients[0].Disposition = "" },
		"recipient missing":      func(_ *fakeTx, o *gate.Outcome) { o.Recipients = o.Recipients[:1] },
		"recipients mixed up":    func(_ *fakeTx, o *gate.Outcome) { slices.Reverse(o.Recipients) },
		"held without a warning": func(_ *fakeTx, o *gate.Outcome) { o.Recipients[0].Disposition = gate.Hold },
		"a panic":                func(*fakeTx, *gate.Outcome) { panic("boom") },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			r.gate.atFinish = change
			a := r.session(t, trustedClient).send(hello("bob@example.net", "carl@example.net"))
			a.wantReply(t, "451 4.7.1")
			wantEdits(t, a)
		})
	}
}

func TestRefusalAtEnd(t *testing.T) {
	r := start(t, nil)
	r.gate.atFinish = func(_ *fakeTx, o *gate.Outcome) {
		o.Refusal = &gate.Reply{Code: 451, Enhanced: "4.7.5", Text: "wait"}
	}
	r.session(t, trustedClient).send(hello("bob@example.net")).wantReply(t, "451 4.7.5 wait")
}

// What the gate makes of a body it can't take is its own to say; the door adds a
// refusal only where it says nothing.
func TestBodyNotTaken(t *testing.T) {
	r := start(t, nil)
	writes := 0
	r.gate.atWrite = func() error { writes++; return errors.New("bare CR") }
	r.gate.atFinish = func(_ *fakeTx, o *gate.Outcome) {
		o.Refusal = &gate.Reply{Code: 550, Enhanced: "5.6.0", Text: "bare CR"}
	}
	l := hello("bob@example.net")
	l.body = strings.Repeat("x", 200_000)
	for _, opts := range [][]mta.Option{nil, {mta.WithoutProtocol(mta.OptNoBodyReply)}} {
		r.session(t, trustedClient, opts...).send(l).wantReply(t, "550 5.6.0 bare CR")
	}
	if writes != 2 {
		t.Errorf("%d pieces of two bodies given to the gate", writes)
	}
	r.gate.atFinish = nil
	r.session(t, trustedClient).send(l).wantReply(t, "451 4.7.1")
}

// A panic costs one message a 451, wherever it happens; the session goes on.
func TestPanic(t *testing.T) {
	said := globalLog(t)
	for _, where := range []string{"begin", "write", "write fails", "finish"} {
		for _, opts := range [][]mta.Option{nil, {mta.WithoutProtocol(mta.OptNoBodyReply)}} {
			r := start(t, nil)
			boom := func() { panic("boom") }
			switch where {
			case "begin":
				r.gate.atBegin = boom
			case "write":
				r.gate.atWrite = func() error { panic("boom") }
			case "write fails":
				r.gate.atWrite = func() error { return errors.New("boom") }
			case "finish":
				r.gate.atFinish = func(*fakeTx, *gate.Outcome) { panic("boom") }
			}
			s := r.session(t, trustedClient, opts...)
			s.send(hello("bob@example.net")).wantReply(t, "451 4.7.1")
			r.gate.atBegin, r.gate.atWrite, r.gate.atFinish = nil, nil, nil
			s.send(hello("bob@example.net")).want(t, mta.ActionAccept)
			if where != "write fails" {
				r.log.has(t, "stack=")
			}
		}
	}
	if said.String() != "" {
		t.Errorf("global log: %s", said)
	}
}

func TestFaultyMessages(t *testing.T) {
	many := strings.Repeat("X: y\n", 30)
	tests := map[string]struct {
		change func(*letter)
		reply  string
	}{
		"sender":           {func(l *letter) { l.from = "a@b@c@" }, "501 5.1.7"},
		"recipient":        {func(l *letter) { l.to = append(l.to, "x@-") }, "501 5.1.3"},
		"header line":      {func(l *letter) { l.header += "Bad\x01Name: x\n" }, "550 5.6.0"},
		"header fields":    {func(l *letter) { l.header += many }, "552 5.3.4"},
		"header bytes":     {func(l *letter) { l.header += "X: " + strings.Repeat("y", 3000) + "\n" }, "552 5.3.4"},
		"recipient number": {func(l *letter) { l.to = []string{"a@b.c", "b@b.c", "c@b.c", "d@b.c", "e@b.c"} }, "452 4.5.3"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(s *Server) { s.MaxFields, s.MaxHeader, s.MaxRecipients = 20, 2000, 4 })
			l := hello("bob@example.net")
			test.change(&l)
			s := r.session(t, trustedClient)
			s.send(l).wantReply(t, test.reply)
			s.send(hello("bob@example.net")).want(t, mta.ActionAccept)
			// Not our business when it isn't ours.
			r.session(t, stranger).send(l).want(t, mta.ActionAccept)
			a := r.session(t, stranger).send(withToken(l, "sesam")).want(t, mta.ActionAccept)
			wantEdits(t, a, `change 1 X-Mailgate-Release=""`)
		})
	}
}

// An address without a domain is the MTA's.
func TestUnqualified(t *testing.T) {
	r := start(t, nil)
	l := hello("root", "hold")
	l.from = "cron"
	a := r.session(t, trustedClient).send(l).want(t, mta.ActionAccept)
	wantEdits(t, a, append([]string{"delete <hold>"}, signed...)...)
	env := r.gate.last(t).env
	if env.From.String() != "cron@mail.example.com" || env.To[0].String() != "root@mail.example.com" {
		t.Errorf("envelope %+v", env)
	}
}

func TestNullSender(t *testing.T) {
	r := start(t, nil)
	l := hello("bob@example.net")
	l.from = ""
	r.session(t, trustedClient).send(l).want(t, mta.ActionAccept)
	if !r.gate.last(t).env.From.IsNull() {
		t.Error("not the null sender")
	}
}

// A bounce isn't rejected, whatever is wrong with it: its sender would never know.
func TestFaultyBounce(t *testing.T) {
	for name, header := range map[string]string{
		"header line":   "Bad\x01Name: x\n",
		"header fields": strings.Repeat("X: y\n", 30),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(s *Server) { s.MaxFields, s.MaxRecipients = 20, 2 })
			l := hello("bob@example.net")
			l.from = ""
			l.header += header
			s := r.session(t, trustedClient)
			if a := s.send(l).want(t, mta.ActionAccept); !a.atEOH {
				t.Error("its body is wanted")
			}
			r.log.has(t, `verdict=pass client="client 192.0.2.7 is trusted" why="a bounce is never rejected`)
			a := s.send(withToken(l, "sesam")).want(t, mta.ActionAccept)
			wantEdits(t, a, `change 1 X-Mailgate-Release=""`)
			l.to = []string{"a@b.c", "b@b.c", "c@b.c"}
			s.send(l).wantReply(t, "452 4.5.3") // for now is not for good
		})
	}
}

func TestSMTPUTF8(t *testing.T) {
	r := start(t, nil)
	s := r.session(t, trustedClient)
	l := hello("bücher@example.net")
	s.send(l).want(t, mta.ActionAccept)
	if !r.gate.last(t).env.SMTPUTF8 {
		t.Error("address needs SMTPUTF8")
	}
	s.send(hello("bob@example.net")).want(t, mta.ActionAccept)
	if r.gate.last(t).env.SMTPUTF8 {
		t.Error("SMTPUTF8 is left over from the message before")
	}
}

func withToken(l letter, tokens ...string) letter {
	for _, token := range tokens {
		l.header += "x-mailgate-RELEASE: " + token + "\n"
	}
	return l
}

func TestRelease(t *testing.T) {
	r := start(t, nil)
	removed := func(n int) (edits []string) {
		for ; n > 0; n-- {
			edits = append(edits, fmt.Sprintf(`change %d X-Mailgate-Release=""`, n))
		}
		return edits
	}
	s := r.session(t, stranger)
	a := s.send(withToken(hello("hold@example.net"), "sesame")).want(t, mta.ActionAccept)
	wantEdits(t, a, append(removed(1), signed...)...)
	tx := r.gate.last(t)
	if !tx.released || len(tx.header.All(spool.TokenHeader)) != 0 {
		t.Errorf("released %v, header %q", tx.released, tx.header.Bytes())
	}
	r.log.has(t, "id=q7f3a")

	// One time only; then it is mail like any other, without the field.
	a = s.send(withToken(hello("hold@example.net"), "sesame")).want(t, mta.ActionAccept)
	wantEdits(t, a, removed(1)...)
	if tx := r.gate.last(t); tx.released || tx.trusted {
		t.Error("released twice")
	}
	r.tokens.good = "sesame"
	a = r.session(t, trustedClient).send(withToken(hello("bob@example.net"), "sesame", "sesame", "x")).want(t, mta.ActionAccept)
	wantEdits(t, a, append(removed(3), signed...)...)
	if r.gate.last(t).released {
		t.Error("released by one token of several")
	}
	a = r.session(t, trustedClient).send(withToken(hello("hold@example.net"), "forged")).want(t, mta.ActionDiscard)
	wantEdits(t, a)
	if strings.Contains(strings.ToLower(r.spool.bytes[0]), "x-mailgate-release") {
		t.Error("the token is in custody")
	}
	r.session(t, stranger).send(withToken(hello("bob@example.net"), "store-down")).wantReply(t, "451 4.3.0")
}

// A notice of mailgate passes like a release, signed and never held, and is logged
// and counted as what it is.
func TestNotice(t *testing.T) {
	r := start(t, nil)
	r.tokens.notice = true
	a := r.session(t, stranger).send(withToken(hello("hold@example.net"), "sesame")).want(t, mta.ActionAccept)
	wantEdits(t, a, append([]string{`change 1 X-Mailgate-Release=""`}, signed...)...)
	if tx := r.gate.last(t); !tx.released || !tx.own || r.spool.count() != 0 {
		t.Errorf("released %v, %d in custody", tx.released, r.spool.count())
	}
	r.log.has(t, "verdict=notice")
	r.log.has(t, `client="a notice of mailgate"`)
	if got := r.messages(t); got["notice yes"] != 1 || got["pass yes"] != 0 {
		t.Errorf("counted %v", got)
	}

	r.tokens.good = "sesame"
	r.gate.atFinish = func(_ *fakeTx, o *gate.Outcome) { o.Recipients[0].Disposition = gate.Hold }
	r.session(t, trustedClient).send(withToken(hello("bob@example.net"), "sesame")).wantReply(t, "451 4.7.1")
	if r.spool.count() != 0 {
		t.Error("a notice was held")
	}
}

// A release that the gate would hold once more is deferred, never held twice.
func TestReleaseNotHeldTwice(t *testing.T) {
	r := start(t, nil)
	r.gate.atFinish = func(_ *fakeTx, o *gate.Outcome) { o.Recipients[0].Disposition = gate.Hold }
	r.session(t, trustedClient).send(withToken(hello("bob@example.net"), "sesame")).wantReply(t, "451 4.7.1")
	if r.spool.count() != 0 {
		t.Error("held again")
	}
}

func TestBodies(t *testing.T) {
	for name, body := range map[string]string{
		"empty":             "",
		"no final line end": "Hello",
		"dot lines":         ".\r\n..\r\n.x\r\n",
		"8 bit":             "\xff\xfe\r\n",
		"large":             strings.Repeat("0123456789abcde\r\n", 20000),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			l := hello("hold@example.net")
			l.body = body
			r.session(t, trustedClient).send(l).want(t, mta.ActionDiscard)
			if got := strings.SplitN(r.spool.bytes[0], "\r\n\r\n", 2)[1]; got != body {
				t.Errorf("body of %d bytes in custody, want %d", len(got), len(body))
			}
			if got := string(r.gate.last(t).body); got != body {
				t.Errorf("the gate saw a body of %d bytes, want %d", len(got), len(body))
			}
		})
	}
}
