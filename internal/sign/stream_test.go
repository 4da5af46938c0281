package sign

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"mailgate/internal/mail"
)

func TestSignaturesVerify(t *testing.T) {
	for name, text := range messages {
		t.Run(name, func(t *testing.T) {
			signed := signText(t, text, testKeys(), Options{})
			verify(t, signed, 2, zone(testKeys()...))
			verify(t, onWire(signed), 2, zone(testKeys()...))
		})
	}
}

func TestSignatureCovers(t *testing.T) {
	signed := string(signText(t, plain, testKeys()[:1], Options{}))
	changes := map[string]string{
		"body":           strings.Replace(signed, "We lost.", "We won.", 1),
		"appended body":  signed + "More.\r\n",
		"subject":        strings.Replace(signed, "Dinner", "Lunch", 1),
		"second from":    "From: eve@example.com\r\n" + signed,
		"second subject": "Subject: Lunch\r\n" + signed,
		"added reply-to": "Reply-To: eve@example.com\r\n" + signed,
		"added type":     "Content-Type: text/html\r\n" + signed,
		"removed to":     strings.Replace(signed, "To: suzie@example.net\r\n", "", 1),
	}
	for name, changed := range changes {
		t.Run(name, func(t *testing.T) {
			if changed == signed {
				t.Fatal("the change changes nothing")
			}
			if err := firstError(t, changed); err == nil {
				t.Error("still verifies")
			}
		})
	}
	for name, same := range map[string]string{
		"added trace field": "Received: from x by y\r\n" + signed,
		"refolded subject":  strings.Replace(signed, "Subject: Dinner", "Subject:\r\n  Dinner", 1),
		"more blank lines":  signed + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if err := firstError(t, same); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := testKeys()[1]
		key.Identity = "list@news.Example.com"
		key.Warnings = nil
		start := time.Now()
		signed := signText(t, plain, []Key{key}, Options{Expire: time.Hour})
		found := verify(t, signed, 1, zone(key))[0]
		if !found.Time.Equal(start) || !found.Expiration.Equal(start.Add(time.Hour)) {
			t.Errorf("t=%v x=%v at %v", found.Time, found.Expiration, start)
		}
		if found.Identifier != "list@news.example.com" {
			t.Errorf("i=%s", found.Identifier)
		}
		field := string(signed[:bytes.Index(signed, []byte("From:"))])
		if !strings.Contains(field, "c=relaxed/relaxed;") || strings.Contains(field, " l=") {
			t.Errorf("field:\n%s", field)
		}
	})
}

func TestExpiredBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, testKeys()[1:], Options{Expire: time.Minute})
		time.Sleep(2 * time.Minute)
		if fields, err := s.Finish(); !errors.Is(err, ErrExpired) || fields != nil {
			t.Errorf("Finish: %v, %v", fields, err)
		}
	})
}

// TestNoGoroutineStays relies on synctest, which fails a test whose goroutines
// outlive it; hence begin, which cancels nothing by itself.
func TestNoGoroutineStays(t *testing.T) {
	broken := failing{testKeys()[0].Signer, func() ([]byte, error) { return nil, errors.New("token gone") }}
	brokenKeys := []Key{{Domain: "example.com", Selector: "b", Signer: broken}, testKeys()[1]}
	big := bytes.Repeat([]byte("text\r\n"), batch)
	tests := map[string]func(t *testing.T){
		"finish":         func(t *testing.T) { begin(t, testKeys(), Options{}).Finish() },
		"cancel at once": func(t *testing.T) { begin(t, testKeys(), Options{}).Cancel() },
		"cancel in body": func(t *testing.T) {
			s := begin(t, testKeys(), Options{})
			s.Write(big)
			s.Cancel()
		},
		"cancel twice, after finish": func(t *testing.T) {
			s := begin(t, testKeys(), Options{})
			s.Finish()
			s.Cancel()
			s.Cancel()
		},
		"write error": func(t *testing.T) {
			s := begin(t, testKeys(), Options{})
			s.Write(big)
			s.Write([]byte("a\rb"))
			s.Write(big)
		},
		"engine error": func(t *testing.T) { begin(t, brokenKeys, Options{}).Finish() },
		"second key bad": func(t *testing.T) {
			header, _ := message(t, plain)
			if _, err := NewStream([]Key{testKeys()[0], {Domain: "example.com", Selector: "x"}}, header, Options{}); err == nil {
				t.Error("a key without a private key is accepted")
			}
		},
		"line end after finish": func(t *testing.T) {
			s := begin(t, testKeys(), Options{})
			s.Write([]byte("a\r"))
			s.Finish()
		},
	}
	for name, run := range tests {
		t.Run(name, func(t *testing.T) { synctest.Test(t, run) })
	}
}

func TestCancelCostsNoSignature(t *testing.T) {
	used := false
	spy := failing{testKeys()[1].Signer, func() ([]byte, error) { used = true; return make([]byte, 64), nil }}
	s := open(t, []Key{{Domain: "example.com", Selector: "s", Signer: spy}}, Options{})
	if _, err := s.Write(bytes.Repeat([]byte("x\r\n"), batch)); err != nil {
		t.Fatal(err)
	}
	s.Cancel()
	if used {
		t.Error("the engine was asked to sign")
	}
}

func TestFailingEngine(t *testing.T) {
	gone := errors.New("token gone")
	tests := map[string]func() ([]byte, error){
		"error":           func() ([]byte, error) { return nil, gone },
		"panic":           func() ([]byte, error) { panic("engine") },
		"nothing":         func() ([]byte, error) { return nil, nil },
		"short signature": func() ([]byte, error) { return make([]byte, 10), nil },
	}
	for name, sign := range tests {
		for at, keys := range map[string][]Key{
			"first": {{Domain: "example.com", Selector: "b", Signer: failing{testKeys()[0].Signer, sign}}, testKeys()[1]},
			"last":  {testKeys()[1], {Domain: "example.com", Selector: "b", Signer: failing{testKeys()[0].Signer, sign}}},
		} {
			t.Run(name+" "+at, func(t *testing.T) {
				s := open(t, keys, Options{})
				fields, err := s.Finish()
				if err == nil || fields != nil {
					t.Fatalf("Finish: %v, %v", fields, err)
				}
				if name == "error" && !errors.Is(err, gone) {
					t.Errorf("the engine's error is lost: %v", err)
				}
				if !strings.Contains(err.Error(), "b._domainkey.example.com") {
					t.Errorf("the error doesn't name the key: %v", err)
				}
				if again, err := s.Finish(); err == nil || again != nil {
					t.Errorf("Finish again: %v, %v", again, err)
				}
			})
		}
	}
}

func TestBareCRRefused(t *testing.T) {
	for _, body := range []string{"a\rb\r\n", "a \rb\r\n", "\r", "a\r", "a\r\r\n", "\r\r\n", "a\r\n\r", "\ra"} {
		for split := range len(body) + 1 {
			t.Run(fmt.Sprintf("%q at %d", body, split), func(t *testing.T) {
				s := open(t, testKeys()[1:], Options{})
				s.Write([]byte(body[:split]))
				s.Write([]byte(body[split:]))
				if fields, err := s.Finish(); !errors.Is(err, ErrBareCR) || fields != nil {
					t.Errorf("Finish: %v, %v", fields, err)
				}
			})
		}
	}
}

// TestBareLF signs what will be on the wire: a line end.
func TestBareLF(t *testing.T) {
	head := crlf("From: joe@example.com\n\n")
	fields := strings.TrimSuffix(string(signText(t, head+"a \nb\n\nc\r\nd", testKeys(), Options{})), head+"a \nb\n\nc\r\nd")
	verify(t, []byte(fields+head+"a \r\nb\r\n\r\nc\r\nd\r\n"), 2, zone(testKeys()...))
}

func TestBlankLinesBounded(t *testing.T) {
	lines := func(n int) []byte { return bytes.Repeat([]byte(" \r\n"), n) }
	s := open(t, testKeys()[1:], Options{})
	if _, err := s.Write(lines(maxBlankLines)); err != nil {
		t.Fatalf("at the limit: %v", err)
	}
	if _, err := s.Write([]byte("x\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(lines(maxBlankLines)); err != nil {
		t.Fatalf("at the limit again: %v", err)
	}
	if _, err := s.Write(lines(1)); !errors.Is(err, ErrBlankLines) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := s.Finish(); !errors.Is(err, ErrBlankLines) {
		t.Errorf("Finish: %v", err)
	}
}

func TestNewStreamRefuses(t *testing.T) {
	header, _ := message(t, plain)
	good := testKeys()[0]
	noSelector, badIdentity, weird := good, good, good
	noSelector.Selector = "a b"
	badIdentity.Identity = "x@example.net"
	weird.Signer = failing{oddKey{}, nil}
	tests := map[string]struct {
		keys   []Key
		header mail.Header
		o      Options
	}{
		"no keys":         {nil, header, Options{}},
		"bad selector":    {[]Key{noSelector}, header, Options{}},
		"bad identity":    {[]Key{badIdentity}, header, Options{}},
		"odd key":         {[]Key{weird}, header, Options{}},
		"no From":         {testKeys(), header[1:], Options{}},
		"no header":       {testKeys(), nil, Options{}},
		"two From":        {testKeys(), append(header[:1:1], header...), Options{}},
		"negative expiry": {testKeys(), header, Options{Expire: -1}},
		"tiny expiry":     {testKeys(), header, Options{Expire: time.Millisecond}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if s, err := NewStream(tt.keys, tt.header, tt.o); err == nil || s != nil {
				t.Errorf("NewStream: %v, %v", s, err)
			}
		})
	}
}

// TestConstantMemory signs 50 MB and looks at the live heap on the way.
func TestConstantMemory(t *testing.T) {
	const size, allowed = 50 << 20, 1 << 20
	s := open(t, testKeys()[:1], Options{})
	chunk := bytes.Repeat([]byte("A line of a rather large attachment, in base64 perhaps.\r\n"), 1130)
	var begin, most uint64
	for sent, checked := 0, 0; sent < size; sent += len(chunk) {
		if _, err := s.Write(chunk); err != nil {
			t.Fatal(err)
		}
		if sent-checked < 4<<20 {
			continue
		}
		checked = sent
		live := liveHeap()
		if begin == 0 {
			begin = live
		}
		most = max(most, live)
	}
	if most > begin+allowed {
		t.Errorf("the live heap grew by %d bytes", most-begin)
	}
	if fields, err := s.Finish(); err != nil || len(fields) != 1 {
		t.Fatalf("Finish: %d fields, %v", len(fields), err)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestSplitsOverBatches cuts a body that fills the batch several times.
func TestSplitsOverBatches(t *testing.T) {
	body := bytes.Repeat([]byte("x \r\n\r\n"), batch/2)
	whole, err := bodySignature(t, testKeys()[1:], [][]byte{body})
	if err != nil {
		t.Fatal(err)
	}
	for _, cuts := range [][]byte{{0}, {1, 2}, {255, 3}, {254}} {
		if pieces, err := bodySignature(t, testKeys()[1:], cut(body, cuts)); pieces != whole {
			t.Errorf("cut by %v: %q, want %q; %v", cuts, pieces, whole, err)
		}
	}
}

// FuzzSplits says that the way a body is cut into writes doesn't matter.
func FuzzSplits(f *testing.F) {
	f.Add([]byte("a \r\nb\r\n\r\n"), []byte{1, 2, 1})
	f.Add([]byte("\r\n\r\n.\r\n \t x"), []byte{1})
	f.Add([]byte("a\rb"), []byte{2})
	f.Add([]byte("a\nb \n"), []byte{})
	keys := testKeys()[1:]
	f.Fuzz(func(t *testing.T, body, cuts []byte) {
		whole, wholeErr := bodySignature(t, keys, [][]byte{body})
		pieces, piecesErr := bodySignature(t, keys, cut(body, cuts))
		if whole != pieces || errors.Is(wholeErr, ErrBareCR) != errors.Is(piecesErr, ErrBareCR) {
			t.Errorf("whole: %q %v\npieces: %q %v", whole, wholeErr, pieces, piecesErr)
		}
	})
}

// bodySignature gives bh=, "" with an error.
func bodySignature(t *testing.T, keys []Key, pieces [][]byte) (string, error) {
	s := open(t, keys, Options{})
	for _, p := range pieces {
		if n, err := s.Write(p); err == nil && n != len(p) {
			t.Fatalf("Write took %d of %d bytes", n, len(p))
		}
	}
	fields, err := s.Finish()
	if err != nil {
		return "", err
	}
	_, after, found := strings.Cut(string(fields[0].Raw), "bh=")
	if !found {
		t.Fatalf("no bh= in %s", fields[0].Raw)
	}
	hash, _, _ := strings.Cut(after, ";")
	return hash, nil
}

// cut cuts body into pieces of the lengths in cuts, over and over.
func cut(body, cuts []byte) [][]byte {
	var pieces [][]byte
	for i := 0; len(body) > 0; i++ {
		n := 1
		if len(cuts) > 0 {
			n = min(int(cuts[i%len(cuts)])+1, len(body))
		}
		pieces = append(pieces, body[:n])
		body = body[n:]
	}
	return pieces
}

// begin begins to sign a plain header.
func begin(t testing.TB, keys []Key, o Options) *Stream {
	t.Helper()
	header, _ := message(t, plain)
	s, err := NewStream(keys, header, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open does the same and cancels when the test ends.
func open(t testing.TB, keys []Key, o Options) *Stream {
	t.Helper()
	s := begin(t, keys, o)
	t.Cleanup(s.Cancel)
	return s
}

// firstError says what is wrong with a message's only signature.
func firstError(t *testing.T, signed string) error {
	t.Helper()
	found, err := dkim.VerifyWithOptions(strings.NewReader(signed), &dkim.VerifyOptions{LookupTXT: zone(testKeys()...)})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d signatures, %v", len(found), err)
	}
	return found[0].Err
}

// oddKey is a crypto.Signer of a kind DKIM doesn't know.
type oddKey struct{}

func (oddKey) Public() crypto.PublicKey { return "odd" }
func (oddKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("odd")
}
