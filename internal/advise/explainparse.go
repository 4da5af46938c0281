package advise

import "strings"

// parseExplanation reads the text of a finding. It is made of parts, each begun
// by a label at the beginning of a line, in any order:
//
//	As: the class of mail it makes, a file under receivers
//	Receivers: what they do, beside what the class says
//	Wrong:
//	    lines of an example, indented by four
//	Right:
//	    lines of an example
//	Mend:
//	- a step
//	Beware: what is easily missed
//	Check: a command
func parseExplanation(text string) Explanation {
	var e Explanation
	part := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if label, rest, found := strings.Cut(line, ":"); found && isLabel(label) {
			part, line = label, strings.TrimSpace(rest)
		}
		if line != "" {
			e.add(part, line)
		}
	}
	return e
}

func isLabel(s string) bool {
	switch s {
	case "As", "Receivers", "Wrong", "Right", "Mend", "Beware", "Check":
		return true
	}
	return false
}

func (e *Explanation) add(part, line string) {
	switch part {
	case "As":
		e.class = line
	case "Receivers":
		e.own = line
	case "Wrong":
		e.Wrong = append(e.Wrong, strings.TrimPrefix(line, "    "))
	case "Right":
		e.Right = append(e.Right, strings.TrimPrefix(line, "    "))
	case "Mend":
		e.Steps = append(e.Steps, strings.TrimPrefix(line, "- "))
	case "Beware":
		e.Beware = line
	case "Check":
		e.Verify = line
	}
}
