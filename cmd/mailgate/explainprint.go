package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailgate/internal/bounce"
	"mailgate/internal/preflight"
)

// maxShown is how many different readings are printed; JSON has all.
const maxShown = 30

func printReadings(out io.Writer, all explained) {
	p := painter(out)
	for i, r := range all.Readings[:min(len(all.Readings), maxShown)] {
		if i > 0 {
			fmt.Fprintln(out)
		}
		printReading(out, p, &r)
	}
	printInput(out, all)
}

func printReading(out io.Writer, p paint, r *reading) {
	m := r.Meaning
	if !m.Understood() && r.Reply.Codes() == "" {
		fmt.Fprint(out, wrapped("", "Not understood: there is no reply of a server in it, nor words of a mail server that are known. It begins: "+plain(r.Raw, 200)))
		if who := whoseLine(r); who != "" {
			fmt.Fprint(out, wrapped("", "Read in it: "+who))
		}
		fmt.Fprint(out, wrapped("", "Give the whole line of the log, or the whole bounce: mailgate explain FILE"))
		return
	}
	fmt.Fprint(out, wrapped("", plain(headline(r), 0)+" "+plain(m.Means, 0)))
	if m.Rule == "" && r.Reply.Text != "" {
		fmt.Fprint(out, wrapped("", "It says: "+plain(r.Reply.Text, 300)))
	}
	if who := whoseLine(r); who != "" {
		fmt.Fprint(out, wrapped("", who))
	}
	if len(m.Not) > 0 {
		fmt.Fprint(out, wrapped("", "Not "+strings.Join(m.Not, ", not ")+"."))
	}
	fmt.Fprint(out, wrapped("", standing(r)))
	printNow(out, p, r)
	if r.mended() {
		m.Do = nil
	}
	for i, step := range m.Do {
		label := "Do:  "
		if i > 0 {
			label = "     "
		}
		fmt.Fprint(out, label+strings.TrimLeft(wrapped("     ", plain(step, 0)), " "))
	}
	for _, code := range r.Findings {
		fmt.Fprintln(out, "Next: mailgate explain "+plain(code, 64))
	}
	if r.Next != "" {
		fmt.Fprintln(out, "Next: "+plain(r.Next, 0))
	}
	if m.Rule != "" {
		fmt.Fprintln(out, "Rule: "+m.Rule)
	}
}

// headline is who said what: "Gmail 550 5.7.26:".
func headline(r *reading) string {
	codes := r.Reply.Codes()
	who := r.RemoteHost
	if r.Provider != "" {
		who = r.Provider.Title()
	}
	if who == "" {
		who = string(domainOfAddress(r.Recipient))
	}
	times := ""
	if r.Count > 1 {
		times = thousands(r.Count) + " × "
	}
	switch {
	case r.Event == bounce.Rejected:
		who = strings.TrimSpace("Your "+r.Format.Title()) + " to a client"
		if r.RemoteIP != "" {
			who += " (" + r.RemoteIP + ")"
		}
	case r.Predicted:
		who = "Held by mailgate. It predicts of " + who
	case r.Event == bounce.Held && codes == "":
		who = "Held by mailgate"
	case r.Event == bounce.Held:
		who = "Held by mailgate; " + who + " said"
	case r.Local:
		who = strings.TrimSpace(r.Format.Title() + ", about " + who)
		if strings.HasSuffix(who, "about") {
			who = strings.TrimSuffix(who, ", about")
		}
		who = strings.TrimPrefix(who, ", ")
	}
	return times + strings.TrimSpace(strings.TrimSpace(who+" "+codes)) + ":"
}

// whoseLine is whose message it was and how it went.
func whoseLine(r *reading) string {
	var parts []string
	add := func(format, s string) {
		if s != "" {
			parts = append(parts, fmt.Sprintf(format, plain(s, 100)))
		}
	}
	sender := string(r.Domain)
	if sender == "" {
		sender = r.Sender
	}
	add("sender %s", sender)
	if r.MailFrom != r.Domain {
		add("MAIL FROM %s", string(r.MailFrom))
	}
	add("to %s", recipients(r))
	if !r.Local && r.Event != bounce.Rejected {
		add("from %s", r.OurIP)
	}
	if r.TLS != "" && r.Meaning.Kind != bounce.TLS {
		add("TLS was fine (%s)", r.TLS)
	}
	if r.Command != "" && !r.Local {
		add("in answer to %s", r.Command)
	}
	add("it found %s", strings.Join(r.Results, " "))
	if id := r.QueueID; id != "" && r.Count == 1 && !strings.Contains(id, " ") {
		add(strings.TrimSpace(r.Format.Title()+" id")+" %s", id)
	}
	if len(parts) == 0 {
		return ""
	}
	return capital(strings.Join(parts, ", ")) + "."
}

func recipients(r *reading) string {
	if r.Count <= 1 {
		return r.Recipient
	}
	if len(r.Recipients) == 0 {
		return ""
	}
	some := strings.Join(r.Recipients[:min(3, len(r.Recipients))], ", ")
	if len(r.Recipients) > 3 {
		some += " …"
	}
	return some
}

// standing is whether it is tried again, and whose it is to mend.
func standing(r *reading) string {
	s := "Permanent"
	switch {
	case r.Event == bounce.Held:
		s = "Held: it leaves by itself once that is mended"
	case r.Event == bounce.Failed && r.Reply.Codes() != "" && r.Reply.Codes()[0] == '4':
		s = "Temporary in itself, but given up"
	case r.Meaning.Temporary:
		s = "Temporary: it is tried again"
	}
	if at := mendWords(r); at != "" && !r.mended() {
		s += "; " + at
	}
	return s + "."
}

func mendWords(r *reading) string {
	domain := string(r.Domain)
	if domain == "" {
		domain = "the sender's domain"
	}
	switch r.Meaning.Fault {
	case bounce.SenderDNS:
		return "to be mended in what " + domain + " publishes in DNS"
	case bounce.OurServer:
		return "to be mended at your server or its network"
	case bounce.OurSending:
		return "the cause is what was sent from your address or domain"
	case bounce.OurMessage:
		return "to be mended in the message"
	case bounce.Receiver:
		return "the receiver's to mend"
	case bounce.RecipientAddress:
		return "the recipient's address is at fault"
	}
	return ""
}

// printNow says what DNS has now.
func printNow(out io.Writer, p paint, r *reading) {
	f := r.Now
	if f == nil {
		return
	}
	who := "the receiver"
	if f.Prediction != nil {
		who = f.Prediction.Provider.Title()
	}
	say := func(s string) { fmt.Fprint(out, "Now:  "+strings.TrimLeft(wrapped("      ", plain(s, 0)), " ")) }
	switch {
	case f.passes():
		say("everything passes: the message would be taken (prediction). Send it again.")
	case f.Verdict == string(preflight.Accept):
		say(who + " would take it (prediction)" + because(f) + ". Send it again, and mend what isn't well.")
	case f.Verdict == string(preflight.Refuse):
		say("still refused (prediction, rule " + f.Prediction.Rule + ").")
	default:
		say("what " + who + " would say can't be told: " + strings.TrimSuffix(f.Why, ".") + ".")
	}
	var silent []string
	var last preflight.Finding
	show := func(status preflight.Status, line string) {
		fmt.Fprintf(out, "      %s %s", mark(p, status), strings.TrimLeft(wrapped("        ", line), " "))
	}
	for _, x := range f.Findings {
		if x.Code == noAnswer {
			silent, last = append(silent, about(x)), x
			continue
		}
		show(x.Status, findingLine(x))
	}
	if len(silent) > 0 {
		show(last.Status, strings.Join(silent, ", ")+": "+noAnswer)
	}
}

func because(f *nowFound) string {
	if f.Prediction != nil && f.Why != f.Prediction.Why && f.Why != "" {
		return "; " + f.Why
	}
	return ""
}

// findingLine is a finding with the servers that have it so: "DKIM mail:
// dkim-missing at ada.ns.example, bob.ns.example".
func findingLine(x preflight.Finding) string {
	line := about(x) + ": " + x.Code
	if x.Check == preflight.DKIM {
		var servers []string
		for _, o := range x.Evidence {
			if o.Type == "TXT" && !slices.Contains(servers, o.Server) && len(servers) < 4 {
				servers = append(servers, o.Server)
			}
		}
		if len(servers) > 0 {
			line += ", asked " + plain(strings.Join(servers, ", "), 200)
		}
	}
	return line
}

// about is what a finding is about: "SPF 203.0.113.9".
func about(x preflight.Finding) string {
	return strings.ToUpper(string(x.Check)) + " " + plain(cmp.Or(x.Selector, x.Address, x.Name), 60)
}

// printInput says what else the input held.
func printInput(out io.Writer, all explained) {
	in := all.Input
	var notes []string
	if n := len(all.Readings) - maxShown; n > 0 {
		notes = append(notes, fmt.Sprintf("%s more: --format json shows all", count(n, "kind", "kinds")))
	}
	if in.Left > 0 {
		notes = append(notes, fmt.Sprintf("%s left out: there are more than %d kinds", count(in.Left, "reading", "readings"), bounce.MaxGroups))
	}
	if in.Strays > 0 {
		notes = append(notes, count(in.Strays, "more text says nothing", "more texts say nothing")+" about a refusal")
	}
	switch {
	case len(all.Readings) == 0 && in.Delivered > 0:
		fmt.Fprintln(out, "Delivered: "+count(int(in.Delivered), "line tells", "lines tell")+" of a delivery, none of a failure.")
		return
	case len(all.Readings) == 0:
		fmt.Fprintln(out, "Nothing in it tells what became of a message: "+count(int(in.Lines), "line", "lines")+" read.")
		return
	case in.Delivered > 0:
		notes = append(notes, count(int(in.Delivered), "delivery", "deliveries")+" in it, too")
	}
	if len(notes) > 0 {
		fmt.Fprintln(out, "\n"+capital(strings.Join(notes, "; "))+".")
	}
}
