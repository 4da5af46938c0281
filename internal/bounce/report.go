package bounce

import (
	"regexp"
	"slices"
	"strings"
)

// readStatus reads the fields of a delivery-status part (RFC 3464): a block about the
// message, then one for each recipient. Text pasted from one will do.
func readStatus(text string, base Reading) []Reading {
	var list []Reading
	whole := base
	text = dedent(text)
	for text != "" {
		var f fields
		f, text = readFields(strings.TrimLeft(text, "\r\n"))
		if len(f) == 0 {
			break
		}
		whole.readWhole(f)
		if f.get("Final-Recipient") == "" && f.get("Diagnostic-Code") == "" && f.get("Original-Recipient") == "" {
			continue
		}
		r, failed := readRecipient(f, whole)
		if failed && len(list) < maxRecipients {
			list = append(list, r)
		}
	}
	return list
}

// maxRecipients bounds the readings of one report.
const maxRecipients = 1000

// indented is a line of fields that were pasted with white space before them.
var indented = regexp.MustCompile(`(?m)^[ \t]+([A-Z][A-Za-z0-9-]*: )`)

func dedent(text string) string { return indented.ReplaceAllString(text, "$1") }

// readWhole takes the fields about the message.
func (r *Reading) readWhole(f fields) {
	if id := f.get("X-Postfix-Queue-ID"); id != "" {
		r.Format, r.QueueID = Postfix, id
	}
	if _, sender := typed(f.get("X-Postfix-Sender")); sender != "" {
		r.Sender = sender
	}
	if id := f.get("X-Original-Message-ID"); id != "" && r.Format == "" {
		r.Format = Report
	}
	if f.get("Original-Envelope-Id") != "" && r.QueueID == "" && r.Format == Report {
		r.QueueID = f.get("Original-Envelope-Id")
	}
	if r.Format == "" || r.Format == Plain {
		r.Format = Report
	}
}

// readRecipient reads what became of one recipient; failed is false where the message
// was delivered or passed on.
func readRecipient(f fields, base Reading) (r Reading, failed bool) {
	r = base
	_, r.Recipient = typed(f.get("Final-Recipient"))
	if _, original := typed(f.get("Original-Recipient")); original != "" && !strings.Contains(r.Recipient, "@") {
		r.Recipient = original
	}
	switch action := strings.ToLower(strings.TrimSpace(f.get("Action"))); {
	case strings.HasPrefix(action, "delayed"):
		r.Event = Delayed
	case strings.HasPrefix(action, "delivered"), strings.HasPrefix(action, "relayed"), strings.HasPrefix(action, "expanded"):
		return r, false
	default:
		r.Event = Failed
	}
	status, _, _ := strings.Cut(strings.TrimSpace(f.get("Status")), " ")
	if enhancedShape.MatchString(status) {
		r.Reply.Enhanced = status
	}
	kind, said := typed(f.get("Diagnostic-Code"))
	if said == "" {
		said = f.get("X-Supplementary-Info")
	}
	_, host := typed(f.get("Remote-MTA"))
	r.RemoteHost, r.RemoteIP = hostAndAddress(host)
	r.Raw = strings.TrimSpace(f.get("Diagnostic-Code") + " " + f.get("Status"))
	if said == "" {
		r.Reply.Text = f.get("X-Notes")
		r.Local = r.RemoteHost == ""
		return r, true
	}
	a := unwrap(said)
	a.remote = a.remote || kind == "smtp"
	r.apply(a)
	if kind == "x-postfix" && r.Reply.Code == 0 {
		r.Local = !a.remote
	}
	return r, true
}

var hostThenAddress = regexp.MustCompile(`^\s*([^\s(\[]+)\s*[(\[]([0-9A-Fa-f.:]+)`)

// hostAndAddress reads a Remote-MTA, which may have an address behind it.
func hostAndAddress(s string) (host, ip string) {
	if m := hostThenAddress.FindStringSubmatch(s); m != nil {
		return m[1], m[2]
	}
	host, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	return host, ""
}

// fillFromOriginal takes from the returned header whose message it was.
func (r *Reading) fillFromOriginal(f fields) {
	if from := f.get("From"); from != "" {
		if d := domainOf(lastAddress(from)); d != "" {
			r.Domain = d
		}
	}
	if r.Sender == "" {
		r.Sender = bareAddress(f.get("Return-Path"))
	}
	for _, signature := range f.all("DKIM-Signature") {
		s, d := tag(signature, "s"), domainFrom(tag(signature, "d"))
		if s != "" && d == r.Domain && !slices.Contains(r.Selectors, s) && len(r.Selectors) < 8 {
			r.Selectors = append(r.Selectors, cut(tidy(s), 64))
		}
	}
}

func lastAddress(s string) string {
	found := anyAddress.FindAllString(s, -1)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// tag is a tag's value of a DKIM signature.
func tag(signature, name string) string {
	for _, part := range strings.Split(signature, ";") {
		if key, value, ok := strings.Cut(part, "="); ok && strings.TrimSpace(key) == name {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}
