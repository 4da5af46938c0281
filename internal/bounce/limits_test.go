package bounce

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// repeated gives a text n times over, without holding it.
type repeated struct {
	text string
	n    int
	rest string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.n--
		r.rest = r.text
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

const bounced = "Nov 22 02:49:21 mx1 postfix/smtp[4711]: 4F2A1B0C3D: to=<bob@gmail.com>, relay=gmail-smtp-in.l.google.com[142.250.1.27]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host gmail-smtp-in.l.google.com[142.250.1.27] said: 550 5.1.1 no such user - gsmtp (in reply to RCPT TO command))\n"

// A log of any length is read line by line: the rest of a log that is cut off in the
// middle, lines of other programs and lines without an end don't disturb.
func TestLongLog(t *testing.T) {
	noise := strings.Repeat("Nov 22 02:49:21 mx1 kernel: nothing of interest\n", 50)
	in := io.MultiReader(strings.NewReader("half a li"), &repeated{text: "\n" + noise + bounced, n: 2000}, strings.NewReader(strings.Repeat("x", 3<<20)))
	n, told := 0, int64(0)
	stats, err := Scan(in, func(r Reading) error {
		if r.Meaning.Rule == "user-unknown" {
			n++
		}
		return nil
	}, func(s Stats) { told = s.Bytes })
	if err != nil || n != 2000 || stats.Skipped != 100_000 {
		t.Errorf("%d readings, %+v, %v", n, stats, err)
	}
	if told != stats.Bytes {
		t.Errorf("progress told of %d bytes of %d", told, stats.Bytes)
	}
}

func TestScanStopsOnError(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	_, err := Scan(strings.NewReader(bounced+bounced+bounced), func(Reading) error {
		n++
		return stop
	}, nil)
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d calls, %v", n, err)
	}
	broken := errors.New("broken pipe")
	_, err = Scan(io.MultiReader(strings.NewReader(bounced), failing{broken}), func(Reading) error { return nil }, nil)
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Parts within parts, thousands of parts, giant fields and lines, and replies without
// number end, and what is beyond a limit is left out.
func TestHostileMessages(t *testing.T) {
	head := "From: a@example.com\nTo: b@example.com\nMIME-Version: 1.0\n"
	deep := head
	for i := range 500 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	wide := head + "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Type: text/plain\n\n550 5.1.1 no\n", 20_000)
	for name, text := range map[string]string{
		"deep":       deep + "\n550 5.1.1 no such user\n",
		"wide":       wide,
		"recipients": head + "Content-Type: message/delivery-status\n\n" + strings.Repeat("\nFinal-Recipient: rfc822;a@b.example\nAction: failed\nDiagnostic-Code: smtp;550 5.1.1 no\n", 10_000),
		"blocks":     "Final-Recipient: x\n" + strings.Repeat("\n\n", 500_000),
		"header":     head + strings.Repeat("X: y\n z\n", 120_000),
		"folded":     head + "X: y\n" + strings.Repeat(" z\n", 300_000),
		"replies":    strings.Repeat("550 no\n", 40_000),
		"one reply":  strings.Repeat("550-no\n", 40_000),
		"line":       "status=bounced (" + strings.Repeat("host x[1.2.3.4] said: 550 ", 40_000),
		"exim":       "1nSeUV-0005zz-De ** a@b.example " + strings.Repeat("R=x ", 250_000),
		"html":       head + "Content-Type: text/html\n\n" + strings.Repeat("<style", 40_000),
		"json":       `{"verdict":` + strings.Repeat("[", 60_000),
		"boundary":   head + "Content-Type: multipart/report; boundary=\"\"\n\n--\n--\n",
		"mbox":       strings.Repeat("From x\nFrom: a@example.com\nTo: b@example.com\n\n550 5.1.1 no\n\n", 5000),
		"senders":    strings.Repeat("From: a@b.example\n550 no\n\n", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			list, _ := scanned(t, text)
			for i := range list {
				if len(list[i].Raw) > maxRaw || len(list[i].Reply.Text) > maxText || len(list[i].Recipient) > maxField {
					t.Errorf("too much is kept: %d, %d, %d", len(list[i].Raw), len(list[i].Reply.Text), len(list[i].Recipient))
				}
			}
			if name != "mbox" && len(list) > 6000 {
				t.Errorf("%d readings", len(list))
			}
		})
	}
}

func TestRecentForgets(t *testing.T) {
	r := newRecent[int](2)
	for i, key := range []string{"a", "b", "a", "c"} {
		r.put(key, i)
	}
	if _, ok := r.get("a"); ok || len(r.values) != 2 {
		t.Errorf("%v", r.values)
	}
	if v, ok := r.get("c"); !ok || v != 3 {
		t.Errorf("c is %d, %v", v, ok)
	}
}
