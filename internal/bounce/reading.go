package bounce

import (
	"net/netip"
	"strings"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
)

// Event is what became of the message, by who wrote the line or report.
type Event string

const (
	Failed   Event = "failed"   // given up: it won't be tried again
	Delayed  Event = "delayed"  // it is still tried
	Rejected Event = "rejected" // refused to a client of the server whose log it is
	Held     Event = "held"     // mailgate keeps it
	Said     Event = "said"     // only a reply is known, not what was made of it
)

// Format is what a reading was unwrapped from.
type Format string

const (
	Exim     Format = "exim"
	Postfix  Format = "postfix"
	Sendmail Format = "sendmail"
	Exchange Format = "exchange"
	Qmail    Format = "qmail"
	Mailgate Format = "mailgate"
	Report   Format = "report" // RFC 3464, by whatever program
	Plain    Format = "reply"  // an SMTP reply without wrapping, or text around one
)

// Title returns the program's name, "" where it isn't one.
func (f Format) Title() string {
	switch f {
	case Exim:
		return "Exim"
	case Postfix:
		return "Postfix"
	case Sendmail:
		return "sendmail"
	case Exchange:
		return "Exchange"
	case Qmail:
		return "qmail"
	case Mailgate:
		return "mailgate"
	}
	return ""
}

// Reply is an SMTP reply, its lines joined.
type Reply struct {
	Code     int    `json:"code,omitempty"`     // RFC 5321; 0: none
	Enhanced string `json:"enhanced,omitempty"` // RFC 3463, "5.7.26"; empty: none
	Text     string `json:"text,omitempty"`     // without the codes
}

// Codes returns "550 5.7.26", or what there is of it.
func (r Reply) Codes() string {
	var basic string
	if r.Code > 0 {
		basic = string([]byte{byte('0' + r.Code/100), byte('0' + r.Code/10%10), byte('0' + r.Code%10)})
	}
	return strings.TrimSpace(basic + " " + r.Enhanced)
}

// class is 2, 4 or 5, by the basic code and else by the enhanced one; 0: unknown.
func (r Reply) class() int {
	if r.Code > 0 {
		return r.Code / 100
	}
	if r.Enhanced != "" {
		return int(r.Enhanced[0] - '0')
	}
	return 0
}

// Reading is what one line, reply or part of a report says about one recipient.
// Fields are empty where the text doesn't tell.
type Reading struct {
	Format     Format             `json:"format"`
	Event      Event              `json:"event"`
	Reply      Reply              `json:"reply"`
	Local      bool               `json:"local,omitempty"`     // our own server's words: no receiver answered
	Predicted  bool               `json:"predicted,omitempty"` // the reply is mailgate's prediction
	QueueID    string             `json:"queue_id,omitempty"`
	Recipient  string             `json:"recipient,omitempty"`
	Sender     string             `json:"sender,omitempty"`      // the envelope's; "<>" is the null sender
	Domain     mail.Domain        `json:"domain,omitempty"`      // the sending domain it is about
	MailFrom   mail.Domain        `json:"mail_from,omitempty"`   // the domain of the envelope's sender
	Selectors  []string           `json:"selectors,omitempty"`   // of DKIM signatures the message had
	RemoteHost string             `json:"remote_host,omitempty"` // that answered, or should have
	RemoteIP   string             `json:"remote_ip,omitempty"`
	OurIP      string             `json:"our_ip,omitempty"`  // the address the receiver saw
	TLS        string             `json:"tls,omitempty"`     // "TLS1.2"
	Command    string             `json:"command,omitempty"` // answered so: "RCPT TO", "end of data"
	Provider   preflight.Provider `json:"provider,omitempty"`
	Results    []string           `json:"results,omitempty"`  // of authentication, as the reply has them: "dkim=fail"
	Lists      []string           `json:"lists,omitempty"`    // blocklists that the reply names
	Findings   []string           `json:"findings,omitempty"` // of mailgate's own lines: codes
	Meaning    Meaning            `json:"meaning"`
	Raw        string             `json:"raw,omitempty"` // what was read, cut
}

// Temporary reports whether the message is tried again, or may be.
func (r *Reading) Temporary() bool {
	switch {
	case r.Event == Failed || r.Event == Rejected && r.Reply.class() == 5:
		return false
	case r.Event == Delayed, r.Event == Held:
		return true
	}
	return r.Reply.class() == 4
}

// maxRaw is how much of the text a reading keeps, in bytes.
const maxRaw = 2000

// finish fills in what follows from the rest: every reading ends here.
func (r *Reading) finish() {
	r.Reply.Text = tidy(r.Reply.Text)
	r.Raw = cut(tidy(r.Raw), maxRaw)
	for _, s := range []*string{&r.QueueID, &r.Recipient, &r.Sender, &r.RemoteHost, &r.RemoteIP, &r.TLS, &r.Command} {
		*s = cut(tidy(*s), maxField)
	}
	r.RemoteHost = strings.ToLower(strings.TrimSuffix(r.RemoteHost, "."))
	if ip, err := netip.ParseAddr(r.RemoteIP); err != nil {
		r.RemoteIP = ""
	} else {
		r.RemoteIP = ip.Unmap().String()
	}
	r.Recipient, r.Sender = bareAddress(r.Recipient), bareAddress(r.Sender)
	r.readText()
	r.Provider = r.provider()
	if r.Predicted {
		r.Results = nil // nobody has found them
	}
	r.Meaning = meaningOf(r)
}

// maxField bounds a name or address, in bytes.
const maxField = 512

// microsoftsOwn are enhanced codes that nobody else answers with.
var microsoftsOwn = []string{"x.7.500-799", "x.7.850-899"}

// provider tells who answered: by the server's name, by the words and codes of the
// reply, and at last by the recipient's domain.
func (r *Reading) provider() preflight.Provider {
	if r.RemoteHost != "" {
		if p := preflight.ProviderOfHost(r.RemoteHost); p != preflight.Other {
			return p
		}
	}
	if p := providerByWords(r.Reply.Text); p != "" {
		return p
	}
	for _, p := range microsoftsOwn {
		if fitsEnhanced(p, r.Reply.Enhanced) {
			return preflight.Microsoft
		}
	}
	if d := domainOf(r.Recipient); d != "" && (r.RemoteHost == "" || r.Local) {
		if p := preflight.ProviderOfDomain(d); p != preflight.UnknownProvider {
			return p
		}
	}
	return ""
}

// providerByWords knows what only one provider writes.
func providerByWords(text string) preflight.Provider {
	low := strings.ToLower(text)
	for _, w := range [...]struct {
		mark     string
		provider preflight.Provider
	}{
		{"gsmtp", preflight.Google}, {"support.google.com", preflight.Google}, {"gmail requires", preflight.Google},
		{"your email has been blocked because the sender is unauthenticated", preflight.Google}, {"does not have authentication information or fails to", preflight.Google}, {"unauthenticated email from ", preflight.Google},
		{".prod.outlook.com", preflight.Microsoft}, {".protection.outlook.com", preflight.Microsoft},
		{"mail.live.com", preflight.Microsoft}, {"postmaster.live.com", preflight.Microsoft}, {"sender.office.com", preflight.Microsoft},
		{"aka.ms/", preflight.Microsoft}, {"go.microsoft.com/", preflight.Microsoft}, {"office365", preflight.Microsoft},
		{"postmaster.yahoo", preflight.Yahoo}, {"senders.yahooinc", preflight.Yahoo}, {"yahoo requires", preflight.Yahoo},
		{"support.apple.com", preflight.Apple}, {"[hme1]", preflight.Apple},
		{"service.mail.qq.com", preflight.QQ}, {"service.exmail.qq.com", preflight.QQ}, {"open.work.weixin.qq.com", preflight.QQ},
	} {
		if strings.Contains(low, w.mark) {
			return w.provider
		}
	}
	return ""
}
