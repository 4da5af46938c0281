package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

const (
	heldRecipients = 1_000_000
	heldEnv        = "MAILGATE_STORE_BENCH_HELD" // another number of them

	heldIdentities = 1000
	heldLarge      = 1000 // one message in so many is a large one
)

// BenchmarkFind fills a store with a million held recipients and finds them: the
// figure is the time for a page of 50 in the daemon.
func BenchmarkFind(b *testing.B) {
	n := heldRecipients
	if s := os.Getenv(heldEnv); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	path := filepath.Join(b.TempDir(), "mailgate.db")
	s := open(b, path, Options{})
	began := time.Now()
	hold(b, s, n)
	b.Logf("%d messages taken in %v", n, time.Since(began))
	waitIndexed(b, s)
	b.Logf("indexed after %v", time.Since(began))
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d MiB", info.Size()>>20)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(b.Context(), "sqlite:"+path, Options{})
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	s = open(b, path, Options{})
	benchFilters(b, s)
	benchGroups(b, s)
}

// benchFilters lists the first page for every kind of filter: common values, rare
// ones and absent ones.
func benchFilters(b *testing.B, s *Store) {
	held := []spool.State{spool.Held}
	for _, test := range []struct {
		name string
		f    spool.Filter
	}{
		{"first", spool.Filter{States: held}},
		{"oldest", spool.Filter{States: held, Order: spool.Oldest}},
		{"largest", spool.Filter{States: held, Order: spool.Largest}},
		{"all", spool.Filter{}},
		{"delivered", spool.Filter{States: []spool.State{spool.Delivered}}},
		{"reason/common", spool.Filter{States: held, Reason: spool.Refused}},
		{"reason/rare", spool.Filter{States: held, Reason: spool.Foreign}},
		{"domain", spool.Filter{States: held, Domain: "d7.example"}},
		{"domain/absent", spool.Filter{States: held, Domain: "none.example"}},
		{"code/kind", spool.Filter{States: held, Code: "dkim"}},
		{"code/rare", spool.Filter{States: held, Code: "ptr-missing"}},
		{"provider", spool.Filter{States: held, Provider: "yahoo"}},
		{"since", spool.Filter{States: held, Since: time.Now().Add(-time.Second)}},
		{"sender/common", spool.Filter{States: held, Sender: "example"}},
		{"sender/domain", spool.Filter{States: held, Sender: "@d7.example"}},
		{"sender/rare", spool.Filter{States: held, Sender: "ann.4711@"}},
		{"sender/absent", spool.Filter{States: held, Sender: "nobody@nowhere"}},
		{"recipient/common", spool.Filter{States: held, Recipient: "gmail.com"}},
		{"recipient/rare", spool.Filter{States: held, Recipient: "user123456@"}},
		{"recipient/two", spool.Filter{States: held, Recipient: "56"}},
		{"recipient/absent", spool.Filter{States: held, Recipient: "d7.example"}},
		{"text/common", spool.Filter{States: held, Text: "invoice"}},
		{"text/rare", spool.Filter{States: held, Text: "invoice 654321"}},
		{"text/one", spool.Filter{States: held, Text: "ß"}},
		{"text/two", spool.Filter{States: held, Text: "发票"}},
		{"text/absent", spool.Filter{States: held, Text: "no message has this"}},
		{"text+reason", spool.Filter{States: held, Text: "invoice", Reason: spool.Waiting}},
		{"text+domain", spool.Filter{States: held, Text: "invoice", Domain: "d7.example"}},
		{"recipient+provider", spool.Filter{States: held, Recipient: "@gmail.com", Provider: "google"}},
		{"recipient+other-provider", spool.Filter{States: held, Recipient: "@gmail.com", Provider: "yahoo"}},
		{"recipient+other-code", spool.Filter{States: held, Recipient: "@yahoo.com", Code: "dmarc-policy"}},
		{"sender+other-domain", spool.Filter{States: held, Sender: "@d7.example", Domain: "d8.example"}},
		{"domain+code", spool.Filter{States: held, Domain: "d7.example", Code: "spf"}},
		{"provider+code", spool.Filter{States: held, Provider: "google", Code: "spf-missing"}},
		{"largest/reason-rare", spool.Filter{States: held, Reason: spool.Foreign, Order: spool.Largest}},
		{"largest/provider", spool.Filter{States: held, Provider: "yahoo", Order: spool.Largest}},
		{"largest/domain", spool.Filter{States: held, Domain: "d7.example", Order: spool.Largest}},
		{"largest/text-common", spool.Filter{States: held, Text: "invoice", Order: spool.Largest}},
		{"largest/text-rare", spool.Filter{States: held, Text: "invoice 654321", Order: spool.Largest}},
		{"largest/text-of-small", spool.Filter{States: held, Text: "slip of", Order: spool.Largest}},
		{"oldest/text-rare", spool.Filter{States: held, Text: "invoice 654321", Order: spool.Oldest}},
	} {
		test.f.Limit = 50
		b.Run(test.name, func(b *testing.B) {
			var page []*spool.Message
			var err error
			spent := cpu(b)
			for b.Loop() {
				if page, err = s.List(b.Context(), test.f); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpu(b)-spent).Seconds()*1000/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(len(page)), "messages")
		})
	}
}

func benchGroups(b *testing.B, s *Store) {
	ctx := b.Context()
	groups, err := s.HeldGroups(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for name, do := range map[string]func() (int, error){
		"count":    func() (int, error) { c, err := s.Count(ctx); return c.States[spool.Held], err },
		"groups":   func() (int, error) { g, err := s.HeldGroups(ctx); return len(g), err },
		"groupids": func() (int, error) { ids, err := s.GroupIDs(ctx, groups[0].GroupKey, "", 100); return len(ids), err },
		"heldbefore": func() (int, error) {
			ids, err := s.HeldBefore(ctx, time.Now().Add(time.Hour), "", 100)
			return len(ids), err
		},
		"unnoticed": func() (int, error) {
			ids, err := s.Unnoticed(ctx, time.Now().Add(time.Hour), "", 100)
			return len(ids), err
		},
		"newholds/1s": func() (int, error) {
			c, err := s.NewHolds(ctx, time.Now().Add(-time.Second), time.Now())
			return len(c), err
		},
		"newholds/all": func() (int, error) { c, err := s.NewHolds(ctx, time.Time{}, time.Now()); return len(c), err },
	} {
		b.Run(name, func(b *testing.B) {
			var n int
			var err error
			spent := cpu(b)
			for b.Loop() {
				if n, err = do(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpu(b)-spent).Seconds()*1000/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(n), "results")
		})
	}
}

// cpu is the time the process has been computing: what a page costs whatever else
// the machine is doing.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// waitIndexed waits until the index of words is as far as it will go.
func waitIndexed(b *testing.B, s *Store) {
	for count(b, s, "SELECT (SELECT max(seq) FROM messages) - "+lastIndexed) >= int(measured().indexed) {
		time.Sleep(100 * time.Millisecond)
	}
}

// hold takes n messages of one recipient each, many at a time.
func hold(b *testing.B, s *Store, n int) {
	work, done := make(chan int), make(chan error)
	for range 128 {
		go func() {
			var err error
			for i := range work {
				m, body := heldMessage(b, i)
				if e := s.Take(b.Context(), m, body); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	for i := range n {
		work <- i
	}
	close(work)
	for range 128 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// heldCauses are what messages are held for: one domain's mail for one or two of
// them, at each provider.
var heldCauses = [...]struct {
	reason spool.Reason
	codes  string
}{
	{spool.Refused, "dkim-missing spf-missing"}, {spool.Refused, "dkim-only-on-local-dns spf-softfail"},
	{spool.Refused, "dkim-key-mismatch spf-egress-not-listed"}, {spool.Waiting, "dns-unreachable"},
	{spool.Refused, "dmarc-policy dkim-revoked"},
}

var heldWords = strings.Fields("order your confirmation newsletter rechnung hello meeting update password reset " +
	"statement account shipped delivery report weekly monthly urgent reminder payment received ticket support question " +
	"offer contract draft final version notes minutes agenda holiday request")

// heldMessage makes up number i.
func heldMessage(t testing.TB, i int) (*spool.Message, *bytes.Reader) {
	rnd := rand.New(rand.NewPCG(1, uint64(i)))
	word := func() string { return heldWords[rnd.IntN(len(heldWords))] }
	id := rnd.IntN(heldIdentities)
	domain := fmt.Sprintf("d%d.example", id)
	to := [...]struct{ provider, domain string }{{"google", "gmail.com"}, {"microsoft", "outlook.com"}, {"yahoo", "yahoo.com"}}[rnd.IntN(3)]
	cause := heldCauses[(id+rnd.IntN(2))%len(heldCauses)]
	if to.provider == "yahoo" && cause.reason == spool.Refused {
		cause = heldCauses[0]
	}
	codes := strings.Fields(cause.codes)
	if i%50_000 == 77 {
		cause.reason, codes = spool.Foreign, []string{"ptr-missing"}
	}
	m := &spool.Message{
		Source: "milter", MessageID: fmt.Sprintf("<%d@%s>", i, domain), Evidence: fmt.Appendf(nil, `{"domain":%q}`, domain),
		From:    addr(t, fmt.Sprintf("%s.%d@%s", [...]string{"ann", "bob", "info", "sales"}[rnd.IntN(4)], rnd.IntN(10_000), domain)),
		Subject: heldSubject(rnd, i, word),
		Recipients: []spool.Recipient{{
			Address: addr(t, fmt.Sprintf("user%d@%s", rnd.IntN(1_000_000), to.domain)), State: spool.Held,
			Reason: cause.reason, Provider: to.provider, Codes: codes, Rule: to.provider + "-unauthenticated",
			Reply: "550-5.7.26 This mail has been blocked because the sender is unauthenticated. " + domain,
		}},
	}
	m.Envelope = mail.Envelope{From: m.From, Helo: "mail." + domain}
	size := 200 + rnd.IntN(2000)
	if i%10 == 3 {
		m.Subject, size = "Slip of "+m.Subject, 100
	}
	if i%heldLarge == 0 {
		size = 10_000 + rnd.IntN(50_000)
	}
	return m, bytes.NewReader(make([]byte, size))
}

func heldSubject(rnd *rand.Rand, i int, word func() string) string {
	switch {
	case i%100_000 == 7:
		return "2026年 发票 Maß"
	case rnd.IntN(10) == 0:
		return fmt.Sprintf("Invoice %d from %s", rnd.IntN(1_000_000), word())
	}
	return fmt.Sprintf("%s %s %s %d", word(), word(), word(), rnd.IntN(1_000_000))
}
