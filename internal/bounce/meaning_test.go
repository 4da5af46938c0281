package bounce

import (
	"regexp"
	"strings"
	"testing"
)

// What is to be done agrees with whether the message is tried again: by class and by
// what became of it, not by the rule.
func TestAgain(t *testing.T) {
	const words = "The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered. - gsmtp"
	const line = "Nov 22 02:49:21 mx1 postfix/smtp[1]: 4F2A1B0C3D: to=<bob@gmail.com>, relay=gmail-smtp-in.l.google.com[192.0.2.5]:25, delay=1, dsn=4.2.1, "
	const said = "(host gmail-smtp-in.l.google.com[192.0.2.5] said: 450 4.2.1 " + words + " (in reply to RCPT TO command))"
	for text, tried := range map[string]bool{
		"550 5.2.1 " + words:              false,
		"450 4.2.1 " + words:              true,
		line + "status=bounced " + said:   false,
		line + "status=deferred " + said:  true,
		"550 5.3.1 Mail system full":      false,
		"452 4.3.1 Mail system full":      true,
		"451 4.7.1 Greylisted, come back": true,
	} {
		list, _ := scanned(t, text)
		if len(list) != 1 {
			t.Fatalf("%s: %+v", text, list)
		}
		do := strings.Join(list[0].Meaning.Do, " ")
		if m := list[0].Meaning; m.Temporary != tried || strings.Contains(do, "Nothing: it is tried again.") != tried || strings.Contains(do, "it isn't tried again") == tried {
			t.Errorf("%s: temporary %v, do %q", text, m.Temporary, do)
		}
	}
}

// Where no name is known, words stand in for it only where words may stand: not in a
// name or record to be copied.
func TestWordsAreNoNames(t *testing.T) {
	left := regexp.MustCompile(`[{}]|[^ ("](?:the sender's|the domain of|your server's|the recipient|the receiver's|a blocklist)`)
	for _, u := range Rules() {
		for _, s := range append([]string{u.Means}, u.Do...) {
			if text := Impersonal(s); left.MatchString(text) {
				t.Errorf("%s: %s", u.Name, text)
			}
		}
	}
	for text, want := range map[string]string{
		"421 4.7.40 Your email has been rate limited. - gsmtp":                                                 `at _dmarc below the sender's domain: "v=DMARC1; p=none".`,
		"421 4.7.40 Your email has been rate limited, sending domain example.com has no DMARC policy. - gsmtp": `at _dmarc.example.com: "v=DMARC1; p=none".`,
	} {
		list, _ := scanned(t, text)
		if len(list) != 1 || !strings.Contains(strings.Join(list[0].Meaning.Do, " "), want) {
			t.Errorf("%s: %+v", text, list)
		}
	}
}
