package notice

import (
	"fmt"
	"slices"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// Ending is something that an administrator set for a time, and that ends soon.
type Ending struct {
	Name string // of what ends: with End, it is told of once
	What string // "The TLS override for gmail.com (encrypt, at most TLS 1.2: old gateway)"
	End  time.Time
	Look string // command that shows more
}

// Digest tells the postmaster what was newly held in a stretch of time, and what ends
// soon.
type Digest struct {
	Hostname mail.Domain
	To       mail.Address
	Since    time.Time
	At       time.Time         // now
	New      []spool.HoldCount // the largest number first
	Records  map[mail.Domain][]Record
	Findings map[mail.Domain][]preflight.Finding // of now; what isn't there is told in general words
	Held     int                                 // recipients held now, new or not
	Ending   []Ending
}

// maxDomains is how many domains a digest tells of.
const maxDomains = 20

// Compose writes the digest as a message of 7-bit ASCII, CRLF line ends and lines of
// at most 998 bytes. It is to be sent from the null sender.
func (d *Digest) Compose() []byte {
	var m message
	m.add("From", "mailgate <MAILER-DAEMON@"+string(d.Hostname)+">")
	m.to(d.To)
	m.add("Subject", encodeWords(d.subject()))
	m.add("Date", date(d.At))
	m.add("Message-ID", messageID(d.Hostname, d.At, "", "digest"))
	m.add("Auto-Submitted", "auto-generated")
	m.add("MIME-Version", "1.0")
	body := encode("text/plain", []byte(d.text()))
	body.writeHead(&m)
	m.line("")
	m.Write(body.body)
	return m.Bytes()
}

func (d *Digest) subject() string {
	if len(d.New) == 0 && len(d.Ending) > 0 {
		return fmt.Sprintf("mailgate on %s: %s soon", d.Hostname, map[bool]string{true: "something ends", false: "some things end"}[len(d.Ending) == 1])
	}
	return fmt.Sprintf("mailgate on %s: mail for %s newly held", d.Hostname, recipients(d.count()))
}

func (d *Digest) count() int {
	n := 0
	for _, c := range d.New {
		n += c.Recipients
	}
	return n
}

func recipients(n int) string {
	if n == 1 {
		return "1 recipient"
	}
	return fmt.Sprintf("%d recipients", n)
}

func (d *Digest) text() string {
	var l letter
	d.tellEnding(&l)
	if len(d.New) == 0 {
		return l.String()
	}
	still := 0
	for _, c := range d.New {
		still += c.Still
	}
	l.say("Since %s, mail for %s was held; %d of them are held still. Altogether %d are held now.",
		date(d.Since), recipients(d.count()), still, d.Held)
	domains := d.domains()
	for i, domain := range domains {
		if i == maxDomains {
			l.say("And %d more domains.", len(domains)-maxDomains)
			break
		}
		d.tellOf(&l, domain)
	}
	l.wrap("", "What is held leaves by itself once DNS is mended, unless auto_release is off.")
	if slices.ContainsFunc(d.New, func(c spool.HoldCount) bool { return c.Reason == spool.ByHand }) {
		l.wrap("", "What is held by hand stays until a reviewer lets it go.")
	}
	l.command("To look at all of it, to release or to discard:", "mailgate quarantine list")
	return l.String()
}

// maxEnding is how much that ends soon a digest tells of.
const maxEnding = 20

func (d *Digest) tellEnding(l *letter) {
	for i, e := range d.Ending {
		if i == maxEnding {
			l.wrap("", fmt.Sprintf("And %d more that end soon.", len(d.Ending)-maxEnding))
			l.blank()
			break
		}
		l.wrap("", fmt.Sprintf("%s ends on %s.", oneLine(e.What, maxText), date(e.End)))
		l.command("To look at it:", e.Look)
		l.blank()
	}
}

// Told returns the domains that the digest tells of, for which Records are wanted.
func (d *Digest) Told() []mail.Domain {
	all := d.domains()
	return all[:min(len(all), maxDomains)]
}

// domains are those of From, in order.
func (d *Digest) domains() []mail.Domain {
	var list []mail.Domain
	seen := map[mail.Domain]bool{}
	for _, c := range d.New {
		if !seen[c.From] {
			seen[c.From] = true
			list = append(list, c.From)
		}
	}
	return list
}

func (d *Digest) tellOf(l *letter, domain mail.Domain) {
	name := oneLine(string(domain), maxText)
	if name == "" {
		name = "(no usable From)"
	}
	l.title(name)
	explained := map[string]bool{}
	for _, c := range d.New {
		if c.From != domain {
			continue
		}
		l.wrap("", fmt.Sprintf("%s, %d still held: %s", recipients(c.Recipients), c.Still, cause(c)))
		for _, code := range c.Codes {
			if !explained[code] {
				explained[code] = true
				l.code(code, d.Findings[domain])
			}
		}
	}
	l.blank()
	l.records(d.Records[domain])
	if domain != "" {
		l.command("To look closer:", "mailgate quarantine list --domain "+name)
		l.blank()
	}
}

// code writes what a finding code means, in the words of the findings that have it.
func (l *letter) code(code string, findings []preflight.Finding) {
	known, ok := preflight.Explain(code)
	if !ok {
		l.wrap("  ", oneLine(code, maxText))
		return
	}
	var alike []preflight.Finding
	for _, f := range findings {
		if f.Code == code {
			alike = append(alike, f)
		}
	}
	texts := saidBy(alike)
	if len(texts) == 0 {
		texts = []string{known.Meaning}
	}
	l.wrap("  ", code+": "+texts[0])
	for _, text := range texts[1:] {
		l.wrap("  ", text)
	}
	l.WriteString("    mailgate explain " + code + "\r\n")
}

func cause(c spool.HoldCount) string {
	switch {
	case c.Reason == spool.Waiting:
		return "waiting for DNS"
	case c.Reason == spool.ByHand:
		return "held by hand"
	case c.Reason == spool.Foreign && c.From == "":
		return "no key can sign it"
	case c.Reason == spool.Foreign:
		return "no key signs for the domain here"
	}
	return "would be refused"
}
