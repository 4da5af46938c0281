package relay

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/spool"
)

// outcome of a try for one recipient.
type outcome string

const (
	delivered outcome = "delivered"
	deferred  outcome = "deferred"
	bounced   outcome = "bounced"
	held      outcome = "held"
)

// fate is what came of one recipient of a claim.
type fate struct {
	to        spool.Recipient
	outcome   outcome // empty: nothing yet
	words     string  // the server's, or what went wrong
	status    string  // RFC 3463; empty: the server gave none
	answered  bool    // words are a server's reply
	host, tls string
	rule      string    // with held: the refusal
	passedOn  bool      // the server took over what the sender asked to be told
	until     time.Time // no other try before; zero: any time
	byHand    bool      // with bounced: somebody gave it up, with why as his reason; words are of the last try
	why       string    // with held: in words, where the server was not asked
}

// open returns the fates that are not decided.
func open(fates []*fate) []*fate {
	var list []*fate
	for _, f := range fates {
		if f.outcome == "" {
			list = append(list, f)
		}
	}
	return list
}

func (f *fate) delivered(s *session, words string) {
	f.outcome, f.words, f.answered, f.host, f.tls = delivered, words, true, s.host, s.tls
}

// refused takes down a server's 4xx or 5xx.
func (f *fate) refused(s *session, err error) {
	if f.outcome != "" {
		return
	}
	answer, ok := errors.AsType[*smtp.SMTPError](err)
	if !ok {
		return
	}
	a := replyOf(answer)
	f.words, f.status, f.answered, f.host, f.tls = a.String(), a.enhanced, true, s.host, s.tls
	f.rule = authenticationRefusal(providerOf(s.host, f.to.Provider), a)
	switch {
	case f.rule != "":
		f.outcome = held
	case a.code/100 == 5:
		f.outcome = bounced
	default:
		f.outcome = deferred
	}
}

// meet takes down what concerns all of a destination.
func (f *fate) meet(t *trouble) {
	f.outcome = deferred
	if t.permanent {
		f.outcome = bounced
	}
	f.words, f.status, f.answered, f.host, f.tls = t.words, t.status, t.answered, t.host, t.tls
}

// reply is what a server answered.
type reply struct {
	code     int
	enhanced string // "5.7.26"; empty: none
	text     string // one line
}

func replyOf(e *smtp.SMTPError) reply {
	r := reply{code: e.Code, text: joined(e.Message)}
	if c := e.EnhancedCode; c[0] > 0 {
		r.enhanced = strconv.Itoa(c[0]) + "." + strconv.Itoa(c[1]) + "." + strconv.Itoa(c[2])
	}
	return r
}

func (r reply) String() string {
	return strings.Join(strings.Fields(strconv.Itoa(r.code)+" "+r.enhanced+" "+r.text), " ")
}

// joined makes one line of a reply's lines.
func joined(text string) string { return strings.Join(strings.Fields(text), " ") }
