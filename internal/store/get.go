package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"strings"

	"mailgate/internal/spool"
)

const (
	selectMessage = "SELECT " + messageColumns + fromMessages

	messageColumns = `m.seq, m.id, m.source, m.received, m.mail_local, m.mail_domain, m.helo, m.client, m.host,
	m.user, m.queue_id, m.smtputf8, m.from_local, m.from_domain, m.subject, m.message_id, m.size,
	coalesce(x.signed, 0), coalesce(x.envelope_id, ''), coalesce(x.ret, ''), coalesce(x.tls_report, 0)`
	fromMessages = " FROM messages m LEFT JOIN relayed x ON x.message = m.seq"
)

// scanMessage reads what selectMessage selects, and its recipients.
func scanMessage(ctx context.Context, tx *sql.Tx, row *sql.Row) (*spool.Message, error) {
	m, seq, err := scanEnvelope(row)
	if err != nil {
		return nil, err
	}
	m.Recipients, err = recipients(tx.QueryContext(ctx, selectRecipients, seq))
	for _, r := range m.Recipients {
		m.Envelope.To = append(m.Envelope.To, r.Address)
	}
	return m, err
}

// scanEnvelope reads messageColumns, and what is selected after them.
func scanEnvelope(row *sql.Row, more ...any) (m *spool.Message, seq int64, err error) {
	m = &spool.Message{}
	var received, signed int64
	var client string
	e := &m.Envelope
	err = row.Scan(append([]any{&seq, &m.ID, &m.Source, &received, &e.From.Local, &e.From.Domain, &e.Helo, &client, &e.Host,
		&e.User, &e.QueueID, &e.SMTPUTF8, &m.From.Local, &m.From.Domain, &m.Subject, &m.MessageID, &m.Size,
		&signed, &m.EnvelopeID, &m.Return, &m.TLSReport}, more...)...)
	if err != nil {
		return nil, 0, err
	}
	m.Received, m.Signed = moment(received), moment(signed)
	if client != "" {
		if e.Client, err = netip.ParseAddr(client); err != nil {
			return nil, 0, fmt.Errorf("message %s: %w", m.ID, err)
		}
	}
	return m, seq, nil
}

// recipientColumns are those of a recipient r, held for cause c with reply p, and of
// its delivery d.
const recipientColumns = causeColumns + `
	CASE WHEN d.due IS NULL THEN 0 ELSE max(d.next, coalesce((SELECT pause FROM destinations WHERE domain = d.destination), 0)) END,` + deliveryColumns

// Parts of recipientColumns: before and after the time of the next try.
const (
	causeColumns    = "r.local, r.domain, r.state, c.reason, c.provider, c.codes, c.rule, p.text, r.changed,"
	deliveryColumns = `
	coalesce(d.tries, 0), coalesce(d.tried, 0), coalesce(d.answer, ''), coalesce(d.host, ''), coalesce(d.tls, ''),
	coalesce(d.expected, ''), coalesce(d.notify, ''), coalesce(d.original, '')`
)

const selectRecipients = "SELECT " + recipientColumns + `
	FROM recipients r CROSS JOIN causes c ON c.id = r.cause CROSS JOIN replies p ON p.id = r.reply
	LEFT JOIN deliveries d ON d.message = r.message AND d.n = r.n
	WHERE r.message = ? ORDER BY r.n`

// recipients reads what selectRecipients selects.
func recipients(rows *sql.Rows, err error) ([]spool.Recipient, error) {
	var all []spool.Recipient
	err = each(rows, err, func(rows *sql.Rows) error {
		r, err := scanRecipient(rows)
		all = append(all, r)
		return err
	})
	return all, err
}

// scanRecipient reads recipientColumns, and what is selected after them.
func scanRecipient(rows *sql.Rows, more ...any) (spool.Recipient, error) {
	var r spool.Recipient
	var codes string
	var changed, next, tried int64
	d := &r.Delivery
	err := rows.Scan(append([]any{&r.Address.Local, &r.Address.Domain, &r.State, &r.Reason, &r.Provider, &codes, &r.Rule, &r.Reply, &changed,
		&next, &d.Tries, &tried, &d.Answer, &d.Host, &d.TLS, &d.Expected, &d.Notify, &d.Original}, more...)...)
	r.Codes = strings.Fields(codes)
	r.Changed, d.Next, d.Tried = moment(changed), moment(next), moment(tried)
	return r, err
}

// Get implements spool.Bodies.
func (s *Store) Get(ctx context.Context, id string) (m *spool.Message, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		m, err = scanMessage(ctx, tx, tx.QueryRowContext(ctx, selectMessage+" WHERE m.id = ?", id))
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT e.data, x.prefix FROM messages m LEFT JOIN evidence e ON e.id = m.evidence
			LEFT JOIN relayed x ON x.message = m.seq WHERE m.id = ?`, id).Scan(&m.Evidence, &m.Prefix)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}
