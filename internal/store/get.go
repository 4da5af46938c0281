package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"strings"

	"mailgate/internal/spool"
)

const selectMessage = `SELECT m.seq, m.id, m.source, m.received, m.mail_local, m.mail_domain, m.helo, m.client, m.host,
	m.user, m.queue_id, m.smtputf8, m.from_local, m.from_domain, m.subject, m.message_id, m.size FROM messages m`

// scanMessage reads what selectMessage selects, and its recipients.
func scanMessage(ctx context.Context, tx *sql.Tx, row *sql.Row) (*spool.Message, error) {
	var m spool.Message
	var seq, received int64
	var client string
	e := &m.Envelope
	err := row.Scan(&seq, &m.ID, &m.Source, &received, &e.From.Local, &e.From.Domain, &e.Helo, &client, &e.Host,
		&e.User, &e.QueueID, &e.SMTPUTF8, &m.From.Local, &m.From.Domain, &m.Subject, &m.MessageID, &m.Size)
	if err != nil {
		return nil, err
	}
	m.Received = moment(received)
	if client != "" {
		if e.Client, err = netip.ParseAddr(client); err != nil {
			return nil, fmt.Errorf("message %s: %w", m.ID, err)
		}
	}
	m.Recipients, err = recipients(tx.QueryContext(ctx, selectRecipients, seq))
	for _, r := range m.Recipients {
		e.To = append(e.To, r.Address)
	}
	return &m, err
}

const selectRecipients = `SELECT r.local, r.domain, r.state, c.reason, c.provider, c.codes, c.rule, p.text, r.changed
	FROM recipients r CROSS JOIN causes c ON c.id = r.cause CROSS JOIN replies p ON p.id = r.reply
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

func scanRecipient(rows *sql.Rows) (spool.Recipient, error) {
	var r spool.Recipient
	var codes string
	var changed int64
	err := rows.Scan(&r.Address.Local, &r.Address.Domain, &r.State, &r.Reason, &r.Provider, &codes, &r.Rule, &r.Reply, &changed)
	r.Codes = strings.Fields(codes)
	r.Changed = moment(changed)
	return r, err
}

// Get implements spool.Bodies.
func (s *Store) Get(ctx context.Context, id string) (m *spool.Message, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		m, err = scanMessage(ctx, tx, tx.QueryRowContext(ctx, selectMessage+" WHERE m.id = ?", id))
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT e.data FROM messages m LEFT JOIN evidence e ON e.id = m.evidence
			WHERE m.id = ?`, id).Scan(&m.Evidence)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}
