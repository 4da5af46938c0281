package notice

import (
	"fmt"
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

const (
	textWidth = 72 // columns
	maxNamed  = 50 // recipients named in the text; the status part has all
)

// letter is text for people.
type letter struct{ strings.Builder }

// say writes a paragraph.
func (l *letter) say(format string, args ...any) {
	l.wrap("", fmt.Sprintf(format, args...))
	l.blank()
}

func (l *letter) blank() { l.WriteString("\r\n") }

// title writes the heading of a section.
func (l *letter) title(s string) {
	l.WriteString(s + "\r\n" + strings.Repeat("-", len(s)) + "\r\n")
}

// row writes a name and a value, which is not broken: it may be copied.
func (l *letter) row(name, value string) {
	l.WriteString(fmt.Sprintf("  %-12s ", name) + value + "\r\n")
}

// command writes a command on a line of its own, to be copied.
func (l *letter) command(intro, command string) {
	l.wrap("", intro)
	l.WriteString("    " + command + "\r\n")
}

// wrap writes text in lines that begin with indent.
func (l *letter) wrap(indent, text string) {
	column := 0
	for _, word := range strings.Fields(text) {
		if column > 0 && column+len(" ")+len(word) > textWidth {
			l.blank()
			column = 0
		}
		if column == 0 {
			l.WriteString(indent)
			column = len(indent)
		} else {
			l.WriteString(" ")
			column++
		}
		l.WriteString(word)
		column += len(word)
	}
	if column > 0 {
		l.blank()
	}
}

// text is the report in plain words: for the sender first, then for the
// administrator.
func (r *Report) text() string {
	var l letter
	r.opening(&l)
	r.about(&l)
	l.title("What happened")
	for _, group := range grouped(r.Recipients) {
		r.happened(&l, group)
	}
	if why := r.notWhole(); why != "" {
		l.say("You asked for the whole message. It %s, so its header is below.", why)
	}
	l.title("What to do")
	r.advice(&l)
	if len(r.Findings)+len(r.Records) > 0 {
		l.title("For the administrator")
		for _, alike := range byCode(r.Findings) {
			l.findings(alike)
		}
		l.records(r.Records)
	}
	if r.Message.ID != "" {
		show := "mailgate quarantine show "
		if r.Relay {
			show = "mailgate queue show "
		}
		l.command("More is told on "+string(r.Hostname)+" by:", show+oneLine(r.Message.ID, maxText))
	}
	return l.String()
}

func (r *Report) opening(l *letter) {
	switch {
	case r.To != r.Message.Envelope.From:
		l.say("The message below could not be sent, and its sender can't be told: it has no return address that takes mail. So you get the report.")
	case r.Kind == Delayed:
		l.say("Your message has not been sent yet. You don't need to send it again.")
	case r.Kind == Relayed:
		l.say("Your message has been passed on to the receiving server, as you asked to be told. That server doesn't report what becomes of it: this is the last you hear.")
	default:
		l.say("Your message could not be sent. It is given up, and this is its return.")
	}
}

// about says which message it is.
func (r *Report) about(l *letter) {
	if s := oneLine(r.Message.Subject, maxText); s != "" {
		l.row("Subject", s)
	}
	if r.To != r.Message.Envelope.From && !r.Message.From.IsNull() {
		l.row("From", oneLine(r.Message.From.String(), maxText))
	}
	if !r.Message.Received.IsZero() {
		l.row("Taken at", date(r.Message.Received))
	}
	for i, to := range r.Recipients {
		if i == maxNamed {
			l.row("", fmt.Sprintf("and %d more", len(r.Recipients)-maxNamed))
			break
		}
		name := ""
		if i == 0 {
			name = "To"
		}
		l.row(name, oneLine(to.Address.String(), maxText))
	}
	l.blank()
}

// happened tells the fate that a group of recipients has in common.
func (r *Report) happened(l *letter, group []Recipient) {
	one := group[0]
	if len(group) < len(r.Recipients) {
		var names []string
		for _, to := range group[:min(len(group), maxNamed)] {
			names = append(names, oneLine(to.Address.String(), maxText))
		}
		l.say("To %s:", strings.Join(names, ", "))
	}
	answer := oneLine(one.Diagnostic, 4*maxText)
	server := oneLine(one.RemoteMTA, maxText)
	if server == "" {
		server = "The receiving server"
	}
	switch {
	case one.ByHand:
		l.say("%s", oneLine(one.Why, 4*maxText))
		if answer == "" {
			return
		}
		l.say("The last try to deliver it ended with:")
	case answer == "" && !one.LastAttempt.IsZero():
		l.say("%s could not deliver it. %s", r.Hostname, oneLine(one.Why, 4*maxText))
		return
	case one.Predicted || answer == "":
		verb := "held"
		if r.Kind == Delayed {
			verb = "holds"
		}
		l.say("%s %s the message back. Nothing was sent. %s", r.Hostname, verb, oneLine(one.Why, 4*maxText))
		if answer == "" {
			return
		}
		l.say("If it were sent now, the receiving server would answer (a prediction):")
	default:
		if why := oneLine(one.Why, 4*maxText); why != "" {
			l.say("%s", why)
		}
		l.say("%s answered:", server)
	}
	l.wrap("    ", answer)
	l.blank()
}

func (r *Report) advice(l *letter) {
	if r.Kind == Relayed {
		l.say("Nothing.")
		return
	}
	byHand := slices.ContainsFunc(r.Recipients, func(to Recipient) bool { return to.ByHand })
	held := slices.ContainsFunc(r.Recipients, func(to Recipient) bool { return to.RemoteMTA == "" && to.LastAttempt.IsZero() })
	switch {
	case r.Kind == Delayed && byHand:
		l.say("It leaves when an administrator lets it go.")
		r.until(l)
	case r.Kind == Delayed:
		l.say("It leaves by itself as soon as the cause is gone.")
		r.until(l)
	case held && !byHand && r.To == r.Message.Envelope.From:
		l.say("When the cause is gone, send the message again.")
	}
	switch {
	case byHand:
		l.say("Show this message to the mail administrator of %s, who can tell you more.", r.Hostname)
	case !held:
		l.say("If the answer doesn't tell you what to do, show this message to your mail administrator.")
	case r.To == r.Message.Envelope.From:
		l.say("The cause is not in what you wrote. Show this message to your mail administrator, or to whoever looks after %s.", sentAs(r))
	default:
		l.say("Mend what is said below.")
	}
}

func (r *Report) until(l *letter) {
	if !r.Until.IsZero() {
		l.say("If that is not so by %s, it will be returned to you.", date(r.Until))
	}
}

// sentAs is the domain that is to be mended.
func sentAs(r *Report) string {
	if d := r.Message.From.Domain; d != "" {
		return string(d)
	}
	return "the sender's domain"
}

// grouped puts recipients with the same fate together, in order.
func grouped(all []Recipient) [][]Recipient {
	type fate struct {
		why, diagnostic, server string
		predicted, byHand       bool
	}
	at := map[fate]int{}
	var groups [][]Recipient
	for _, to := range all {
		f := fate{to.Why, to.Diagnostic, to.RemoteMTA, to.Predicted, to.ByHand}
		i, known := at[f]
		if !known {
			i = len(groups)
			at[f] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], to)
	}
	return groups
}

// byCode puts findings of the same code together, in order.
func byCode(all []preflight.Finding) [][]preflight.Finding {
	at := map[string]int{}
	var groups [][]preflight.Finding
	for _, f := range all {
		i, known := at[f.Code]
		if !known {
			i = len(groups)
			at[f.Code] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

// findings writes findings of one code: what each says, and once what to do.
func (l *letter) findings(alike []preflight.Finding) {
	name := oneLine(alike[0].Code, maxText)
	if len(alike) == 1 && alike[0].Name != "" {
		name += "  (" + oneLine(alike[0].Name, maxText) + ")"
	}
	l.WriteString(name + "\r\n")
	for _, text := range saidBy(alike) {
		l.wrap("  ", text)
	}
	known, ok := preflight.Explain(alike[0].Code)
	if known.Mend != "" {
		l.wrap("  ", known.Mend)
	}
	if ok {
		l.WriteString("  More: mailgate explain " + known.Code + "\r\n")
	}
	l.blank()
}

// saidBy is what some findings of one code say, each thing once.
func saidBy(alike []preflight.Finding) []string {
	var texts []string
	for _, f := range alike {
		text := f.Text
		if text == "" {
			known, _ := preflight.Explain(f.Code)
			text = known.Meaning
		}
		if len(alike) > 1 && f.Name != "" && !strings.Contains(text, f.Name) {
			text = f.Name + ": " + text
		}
		if text = oneLine(text, 4*maxText); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

// records writes what is to be published, by the DNS host.
func (l *letter) records(records []Record) {
	for i, r := range records {
		if i == 0 || records[i-1].At != r.At {
			l.WriteString("Publish at " + oneLine(r.At, maxText) + ":\r\n\r\n")
		}
		l.row("Type", oneLine(r.Type, maxText))
		l.row("Name", oneLine(r.Name, maxText))
		l.row("Value", oneLine(r.Value, maxValue))
		for _, old := range r.Replaces {
			l.row("In place of", oneLine(old, maxValue))
		}
		for _, note := range r.Notes {
			l.row("Note", oneLine(note, maxText))
		}
		l.blank()
	}
}

// maxValue bounds the value of a record, in bytes. A key of 4096 bits takes 800.
const maxValue = 8 << 10
