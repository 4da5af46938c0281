package quarantine

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/dnstest"
	"mailgate/internal/dnsview"
	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
	"mailgate/internal/spool"
	"mailgate/internal/store"
)

// scale is a quarantine over a real store, with real pre-flight and DNS servers: a
// resolver, and two name servers that all domains are at. Released mail is taken at
// once.
type scale struct {
	*Quarantine
	store    *countedStore
	resolver *dnstest.Server
	ns       []*dnstest.Server
	domains  []mail.Domain
	record   string // of the key that all domains sign with
	taken    atomic.Int64
	first    atomic.Pointer[usage] // when the first was handed over
}

// usage is what has been asked of the others so far.
type usage struct{ queries, reads int64 }

// newScale makes domains that publish all but their keys, and have messages held.
func newScale(b *testing.B, domains, messages int) *scale {
	b.Helper()
	s := &scale{}
	s.serve(b, domains)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		b.Fatal(err)
	}
	s.record = "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
	var all []sign.DomainKeys
	for _, d := range s.domains {
		all = append(all, sign.DomainKeys{Pattern: string(d), Keys: []sign.Key{{Selector: "mail", Signer: key}}})
	}
	keyring, err := sign.NewKeyring(all)
	if err != nil {
		b.Fatal(err)
	}
	resolver, err := dnsview.New(dnsview.Options{Resolvers: []string{s.resolver.Addr()}, AuthorityPort: s.resolver.Port()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(resolver.Close)
	quiet := slog.New(slog.DiscardHandler)
	g := gate.New(gate.Config{
		Refused: gate.PolicyHold, Unknown: gate.PolicyHold, Foreign: gate.PolicyHold,
		Hostname: "mx1.host.test", Egress: []netip.Addr{netip.MustParseAddr("203.0.113.9")},
		Bulk: func(mail.Domain) bool { return false }, Expire: func(mail.Domain) time.Duration { return 0 },
	}, keyring, preflight.New(resolver, preflight.Options{Logger: quiet}), nil)
	kept, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "mailgate.db"), store.Options{Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { kept.Close() })
	s.store = &countedStore{Store: kept}
	s.Quarantine = New(s.store, Options{
		Judge: func() Judge { return g }, Injector: s,
		Policy: func() Policy { return Policy{AutoRelease: true, Hostname: "mx1.host.test"} },
	})
	s.hold(b, messages)
	return s
}

// serve starts the servers.
func (s *scale) serve(b *testing.B, domains int) {
	b.Helper()
	all, err := dnstest.StartAll("127.0.0.1", "127.0.0.2", "127.0.0.3")
	if err != nil {
		b.Fatal(err)
	}
	for _, server := range all {
		b.Cleanup(func() { server.Close() })
	}
	s.resolver, s.ns = all[0], all[1:]
	zones := map[string]string{
		"host.test":              "@ NS ns1\n@ NS ns2\nns1 A 127.0.0.2\nns2 A 127.0.0.3\nmx1 A 203.0.113.9\n_spf TXT \"v=spf1 ip4:203.0.113.9 -all\"",
		"gmail.com":              "@ MX 5 gmail-smtp-in.l.google.com.",
		"113.0.203.in-addr.arpa": "9 PTR mx1.host.test.",
	}
	for i := range domains {
		d := mail.Domain(fmt.Sprintf("d%d.test", i))
		s.domains = append(s.domains, d)
		zones[string(d)] = "@ NS ns1.host.test.\n@ NS ns2.host.test.\n@ TXT \"v=spf1 ip4:198.51.100.1 ?all\"\n_dmarc TXT \"v=DMARC1; p=none\""
	}
	for _, server := range s.ns {
		for origin, text := range zones {
			if err := server.SetZone(origin, text); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.resolver.Recursive(s.ns...); err != nil {
		b.Fatal(err)
	}
}

// hold takes messages of all domains in turn.
func (s *scale) hold(b *testing.B, messages int) {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(64)
	for i := range messages {
		from := mail.Address{Local: "ann", Domain: s.domains[i%len(s.domains)]}
		to := mail.Address{Local: fmt.Sprintf("reader%d", i), Domain: "gmail.com"}
		group.Go(func() error {
			return s.store.Take(b.Context(), &spool.Message{
				Source: "milter", From: from, Envelope: mail.Envelope{From: from, To: []mail.Address{to}},
				Recipients: []spool.Recipient{{
					Address: to, State: spool.Held, Reason: spool.Refused, Provider: "google",
					Codes: []string{"dkim-missing"}, Rule: "gmail-unauthenticated",
				}},
			}, strings.NewReader("Subject: x\r\n\r\nHello\r\n"))
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// publish mends all domains.
func (s *scale) publish(b *testing.B) {
	b.Helper()
	for _, server := range s.ns {
		for _, d := range s.domains {
			if err := server.AddTXT("mail._domainkey."+string(d), s.record); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func (s *scale) recheck(b *testing.B) Rechecked {
	b.Helper()
	sum, err := s.Recheck(b.Context(), RecheckRequest{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	return sum
}

func (s *scale) servers() []*dnstest.Server { return append([]*dnstest.Server{s.resolver}, s.ns...) }

func (s *scale) usage() usage {
	u := usage{reads: s.store.reads.Load()}
	for _, server := range s.servers() {
		u.queries += int64(server.Count())
	}
	return u
}

// Inject takes everything.
func (s *scale) Inject(_ context.Context, m *spool.Message, to []mail.Address, _ string, content io.Reader) ([]spool.Handover, error) {
	if s.taken.Add(1) == 1 {
		u := s.usage()
		s.first.Store(&u)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return nil, err
	}
	results := make([]spool.Handover, len(to))
	for i, a := range to {
		results[i] = spool.Handover{Recipient: a, Answer: "250 2.0.0 Ok"}
	}
	return results, nil
}

// countedStore counts the reads that the re-check and a release make.
type countedStore struct {
	spool.Store
	reads atomic.Int64
}

func (s *countedStore) Get(ctx context.Context, id string) (*spool.Message, error) {
	s.reads.Add(1)
	return s.Store.Get(ctx, id)
}

func (s *countedStore) Open(ctx context.Context, id string) (io.ReadCloser, error) {
	s.reads.Add(1)
	return s.Store.Open(ctx, id)
}

func (s *countedStore) List(ctx context.Context, f spool.Filter) ([]*spool.Message, error) {
	s.reads.Add(1)
	return s.Store.List(ctx, f)
}

func (s *countedStore) HeldGroups(ctx context.Context) ([]spool.Group, error) {
	s.reads.Add(1)
	return s.Store.HeldGroups(ctx)
}

func (s *countedStore) GroupIDs(ctx context.Context, g spool.GroupKey, after string, limit int) ([]string, error) {
	s.reads.Add(1)
	return s.Store.GroupIDs(ctx, g, after, limit)
}

// question is what is asked, whichever server.
type question struct{ name, qtype string }

// asked counts questions since the marks, and returns the marks after.
func (s *scale) questions(marks []int) (map[question]int, []int) {
	count := map[question]int{}
	next := make([]int, len(s.servers()))
	for i, server := range s.servers() {
		all := server.Queries()
		from := 0
		if marks != nil {
			from = marks[i]
		}
		for _, q := range all[from:] {
			count[question{q.Name, q.Type}]++
		}
		next[i] = len(all)
	}
	return count, next
}

// BenchmarkRecheck re-checks a thousand identities, whose domains are each on two
// name servers. Once everything is asked for the first time, then again, with nothing
// remembered but the zones.
func BenchmarkRecheck(b *testing.B) {
	const identities = 1000
	s := newScale(b, identities, identities)
	began := time.Now()
	if sum := s.recheck(b); sum.Refused != identities {
		b.Fatalf("%+v", sum)
	}
	first := time.Since(began)
	count, marks := s.questions(nil)
	reportQuestions(b, "first-", count)
	for b.Loop() {
		s.recheck(b)
	}
	again, _ := s.questions(marks)
	for q := range again {
		again[q] = (again[q] + b.N - 1) / b.N
	}
	reportQuestions(b, "", again)
	b.ReportMetric(first.Seconds(), "first-s")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/round")
	b.ReportMetric(0, "ns/op")
}

// reportQuestions tells how many questions there were to a name and type, at all
// servers together: in the mean and at most.
func reportQuestions(b *testing.B, prefix string, count map[question]int) {
	total, most := 0, 0
	names := map[string]bool{}
	for q, n := range count {
		total, most = total+n, max(most, n)
		names[q.name] = true
	}
	b.ReportMetric(float64(total)/float64(len(count)), prefix+"queries/question")
	b.ReportMetric(float64(most), prefix+"queries/question-most")
	b.ReportMetric(float64(total)/float64(len(names)), prefix+"queries/name")
	worst := slices.MaxFunc(slices.Collect(maps.Keys(count)), func(x, y question) int { return count[x] - count[y] })
	b.Logf("%s%d queries for %d names; most, %d, for %s %s", prefix, total, len(names), most, worst.name, worst.qtype)
}

// BenchmarkReleaseOneDomain releases ten thousand messages of one domain whose zone
// was mended, with no bound on the rate, to a next server that takes them at once.
func BenchmarkReleaseOneDomain(b *testing.B) {
	const messages = 10_000
	for range b.N {
		b.StopTimer()
		s := newScale(b, 1, messages)
		s.recheck(b)
		s.publish(b)
		before := s.usage()
		b.StartTimer()
		if sum := s.recheck(b); sum.Released != messages || sum.Passing != messages {
			b.Fatalf("%+v", sum)
		}
		b.StopTimer()
		first, after := s.first.Load(), s.usage()
		b.ReportMetric(float64(first.queries-before.queries), "queries-to-first")
		b.ReportMetric(float64(first.reads-before.reads), "reads-to-first")
		b.ReportMetric(float64(after.queries-before.queries), "queries")
		b.ReportMetric(float64(after.reads-before.reads)/messages, "reads/msg")
		b.StartTimer()
	}
	b.ReportMetric(float64(messages*b.N)/b.Elapsed().Seconds(), "msg/s")
}
