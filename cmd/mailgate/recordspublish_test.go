package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailgate/internal/advise"
	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/publish"
)

// publisher gives the place's domain a publisher.
func (p *place) publisher(t *testing.T, toml string) {
	t.Helper()
	data, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "[[domain]]\n", "[[publisher]]\nname = \"my-dns\"\n"+toml+"\n[[domain]]\npublisher = \"my-dns\"\n", 1)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *place) expect(t *testing.T, code int, says []string, args ...string) {
	t.Helper()
	got, out := p.mailgate(t, args...)
	for _, want := range says {
		if !strings.Contains(out, want) {
			t.Errorf("the screen lacks %q", want)
		}
	}
	if got != code || t.Failed() {
		t.Errorf("exit %d, want %d\n%s", got, code, out)
	}
}

// Without a publisher the way by hand is shown, and what to write into the
// configuration for the host that has the zone.
func TestPublishWithoutPublisher(t *testing.T) {
	p := newPlace(t)
	p.expect(t, exitConfig, []string{"example.com has no publisher", "mailgate records example.com", `provider    = "rfc2136"`, `publisher = "my-dns"`, p.config},
		"records", "publish", "example.com", "--yes")
	p.set(t, "example.com", "@ NS ada.ns.cloudflare.com.\n")
	p.set(t, "ns.cloudflare.com", "ada A 127.0.0.1\n")
	p.expect(t, exitConfig, []string{`provider    = "cloudflare"`, "secret_file", "DNS:Edit for example.com"}, "records", "publish", "example.com", "--yes")
}

// The TOML that is shown is TOML, and right.
func TestPublisherExamples(t *testing.T) {
	for host, provider := range map[string]config.Provider{"cloudflare": config.Cloudflare, "aliyun": config.Aliyun, "route53": config.Route53, "bind": config.RFC2136, "web": config.RFC2136} {
		text := publisherExample("example.com", "example.com", advisedHost(t, host)) + "\n  keys = [{ selector = \"mail\", file = \"mail.pem\" }]\n"
		w, err := config.Parse([]byte(text), "/etc/mailgate/mailgate.toml")
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		if got := w.Publishers[0]; got.Provider != provider || got.SecretFile != "/etc/mailgate/secrets/my-dns" || w.Domains[0].Publisher != got.Name {
			t.Errorf("%s: %+v", host, got)
		}
	}
}

// So is that of docs/publishing.md.
func TestPublishingDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/publishing.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```toml\n")[1:]
	for _, rest := range blocks {
		block, _, _ := strings.Cut(rest, "```")
		if _, err := config.Parse([]byte(block), "/etc/mailgate/mailgate.toml"); err != nil {
			t.Errorf("%v\n%s", err, block)
		}
	}
	if len(blocks) != 5 {
		t.Errorf("%d examples", len(blocks))
	}
}

func TestPublishIntoAnotherZone(t *testing.T) {
	p := newPlace(t)
	t.Setenv("MAILGATE_MY_DNS_SECRET", "the-token")
	p.publisher(t, "provider = \"cloudflare\"\nzone = \"example.net\"")
	p.expect(t, exitFail, []string{"zone example.com", "writes example.net only"}, "records", "publish", "example.com", "--yes")
}

func TestPublishWithoutSecret(t *testing.T) {
	p := newPlace(t)
	p.publisher(t, "provider = \"cloudflare\"")
	p.expect(t, exitConfig, []string{"MAILGATE_MY_DNS_SECRET", "secret_file"}, "records", "publish", "example.com", "--yes")
}

// A host that can't be reached has nothing written, and is no DNS fault.
func TestPublishUnreachable(t *testing.T) {
	const nobody = "127.0.0.1:1"
	p := newPlace(t)
	t.Setenv("MAILGATE_MY_DNS_SECRET", "bWFpbGdhdGU=")
	p.publisher(t, "provider = \"rfc2136\"\nserver = \""+nobody+"\"\nkey_name = \"mailgate\"")
	p.expect(t, exitUnavailable, []string{nobody}, "records", "publish", "example.com", "--yes")
}

func TestPublishConfirmed(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, " y": true, "\n": false, "": false, "n\n": false, "yeah\n": false} {
		var out strings.Builder
		if err := confirmed(t.Context(), strings.NewReader(answer), &out); (err == nil) != want || !strings.Contains(out.String(), "[y/N]") {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

// Ctrl-C ends the question, which nobody answers.
func TestPublishInterruptedQuestion(t *testing.T) {
	silent, end := io.Pipe()
	defer end.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := confirmed(ctx, silent, io.Discard); err == nil || exitCode(err) != exitInterrupted || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("%v, exit %d", err, exitCode(err))
	}
}

func TestPublisherSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	account := config.Publisher{Name: "a-b", Provider: config.Cloudflare, SecretFile: file}
	if _, err := publisherSecret(account); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for _, c := range []struct {
		text string
		mode fs.FileMode
		says string
	}{{"tok3n\n", 0o600, ""}, {"tok3n\n", 0o644, "chmod 600"}, {" \n", 0o600, "is empty"}} {
		if err := os.WriteFile(file, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		s, err := publisherSecret(account)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) || s.Known() != (c.says == "") {
			t.Errorf("%q, mode %o: %v, %v", c.text, c.mode, s, err)
		}
	}
	account.SecretFile = ""
	t.Setenv("MAILGATE_A_B_SECRET", "tok3n")
	if s, err := publisherSecret(account); err != nil || !s.Known() {
		t.Errorf("environment: %v, %v", s, err)
	}
	if s, err := publisherSecret(config.Publisher{Name: "aws", Provider: config.Route53}); err != nil || s.Known() {
		t.Errorf("AWS's own: %v, %v", s, err)
	}
}

func TestConfiguredDomain(t *testing.T) {
	cfg := &config.Config{Domains: []config.Domain{
		{Name: "example.com", Wildcard: true, Publisher: "below"}, {Name: "example.com", Publisher: "itself"},
		{Name: "eu.example.com", SubDomains: true, Publisher: "eu"}, {Name: "example.net", Publisher: "net"},
	}}
	for name, want := range map[string]string{"example.com": "itself", "a.example.com": "below", "a.eu.example.com": "eu", "a.example.net": "", "example.org": ""} {
		if d, ok := configured(cfg, parsed(t, name)); d.Publisher != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", name, d.Publisher, ok)
		}
	}
}

func TestPublishNothing(t *testing.T) {
	for _, c := range []struct {
		p    publishing
		code int
		says string
	}{
		{publishing{Domain: "example.com"}, exitPass, "all that it should"},
		{publishing{unsure: []string{"example.com"}}, exitUnknown, ""},
		{publishing{settling: []string{"example.com"}}, exitUnknown, "before they agree"},
		{publishing{ByHand: []advise.Record{{Name: "mx1.example.net"}}}, exitFail, "by hand"},
		{publishing{Domain: "example.com", Faulty: []advise.Record{{Name: "example.com"}}}, exitFail, "mailgate records example.com"},
		{publishing{Faulty: []advise.Record{{Name: "example.com"}}, unsure: []string{"_dmarc.example.com"}}, exitFail, ""},
	} {
		var out strings.Builder
		code := exitPass
		if err := c.p.nothing(&out); err != nil {
			code = exitCode(err)
		}
		if code != c.code || !strings.Contains(out.String(), c.says) || c.p.Complete != (c.code == exitPass) {
			t.Errorf("exit %d, %q, want %d, %q", code, out.String(), c.code, c.says)
		}
	}
}

// What the name servers disagreed about and was written is done.
func TestPublishRemains(t *testing.T) {
	zones := []publish.Changes{{Zone: "example.com", Sets: []publish.Change{{Name: "mail._domainkey.example.com"}}}}
	for _, c := range []struct {
		p    publishing
		code int
	}{
		{publishing{Zones: zones}, exitPass},
		{publishing{Zones: zones, settling: []string{"mail._domainkey.example.com"}}, exitPass},
		{publishing{Zones: zones, settling: []string{"mail._domainkey.example.com", "example.com"}}, exitUnknown},
		{publishing{Zones: zones, unsure: []string{"example.com"}}, exitUnknown},
		{publishing{Zones: zones, ByHand: []advise.Record{{}}, unsure: []string{"example.com"}}, exitFail},
	} {
		code := exitPass
		if err := c.p.remains(); err != nil {
			code = exitCode(err)
		}
		if code != c.code {
			t.Errorf("%+v: exit %d, want %d", c.p, code, c.code)
		}
	}
}

func TestPerName(t *testing.T) {
	seen := []publish.Seen{{Name: "a", Server: "1", Has: true}, {Name: "a", Server: "2"}, {Name: "b", Server: "1"}}
	if got := strings.Join(perName(seen), " "); got != "a 1/2 b 0/1" || haveAll(seen) || haveAll(nil) || !haveAll(seen[:1]) {
		t.Error(got)
	}
}

func advisedHost(t *testing.T, word string) advise.Host {
	t.Helper()
	host, err := advise.ParseHost(word)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func parsed(t *testing.T, name string) mail.Domain {
	t.Helper()
	d, err := mail.ParseDomain(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
