package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// patience with a part of what never takes long, on a machine that may stand still for
// some seconds.
const patience = 30 * time.Second

// Deliver brings a message to one recipient's MX and returns the receiver's
// answer.
func (m *mta) Deliver(ctx context.Context, from, rcpt string, content []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	domain := mail.Domain(domainOf(rcpt))
	mx, err := m.names.resolver().LookupMX(ctx, string(domain))
	if err != nil {
		return "", fmt.Errorf("find the MX of %s: %w", domain, err)
	}
	host := strings.TrimSuffix(mx[0].Host, ".")
	receiver, ok := m.receivers[host]
	if !ok {
		return "", fmt.Errorf("no receiver %s in the demo", host)
	}
	policy, err := m.policy(ctx, domain)
	if err != nil {
		return "", err
	}
	return send(ctx, receiver.addresses()[0], host, policy, from, rcpt, content)
}

func send(ctx context.Context, address, host string, policy tlspolicy.Policy, from, rcpt string, content []byte) (string, error) {
	client, err := dial(ctx, address, host, policy)
	if err != nil {
		return "", err
	}
	defer client.Close()
	if err := client.Mail(from, nil); err != nil {
		return "", err
	}
	if err := client.Rcpt(rcpt, nil); err != nil {
		return "", err
	}
	data, err := client.Data()
	if err != nil {
		return "", err
	}
	if _, err := data.Write(content); err != nil {
		return "", err
	}
	response, err := data.CloseWithResponse()
	if err != nil {
		return "", err
	}
	return "250 " + response.StatusText, nil
}

// dial connects, with TLS where it is offered, as the policy says.
func dial(ctx context.Context, address, host string, policy tlspolicy.Policy) (*smtp.Client, error) {
	connect := func() (net.Conn, error) {
		return (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	}
	conn, err := connect()
	if err != nil {
		return nil, err
	}
	client := smtp.NewClient(conn)
	if err := client.Hello("mx1.demo.test"); err != nil {
		return nil, err
	}
	if offered, _ := client.Extension("STARTTLS"); !offered {
		return client, nil
	}
	client.Close()
	if conn, err = connect(); err != nil {
		return nil, err
	}
	return dialTLS(conn, policy.TLSConfig(host))
}

func dialTLS(conn net.Conn, config *tls.Config) (*smtp.Client, error) {
	client, err := smtp.NewClientStartTLS(conn, config)
	if err == nil {
		err = client.Hello("mx1.demo.test")
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return client, nil
}

// smtpAnswer is a receiver's refusal as it said it, or the error in words.
func smtpAnswer(err error) string {
	var said *smtp.SMTPError
	if errors.As(err, &said) {
		return fmt.Sprintf("%d %d.%d.%d %s", said.Code, said.EnhancedCode[0], said.EnhancedCode[1], said.EnhancedCode[2], said.Message)
	}
	return err.Error()
}
