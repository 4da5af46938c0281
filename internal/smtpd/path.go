package smtpd

import (
	"errors"
	"fmt"
	"strings"

	"mailgate/internal/mail"
)

const maxHelo = 255 // bytes of a HELO name that are kept

// envelopeAddress is the address of a MAIL or RCPT command. The library drops
// source routes and takes quotes away, so the command is read once more as it
// came, and both readings must agree.
func envelopeAddress(line, unquoted string) (mail.Address, error) {
	address, err := mail.ParsePath(pathOf(line))
	if err != nil {
		return mail.Address{}, err
	}
	as, err := mail.ParseUnquoted(unquoted)
	if err != nil {
		return mail.Address{}, err
	}
	if as != address {
		return mail.Address{}, errors.New("it can be read in two ways")
	}
	if strings.ContainsAny(address.Local, `@"\<>()[],;:`) {
		return mail.Address{}, fmt.Errorf("local part of %s holds a character of addresses or routes", address)
	}
	return address, nil
}

// pathOf returns the path in a MAIL or RCPT command, with its brackets.
func pathOf(line string) string {
	_, path, _ := strings.Cut(line, ":")
	path = strings.TrimLeft(path, " \t")
	quoted := false
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '>':
			return path[:i+1]
		case (c == ' ' || c == '\t') && path[0] != '<':
			return path[:i]
		}
	}
	return path
}

// withDomain completes the path of a command. The recipient "postmaster" may stand
// without a domain (RFC 5321 section 4.1.1.3), which the library doesn't take.
func withDomain(line, domain string) string {
	path := pathOf(line)
	before, after, _ := strings.Cut(line, path)
	return before + strings.TrimSuffix(path, ">") + "@" + domain + ">" + after
}

// plainRecipient refuses what another server could take for a route of its own:
// a%b@c and b!a@c.
func plainRecipient(a mail.Address) error {
	if strings.ContainsAny(a.Local, "%!") {
		return fmt.Errorf("%s holds a route (%% or !), which is not relayed", a)
	}
	return nil
}
