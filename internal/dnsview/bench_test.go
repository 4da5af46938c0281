package dnsview

import (
	"testing"

	"mailgate/internal/dnstest"
)

// BenchmarkWarm is what a message costs in a steady state, for each name.
func BenchmarkWarm(b *testing.B) {
	s, err := dnstest.Start("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Recursive(); err != nil {
		b.Fatal(err)
	}
	if err := s.SetZone("example.com", "mail._domainkey 3600 TXT x"); err != nil {
		b.Fatal(err)
	}
	r, err := New(Options{Resolvers: []string{s.Addr()}, AuthorityPort: s.Port()})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a := r.Published(background, "mail._domainkey.example.com", "TXT"); a.Status != Found {
				b.Errorf("status %s", a.Status)
			}
		}
	})
}
