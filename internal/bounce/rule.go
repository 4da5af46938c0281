package bounce

import (
	"slices"
	"strconv"
	"strings"

	"mailgate/internal/preflight"
)

// Kind is what a refusal is about.
type Kind string

const (
	Authentication Kind = "authentication" // SPF, DKIM, DMARC
	HostName       Kind = "host-name"      // PTR and HELO
	Reputation     Kind = "reputation"     // what the address or domain has sent before
	Blocklist      Kind = "blocklist"
	Content        Kind = "content"
	Form           Kind = "form" // of the message: header fields, line ends, size
	Recipient      Kind = "recipient"
	Sender         Kind = "sender" // the address of the envelope
	Access         Kind = "access" // relaying, logins, what a receiver allows whom
	Rate           Kind = "rate"
	TLS            Kind = "tls"
	DNS            Kind = "dns"     // of the recipient's domain, or answers that didn't come
	Network        Kind = "network" // nobody answered, or not to the end
	Trouble        Kind = "trouble" // the receiver can't, for now
)

// Fault is who can mend it.
type Fault string

const (
	SenderDNS        Fault = "sender-dns" // what the sending domain publishes
	OurServer        Fault = "our-server" // our server, its name or its network
	OurSending       Fault = "our-sending"
	OurMessage       Fault = "message"
	Receiver         Fault = "receiver"
	RecipientAddress Fault = "recipient-address"
	Nobody           Fault = "unclear"
)

// Rule is one thing that receivers, or our own server, say, and what it means.
type Rule struct {
	Name     string             `json:"rule"`
	Provider preflight.Provider `json:"provider,omitempty"` // empty: anybody
	Kind     Kind               `json:"kind"`
	Fault    Fault              `json:"fault"`
	Means    string             `json:"means"`
	Not      []string           `json:"not,omitempty"` // what it is easily taken for
	Do       []string           `json:"do,omitempty"`
	Source   string             `json:"source"` // where it is known from

	codes    []int    // any of them; empty: any
	enhanced []string // any of them, by pattern (see fitsEnhanced); empty: any
	text     []string // one of these, in lower case; empty: any
	words    []string // one of these, in prose (see words); empty: any
	and      []string // all of these, in lower case
	unless   []string // none of these, in lower case
	local    bool     // our own server's words only
	remote   bool     // a receiver's words only
}

// Rules returns the table, in the order it is looked through.
func Rules() []Rule {
	return slices.Concat(googleRules(), microsoftRules(), otherProviders(), generalRules())
}

// Explain returns the rules of a name: one for each provider that has it; none when
// there is no such rule.
func Explain(name string) []Rule {
	return slices.DeleteFunc(Rules(), func(r Rule) bool { return r.Name != name })
}

// table is built once: readings are many.
var table = Rules()

func ruleFor(r *Reading) *Rule {
	w := wordsOf(r)
	prose := r.Format == Plain && r.Reply.class() == 0
	for i := range table {
		if prose && !aboutConnection(table[i].Kind) {
			continue // anybody may write of DKIM
		}
		if table[i].fits(r, w) {
			return &table[i]
		}
	}
	return nil
}

// aboutConnection reports whether rules of a kind know what mail servers themselves
// say, which has no codes.
func aboutConnection(k Kind) bool { return k == Network || k == TLS || k == DNS }

func (u *Rule) fits(r *Reading, w words) bool {
	contains := func(s string) bool { return strings.Contains(w.text, s) }
	inProse := func(s string) bool { return strings.Contains(w.prose, s) }
	switch {
	case u.Provider != "" && u.Provider != r.Provider,
		u.local && !r.Local, u.remote && r.Local,
		len(u.codes) > 0 && !slices.Contains(u.codes, r.Reply.Code) && !(r.Reply.Code == 0 && len(u.enhanced) > 0),
		len(u.enhanced) > 0 && !slices.ContainsFunc(u.enhanced, func(p string) bool { return fitsEnhanced(p, r.Reply.Enhanced) }),
		len(u.text) > 0 && !slices.ContainsFunc(u.text, contains),
		len(u.words) > 0 && !slices.ContainsFunc(u.words, inProse),
		slices.ContainsFunc(u.unless, contains),
		slices.ContainsFunc(u.and, func(s string) bool { return !contains(s) }):
		return false
	}
	return true
}

// Fits reports whether the rule goes with a basic code; 0 is any.
func (u Rule) Fits(code int) bool {
	return code == 0 || len(u.codes) == 0 || slices.Contains(u.codes, code)
}

// fitsEnhanced matches an enhanced code with a pattern: "5.7.26"; "x.7.26" for any
// class; "5.7.606-649" for a range of details.
func fitsEnhanced(pattern, code string) bool {
	if code == "" {
		return false
	}
	if rest, any := strings.CutPrefix(pattern, "x"); any {
		pattern = code[:1] + rest
	}
	head, last, isRange := strings.Cut(pattern, "-")
	if !isRange {
		return pattern == code
	}
	dot := strings.LastIndexByte(head, '.')
	detail, ok := strings.CutPrefix(code, head[:dot+1])
	n, err := strconv.Atoi(detail)
	from, _ := strconv.Atoi(head[dot+1:])
	to, _ := strconv.Atoi(last)
	return ok && err == nil && from <= n && n <= to
}
