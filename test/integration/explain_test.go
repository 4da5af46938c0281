//go:build integration

package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// gmailSays is a refusal of several lines, as Gmail writes it.
const gmailSays = "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\r\n" +
	"550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.\r\n" +
	"550-5.7.26 \r\n" +
	"550-5.7.26  Authentication results:\r\n" +
	"550-5.7.26  DKIM = did not pass\r\n" +
	"550-5.7.26  SPF [client.test] with ip: [203.0.113.9] = did not pass\r\n" +
	"550-5.7.26 \r\n" +
	"550-5.7.26  For instructions on setting up authentication, go to\r\n" +
	"550 5.7.26  https://support.google.com/mail/answer/81126#authentication x1si1.2 - gsmtp\r\n"

// refuser is a mail server that refuses everything as Gmail does, but takes bounces.
type refuser struct {
	mu      sync.Mutex
	bounces []string
}

func startRefuser(t *testing.T, at string) *refuser {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &refuser{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

func (r *refuser) serve(c net.Conn) {
	defer c.Close()
	in := textproto.NewReader(bufio.NewReader(c))
	fmt.Fprint(c, "220 mx.google.com ESMTP - gsmtp\r\n")
	null := false
	for {
		line, err := in.ReadLine()
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(line); {
		case strings.HasPrefix(verb, "MAIL"):
			null = strings.HasPrefix(verb, "MAIL FROM:<>")
			fmt.Fprint(c, "250 2.1.0 OK\r\n")
		case strings.HasPrefix(verb, "DATA"):
			fmt.Fprint(c, "354 Go ahead\r\n")
			text, err := io.ReadAll(in.DotReader())
			if err != nil {
				return
			}
			r.answer(c, null, string(text))
		case strings.HasPrefix(verb, "QUIT"):
			fmt.Fprint(c, "221 2.0.0 Bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 OK\r\n")
		}
	}
}

func (r *refuser) answer(c io.Writer, null bool, text string) {
	if !null {
		fmt.Fprint(c, gmailSays)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bounces = append(r.bounces, text)
	fmt.Fprint(c, "250 2.0.0 OK\r\n")
}

// bounce waits for the first bounce.
func (r *refuser) bounce(t *testing.T) string {
	t.Helper()
	var found string
	eventually(t, "a bounce", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.bounces) > 0 {
			found = r.bounces[0]
		}
		return found != ""
	})
	return found
}

// explainedReading is what these tests look at of a reading.
type explainedReading struct {
	Format    string `json:"format"`
	Event     string `json:"event"`
	QueueID   string `json:"queue_id"`
	Recipient string `json:"recipient"`
	Sender    string `json:"sender"`
	Domain    string `json:"domain"`
	RemoteIP  string `json:"remote_ip"`
	OurIP     string `json:"our_ip"`
	Command   string `json:"command"`
	Reply     struct {
		Code     int    `json:"code"`
		Enhanced string `json:"enhanced"`
		Text     string `json:"text"`
	} `json:"reply"`
	Meaning struct {
		Rule string   `json:"rule"`
		Not  []string `json:"not"`
	} `json:"meaning"`
	Next string `json:"next"`
}

// explain runs mailgate explain on a text.
func explain(t *testing.T, text string) []explainedReading {
	t.Helper()
	cmd := exec.Command(binary, "explain", "--no-dns", "--format", "json", "-")
	cmd.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("explain: %v %s of\n%s", err, stderr.String(), text)
	}
	var all struct {
		Readings []explainedReading `json:"readings"`
	}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	return all.Readings
}

// wantExplained checks the one reading of gmailSays in what a program wrote.
func wantExplained(t *testing.T, text, program, to string, fromLog bool) {
	t.Helper()
	list := explain(t, text)
	if len(list) != 1 {
		t.Fatalf("%d readings: %+v\nof\n%s", len(list), list, text)
	}
	r := list[0]
	for what, ok := range map[string]bool{
		"format":    r.Format == program,
		"event":     r.Event == "failed",
		"recipient": r.Recipient == to,
		"sender":    r.Sender == "ann@client.test",
		"domain":    r.Domain == "client.test",
		"our":       r.OurIP == "203.0.113.9",
		"code":      r.Reply.Code == 550 && r.Reply.Enhanced == "5.7.26",
		"text":      strings.HasPrefix(r.Reply.Text, "Your email has been blocked because the sender is unauthenticated. Gmail requires") && strings.HasSuffix(r.Reply.Text, "- gsmtp") && !strings.Contains(r.Reply.Text, "550"),
		"rule":      r.Meaning.Rule == "gmail-unauthenticated",
		"next":      r.Next == "mailgate check client.test --ip 203.0.113.9",
		"log":       !fromLog || r.QueueID != "" && r.Command == "end of data" && r.RemoteIP != "",
	} {
		if !ok {
			t.Errorf("%s is wrong in %+v\nof\n%s", what, r, text)
		}
	}
}

// TestExplainPostfix: what Postfix writes of Gmail's refusal, in its log and in its
// bounce.
func TestExplainPostfix(t *testing.T) {
	at := address(0, 27) + ":25"
	r := startRefuser(t, at)
	p := startPostfix(t, makeDir(t), "", at)
	const from, to = "ann@client.test", "bob@gmail.com"
	if err := send(connect(t, p.address, ""), from, []string{to}, compose(from, to, "refused", "Hello.\r\n")); err != nil {
		t.Fatal(err)
	}
	wantExplained(t, r.bounce(t), "postfix", to, false)
	eventually(t, "Postfix's log to tell of the bounce", func() bool {
		log, _ := os.ReadFile(p.mailLog)
		return strings.Contains(string(log), "status=bounced")
	})
	log, err := os.ReadFile(p.mailLog)
	if err != nil {
		t.Fatal(err)
	}
	wantExplained(t, string(log), "postfix", to, true)
}

// TestExplainExim: the same of Exim, whose log has the lines of a reply with "\n" as
// two characters.
func TestExplainExim(t *testing.T) {
	host := address(0, 28)
	r := startRefuser(t, host+":25")
	x := prepareExim(t, filepath.Join(makeDir(t), "exim"))
	x.writeConfig(t, "out:\n  driver = manualroute\n  transport = remote_smtp\n  route_list = * "+host+" byname\n  self = send\n",
		"remote_smtp:\n  driver = smtp\n  allow_localhost\n")
	x.serve(t)
	const from, to = "ann@client.test", "bob@gmail.com"
	x.submit(t, from, compose(from, to, "refused", "Hello.\r\n"))
	wantExplained(t, r.bounce(t), "exim", to, false)
	line := x.logged(t, `^.* \*\* `+to+` .*$`)[0]
	if !strings.Contains(line, `\n550-5.7.26`) {
		t.Errorf("Exim wrote the reply's lines in another way: %s", line)
	}
	wantExplained(t, x.log("main"), "exim", to, true)
}
