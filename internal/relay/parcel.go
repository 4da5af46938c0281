package relay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// signatureLife is how old a signature may be when a message leaves.
const signatureLife = 24 * time.Hour

// parcel is a message as it goes over the wire.
type parcel struct {
	prefix    []byte
	original  *spool.Buffer
	shape     shape
	needsUTF8 bool // the server must know SMTPUTF8
}

func (p *parcel) close()      { p.original.Close() }
func (p *parcel) size() int64 { return int64(len(p.prefix)) + p.original.Size() }
func (p *parcel) reader() io.Reader {
	return io.MultiReader(bytes.NewReader(p.prefix), p.original.Reader())
}

// pack gets a message ready to be sent: it is signed afresh where it has no
// signature, or one older than a day. What can't be signed doesn't leave.
func (e *Engine) pack(ctx context.Context, s Settings, m *spool.Message) (*parcel, error) {
	p := &parcel{original: spool.NewBuffer("")}
	if err := e.fill(ctx, s, m, p); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (e *Engine) fill(ctx context.Context, s Settings, m *spool.Message, p *parcel) error {
	body, err := e.o.Bodies.Open(ctx, m.ID)
	if err != nil {
		return fmt.Errorf("open the message: %w", err)
	}
	defer body.Close()
	if _, err := io.Copy(io.MultiWriter(p.original, &p.shape), body); err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	p.needsUTF8 = p.wantsUTF8(m)
	p.prefix, err = e.prefix(ctx, s, m, p.original)
	return err
}

// prefix is what goes before the original bytes.
func (e *Engine) prefix(ctx context.Context, s Settings, m *spool.Message, original *spool.Buffer) ([]byte, error) {
	prefix := m.Prefix
	if len(prefix) == 0 {
		var b bytes.Buffer
		addTrace(&b, m, s.Hostname)
		prefix = b.Bytes()
	}
	if !m.Signed.IsZero() && e.o.Now().Sub(m.Signed) < signatureLife {
		return prefix, nil
	}
	bare := withoutSignatures(prefix)
	signatures, err := e.o.Signer.Sign(ctx, m, io.MultiReader(bytes.NewReader(bare), original.Reader()))
	if err != nil {
		return nil, fmt.Errorf("sign the message: %w", err)
	}
	if len(signatures) == 0 { // not ours to sign
		return prefix, nil
	}
	return append(signatures[:len(signatures):len(signatures)], bare...), nil
}

// withoutSignatures leaves out the signatures that are to be replaced.
func withoutSignatures(prefix []byte) []byte {
	header, err := mail.ReadHeader(bufio.NewReader(bytes.NewReader(prefix)), spool.MaxPrefix+1)
	if err != nil {
		return prefix
	}
	var rest mail.Header
	for _, f := range header {
		if !strings.EqualFold(f.Name, "DKIM-Signature") {
			rest = append(rest, f)
		}
	}
	return rest.Bytes()
}

// wantsUTF8 reports whether the message can go only to servers with SMTPUTF8. Many
// a client says that it needs it, and then doesn't (RFC 6531 section 3.5).
func (p *parcel) wantsUTF8(m *spool.Message) bool {
	need := m.Envelope.From.NeedsUTF8()
	for _, r := range m.Recipients {
		need = need || r.Address.NeedsUTF8()
	}
	return need || m.Envelope.SMTPUTF8 && p.shape.header8
}

// unfit says why a server can't take a message for good; nil when it can.
func (s *session) unfit(p *parcel) *trouble {
	limit, limited := s.client.MaxMessageSize()
	switch {
	case p.shape.isBare():
		return forGood("5.6.11", "the message has a CR or LF that is not part of a CRLF: it can't be sent as it is")
	case p.needsUTF8 && !s.offers("SMTPUTF8"):
		return forGood("5.6.7", "%s doesn't take addresses or headers in UTF-8 (SMTPUTF8)", s.host)
	case p.shape.eight && !s.offers("8BITMIME"):
		return forGood("5.6.3", "%s takes no 8-bit messages (8BITMIME), and to convert it would break its signature", s.host)
	case limited && limit > 0 && p.size() > int64(limit):
		return forGood("5.3.4", "the message has %d bytes, %s takes at most %d", p.size(), s.host, limit)
	}
	return nil
}

func (s *session) offers(keyword string) bool {
	offered, _ := s.client.Extension(keyword)
	return offered
}

// shape is what matters of a message's bytes. It is an io.Writer for them.
type shape struct {
	eight, header8 bool // bytes above 127, anywhere and in the header
	bare           bool // a CR or LF alone
	body           bool // the empty line was passed
	line           int  // length of the present line
	cr             bool // the last byte was CR
}

// isBare reports whether a CR or LF is not part of a CRLF.
func (s *shape) isBare() bool { return s.bare || s.cr }

// Write never fails.
func (s *shape) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case s.cr != (c == '\n'):
			s.bare = true
		case c == '\n':
			s.body = s.body || s.line == 0
			s.line = 0
		case c >= 0x80:
			s.eight = true
			s.header8 = s.header8 || !s.body
			s.line++
		case c != '\r':
			s.line++
		}
		s.cr = c == '\r'
	}
	return len(p), nil
}
