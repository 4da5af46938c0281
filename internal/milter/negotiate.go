package milter

import "github.com/emersion/go-milter"

// What we would like, of what an MTA may offer. The decision falls at the end of
// the header and at the end of the body; answers are asked for there, and to HELO:
// Postfix keeps what needs no answer in its buffer until something does, and a
// second EHLO is how a release makes it show us its probe. That costs one round
// trip an SMTP session, none a message.
const (
	wantedActions = milter.OptAddHeader | milter.OptChangeHeader | milter.OptRemoveRcpt | milter.OptSetSymList

	wantedProtocol = milter.OptNoUnknown | milter.OptNoData |
		milter.OptNoConnReply | milter.OptNoMailReply | milter.OptNoRcptReply |
		milter.OptNoHeaderReply | milter.OptNoBodyReply |
		milter.OptHeaderLeadingSpace | milter.OptSkip
)

// wantedMacros are asked for by name, so that trust doesn't hang on the MTA's
// milter_*_macros settings. Stages not named send none.
func wantedMacros() map[milter.Stage][]string {
	return map[milter.Stage][]string{
		milter.StageConnect:  {"j", "{client_addr}"},
		milter.StageMailFrom: {"i", "{auth_authen}"},
		milter.StageEOH:      {"i"},
		milter.StageEOM:      {"i"},
	}
}

// options are the abilities both sides agreed on. What the MTA didn't offer must
// not be used: it would wait for answers that never come, or end the session.
type options struct {
	actions  milter.OptAction
	protocol milter.OptProtocol
}

func agree(o offer) options {
	return options{
		actions:  o.actions & wantedActions,
		protocol: o.protocol & wantedProtocol,
	}
}

// may reports whether the MTA lets us do all of these.
func (o options) may(a milter.OptAction) bool { return o.actions&a == a }

// has reports whether the flag was agreed on.
func (o options) has(p milter.OptProtocol) bool { return o.protocol&p != 0 }

// reply is the answer to a command that goes on in any case: none where the MTA
// expects none.
func (o options) reply(unless milter.OptProtocol) milter.Response {
	if o.has(unless) {
		return nil
	}
	return milter.RespContinue
}
