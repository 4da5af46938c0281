// Package relay brings mail out of custody, on one of two roads. Released mail goes
// back to the MTA it came from (Reinjector), which then routes and delivers it as
// any other mail. Queued mail the Engine delivers itself, to the MX hosts of its
// recipients or to a next hop.
//
// Sources: RFC 5321 (SMTP, MX, retries), RFC 3207 (STARTTLS), RFC 3461 and 3464
// (delivery status), RFC 7505 (null MX), RFC 6152 and 6531 (8-bit and UTF-8).
package relay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

const (
	dialTimeout    = 10 * time.Second
	commandTimeout = 30 * time.Second
	// The MTA passes the message through its milters before it answers.
	acceptTimeout = 5 * time.Minute

	defaultTimeout      = 10 * time.Minute
	defaultWriteTimeout = 2 * time.Minute
	probeTimeout        = 5 * time.Second
)

// Reinjector hands messages back to the MTA. The zero value of a limit is the
// default named beside it.
type Reinjector struct {
	Address  string      // host:port of the MTA's SMTP listener
	Hostname mail.Domain // for EHLO and the Received field
	Probes   *Probes     // shared with the milter; nil: whether the MTA uses the milter is not looked into

	Timeout      time.Duration // for all of Inject; 10 min
	WriteTimeout time.Duration // for the MTA to take the next bytes; 2 min
	ProbeTimeout time.Duration // for the milter to report a probe the MTA has answered; 5 s
}

// Inject sends one message to some of its recipients in one transaction, and
// returns one Handover per recipient: what the MTA answers to MAIL, DATA or the
// message concerns all of them.
//
// An error means that no answer was had, and that the MTA took nothing. There is
// one exception: when the connection breaks between the final dot and the answer,
// nobody can tell whether the MTA took the message (RFC 5321 section 4.5.3.2.6,
// RFC 1047); the error is then ErrUnanswered. spool.ErrBypassed says that the MTA
// doesn't use this milter; it was given nothing.
func (r *Reinjector) Inject(ctx context.Context, m *spool.Message, to []mail.Address, token string, content io.Reader) ([]spool.Handover, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(r.Timeout, defaultTimeout), errSlow)
	defer cancel()
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return nil, because(ctx, fmt.Errorf("reach the MTA: %w", err))
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	results, err := r.converse(ctx, timedConn{conn, cmp.Or(r.WriteTimeout, defaultWriteTimeout)}, m, to, token, content)
	return results, because(ctx, err)
}

// because adds why the connection was closed, or not made.
func because(ctx context.Context, err error) error {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done() // what failed may have looked at the clock before ctx did
	}
	if err == nil || ctx.Err() == nil || errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
}

// converse greets the MTA, makes sure that it uses the milter, and hands over.
func (r *Reinjector) converse(ctx context.Context, conn net.Conn, m *spool.Message, to []mail.Address, token string, content io.Reader) ([]spool.Handover, error) {
	client := smtp.NewClient(conn)
	client.CommandTimeout = commandTimeout
	client.SubmissionTimeout = acceptTimeout
	if err := client.Hello(string(r.Hostname)); err != nil {
		return nil, fmt.Errorf("greet the MTA at %s: %w", r.Address, err)
	}
	results := make([]spool.Handover, len(to))
	for i, address := range to {
		results[i].Recipient = address
	}
	err := r.transact(ctx, client, m, results, token, content)
	if refused, ok := errors.AsType[*refusal](err); ok {
		refuse(results, refused)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	_ = client.Quit() // the answers stand
	return results, nil
}

// transact notes in results how each recipient fared. An error concerns them all.
func (r *Reinjector) transact(ctx context.Context, client *smtp.Client, m *spool.Message, results []spool.Handover, token string, content io.Reader) error {
	if r.Probes != nil {
		if err := r.probe(ctx, client, m); err != nil {
			return err
		}
	}
	if err := unlessYes(client.Mail(m.Envelope.From.String(), mailOptions(client, m))); err != nil {
		return answered("MAIL FROM:<"+m.Envelope.From.String()+"> at the MTA", err)
	}
	taken := 0
	for i := range results {
		err := unlessYes(client.Rcpt(results[i].Recipient.String(), nil))
		if connectionLost(err) {
			return fmt.Errorf("RCPT TO:<%s> at the MTA: %w", results[i].Recipient, err)
		}
		if err == nil {
			taken++
			continue
		}
		refused(&results[i], err)
	}
	if taken == 0 {
		return nil
	}
	answer, err := r.sendContent(client, m, token, content)
	if err != nil {
		return err
	}
	for i := range results {
		if results[i].Err == nil {
			results[i].Answer = answer
		}
	}
	return nil
}

// refuse notes an answer that concerns every recipient not refused already.
func refuse(results []spool.Handover, why *refusal) {
	for i := range results {
		if results[i].Err == nil {
			refused(&results[i], why)
		}
	}
}

func mailOptions(client *smtp.Client, m *spool.Message) *smtp.MailOptions {
	options := &smtp.MailOptions{}
	if ok, _ := client.Extension("8BITMIME"); ok {
		options.Body = smtp.Body8BitMIME
	}
	if ok, _ := client.Extension("SMTPUTF8"); ok && m.Envelope.SMTPUTF8 {
		options.UTF8 = true
	}
	return options
}

func (r *Reinjector) sendContent(client *smtp.Client, m *spool.Message, token string, content io.Reader) (string, error) {
	data, err := client.Data()
	if err != nil {
		return "", answered("DATA at the MTA", err)
	}
	if _, err := io.Copy(data, io.MultiReader(r.trace(m, token), content)); err != nil {
		return "", fmt.Errorf("send the message to the MTA: %w", err)
	}
	answer, err := finish(data)
	if connectionLost(err) {
		return "", fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	if err != nil {
		return "", answered("the message at the MTA", err)
	}
	return strings.TrimSpace(answer.enhanced + " " + answer.text), nil
}

// trace is what goes before the original bytes: the token, and a Received field in
// place of the one the MTA wrote when the message first came (RFC 5321 section
// 4.4), which milters are not shown.
func (r *Reinjector) trace(m *spool.Message, token string) io.Reader {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\r\n", spool.TokenHeader, token)
	addTrace(&b, m, r.Hostname)
	return &b
}

// addTrace writes the Received field of a message that has none of ours.
func addTrace(b *bytes.Buffer, m *spool.Message, hostname mail.Domain) {
	helo := printable(m.Envelope.Helo)
	if helo == "" {
		helo = "localhost"
	}
	fmt.Fprintf(b, "Received: from %s", helo)
	if m.Envelope.Client.IsValid() {
		fmt.Fprintf(b, " (%s)", addressLiteral(m))
	}
	fmt.Fprintf(b, "\r\n\tby %s (mailgate)", hostname)
	if m.ID != "" { // a notice is in no custody
		fmt.Fprintf(b, " id %s", m.ID)
	}
	fmt.Fprintf(b, ";\r\n\t%s\r\n", m.Received.Format(time.RFC1123Z))
}

func addressLiteral(m *spool.Message) string {
	a := m.Envelope.Client.Unmap()
	if a.Is4() {
		return "[" + a.String() + "]"
	}
	return "[IPv6:" + a.WithZone("").String() + "]"
}

// printable keeps what may stand in a Received field.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' || strings.ContainsRune("();<>\"\\", c) {
			return -1
		}
		return c
	}, s)
}
