package mail

import "fmt"

// FromError says why a header has no single author; Error is fit for an SMTP
// reply.
type FromError struct{ Reason string }

func (e *FromError) Error() string { return "header From: " + e.Reason }

func fromErrorf(format string, args ...any) error {
	return &FromError{fmt.Sprintf(format, args...)}
}

// From returns the author's address by the one rule that keeps mailgate from
// signing for the wrong name: exactly one From field, in RFC 5322 syntax. One
// mailbox is the normal case; several mailboxes need one Sender with a mailbox,
// whose address must be under one of their domains, and all must share a domain;
// then the first is returned. Anything else (no From, two, a group, raw bytes a
// reader could take otherwise) is a *FromError.
func (h Header) From() (Address, error) {
	authors, err := h.mailboxes("From")
	if err != nil {
		return Address{}, err
	}
	first := authors[0]
	if len(authors) == 1 {
		return first, nil
	}
	for _, a := range authors[1:] {
		if a.Domain != first.Domain {
			return Address{}, fromErrorf("several mailboxes of different domains")
		}
	}
	if _, n := h.only("Sender"); n == 0 {
		return Address{}, fromErrorf("several mailboxes and no Sender")
	}
	senders, err := h.mailboxes("Sender")
	if err != nil {
		return Address{}, err
	}
	if len(senders) != 1 || !senders[0].Domain.IsUnder(first.Domain) {
		return Address{}, fromErrorf("several mailboxes and no Sender of their domain")
	}
	return first, nil
}

// mailboxes returns what the only field of that name holds, at least one mailbox.
func (h Header) mailboxes(name string) ([]Address, error) {
	f, n := h.only(name)
	switch {
	case n == 0:
		return nil, fromErrorf("there is no %s field", name)
	case n > 1:
		return nil, fromErrorf("there are %d %s fields", n, name)
	case len(f.Raw) <= len(f.Name) || f.Raw[len(f.Name)] != ':':
		return nil, fromErrorf("white space before the colon of %s", name)
	}
	list, err := parseMailboxes(f.body())
	if err != nil {
		return nil, fromErrorf("%s in the %s field", err, name)
	}
	return list, nil
}
