package advise

import (
	"embed"
	"strings"

	"mailgate/internal/preflight"
)

// findings has one text a finding code, and under receivers what several of them
// have in common. parseExplanation says how they are written.
//
//go:embed findings/*.txt findings/receivers/*.txt
var findings embed.FS

// Explanation is what people need to know about a finding code. Fields that have
// nothing to say are empty.
type Explanation struct {
	preflight.Code
	Receivers string   `json:"receivers,omitempty"` // what receivers do about it
	Wrong     []string `json:"wrong,omitempty"`     // an example of how it looks, made up
	Right     []string `json:"right,omitempty"`     // and of how it should
	Steps     []string `json:"steps,omitempty"`     // how to mend it, in order
	Beware    string   `json:"beware,omitempty"`    // what is easily missed
	Verify    string   `json:"verify,omitempty"`    // the command that tells whether it is mended

	class string // what it counts as, a name under findings/receivers
	own   string // Receivers without what the class says
}

// Explain explains a finding code; false for a code there isn't.
func Explain(code string) (Explanation, bool) {
	c, ok := preflight.Explain(code)
	if !ok {
		return Explanation{}, false
	}
	text, err := findings.ReadFile("findings/" + code + ".txt")
	if err != nil {
		return Explanation{Code: c}, true
	}
	e := parseExplanation(string(text))
	e.Code = c
	_, does := receivers(e.class)
	e.Receivers = strings.TrimSpace(does + " " + e.own)
	if e.Verify == "" {
		e.Verify = "mailgate check example.com"
	}
	return e, true
}

// receivers is the heading of a class of findings, and what receivers do about
// mail it applies to.
func receivers(class string) (heading, does string) {
	text, err := findings.ReadFile("findings/receivers/" + class + ".txt")
	if err != nil {
		return "", ""
	}
	heading, does, _ = strings.Cut(strings.TrimSpace(string(text)), "\n")
	return heading, does
}
