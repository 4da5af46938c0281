package spool

import (
	"errors"

	"mailgate/internal/mail"
)

// TokenHeader carries the one-time token by which a released message is known
// when it comes back through the MTA. The milter removes fields of that name from
// every message; they are neither judged nor signed.
const TokenHeader = "X-Mailgate-Release"

// ProbePrefix begins the local part of a sender by which a release finds out,
// before it gives the MTA anything, whether the MTA passes mail through this
// milter: the prefix, then a nonce that only this process knows.
const ProbePrefix = "mailgate-probe-"

// ErrBypassed says that the server behind [release] via doesn't pass mail through
// this milter: released mail would leave unsigned.
var ErrBypassed = errors.New("the server behind [release] via doesn't pass mail through this milter")

// Handover is what the next server said about one recipient of a message it was
// given. Err is nil when it took the message; Answer then holds its words.
// Otherwise Err is its answer, be it to this recipient or to the message as a
// whole, Reply the words of it, and Permanent says that it was a 5xx: to try again
// is no use.
type Handover struct {
	Recipient mail.Address
	Answer    string
	Err       error
	Reply     string // "552 5.3.4 too large"
	Permanent bool
}
