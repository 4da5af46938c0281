package socketmap

import (
	"bytes"
	"fmt"
	"net/netip"
)

// delegated finds the request of the policy delegation protocol at the begin of b:
// lines with name=value, and an empty line. It returns the lines, each with its
// end, and the length of the whole, which is 0 when more of it has to come.
func delegated(b []byte, limit int) (lines []byte, size int, err error) {
	if len(b) > 0 && b[0] == '\n' {
		return nil, 0, fmt.Errorf("%w: no attributes", errMalformed)
	}
	end := bytes.Index(b, []byte("\n\n"))
	switch {
	case end < 0 && len(b) < limit:
		return nil, 0, nil
	case end < 0 || end+2 > limit:
		return nil, 0, fmt.Errorf("%w: longer than %d bytes", errMalformed, limit)
	}
	return b[:end+1], end + 2, nil
}

// attributes are those of a request that matter here.
type attributes struct {
	request, state                        string
	sender, recipient, client, helo, user string
}

// parseAttributes reads the lines of a request. Of a name that comes twice the last
// value counts.
func parseAttributes(lines []byte, limit int) (attributes, error) {
	var a attributes
	n := 0
	for line := range bytes.Lines(lines) {
		if n++; n > limit {
			return a, fmt.Errorf("%w: more than %d attributes", errMalformed, limit)
		}
		name, value, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("="))
		if !ok || len(name) == 0 {
			return a, fmt.Errorf("%w: a line that isn't name=value", errMalformed)
		}
		if field := a.field(name); field != nil {
			*field = string(value)
		}
	}
	return a, nil
}

// field is where the value of an attribute belongs; nil: nowhere.
func (a *attributes) field(name []byte) *string {
	switch string(name) {
	case "request":
		return &a.request
	case "protocol_state":
		return &a.state
	case "sender":
		return &a.sender
	case "recipient":
		return &a.recipient
	case "client_address":
		return &a.client
	case "helo_name":
		return &a.helo
	case "sasl_username":
		return &a.user
	}
	return nil
}

// ask returns what is asked; ok is false for a question that isn't about a
// recipient.
func (a attributes) ask() (ask Ask, ok bool) {
	client, _ := netip.ParseAddr(a.client) // Postfix says "unknown" for what it doesn't know
	ask = Ask{Sender: a.sender, Recipient: a.recipient, Client: client.Unmap(), Helo: a.helo, User: a.user}
	return ask, a.request == "smtpd_access_policy" && a.state == "RCPT" && a.recipient != ""
}
