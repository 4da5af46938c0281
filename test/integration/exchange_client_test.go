//go:build integration

package integration

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// exchange is a session of a send connector with its smart host, in the words of
// Exchange 2010 on Windows Server 2008 R2.
type exchange struct {
	net.Conn
	t     *testing.T
	in    *bufio.Reader
	offer map[string]string // what the last EHLO offered, by keyword
}

// exchangeName is what Exchange says of itself where no other name is configured.
const exchangeName = "EXCH01.corp.local"

func dialExchange(t *testing.T, server string) *exchange {
	t.Helper()
	conn, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	x := &exchange{Conn: conn, t: t, in: bufio.NewReader(conn)}
	x.want("220 ")
	x.ehlo()
	return x
}

// dialExchangeTLS goes on over TLS, as old Exchange can.
func dialExchangeTLS(t *testing.T, server string) *exchange {
	t.Helper()
	x := dialExchange(t, server)
	if _, err := x.startTLS(oldTLS()); err != nil {
		t.Fatalf("TLS: %v", err)
	}
	return x
}

// oldTLS is TLS 1.0 with RSA key exchange, without a server name: the smart host is
// an address. Certificates are not checked, as the connector doesn't by default.
func oldTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, InsecureSkipVerify: true,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA},
	}
}

// still gives the smart host time for the next step.
func (x *exchange) still() {
	x.t.Helper()
	if err := x.SetDeadline(time.Now().Add(patience)); err != nil {
		x.t.Fatal(err)
	}
}

func (x *exchange) send(text string) {
	x.t.Helper()
	x.still()
	if _, err := io.WriteString(x.Conn, text); err != nil {
		x.t.Fatalf("send %.60q: %v", text, err)
	}
}

// reply reads one reply, its lines joined by newlines; it is empty at the end of the
// connection.
func (x *exchange) reply() string {
	x.t.Helper()
	x.still()
	var all []string
	for {
		line, err := x.in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return strings.Join(all, "\n")
		}
		if err != nil {
			x.t.Fatalf("wait for a reply: %v", err)
		}
		all = append(all, strings.TrimSuffix(line, "\r\n"))
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(all, "\n")
		}
	}
}

func (x *exchange) want(prefix string) string {
	x.t.Helper()
	r := x.reply()
	if !strings.HasPrefix(r, prefix) {
		x.t.Fatalf("reply %q, want %q", r, prefix)
	}
	return r
}

func (x *exchange) say(command, want string) string {
	x.t.Helper()
	x.send(command + "\r\n")
	return x.want(want)
}

func (x *exchange) ehlo() {
	x.t.Helper()
	x.offer = map[string]string{}
	for line := range strings.Lines(x.say("EHLO "+exchangeName, "250")) {
		keyword, parameter, _ := strings.Cut(strings.TrimSpace(line[4:]), " ")
		x.offer[keyword] = parameter
	}
}

// startTLS returns what was agreed, after another EHLO, or why nothing was.
func (x *exchange) startTLS(config *tls.Config) (tls.ConnectionState, error) {
	x.t.Helper()
	x.say("STARTTLS", "220 ")
	secured := tls.Client(x.Conn, config)
	if err := secured.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	x.Conn, x.in = secured, bufio.NewReader(secured)
	x.ehlo()
	return secured.ConnectionState(), nil
}

// submission is a message as Exchange hands it on.
type submission struct {
	from      string
	to        []string
	parameter string // of each RCPT
	message   []byte
	chunk     int  // bytes of each BDAT; 0: all at once
	emptyLast bool // the last one is BDAT 0 LAST
}

// envelopeID is an ENVID as Exchange makes them, with a character that must be
// encoded; wireID is how it goes over the wire.
const (
	envelopeID = "7f3a=2c91@EXCH01.corp.local"
	wireID     = "7f3a+3D2c91@EXCH01.corp.local"
)

// submit gives a message to the smart host, and returns the answer to it. The
// envelope goes out in one piece.
func (x *exchange) submit(s submission) string {
	x.t.Helper()
	var envelope strings.Builder
	fmt.Fprintf(&envelope, "MAIL FROM:<%s> SIZE=%d BODY=8BITMIME RET=HDRS ENVID=%s\r\n", s.from, len(s.message), wireID)
	if s.parameter == "" {
		s.parameter = "NOTIFY=FAILURE,DELAY"
	}
	for _, to := range s.to {
		fmt.Fprintf(&envelope, "RCPT TO:<%s> %s ORCPT=rfc822;%s\r\n", to, s.parameter, to)
	}
	x.send(envelope.String())
	x.want("250 2.1.0")
	for range s.to {
		x.want("250 2.1.5")
	}
	rest := s.message
	for s.chunk > 0 && len(rest) > s.chunk {
		x.send(fmt.Sprintf("BDAT %d\r\n%s", s.chunk, rest[:s.chunk]))
		x.want("250 2.0.0")
		rest = rest[s.chunk:]
	}
	if s.emptyLast {
		x.send(fmt.Sprintf("BDAT %d\r\n%s", len(rest), rest))
		x.want("250 2.0.0")
		rest = nil
	}
	x.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(rest), rest))
	return x.reply()
}

// tnef is what begins as winmail.dat does, and then holds every byte many times.
func tnef() []byte {
	b := []byte{0x78, 0x9f, 0x3e, 0x22, 0x01, 0x00}
	for i := range 256 {
		for j := range 64 {
			b = append(b, byte(i+j*j))
		}
	}
	return append(b, "\r\n.\r\n..\r\nFrom here\r\n\n\r."...)
}

// inLines is every byte that a line can have, in lines, some of which begin with dots.
func inLines(b []byte) []byte {
	var text []byte
	for i, line := range slices.Collect(slices.Chunk(bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r"), nil), []byte("\n"), nil), 900)) {
		text = append(text, strings.Repeat(".", i%3)...)
		text = append(append(text, line...), "\r\n"...)
	}
	return append(text, ".\r\n..\r\n"...)
}

// outlook is a message of Outlook's with its formatting in winmail.dat: as 8-bit
// text, or in base64.
func outlook(from, subject, encoding string) []byte {
	var attachment []byte
	switch encoding {
	case "8bit":
		attachment = inLines(tnef())
	case "base64":
		for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(tnef())), 76) {
			attachment = append(append(attachment, line...), "\r\n"...)
		}
	case "binary":
		attachment = append(tnef(), "\r\n"...)
	}
	text := fmt.Sprintf(`Received: from EXCH01.corp.local ([fe80::1c2d:3e4f]) by EXCH01.corp.local
 ([fe80::1c2d:3e4f%%11]) with mapi id 14.03.0123.003; Sat, 21 Nov 2026 12:00:00
 +0000
From: "Ann, Sales" <%[1]s>
To: undisclosed-recipients:;
Subject: %[2]s
Thread-Topic: %[2]s
Thread-Index: AQHc2kQ1kTz0m1XyT0GZx1n7L2f0Pw==
Date: Sat, 21 Nov 2026 12:00:00 +0000
Message-ID: <0123456789ABCDEF.%[3]s@EXCH01.corp.local>
Accept-Language: en-US
Content-Language: en-US
X-MS-Has-Attach: yes
X-MS-TNEF-Correlator: <0123456789ABCDEF.%[3]s@EXCH01.corp.local>
Content-Type: multipart/mixed; boundary="_002_0123EXCH01corplocal_"
MIME-Version: 1.0

--_002_0123EXCH01corplocal_
Content-Type: text/plain; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe=20

--_002_0123EXCH01corplocal_
Content-Type: application/ms-tnef; name="winmail.dat"
Content-Disposition: attachment; filename="winmail.dat"
Content-Transfer-Encoding: %[3]s

`, from, subject, encoding)
	message := []byte(strings.ReplaceAll(text, "\n", "\r\n"))
	message = append(message, attachment...)
	return append(message, "\r\n--_002_0123EXCH01corplocal_--\r\n"...)
}
