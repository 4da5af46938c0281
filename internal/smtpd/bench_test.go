package smtpd

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/sign"
	"mailgate/internal/store"
)

// openGate passes everything without a signature: what the door and custody cost.
type openGate struct{}

func (openGate) Begin(_ context.Context, env mail.Envelope, h mail.Header, _ bool) Transaction {
	return &openTx{env: env, header: h}
}

type openTx struct {
	env    mail.Envelope
	header mail.Header
}

func (tx *openTx) Refusal() *gate.Reply                 { return nil }
func (tx *openTx) NeedsBody() bool                      { return true }
func (tx *openTx) Write(p []byte) (int, error)          { return len(p), nil }
func (tx *openTx) Finish(context.Context) *gate.Outcome { return tx.Explain() }
func (tx *openTx) Err() error                           { return nil }
func (tx *openTx) Cancel()                              {}

func (tx *openTx) Explain() *gate.Outcome {
	out := &gate.Outcome{}
	out.From, _ = tx.header.From()
	for _, to := range tx.env.To {
		out.Recipients = append(out.Recipients, gate.Recipient{Address: to, Disposition: gate.Pass})
	}
	return out
}

// signingGate signs too, with RSA 2048, as BeginReleased does: no DNS is asked.
func signingGate(b *testing.B) Gate {
	signer, err := sign.Generate("rsa2048")
	if err != nil {
		b.Fatal(err)
	}
	if fast, err := sign.Accelerate(signer); err == nil {
		signer = fast
	}
	ring, err := sign.NewKeyring([]sign.DomainKeys{{Pattern: "example.com", Keys: []sign.Key{
		{Domain: "example.com", Selector: "mail", Signer: signer},
	}}})
	if err != nil {
		b.Fatal(err)
	}
	return released{gate.New(gate.Config{Hostname: "mx1.example.com"}, ring, nil, nil)}
}

type released struct{ *gate.Gate }

func (g released) Begin(ctx context.Context, env mail.Envelope, h mail.Header, _ bool) Transaction {
	return g.BeginReleased(ctx, env, h)
}

// BenchmarkTake is what taking costs: 20 sessions, one after the other message in
// each, over TCP into the real store, fsynced.
func BenchmarkTake(b *testing.B) {
	for _, size := range []int{4 << 10, 10 << 10} {
		for _, name := range []string{"unsigned", "signed"} {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, name), func(b *testing.B) {
				g := Gate(openGate{})
				if name == "signed" {
					g = signingGate(b)
				}
				take(b, g, sized(size))
			})
		}
	}
}

func take(b *testing.B, g Gate, message string) {
	s, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "mailgate.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	r := start(b, func(c *Config, _ *Listener) { c.Gate, c.Custody, c.Log, c.Now = g, s, newLog(&logBuffer{}), nil })
	b.Cleanup(func() {
		r.stop()
		<-r.stopped
		s.Close()
	})
	const sessions = 20
	work := make(chan struct{})
	ended := make(chan error, sessions)
	for range sessions {
		k := r.talk(b)
		go func() { ended <- k.repeat(message, work) }()
	}
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		select {
		case work <- struct{}{}:
		case err := <-ended:
			b.Fatal(err)
		}
	}
	close(work)
	for range sessions {
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// repeat delivers the message each time it is told to, pipelined as servers do.
func (k *talk) repeat(message string, work <-chan struct{}) error {
	envelope := "MAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@gmail.com>\r\nDATA\r\n"
	for range work {
		for _, step := range []struct {
			send    string
			replies int
		}{{envelope, 3}, {message + ".\r\n", 1}} {
			k.send(step.send)
			for range step.replies {
				if r := k.reply(); r == "" || strings.HasPrefix(r, "4") || strings.HasPrefix(r, "5") {
					return fmt.Errorf("reply %q", r)
				}
			}
		}
	}
	return nil
}

// BenchmarkContent is what reading a message costs, without all else.
func BenchmarkContent(b *testing.B) {
	text := []byte(sized(1 << 20))
	b.SetBytes(int64(len(text)))
	var raw, clean []byte
	for b.Loop() {
		var d dots
		var e endings
		for from := 0; from < len(text); from += readBuffer {
			raw, _ = d.decode(raw[:0], text[from:min(from+readBuffer, len(text))])
			clean = e.append(clean[:0], raw)
		}
	}
}
