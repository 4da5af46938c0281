package store

import (
	"fmt"

	"mailgate/internal/spool"
)

// checkPrefix keeps rows small: what goes before a message is a few fields.
func checkPrefix(m *spool.Message) error {
	if len(m.Prefix) > spool.MaxPrefix {
		return fmt.Errorf("%d bytes go before it on the way out, the most is %d", len(m.Prefix), spool.MaxPrefix)
	}
	return nil
}

// addRelayed keeps what only the relay needs of a message.
func (b *batch) addRelayed(seq int64, m *spool.Message) error {
	if len(m.Prefix) == 0 && m.Signed.IsZero() && m.EnvelopeID == "" && m.Return == "" && !m.TLSReport {
		return nil
	}
	prefix := m.Prefix
	if prefix == nil {
		prefix = []byte{}
	}
	return b.exec("INSERT INTO relayed (message, signed, envelope_id, ret, tls_report, prefix) VALUES (?, ?, ?, ?, ?, ?)",
		seq, nanos(m.Signed), m.EnvelopeID, m.Return, m.TLSReport, prefix)
}

// addDelivery keeps what the relay has to do with recipient n, and puts it into the
// queue if it is queued with a time for its first try.
func (b *batch) addDelivery(seq int64, n int, r *spool.Recipient) error {
	d := r.Delivery
	if d == (spool.Delivery{}) {
		return nil
	}
	var due any
	if r.State == spool.Queued && !d.Next.IsZero() {
		due = nanos(d.Next)
	}
	return b.exec(`INSERT INTO deliveries (message, n, destination, due, next, fence, tries, answer, host, tls, expected, notify, original)
		VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)`,
		seq, n, string(r.Address.Domain), due, nanos(d.Next), d.Tries, d.Answer, d.Host, d.TLS, d.Expected, d.Notify, d.Original)
}

// requeue has the queue follow a move of recipient n: into it, or out of it.
func (b *batch) requeue(m *spool.Move, seq int64, n int, r *spool.Recipient) error {
	switch {
	case m.Into == spool.Queued && !m.Next.IsZero():
		return b.exec(`INSERT INTO deliveries (message, n, destination, due, next, fence, tries, answer, host, tls, expected, notify, original)
			VALUES (?1, ?2, ?3, ?4, ?4, 0, 0, '', '', '', ?5, '', '')
			ON CONFLICT DO UPDATE SET due = excluded.due, next = excluded.next, expected = excluded.expected`,
			seq, n, string(r.Address.Domain), nanos(m.Next), m.Verdict)
	case m.From == spool.Queued:
		return b.exec("UPDATE deliveries SET due = NULL, leased = NULL WHERE message = ? AND n = ? AND due IS NOT NULL", seq, n)
	}
	return nil
}

// free refuses the move of recipients that are being delivered at this moment: they
// would be moved and delivered.
func (b *batch) free(m *spool.Move, seq int64, chosen []int, all []spool.Recipient) error {
	if m.From != spool.Queued {
		return nil
	}
	rows, err := b.query("SELECT n FROM deliveries WHERE message = ? AND leased > ?", seq, nanos(b.w.s.o.Now()))
	leased, err := column[int](rows, err)
	if err != nil {
		return err
	}
	for _, n := range chosen {
		for _, busy := range leased {
			if n == busy {
				return fmt.Errorf("recipient %s: %w", all[n].Address, spool.ErrDelivering)
			}
		}
	}
	return nil
}
