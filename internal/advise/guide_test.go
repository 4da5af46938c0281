package advise

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"mailgate/internal/preflight"
)

// docs/findings.md says what the command says: both come from the same texts.
func TestGuide(t *testing.T) {
	const path = "../../docs/findings.md"
	want := guide()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the texts say: go test ./internal/advise -run Guide -update", path)
	}
	for _, c := range preflight.Codes() {
		if strings.Count(string(got), "\n### "+c.Code+"\n") != 1 {
			t.Errorf("%s has no section %s", path, c.Code)
		}
	}
}

const preamble = `# What each finding means, and how to mend it

A finding is one check of one name in DNS. Its code is what ` + "`mailgate check`, `quarantine list` and the log" + ` show, and ` +
	"`mailgate explain CODE`" + ` prints the section below; ` + "`mailgate explain`" + ` alone lists all codes.

A finding is *pass*, *warn* (works today, worth mending), *fail* (receivers see it as failed) or *unknown* (mostly because DNS gave no answer). What receivers do is a prediction, made from their published pages and from rejections seen (spring 2026). A bulk sender is, to Google and Microsoft, a domain with about 5,000 messages a day or more.

Examples are made up: example.com sends from mx1.example.com, 203.0.113.9 and 2001:db8::9, and its zone is on ns1.example.net and ns2.example.net. Keys are shortened.

After a mend nothing is to be done at mailgate: it asks the domain's own name servers again, and held mail leaves by itself.

## What receivers do
`

// classes are the classes of findings, in the order they are told.
var classes = []string{"no-dkim-pass", "no-spf-pass", "spf-hardfail", "no-dmarc-record", "unaligned", "no-ptr"}

func guide() string {
	var b strings.Builder
	b.WriteString(preamble)
	for _, class := range classes {
		heading, does := receivers(class)
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", heading, does)
	}
	rulesTable(&b)
	kind := preflight.Check("")
	for _, c := range preflight.Codes() {
		if c.Check != kind {
			kind = c.Check
			fmt.Fprintf(&b, "\n## %s\n", strings.ToUpper(string(kind)))
		}
		e, _ := Explain(c.Code)
		section(&b, e)
	}
	return b.String()
}

// rulesTable is what predictions are made of.
func rulesTable(b *strings.Builder) {
	b.WriteString("\n### Rules\n\nThe rule a prediction names. The first that applies gives the reply. \"Bulk\" ones are refusals for bulk senders and warnings for others.\n\n" +
		"| rule | receiver | reply |\n|---|---|---|\n")
	for _, r := range preflight.Refusals() {
		receiver := r.Provider.Title()
		if r.Bulk {
			receiver += ", bulk"
		} else if r.Warning {
			receiver += ", a warning only"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", r.Rule, receiver, r.Reply)
	}
}

// section is one code's; its heading makes the anchor.
func section(b *strings.Builder, e Explanation) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n", e.Code.Code, e.Meaning)
	own := e.own
	if heading, _ := receivers(e.class); heading != "" {
		anchor := strings.ToLower(strings.ReplaceAll(heading, " ", "-"))
		own = strings.TrimSpace(fmt.Sprintf("[%s](#%s). %s", heading, anchor, own))
	}
	paragraph(b, "Receivers", own)
	example(b, "Wrong", e.Wrong)
	example(b, "Right", e.Right)
	if len(e.Steps) > 0 {
		b.WriteString("\n**Mend**\n\n")
		for i, step := range e.Steps {
			fmt.Fprintf(b, "%d. %s\n", i+1, step)
		}
	}
	paragraph(b, "Beware", e.Beware)
	if len(e.Steps) > 0 {
		fmt.Fprintf(b, "\n**Check** `%s`\n", e.Verify)
	}
}

func paragraph(b *strings.Builder, label, text string) {
	if text != "" {
		fmt.Fprintf(b, "\n**%s** %s\n", label, text)
	}
}

func example(b *strings.Builder, label string, lines []string) {
	if len(lines) > 0 {
		fmt.Fprintf(b, "\n**%s**\n\n```\n%s\n```\n", label, strings.Join(lines, "\n"))
	}
}

// Every class of findings is in the guide.
func TestClasses(t *testing.T) {
	files, err := findings.ReadDir("findings/receivers")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(classes) {
		t.Errorf("%d classes in findings/receivers, %d in the guide", len(files), len(classes))
	}
	for _, class := range classes {
		if heading, does := receivers(class); heading == "" || does == "" {
			t.Errorf("class %s has no text", class)
		}
	}
}
