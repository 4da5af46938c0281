package bounce

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// replyStart finds a basic code with what may be an enhanced one; a basic code alone
// needs a line's or sentence's beginning before it, so that no other number is one.
var replyStart = regexp.MustCompile(`(?:^|[\s:;'"(<=#{\[,])([245][0-5][0-9])([- ])[ #]*(?:([245]\.[0-9]{1,3}\.[0-9]{1,3})\b[ :;-]*)?`)

// enhancedStart finds an enhanced code without a basic one before it.
var enhancedStart = regexp.MustCompile(`(?:^|[\s:;'"(<=#{\[])#?([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[\s:;>,)'"-]|$)`)

// bareCode is a reply of nothing but a code.
var bareCode = regexp.MustCompile(`^\s*([245][0-5][0-9])[-\s]*([245]\.[0-9]{1,3}\.[0-9]{1,3})?[-\s]*$`)

// parseReply takes the first reply out of text. Its lines may be separated by line
// ends, by a backslash and an n, or not at all. ok is false where there is no code.
func parseReply(text string) (r Reply, ok bool) {
	text = breakLines(text)
	if m := bareCode.FindStringSubmatch(text); m != nil {
		r.Code, _ = strconv.Atoi(m[1])
		r.Enhanced = m[2]
		return r, true
	}
	m := replyStart.FindStringSubmatchIndex(text)
	if m == nil {
		return enhancedOnly(text)
	}
	r.Code, _ = strconv.Atoi(text[m[2]:m[3]])
	if m[6] >= 0 {
		r.Enhanced = text[m[6]:m[7]]
		if r.Enhanced[0]-'0' != byte(r.Code/100) && r.Code/100 == 2 {
			return Reply{}, false
		}
	}
	r.Text = joinLines(text[m[1]:], r.Code, r.Enhanced, text[m[4]:m[5]] == "-")
	if r.Enhanced == "" {
		if e := enhancedLead.FindStringSubmatch(r.Text); e != nil {
			r.Enhanced, r.Text = e[1], r.Text[len(e[0]):]
		}
	}
	return r, true
}

// enhancedLead is an enhanced code that doesn't stand right behind the basic one:
// "[CS01] " may come first, or a second code.
var enhancedLead = regexp.MustCompile(`^[( #]*([245]\.[0-9]{1,3}\.[0-9]{1,3})\b[ ):;-]*`)

func enhancedOnly(text string) (r Reply, ok bool) {
	m := enhancedStart.FindStringSubmatchIndex(text)
	if m == nil {
		return r, false
	}
	r.Enhanced = text[m[2]:m[3]]
	r.Text = joinLines(text[m[3]:], 0, r.Enhanced, false)
	r.Text = strings.TrimLeft(r.Text, " :;-),")
	return r, true
}

// breakLines writes line ends that were put down as two characters, or as CRs.
func breakLines(s string) string {
	if strings.Contains(s, `\n`) {
		s = strings.ReplaceAll(strings.ReplaceAll(s, `\r`, ""), `\n`, "\n")
	}
	return strings.ReplaceAll(s, "\r", "\n")
}

// joinLines takes the codes out that begin the further lines of a reply. Where the
// lines stand in one (Postfix, reports), only a code that goes on like the first is
// one: the same basic code, with the same enhanced code, or with a hyphen after it.
func joinLines(text string, code int, enhanced string, several bool) string {
	if code == 0 {
		return tidy(text)
	}
	basic := strconv.Itoa(code)
	if !strings.Contains(text, basic) {
		return tidy(text)
	}
	again := `(?:^|[\s\n])` + basic + `[- ]+` + regexp.QuoteMeta(enhanced) + `(?:[ :]|\s|$)`
	if enhanced == "" {
		again = `(?:\n|^)` + basic + `[- ]`
		if several {
			again = `(?:^|\s)` + basic + `[- ]`
		}
	}
	re := furtherLines.compiled(again)
	text = re.ReplaceAllString(text, " ")
	text = re.ReplaceAllString(text, " ") // after a line without text, whose end was the next one's beginning
	if several {                          // the last of them may end the text
		text = strings.TrimSuffix(strings.TrimRight(text, " \n"), " "+basic+"-")
	}
	return tidy(text)
}

// expressions are regular expressions that were needed, as a log has few codes and
// very many lines with them.
type expressions struct {
	mu   sync.Mutex
	list map[string]*regexp.Regexp
}

var furtherLines = expressions{list: map[string]*regexp.Regexp{}}

// maxExpressions bounds how many are kept.
const maxExpressions = 500

func (e *expressions) compiled(s string) *regexp.Regexp {
	e.mu.Lock()
	defer e.mu.Unlock()
	if re := e.list[s]; re != nil {
		return re
	}
	if len(e.list) >= maxExpressions {
		clear(e.list)
	}
	re := regexp.MustCompile(s)
	e.list[s] = re
	return re
}

// tidy makes one line of text without control or format characters, and single
// spaces.
func tidy(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\r' || c == '\t' || c == 0xa0:
			return ' '
		case c == unicode.ReplacementChar, unicode.IsControl(c), unicode.Is(unicode.Cf, c), c == 0x2028, c == 0x2029:
			return '?'
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
	return strings.Join(strings.Fields(s), " ")
}

// cut shortens s to at most n bytes, at the beginning of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
