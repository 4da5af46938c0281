package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// maxSignedHeader bounds the header of a message that is signed as it leaves: what
// the doors take, and the fields put before it.
const maxSignedHeader = 4 << 20

// relaySigner signs, with the gate in force, what the relay delivers.
type relaySigner func() *gate.Gate

// Sign implements relay.Signer.
func (current relaySigner) Sign(ctx context.Context, m *spool.Message, content io.Reader) ([]byte, error) {
	body := bufio.NewReaderSize(content, 64<<10)
	header, err := mail.ReadHeader(body, maxSignedHeader)
	if err != nil {
		return nil, fmt.Errorf("read the header of %s: %w", m.ID, err)
	}
	begin := current().BeginReleased
	if isOwnReport(m) {
		begin = current().BeginOwn
	}
	t := begin(ctx, m.Envelope, header)
	defer t.Cancel()
	if t.Refusal() == nil {
		if _, err := io.Copy(t, body); err != nil {
			return nil, fmt.Errorf("sign %s: %w", m.ID, err)
		}
	}
	out := t.Finish(ctx)
	if out.Refusal != nil {
		return nil, fmt.Errorf("sign %s: %s", m.ID, out.Why)
	}
	var fields bytes.Buffer
	for _, f := range out.Signatures {
		fields.Write(f.Raw)
	}
	return fields.Bytes(), nil
}

// isOwnReport tells what mailgate wrote itself from what came through a door: that has
// a client.
func isOwnReport(m *spool.Message) bool {
	return m.Source == "relay" && !m.Envelope.Client.IsValid() && m.Envelope.From.IsNull() && m.From.Local == "MAILER-DAEMON"
}
