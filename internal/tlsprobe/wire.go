package tlsprobe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
)

// wire notes the TLS records that pass over a connection until they are encrypted:
// the transcript of a handshake that fails.
type wire struct {
	net.Conn
	mu      sync.Mutex
	lines   []string
	in, out records
}

const maxTranscript = 20

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.note(&w.in, "<-", p[:n])
	if err != nil {
		w.say("<- " + describeEnd(err))
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	w.note(&w.out, "->", p)
	n, err := w.Conn.Write(p)
	if err != nil {
		w.say("-> " + describeEnd(err))
	}
	return n, err
}

func (w *wire) note(r *records, arrow string, p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, what := range r.add(p) {
		if len(w.lines) < maxTranscript {
			w.lines = append(w.lines, arrow+" "+what)
		}
	}
}

func (w *wire) say(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) < maxTranscript {
		w.lines = append(w.lines, line)
	}
}

func (w *wire) transcript() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines
}

func describeEnd(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF):
		return "the server closed the connection"
	case errors.Is(err, syscall.ECONNRESET):
		return "the connection was reset"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "nothing more came"
	}
	return err.Error()
}

// records follows one direction of a TLS connection (RFC 8446 section 5.1).
type records struct {
	head   []byte // of the record being looked at: its header and the first bytes of its content
	length int    // of its content
	seen   int    // bytes of its content so far
	secret bool   // what follows is encrypted
}

const (
	recordHeader = 5
	recordHead   = recordHeader + 2 // with the type of a handshake message, or an alert
)

// add takes the next bytes and describes the records that end in them.
func (r *records) add(p []byte) (lines []string) {
	for len(p) > 0 {
		if len(r.head) < recordHeader {
			n := min(recordHeader-len(r.head), len(p))
			r.head, p = append(r.head, p[:n]...), p[n:]
			if len(r.head) == recordHeader {
				r.length, r.seen = int(binary.BigEndian.Uint16(r.head[3:])), 0
			}
			if len(r.head) < recordHeader || r.length > 0 {
				continue
			}
		}
		n := min(r.length-r.seen, len(p))
		if missing := recordHead - len(r.head); missing > 0 {
			r.head = append(r.head, p[:min(n, missing)]...)
		}
		r.seen, p = r.seen+n, p[n:]
		if r.seen == r.length {
			lines = append(lines, r.describe())
			r.head = nil
		}
	}
	return lines
}

// describe says what a whole record was.
func (r *records) describe() string {
	kind, content := r.head[0], r.head[recordHeader:]
	switch {
	case kind == recordChange:
		r.secret = true
		return "ChangeCipherSpec"
	case kind == recordAlert && len(content) == 2 && r.length == 2:
		return fmt.Sprintf("alert %s", alertName(content[1]))
	case kind == recordAlert:
		return "encrypted alert"
	case kind == recordHandshake && !r.secret && len(content) > 0:
		return fmt.Sprintf("%s, %d bytes", handshakeName(content[0]), r.length)
	case kind == recordHandshake || kind == recordData:
		return fmt.Sprintf("encrypted, %d bytes", r.length)
	}
	return fmt.Sprintf("%d bytes that aren't TLS", r.length)
}

const (
	recordChange    = 20
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

func handshakeName(kind byte) string {
	names := map[byte]string{
		0: "HelloRequest", 1: "ClientHello", 2: "ServerHello", 4: "NewSessionTicket", 8: "EncryptedExtensions",
		11: "Certificate", 12: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone",
		15: "CertificateVerify", 16: "ClientKeyExchange", 20: "Finished", 22: "CertificateStatus",
	}
	if name, ok := names[kind]; ok {
		return name
	}
	return fmt.Sprintf("handshake message %d", kind)
}

// alertName names an alert as RFC 8446 section 6 does.
func alertName(code byte) string {
	names := map[byte]string{
		0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 40: "handshake_failure",
		42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired",
		46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error",
		51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
		86: "inappropriate_fallback", 90: "user_canceled", 109: "missing_extension", 110: "unsupported_extension",
		112: "unrecognized_name", 116: "certificate_required", 120: "no_application_protocol",
	}
	if name, ok := names[code]; ok {
		return name
	}
	return fmt.Sprint(code)
}
