package spool

import "mailgate/internal/mail"

// TokenHeader carries the one-time token by which a released message is known
// when it comes back through the MTA. The milter removes fields of that name from
// every message; they are neither judged nor signed.
const TokenHeader = "X-Mailgate-Release"

// Handover is what the next server said about one recipient of a message it was
// given. Err is nil when it took the message; Answer then holds its words.
type Handover struct {
	Recipient mail.Address
	Answer    string
	Err       error
}
