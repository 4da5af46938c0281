package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

// session is one connection to the milter: the life of one SMTP session.
type session struct {
	conn     net.Conn
	r        *bufio.Reader
	w        *bufio.Writer
	protocol uint32 // what the milter asked for
}

// answer to one message.
type answer struct {
	final      string
	signatures int // DKIM-Signature fields inserted or added
}

// open connects, negotiates and tells of an SMTP client on this machine.
func open(ctx context.Context, o options) (*session, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, o.network, o.address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	s := &session{conn: conn, r: bufio.NewReader(conn), w: bufio.NewWriterSize(conn, 64<<10)}
	if err := s.greet(); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) greet() error {
	if err := s.negotiate(); err != nil {
		return fmt.Errorf("negotiate: %w", err)
	}
	s.macros(cmdConnect, "j", "mx1.example.com", "{daemon_name}", "smtpd", "{daemon_addr}", "127.0.0.1", "v", "Postfix 3.7.11", "_", "localhost [127.0.0.1]")
	port := binary.BigEndian.AppendUint16([]byte("localhost\x004"), 40000)
	if err := s.event(cmdConnect, noConnect, nrConnect, append(port, "127.0.0.1\x00"...)); err != nil {
		return err
	}
	return s.event(cmdHelo, noHelo, nrHelo, zstrings("client.example.com"))
}

func (s *session) negotiate() error {
	var offer []byte
	for _, word := range []uint32{offerVersion, offerActions, offerProtocol} {
		offer = binary.BigEndian.AppendUint32(offer, word)
	}
	if err := writeFrame(s.w, cmdOptions, offer); err != nil {
		return err
	}
	cmd, data, err := s.read()
	if err != nil {
		return err
	}
	if cmd != cmdOptions || len(data) < 12 {
		return fmt.Errorf("answer %q with %d bytes", cmd, len(data))
	}
	s.protocol = binary.BigEndian.Uint32(data[8:])
	return nil
}

// send passes one message through the milter.
func (s *session) send(m message) (answer, error) {
	for _, step := range []func(message) error{s.envelope, s.header, s.body} {
		if err := step(m); err != nil {
			return answer{}, err
		}
	}
	s.macros(cmdEnd, "i", m.queueID)
	if err := writeFrame(s.w, cmdEnd); err != nil {
		return answer{}, err
	}
	return s.verdict()
}

func (s *session) envelope(m message) error {
	s.macros(cmdMail, "i", m.queueID, "{mail_addr}", m.from, "{mail_host}", "example.com", "{mail_mailer}", "smtp")
	if err := s.event(cmdMail, noMail, nrMail, zstrings("<"+m.from+">", "SIZE=10240")); err != nil {
		return err
	}
	s.macros(cmdRcpt, "i", m.queueID, "{rcpt_addr}", m.to, "{rcpt_host}", "example.net", "{rcpt_mailer}", "smtp")
	if err := s.event(cmdRcpt, noRcpt, nrRcpt, zstrings("<"+m.to+">")); err != nil {
		return err
	}
	s.macros(cmdData, "i", m.queueID)
	return s.event(cmdData, noData, nrData, nil)
}

func (s *session) header(m message) error {
	if s.protocol&noHeaders == 0 {
		s.macros(cmdHeader, "i", m.queueID)
	}
	for _, f := range m.header {
		value := f.value
		if s.protocol&leadSpace != 0 {
			value = " " + value
		}
		if err := s.event(cmdHeader, noHeaders, nrHeader, zstrings(f.name, value)); err != nil {
			return err
		}
	}
	s.macros(cmdEOH, "i", m.queueID)
	return s.event(cmdEOH, noEOH, nrEOH, nil)
}

// chunkSize is Postfix's MILTER_CHUNK_SIZE.
const chunkSize = 65535

func (s *session) body(m message) error {
	if s.protocol&noBody != 0 {
		return nil
	}
	s.macros(cmdBody, "i", m.queueID)
	for left := m.size; left > 0; {
		chunk := m.chunk(min(left, chunkSize))
		left -= len(chunk)
		if err := writeFrame(s.w, cmdBody, chunk); err != nil {
			return err
		}
		if s.protocol&nrBody != 0 {
			continue
		}
		skip, err := s.goOn()
		if err != nil || skip {
			return err
		}
	}
	return nil
}

// event sends one event, unless the milter does not want it, and reads its answer,
// unless the milter said that it gives none.
func (s *session) event(cmd byte, unwanted, unanswered uint32, data []byte) error {
	if s.protocol&unwanted != 0 {
		return nil
	}
	if err := writeFrame(s.w, cmd, data); err != nil {
		return err
	}
	if s.protocol&unanswered != 0 {
		return nil
	}
	if _, err := s.goOn(); err != nil {
		return fmt.Errorf("%c: %w", cmd, err)
	}
	return nil
}

// goOn reads an answer that must let the message go on.
func (s *session) goOn() (skip bool, err error) {
	cmd, data, err := s.read()
	switch {
	case err != nil:
		return false, err
	case cmd == ansContinue, cmd == ansSkip:
		return cmd == ansSkip, nil
	}
	return false, fmt.Errorf("answered %s %q", answerName(cmd), bytes.TrimRight(data, "\x00"))
}

// verdict reads the answers at the end of a message up to the final one.
func (s *session) verdict() (answer, error) {
	const maxAnswers = 1000
	var a answer
	for range maxAnswers {
		cmd, data, err := s.read()
		if err != nil {
			return a, err
		}
		switch cmd {
		case ansAccept, ansContinue, ansReject, ansTempfail, ansDiscard, ansReply:
			a.final = answerName(cmd)
			return a, nil
		case ansInsertHeader:
			if len(data) > 4 && isSignature(data[4:]) {
				a.signatures++
			}
		case ansAddHeader:
			if isSignature(data) {
				a.signatures++
			}
		}
	}
	return a, fmt.Errorf("no final answer among %d", maxAnswers)
}

func isSignature(field []byte) bool {
	name, _, _ := strings.Cut(string(field), "\x00")
	return strings.EqualFold(name, "DKIM-Signature")
}

// read flushes what was written and reads one answer.
func (s *session) read() (byte, []byte, error) {
	if err := s.w.Flush(); err != nil {
		return 0, nil, err
	}
	return readFrame(s.r)
}

// macros sends names and values for an event. An error shows at the next flush.
func (s *session) macros(event byte, pairs ...string) {
	_ = writeFrame(s.w, cmdMacro, []byte{event}, zstrings(pairs...))
}

func (s *session) close() {
	_ = writeFrame(s.w, cmdQuit)
	_ = s.w.Flush()
	s.conn.Close()
}

func answerName(cmd byte) string {
	switch cmd {
	case ansAccept:
		return "accept"
	case ansContinue:
		return "continue"
	case ansDiscard:
		return "discard"
	case ansReject:
		return "reject"
	case ansTempfail:
		return "tempfail"
	case ansReply:
		return "reply"
	case ansProgress:
		return "progress"
	}
	return fmt.Sprintf("%q", cmd)
}
