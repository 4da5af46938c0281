package spool

import "mailgate/internal/mail"

// Handover is what the next server said about one recipient of a message it was
// given. Err is nil when it took the message; Answer then holds its words.
type Handover struct {
	Recipient mail.Address
	Answer    string
	Err       error
}
