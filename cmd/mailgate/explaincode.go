package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mailgate/internal/bounce"
)

// statusExplained is what the codes of a reply mean without its text.
type statusExplained struct {
	Code   int            `json:"code,omitempty"`
	Basic  string         `json:"basic,omitempty"` // what RFC 5321 says of Code
	Status *bounce.Status `json:"enhanced,omitempty"`
	Uses   []bounce.Rule  `json:"uses,omitempty"` // what providers use the enhanced code for
}

var onlyCodes = regexp.MustCompile(`^([245][0-9][0-9])?(?:(?:^|[ -])#?([245]\.[0-9]{1,3}\.[0-9]{1,3}))?$`)

// codesIn reads a text that is a reply's codes and nothing else.
func codesIn(text string) (statusExplained, bool) {
	m := onlyCodes.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil || m[0] == "" {
		return statusExplained{}, false
	}
	var s statusExplained
	if m[1] != "" {
		s.Code, _ = strconv.Atoi(m[1])
		s.Basic = bounce.Basic(s.Code)
	}
	if status, ok := bounce.Lookup(m[2]); ok {
		s.Status = &status
		for _, u := range bounce.Uses(m[2]) {
			known := slices.ContainsFunc(s.Uses, func(x bounce.Rule) bool { return x.Name == u.Name })
			if u.Fits(s.Code) && !known {
				s.Uses = append(s.Uses, u)
			}
		}
	}
	return s, s.Status != nil || s.Basic != ""
}

func printStatus(out io.Writer, s statusExplained) {
	if s.Status == nil {
		fmt.Fprintf(out, "%d\n%s", s.Code, wrapped("  ", capital(s.Basic)+"."))
		fmt.Fprint(out, "\nKnown from\n  RFC 5321, section 4.2.3\n")
		fmt.Fprint(out, "\nThe enhanced code and the words behind it tell more: give the whole reply.\n")
		return
	}
	fmt.Fprintln(out, strings.TrimSpace(strings.Repeat(fmt.Sprint(s.Code)+" ", min(s.Code, 1))+s.Status.Code))
	text := s.Status.Detail
	if text == "" {
		text = "The registry doesn't have this code; whoever answers with it made it up."
	}
	fmt.Fprint(out, wrapped("  ", text))
	subject := strings.SplitN(s.Status.Code, ".", 3)[1]
	fmt.Fprintf(out, "\nParts\n  %s.x.x   %s\n  x.%s.x   %s\n", s.Status.Code[:1], s.Status.Class, subject, s.Status.Subject)
	if s.Basic != "" {
		fmt.Fprintf(out, "  %d     %s\n", s.Code, s.Basic)
	}
	fmt.Fprintf(out, "\nKnown from\n  %s\n", s.Status.Source)
	if len(s.Uses) == 0 {
		return
	}
	fmt.Fprint(out, "\nWhat is meant by it\n")
	for _, u := range s.Uses {
		who := "others"
		if u.Provider != "" {
			who = u.Provider.Title()
		}
		fmt.Fprint(out, wrapped("  ", who+": "+bounce.Impersonal(u.Means)), "    ", u.Name, "\n")
	}
	if len(s.Uses) > 1 {
		fmt.Fprint(out, "\nOne code stands for several things: give the whole reply to tell which.\n")
	}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// printReplyRule explains a rule that only replies are read by.
func printReplyRule(out io.Writer, u bounce.Rule) {
	who := "Servers that answer so"
	if u.Provider != "" {
		who = u.Provider.Title()
	}
	fmt.Fprintf(out, "%s\n%s", u.Name, wrapped("", capital(bounce.Impersonal(u.Means))))
	if len(u.Not) > 0 {
		fmt.Fprintf(out, "\nNot\n%s", wrapped("  ", strings.Join(u.Not, "; ")+"."))
	}
	if len(u.Do) > 0 {
		fmt.Fprint(out, "\nDo\n")
	}
	for _, step := range u.Do {
		fmt.Fprint(out, wrapped("  ", bounce.Impersonal(step)))
	}
	fmt.Fprintf(out, "\nSaid by\n  %s\n", who)
	fmt.Fprintf(out, "\nKnown from\n%s", wrapped("  ", u.Source))
}
