package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Take implements spool.Taker. A message of one piece is one operation of the
// writer. A larger one comes in piece by piece, each durable before the next is
// read, under the number of a loose body, and becomes a message with the last;
// others are served in between.
func (s *Store) Take(ctx context.Context, m *spool.Message, content io.Reader) error {
	if err := s.take(ctx, m, content); err != nil {
		return fmt.Errorf("take message from %q into custody: %w", m.From, err)
	}
	return nil
}

func (s *Store) take(ctx context.Context, m *spool.Message, content io.Reader) error {
	if err := checkTaken(m); err != nil {
		return err
	}
	if err := s.Err(); err != nil {
		return err
	}
	in := &intake{s: s, content: content, hint: sizeOf(content), digest: sha256.New()}
	for {
		last, err := in.next()
		if err == nil && last {
			err = s.finish(ctx, m, in)
		} else if err == nil {
			err = in.store(ctx)
		}
		if err != nil {
			in.abandon()
			return err
		}
		if last {
			return nil
		}
	}
}

// checkTaken refuses what no door should hand over.
func checkTaken(m *spool.Message) error {
	if len(m.Recipients) == 0 {
		return errors.New("it has no recipients")
	}
	if err := checkPrefix(m); err != nil {
		return err
	}
	for _, r := range m.Recipients {
		if _, ok := spool.ActionOf("", r.State); !ok {
			return fmt.Errorf("recipient %s: %w: it would begin as %q", r.Address, spool.ErrTransition, r.State)
		}
	}
	return nil
}

// sizeOf returns how many bytes r will give, if it says so.
func sizeOf(r io.Reader) int64 {
	if sized, ok := r.(interface{ Size() int64 }); ok {
		return sized.Size()
	}
	return 0
}

// intake is a body on its way in: the piece just read and the number of those
// already stored.
type intake struct {
	s       *Store
	content io.Reader
	hint    int64 // bytes to come, if known
	digest  hash.Hash
	size    int64 // bytes read so far, piece included
	piece   bytes.Buffer
	stored  int64 // pieces
	body    int64 // number of the loose body that has them
}

// next reads the next piece and reports whether it is the last. The one byte
// beyond a full piece, which tells, is kept for the piece after it.
func (in *intake) next() (last bool, err error) {
	rest := 0
	if in.stored > 0 {
		in.piece.Next(pieceBytes)
		rest = in.piece.Len()
	}
	want := pieceBytes + 1 - rest
	if left := in.hint - in.size; left > 0 {
		in.piece.Grow(int(min(left, int64(want))) + bytes.MinRead)
	}
	n, err := in.piece.ReadFrom(io.LimitReader(in.content, int64(want)))
	if err != nil {
		return false, fmt.Errorf("read it: %w", err)
	}
	in.digest.Write(in.piece.Bytes()[rest:])
	in.size += n
	return in.piece.Len() <= pieceBytes, nil
}

// data is the piece to be stored.
func (in *intake) data() []byte {
	p := in.piece.Bytes()
	return p[:min(len(p), pieceBytes)]
}

// store stores a piece that is not the last.
func (in *intake) store(ctx context.Context) error {
	var body int64
	err := in.s.bring(ctx, "chunk", pieceBytes, in.hint-in.stored*pieceBytes, func(b *batch) error {
		body = in.body
		if in.stored == 0 {
			body = b.newBody()
			if err := b.exec("INSERT INTO loose (body) VALUES (?)", body); err != nil {
				return err
			}
		}
		return b.addPiece(body, in.stored, in.data())
	})
	if err == nil {
		in.body = body
		in.stored++
	}
	return err
}

// abandon deletes what was stored of a body that becomes no message. What can't
// be deleted now is at the next start.
func (in *intake) abandon() {
	if in.stored > 0 {
		in.s.drop(context.Background(), in.body)
	}
}

// finish makes the message, with the last piece of its body, and its log. m is
// changed only on success.
func (s *Store) finish(ctx context.Context, m *spool.Message, in *intake) error {
	t := taking{intake: in, m: *m}
	in.digest.Sum(t.sum[:0])
	t.m.Size = in.size
	err := s.bring(ctx, "take", in.piece.Len()+weight(m), 0, t.write)
	if err == nil {
		m.ID, m.Size, m.Received = t.m.ID, t.m.Size, t.m.Received
	}
	return err
}

// weight is the size of a message without its body.
func weight(m *spool.Message) int { return len(m.Prefix) + len(m.Recipients)*recipientBytes }

// taking is a message about to be written.
type taking struct {
	*intake
	m    spool.Message
	sum  [sha256.Size]byte
	key  int64 // seq
	now  time.Time
	who  int64 // identity
	seen any   // evidence
}

func (t *taking) write(b *batch) (err error) {
	t.key, t.now = b.newSeq(), b.w.s.o.Now()
	if t.m.Received.IsZero() {
		t.m.Received = t.now
	}
	body := t.body
	if t.stored == 0 {
		body = b.newBody()
	} else if err := b.exec("DELETE FROM loose WHERE body = ?", body); err != nil {
		return err
	}
	if err := b.addPiece(body, t.stored, t.data()); err != nil {
		return err
	}
	if t.who, err = b.identity(t.m.From.Domain, t.m.Envelope.From.Domain); err != nil {
		return err
	}
	if t.seen, err = b.evidence(t.m.Evidence); err != nil {
		return err
	}
	if err := t.writeMessage(b, body); err != nil {
		return err
	}
	if err := b.addRelayed(t.key, &t.m); err != nil {
		return err
	}
	if err := t.writeRecipients(b); err != nil {
		return err
	}
	b.w.s.x.noticeTaken(len(t.m.Recipients))
	return nil
}

// idAttempts is how many ids of one length may be in use before longer ones are
// tried: with three in a row, the space is as good as full.
const idAttempts = 3

// writeMessage finds an id that is free and inserts the row.
func (t *taking) writeMessage(b *batch, body int64) error {
	m, e := &t.m, &t.m.Envelope
	client := ""
	if e.Client.IsValid() {
		client = e.Client.String()
	}
	taken := b.stamp(t.now)
	for attempt := range 10 * idAttempts {
		id := b.w.s.o.NewID(spool.MinIDLength + attempt/idAttempts)
		n, err := b.change(`INSERT INTO messages (seq, id, source, taken, received, identity, mail_local, mail_domain,
			helo, client, host, user, queue_id, smtputf8, from_local, from_domain, subject, message_id,
			size, digest, body, evidence)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			t.key, id, m.Source, taken, nanos(m.Received), t.who, e.From.Local, string(e.From.Domain),
			e.Helo, client, e.Host, e.User, e.QueueID, e.SMTPUTF8, m.From.Local, string(m.From.Domain), m.Subject, m.MessageID,
			m.Size, t.sum[:], body, t.seen)
		if n == 1 || err != nil {
			m.ID = id
			return err
		}
	}
	return errors.New("no free id found")
}

func (t *taking) writeRecipients(b *batch) error {
	for n, r := range t.m.Recipients {
		if err := t.writeRecipient(b, n, &r); err != nil {
			return err
		}
		action, _ := spool.ActionOf("", r.State)
		err := b.log(spool.LogEntry{
			Time: t.now, ID: t.m.ID, Recipient: r.Address, Action: action, Into: r.State,
			Actor: t.m.Source, Reason: string(r.Reason), Codes: r.Codes, After: verdictOf(r.Reason),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *taking) writeRecipient(b *batch, n int, r *spool.Recipient) error {
	cause, err := b.cause(r)
	if err != nil {
		return err
	}
	reply, err := b.reply(r.Reply)
	if err != nil {
		return err
	}
	err = b.exec(`INSERT INTO recipients (message, n, identity, local, domain, state, cause, reply, changed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		t.key, n, t.who, r.Address.Local, string(r.Address.Domain), string(r.State), cause, reply, nanos(t.now))
	if err != nil {
		return err
	}
	return b.addDelivery(t.key, n, r)
}

// verdictOf is the verdict that a reason to hold stands for.
func verdictOf(r spool.Reason) string {
	switch r {
	case spool.Refused:
		return "refuse"
	case spool.Waiting:
		return "unknown"
	}
	return ""
}

// newSeq gives the next message's place in the order of taking.
func (b *batch) newSeq() int64 {
	b.w.next.seq++
	return b.w.next.seq
}

// stamp gives the time of taking, which never goes back although the clock may.
func (b *batch) stamp(now time.Time) int64 {
	b.w.next.taken = max(b.w.next.taken, nanos(now))
	return b.w.next.taken
}

// Rows of identities and evidence, as keyOf knows them.
type (
	identityRow [2]mail.Domain
	evidenceRow [sha256.Size]byte
)

// identity returns the key of a pair of domains.
func (b *batch) identity(from, mailFrom mail.Domain) (id int64, err error) {
	args := []any{string(from), string(mailFrom)}
	return b.keyOf(identityRow{from, mailFrom}, "SELECT id FROM identities WHERE from_domain = ? AND mail_domain = ?", args,
		"INSERT INTO identities (from_domain, mail_domain) VALUES (?, ?)", args)
}

// evidence returns the key of a report, nil for none.
func (b *batch) evidence(data []byte) (any, error) {
	if len(data) == 0 {
		return nil, nil
	}
	sum := sha256.Sum256(data)
	return b.keyOf(evidenceRow(sum), "SELECT id FROM evidence WHERE hash = ?", []any{sum[:]},
		"INSERT INTO evidence (hash, data) VALUES (?, ?)", []any{sum[:], data})
}
