package bounce

import (
	"slices"
	"strings"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
)

// Meaning is what a reading means. Without a Rule only the codes tell.
type Meaning struct {
	Rule      string   `json:"rule,omitempty"`
	Kind      Kind     `json:"kind,omitempty"`
	Fault     Fault    `json:"fault,omitempty"`
	Temporary bool     `json:"temporary"`
	Means     string   `json:"means"` // one or two sentences
	Not       []string `json:"not,omitempty"`
	Do        []string `json:"do,omitempty"`
	Source    string   `json:"source,omitempty"`
	Predicts  bool     `json:"predicted_by_mailgate,omitempty"` // pre-flight has the rule, too
	ByCode    bool     `json:"by_code_only,omitempty"`          // the words fit no rule
}

// Understood reports whether more than a basic code is known.
func (m Meaning) Understood() bool { return m.Rule != "" || m.ByCode }

func meaningOf(r *Reading) Meaning {
	u := ruleFor(r)
	if r.Event == Held && u == nil {
		return heldMeaning(r)
	}
	if u == nil {
		return codeMeaning(r)
	}
	m := Meaning{
		Rule: u.Name, Kind: u.Kind, Fault: u.Fault, Temporary: r.Temporary(),
		Means: r.fill(u.Means), Do: filled(r, u.Do), Source: u.Source, Not: slices.Clone(u.Not),
	}
	if r.Event == Said && r.Reply.class() == 0 && (u.Kind == Network || u.Kind == TLS) {
		m.Temporary = true
	}
	_, m.Predicts = preflight.ExplainRule(u.Name)
	m.Not = append(m.Not, notByKind(r, u)...)
	return m
}

// notByKind is what a refusal of a kind is not, and whose words they aren't.
func notByKind(r *Reading, u *Rule) []string {
	var not []string
	add := func(s string) {
		if !slices.Contains(u.Not, s) {
			not = append(not, s)
		}
	}
	switch u.Kind {
	case Authentication:
		add("a blocklist")
	case HostName:
		add("SPF, DKIM or DMARC")
	case Recipient, Blocklist:
		add("about SPF, DKIM or DMARC")
	case Network, TLS, DNS:
		if r.Local {
			add("a refusal of the message")
		}
	}
	if title := r.Format.Title(); title != "" && !r.Local && u.Fault != OurServer && r.Format != Mailgate && r.Event != Rejected {
		add(article(title) + " fault")
	}
	return not
}

func article(name string) string {
	if strings.ContainsAny(name[:1], "AEIOU") {
		return "an " + name
	}
	return "a " + name
}

// heldMeaning is for what mailgate holds for no prediction.
func heldMeaning(r *Reading) Meaning {
	m := Meaning{Rule: "", ByCode: true, Kind: Authentication, Fault: Nobody, Temporary: true, Source: "mailgate's own log"}
	m.Means = "mailgate keeps the message; it leaves by itself once what it waits for is there."
	if len(r.Findings) > 0 {
		m.Fault = SenderDNS
		m.Means = "mailgate keeps the message for " + strings.Join(r.Findings, ", ") + "; it leaves by itself once that is mended."
	}
	return m
}

// codeMeaning is what the codes alone tell.
func codeMeaning(r *Reading) Meaning {
	m := Meaning{Temporary: r.Temporary(), Fault: Nobody}
	if s, ok := Lookup(r.Reply.Enhanced); ok && s.Detail != "" {
		m.ByCode = true
		m.Kind, m.Fault = s.kind(), s.fault()
		m.Means = "No rule knows these words. By its code: " + lowerFirst(s.Detail)
		m.Source = s.Source
		return m
	}
	if basic, ok := basicCodes[r.Reply.Code]; ok {
		m.Means = "No rule knows these words, and the code says little: " + basic + "."
		m.Source = "RFC 5321, section 4.2.3"
		return m
	}
	m.Means = "No rule knows these words, and there is no code that tells more."
	return m
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

func filled(r *Reading, texts []string) []string {
	var all []string
	for _, t := range texts {
		all = append(all, r.fill(t))
	}
	return all
}

// fill puts names into a rule's text.
func (r *Reading) fill(text string) string {
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	sender := string(r.MailFrom)
	if sender == "" {
		sender = string(r.Domain)
	}
	to, client := string(domainOf(r.Recipient)), r.OurIP
	if r.Event == Rejected {
		client = r.RemoteIP
	}
	return strings.NewReplacer(
		"{again}", again(r),
		"{dmarc}", dmarcName(r.Domain),
		"{domain}", or(string(r.Domain), "the sender's domain"),
		"{sender}", or(sender, "the domain of MAIL FROM"),
		"{ip}", or(client, "your server's address"),
		"{to}", or(r.Recipient, "the recipient"),
		"{todomain}", or(to, "the recipient's domain"),
		"{host}", or(r.RemoteHost, "the receiver's server"),
		"{lists}", or(strings.Join(r.Lists, ", "), "a blocklist it doesn't name"),
	).Replace(text)
}

// Impersonal is a rule's text without the names of a message.
func Impersonal(text string) string { return (&Reading{}).fill(text) }

// again is what becomes of the message without anybody's doing.
func again(r *Reading) string {
	switch {
	case r.Temporary():
		return "Nothing: it is tried again."
	case r.Event == "" || r.Event == Said && r.Reply.class() == 0:
		return "Nothing while it is tried again; once it isn't, send it again."
	}
	return "Send it again later: it isn't tried again by itself."
}

// dmarcName is where a domain's DMARC record stands.
func dmarcName(d mail.Domain) string {
	if d == "" {
		return "_dmarc below the sender's domain"
	}
	return "_dmarc." + string(d)
}
