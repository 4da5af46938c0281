package sign

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"

	"mailgate/internal/mail"
)

func benchMessage(b *testing.B, fields int) (mail.Header, []byte) {
	header, _ := message(b, plain)
	for i := range fields {
		f, err := mail.NewField(fmt.Sprintf("X-Field-%d", i), " some value of usual length")
		if err != nil {
			b.Fatal(err)
		}
		header = append(header, f)
	}
	return header, bytes.Repeat([]byte("A line of text, as people write them in a message to friends.\r\n"), 10<<10/63)
}

func benchSign(b *testing.B, keys []Key, fields, chunk int) {
	header, body := benchMessage(b, fields)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		s, err := NewStream(keys, header, Options{})
		if err != nil {
			b.Fatal(err)
		}
		for rest := body; len(rest) > 0; {
			n := min(chunk, len(rest))
			s.Write(rest[:n])
			rest = rest[n:]
		}
		if _, err := s.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}

const oneWrite = 1 << 20

func BenchmarkSignRSA2048_10KiB(b *testing.B)  { benchSign(b, testKeys()[:1], 20, oneWrite) }
func BenchmarkSignEd25519_10KiB(b *testing.B)  { benchSign(b, testKeys()[1:], 20, oneWrite) }
func BenchmarkSignBothKeys_10KiB(b *testing.B) { benchSign(b, testKeys(), 20, oneWrite) }
func BenchmarkSignLineByLine(b *testing.B)     { benchSign(b, testKeys()[1:], 20, 63) }
func BenchmarkSign1000Fields(b *testing.B)     { benchSign(b, testKeys()[1:], 1000, oneWrite) }

func BenchmarkSignParallelRSA2048_10KiB(b *testing.B) {
	header, body := benchMessage(b, 20)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s, err := NewStream(testKeys()[:1], header, Options{})
			if err != nil {
				b.Fatal(err)
			}
			s.Write(body)
			if _, err := s.Finish(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRawParallelRSA2048(b *testing.B) {
	digest := sha256.Sum256([]byte("x"))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := testKeys()[0].Signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRawRSA2048 is the part of a signature that crypto/rsa alone takes.
func BenchmarkRawRSA2048(b *testing.B) { benchRaw(b, testKeys()[0], crypto.SHA256) }

// BenchmarkRawEd25519 is the same for Ed25519.
func BenchmarkRawEd25519(b *testing.B) { benchRaw(b, testKeys()[1], crypto.Hash(0)) }

func benchRaw(b *testing.B, key Key, hash crypto.Hash) {
	digest := sha256.Sum256([]byte("x"))
	for b.Loop() {
		if _, err := key.Signer.Sign(rand.Reader, digest[:], hash); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignBody50MB(b *testing.B) {
	header, _ := message(b, plain)
	chunk := bytes.Repeat([]byte("A line of text, as people write them in a message to friends.\r\n"), 1<<10)
	b.SetBytes(50 << 20)
	b.ReportAllocs()
	for b.Loop() {
		s, err := NewStream(testKeys()[1:], header, Options{})
		if err != nil {
			b.Fatal(err)
		}
		for sent := 0; sent < 50<<20; sent += len(chunk) {
			s.Write(chunk)
		}
		if _, err := s.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKeyringFor(b *testing.B) {
	var domains []DomainKeys
	for i := range 10000 {
		domains = append(domains, DomainKeys{Pattern: fmt.Sprintf("d%d.example.com", i), SubDomains: true, Keys: keysAt("s")})
	}
	ring, err := NewKeyring(domains)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ring.For("a.b.c.d77.example.com") == nil {
			b.Fatal("no keys")
		}
	}
}
