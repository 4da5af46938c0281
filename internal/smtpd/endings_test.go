package smtpd

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// texts are all strings of CR, LF and dots up to a length.
func texts(length int) []string {
	all, from := []string{""}, 0
	for range length {
		to := len(all)
		for _, s := range all[from:to] {
			all = append(all, s+"\r", s+"\n", s+".")
		}
		from = to
	}
	return all
}

// What follows DATA, read by other means than the server's: the text before the
// first CRLF.CRLF, whether it holds a CR or LF alone, and what follows.
func readData(sent string) (text string, bare bool, rest string) {
	text, rest, _ = strings.Cut("\r\n"+sent, "\r\n.\r\n")
	var lines []string
	for _, line := range strings.Split(text, "\r\n")[1:] {
		bare = bare || strings.ContainsAny(line, "\r\n")
		lines = append(lines, strings.TrimPrefix(line, "."))
	}
	text = regexp.MustCompile("\r\n|\r|\n").ReplaceAllString(strings.Join(lines, "\r\n")+"\r\n", "\r\n")
	if strings.HasPrefix("\r\n"+sent, "\r\n.\r\n") {
		text = ""
	}
	return text, bare, rest
}

// decodeIn decodes what comes in pieces, and gives back how much was taken.
func decodeIn(pieces ...string) (text string, bare bool, taken int) {
	var d dots
	var e endings
	var out []byte
	for _, p := range pieces {
		raw, n := d.decode(nil, []byte(p))
		taken += n
		out = e.append(out, raw)
	}
	return string(e.finish(out)), e.bare, taken
}

func TestDotsAndEndings(t *testing.T) {
	for _, s := range texts(7) {
		for _, before := range []string{"", "x"} {
			sent := before + s + "y\r\n.\r\nz"
			want, bare, rest := readData(sent)
			for i := range len(sent) + 1 {
				got, isBare, n := decodeIn(sent[:i], sent[i:])
				if got != want || isBare != bare || sent[n:] != rest {
					t.Fatalf("%q cut at %d: %q bare %v and then %q, want %q bare %v and then %q",
						sent, i, got, isBare, sent[n:], want, bare, rest)
				}
			}
		}
	}
}

func FuzzDotsAndEndings(f *testing.F) {
	for _, s := range []string{"a\r\n..\r\n.\r\nb", "\r\r\n.\r\n", ".\rb\n.\n\r\n.\r\n", "\r\n.\r\r\n.\r\n"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, sent string, cut int) {
		sent += "\r\n.\r\n"
		want, bare, rest := readData(sent)
		cut = int(uint(cut) % uint(len(sent)+1))
		got, isBare, n := decodeIn(sent[:cut], sent[cut:])
		if got != want || isBare != bare || sent[n:] != rest {
			t.Errorf("%q cut at %d: %q bare %v and then %q, want %q bare %v and then %q",
				sent, cut, got, isBare, sent[n:], want, bare, rest)
		}
	})
}

const head = "From: ann@example.com\r\nDate: Sat, 21 Nov 2026 16:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n"

// Every ending, cut at every point: one message or a refusal, never two messages.
func TestSmuggling(t *testing.T) {
	for _, normalise := range []bool{false, true} {
		t.Run(fmt.Sprintf("normalise %v", normalise), func(t *testing.T) {
			r := start(t, func(_ *Config, l *Listener) { l.Normalise = normalise })
			for _, s := range texts(5) {
				for cut := range len(s) + 1 {
					r.smuggle(t, normalise, s, cut)
				}
			}
		})
	}
}

func (r *rig) smuggle(t *testing.T, normalise bool, s string, cut int) {
	t.Helper()
	before := r.spool.count()
	k := r.dial(t)
	defer k.Close()
	k.want("220")
	sent := head + "Hello" + s + "MAIL FROM:<evil@example.com>\r\nRCPT TO:<eve@example.net>\r\nDATA\r\n" + head + "Smuggled\r\n.\r\n"
	text, bare, rest := readData(sent)
	at := len(head) + len("Hello") + cut
	k.send("EHLO x\r\nMAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@gmail.com>\r\nDATA\r\n" + sent[:at])
	for _, code := range []string{"250", "250", "250", "354"} {
		k.want(code)
	}
	k.send(sent[at:] + "QUIT\r\n")
	messages := 1
	if bare && !normalise {
		k.want("550 5.6.11")
		messages = 0
	} else {
		k.want("250 2.0.0 taken")
	}
	if rest != "" { // a whole second message, after a true end of the first
		for _, code := range []string{"250", "250", "354", "250 2.0.0 taken"} {
			k.want(code)
		}
		messages++
	}
	k.want("221")
	k.closed()
	if n := r.spool.count() - before; n != messages {
		t.Fatalf("%q cut at %d: %d messages, want %d", s, cut, n, messages)
	}
	if messages == 1 && rest == "" {
		if _, content := r.spool.last(t); content != text {
			t.Fatalf("%q cut at %d: kept %q, want %q", s, cut, content, text)
		}
	}
}

// The same rule for chunks, cut at every point; dots mean nothing there.
func TestSmugglingInChunks(t *testing.T) {
	for _, normalise := range []bool{false, true} {
		t.Run(fmt.Sprintf("normalise %v", normalise), func(t *testing.T) {
			r := start(t, func(c *Config, l *Listener) { l.Normalise, c.Limits.Errors, c.Limits.Commands = normalise, 1e6, 1e6 })
			k := r.talk(t)
			for _, s := range texts(5) {
				text := head + "Hello" + s + "end\r\n"
				clean := regexp.MustCompile("\r\n|\r|\n").ReplaceAllString(text, "\r\n")
				for cut := range len(s) + 1 {
					at := len(head) + len("Hello") + cut
					before := r.spool.count()
					k.envelope()
					k.send(fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%s", at, text[:at], len(text)-at, text[at:]))
					first := k.reply()
					if refused := strings.HasPrefix(first, "550 5.6.11"); refused {
						k.want("503 5.5.1") // the other chunk has no message any more
					} else if first[:3] != "250" {
						t.Fatalf("%q cut at %d: %q", s, cut, first)
					} else if last := k.reply(); clean == text || normalise {
						if !strings.HasPrefix(last, "250 2.0.0 taken") {
							t.Fatalf("%q cut at %d: %q", s, cut, last)
						}
						if _, content := r.spool.last(t); content != clean {
							t.Fatalf("%q cut at %d: kept %q", s, cut, content)
						}
						continue
					} else if !strings.HasPrefix(last, "550 5.6.11") {
						t.Fatalf("%q cut at %d: %q", s, cut, last)
					}
					if normalise || clean == text || r.spool.count() != before {
						t.Fatalf("%q cut at %d: refused, or kept all the same", s, cut)
					}
				}
			}
		})
	}
}

// A command must end with CRLF too: another server may see two in one.
func TestCommandEndings(t *testing.T) {
	for _, c := range []string{"NOOP\nNOOP\r\n", "NOOP\rNOOP\r\n", "NOOP\x00\r\n", "MAIL FROM:<a\x07@example.com>\r\n"} {
		k := start(t, nil).talk(t)
		k.send(c)
		k.want("500 5.5.2")
		k.closed()
	}
	k := start(t, func(_ *Config, l *Listener) { l.Normalise = true }).talk(t)
	k.send("NOOP\nMAIL FROM:<ann@example.com>\n")
	k.want("250")
	k.want("250")
}
