//go:build integration

package integration

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestExchange: what Exchange does with a smart host.
func TestExchange(t *testing.T) {
	w := newExchangeWorld(t)
	t.Run("capabilities", w.capabilities)
	t.Run("old TLS", w.oldTLS)
	t.Run("many recipients", w.manyRecipients)
	t.Run("next hop without DSN", w.withoutDSN)
	t.Run("binary", w.binary)
	t.Run("report", w.report)
	t.Run("login", w.login)
	t.Run("no SPF", w.noSPF)
}

// What a send connector looks for, before and over TLS. BINARYMIME must not be
// offered: Exchange would use it, and such a message can't be passed on.
func (w *exchangeWorld) capabilities(t *testing.T) {
	for _, listener := range []string{w.modern, w.legacy} {
		x := dialExchange(t, listener)
		if _, ok := x.offer["STARTTLS"]; !ok {
			t.Errorf("%s: no STARTTLS in %v", listener, x.offer)
		}
		for range 2 {
			for _, keyword := range []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING"} {
				if _, ok := x.offer[keyword]; !ok {
					t.Errorf("%s: no %s in %v", listener, keyword, x.offer)
				}
			}
			if _, ok := x.offer["BINARYMIME"]; ok {
				t.Errorf("%s: BINARYMIME is offered", listener)
			}
			if n, err := strconv.Atoi(x.offer["SIZE"]); err != nil || n < 35<<20 {
				t.Errorf("%s: SIZE %q, want 35 MB or more", listener, x.offer["SIZE"])
			}
			if x.tls() {
				break
			}
			if _, err := x.startTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok := x.offer["STARTTLS"]; ok {
			t.Errorf("%s: STARTTLS over TLS", listener)
		}
		x.say("MAIL FROM:<ann@good.test> BODY=BINARYMIME", "504")
		x.say("QUIT", "221")
	}
}

// TLS 1.0 with RSA key exchange is for the legacy listener only; at the other one the
// log says what was wrong.
func (w *exchangeWorld) oldTLS(t *testing.T) {
	state, err := dialExchange(t, w.legacy).startTLS(oldTLS())
	if err != nil || state.Version != tls.VersionTLS10 || state.CipherSuite != tls.TLS_RSA_WITH_AES_128_CBC_SHA {
		t.Errorf("legacy listener: %v, %s %s", err, tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
	}
	newer := oldTLS()
	newer.MaxVersion = tls.VersionTLS12
	if state, err := dialExchange(t, w.legacy).startTLS(newer); err != nil || state.Version != tls.VersionTLS12 {
		t.Errorf("legacy listener, RSA key exchange with TLS 1.2: %v, %s", err, tls.VersionName(state.Version))
	}
	for _, c := range []struct {
		config *tls.Config
		told   string
		log    string
	}{
		{oldTLS(), "protocol version", "client offered only unsupported versions"},
		{newer, "handshake failure", "no cipher suite supported by both client and server"},
	} {
		_, err := dialExchange(t, w.modern).startTLS(c.config)
		if err == nil || !strings.Contains(err.Error(), c.told) {
			t.Errorf("modern listener: %v, want %s", err, c.told)
		}
		eventually(t, "a log of "+c.log, func() bool { return strings.Contains(w.gate.tail(100), c.log) })
	}
	for _, words := range []string{"TLS 1.0 and RSA key exchange are accepted", `profile = \"legacy\"`} {
		if !strings.Contains(w.gate.tail(1000), words) {
			t.Errorf("the log doesn't say %q", words)
		}
	}
}

// A hundred and twenty recipients in thirty domains: each domain gets the message
// once, byte by byte as it was, with all of its recipients and what the sender wants
// to know of them.
func (w *exchangeWorld) manyRecipients(t *testing.T) {
	x := dialExchangeTLS(t, w.legacy)
	for _, c := range []struct {
		encoding  string
		chunk     int
		emptyLast bool
	}{
		{"8bit", 0, false}, {"8bit", 4096, true}, {"8bit", 61, false},
		{"base64", 0, true}, {"base64", 65536, false}, {"base64", 997, true},
	} {
		t.Run(fmt.Sprintf("%s in chunks of %d, then 0 %v", c.encoding, c.chunk, c.emptyLast), func(t *testing.T) {
			x.t = t
			subject := fmt.Sprintf("many-%s-%d", c.encoding, c.chunk)
			var to []string
			for i := range 120 {
				to = append(to, fmt.Sprintf("user%d@domain%d.test", i, i%30))
			}
			message := outlook("ann@good.test", subject, c.encoding)
			answer := x.submit(submission{from: "ann@good.test", to: to, message: message, chunk: c.chunk, emptyLast: c.emptyLast})
			if !strings.HasPrefix(answer, "250 2.0.0 taken as ") {
				t.Fatal(answer)
			}
			w.wantEach(t, w.hop.wait(t, subject, len(to)), to, message)
		})
	}
	x.t = t
	x.say("QUIT", "221")
}

// wantEach checks one transaction for each domain.
func (w *exchangeWorld) wantEach(t *testing.T, all []handed, to []string, message []byte) {
	t.Helper()
	seen := map[string]bool{}
	var got []string
	for i, m := range all {
		_, domain, _ := strings.Cut(m.to()[0], "@")
		if seen[domain] {
			t.Errorf("two transactions for %s", domain)
		}
		seen[domain] = true
		for _, r := range m.rcpts {
			if !strings.HasSuffix(pathIn(r), "@"+domain) {
				t.Errorf("%s is in the transaction of %s", r, domain)
			}
			if want := fmt.Sprintf("RCPT TO:<%s> NOTIFY=FAILURE,DELAY ORCPT=RFC822;%s", pathIn(r), pathIn(r)); r != want && !strings.EqualFold(r, want) {
				t.Errorf("%q, want %q", r, want)
			}
		}
		got = append(got, m.to()...)
		if !strings.HasPrefix(m.mail, "MAIL FROM:<ann@good.test> ") {
			t.Errorf("%q", m.mail)
		}
		for _, word := range []string{" BODY=8BITMIME", " RET=HDRS", " ENVID=" + wireID, fmt.Sprintf(" SIZE=%d", len(m.raw))} {
			if !strings.Contains(m.mail+" ", word+" ") {
				t.Errorf("no %q in %q", word, m.mail)
			}
		}
		if i == 0 {
			w.wantSigned(t, "good.test", m, message)
		} else if string(m.raw) != string(all[0].raw) {
			t.Errorf("%s was given other bytes than %s", domain, all[0].to())
		}
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(to))
	if !slices.Equal(got, want) {
		t.Errorf("recipients %v, want %v", got, want)
	}
}

// A next hop that knows no DSN isn't asked for any.
func (w *exchangeWorld) withoutDSN(t *testing.T) {
	x := dialExchangeTLS(t, w.legacy)
	message := outlook("ann@good.test", "without-dsn", "8bit")
	if answer := x.submit(submission{from: "ann@good.test", to: []string{"bob@plain.test"}, message: message}); !strings.HasPrefix(answer, "250") {
		t.Fatal(answer)
	}
	m := w.plain.wait(t, "without-dsn", 1)[0]
	if m.mail != "MAIL FROM:<ann@good.test> BODY=8BITMIME" || m.rcpts[0] != "RCPT TO:<bob@plain.test>" {
		t.Errorf("%q, %q", m.mail, m.rcpts)
	}
	w.wantSigned(t, "good.test", m, message)
}

func (x *exchange) tls() bool {
	_, ok := x.Conn.(*tls.Conn)
	return ok
}
