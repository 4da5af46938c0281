package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailgate/internal/config"
	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
	"mailgate/internal/sign"
)

// generate makes a key of example.com and returns what is told of it.
func (p *place) generate(t *testing.T, args ...string) generated {
	t.Helper()
	code, out := p.mailgate(t, append([]string{"keys", "generate", "example.com", "--format", "json"}, args...)...)
	var g generated
	if err := json.Unmarshal([]byte(out), &g); err != nil || code != exitPass {
		t.Fatalf("exit %d: %v\n%s", code, err, out)
	}
	return g
}

// DNS is asked what is at the selector's name, and the record is for the form of the
// domain's DNS host.
func TestGenerateAsksDNS(t *testing.T) {
	p := newPlace(t)
	if err := p.dns.SetZone("example.com", "@ NS ada.ns.cloudflare.com.\n"); err != nil {
		t.Fatal(err)
	}
	if err := p.dns.SetZone("ns.cloudflare.com", "ada A 127.0.0.1\n"); err != nil {
		t.Fatal(err)
	}
	for _, txt := range [][2]string{
		{"used._domainkey.example.com", p.key.Record()},
		{"gone._domainkey.example.com", "v=DKIM1; p="},
	} {
		if err := p.dns.AddTXT(txt[0], txt[1]); err != nil {
			t.Fatal(err)
		}
	}
	p.dns.Fault("silent._domainkey.example.com", dnstest.ServFail)
	tests := []struct{ selector, inUse, note string }{
		{"new", "no", ""},
		{"used", "yes", "published already, with another key"},
		{"gone", "yes", "its key is revoked"},
		{"silent", "unknown", "DNS gives no answer"},
	}
	for _, tt := range tests {
		g := p.generate(t, "--selector", tt.selector)
		notes := strings.Join(g.Notes, "\n")
		if g.InUse.String() != tt.inUse || (tt.note == "") != (notes == "") || !strings.Contains(notes, tt.note) {
			t.Errorf("%s is in use: %s, want %s; notes %q", tt.selector, g.InUse, tt.inUse, notes)
		}
		if g.Host != "cloudflare" || g.Form.Name != tt.selector+"._domainkey" || g.Form.Value != g.Record {
			t.Errorf("form of %s: %+v", g.Host, g.Form)
		}
		if want := filepath.Join(filepath.Dir(p.config), "example.com."+tt.selector+".pem"); g.File != want {
			t.Errorf("it is at %s, want it beside the other key, %s", g.File, want)
		}
	}
	var slip generated
	_, said := p.mailgate(t, "keys", "generate", "exmaple.com", "--selector", "typo", "--format", "json")
	if err := json.Unmarshal([]byte(said), &slip); err != nil || !strings.Contains(strings.Join(slip.Notes, "\n"), "exmaple.com doesn't exist in DNS") {
		t.Errorf("a domain that doesn't exist: %v, notes %q", err, slip.Notes)
	}
	if g := p.generate(t, "--selector", "quiet", "--no-dns", "--as", "route53"); g.InUse.String() != "unknown" || len(g.Notes) != 0 || g.Host != "route53" {
		t.Errorf("without DNS: %+v", g)
	}
}

// A silent DNS keeps nobody waiting for longer than it may.
func TestGenerateIsBounded(t *testing.T) {
	p := newPlace(t)
	p.dnsTime = time.Second
	p.dns.Fault("example.com", dnstest.Timeout)
	p.dns.Fault("slow._domainkey.example.com", dnstest.Timeout)
	if g := p.generate(t, "--selector", "slow"); g.InUse.String() != "unknown" {
		t.Errorf("in use: %s", g.InUse)
	}
}

func TestPlaceOfKey(t *testing.T) {
	const domains = `
[[domain]]
name = "example.net"
keys = [{ selector = "s1", file = "/k/net/s1.pem" }]
[[domain]]
name = "*.example.com"
keys = [{ selector = "mail", file = "own/mail.pem" }]
`
	for name, tt := range map[string]struct {
		text, domain, selector, want string
		known                        bool
	}{
		"named":        {domains, "example.com", "mail", "/etc/mailgate/own/mail.pem", true},
		"beside":       {domains, "example.com", "next", "/etc/mailgate/own/example.com.next.pem", false},
		"other domain": {domains, "example.org", "mail", "/k/net/example.org.mail.pem", false},
		"directory":    {"[keys]\ndir = \"/var/keys\"" + domains, "example.com", "next", "/var/keys/example.com.next.pem", false},
		"no key yet":   {"", "example.com", "mail", "/etc/mailgate/keys/example.com.mail.pem", false},
	} {
		cfg, err := config.Parse([]byte("hostname = \"mx1.example.com\"\n"+tt.text), "/etc/mailgate/mailgate.toml")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := placeOfKey(cfg, mailDomain(t, tt.domain), tt.selector); got.file != tt.want || got.known != tt.known || got.why == "" {
			t.Errorf("%s: %+v, want %s", name, got, tt.want)
		}
	}
	if got := placeOfKey(nil, "example.com", "mail"); got.file != "example.com.mail.pem" {
		t.Errorf("without a configuration: %+v", got)
	}
}

// Made as root, a key belongs to whom the gateway runs as.
func TestGenerateOwner(t *testing.T) {
	p := newPlace(t)
	dir := filepath.Dir(p.config)
	if os.Geteuid() != 0 {
		if code, out := p.mailgate(t, "keys", "generate", "example.com", "--selector", "b", "--no-dns", "--owner", "root"); code != exitNoPerm {
			t.Errorf("exit %d\n%s", code, out)
		}
		return
	}
	const nobody = 65534
	if err := os.Chown(filepath.Join(dir, "mail.pem"), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	told := p.generate(t, "--selector", "b", "--no-dns")
	named := p.generate(t, "--selector", "c", "--no-dns", "--owner", "65534", "--out", filepath.Join(dir, "new", "c.pem"))
	ours := p.generate(t, "--selector", "d", "--no-dns", "--owner", "root")
	for g, want := range map[*generated]uint32{&told: nobody, &named: nobody, &ours: 0} {
		if uid, mode := ownerAndMode(t, g.File); uid != want || mode != 0o600 {
			t.Errorf("%s belongs to %d with mode %o", g.File, uid, mode)
		}
	}
	if uid, mode := ownerAndMode(t, filepath.Join(dir, "new")); uid != nobody || mode != 0o700 {
		t.Errorf("the directory made for it belongs to %d with mode %o", uid, mode)
	}
	if told.Owner == "" || ours.Owner != "" {
		t.Errorf("told: %q and %q", told.Owner, ours.Owner)
	}
	if code, out := p.mailgate(t, "keys", "generate", "example.com", "--selector", "e", "--no-dns", "--owner", "nosuchuser"); code != exitUsage {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// What is to be put into the configuration makes it one that has the key.
func TestGeneratedTOML(t *testing.T) {
	key, err := sign.Generate("rsa2048")
	if err != nil {
		t.Fatal(err)
	}
	k := sign.Key{Domain: "example.com", Selector: "mail", Signer: key}
	dir := t.TempDir()
	path := filepath.Join(dir, "mailgate.toml")
	empty, err := config.Parse([]byte("hostname = \"mx1.example.com\"\n"), path)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "keys", "a.pem"): "keys/a.pem", "/elsewhere/a.pem": "/elsewhere/a.pem",
	} {
		text := keyTOML(empty, k, file)
		if !strings.Contains(text, fmt.Sprintf("file = %q", want)) {
			t.Errorf("%s", text)
		}
		cfg, err := config.Parse([]byte("hostname = \"mx1.example.com\"\n"+text+"\n"), path)
		if err != nil || cfg.Domains[0].Keys[0].File != file {
			t.Errorf("%v\n%s", err, text)
		}
		if again := keyTOML(cfg, k, file); strings.Contains(again, "name =") {
			t.Errorf("the domain is there already:\n%s", again)
		}
	}
}

// A note on the kind of key, where it needs one.
func TestGenerateKinds(t *testing.T) {
	p := newPlace(t)
	alone := newPlace(t)
	if err := os.WriteFile(alone.config, []byte("hostname = \"mx1.example.com\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at         *place
		kind, note string
	}{
		{p, "rsa2048", ""},
		{p, "rsa3072", "no more than 512"},
		{p, "ed25519", "keep an RSA key beside it"},
		{alone, "ed25519", "sign with an RSA key beside it"},
	} {
		g := tt.at.generate(t, "--selector", "x"+tt.kind, "--type", tt.kind, "--no-dns")
		if notes := strings.Join(g.Notes, "\n"); (tt.note == "") != (notes == "") || !strings.Contains(notes, tt.note) {
			t.Errorf("%s: %q, want %q", tt.kind, notes, tt.note)
		}
		if data, err := os.ReadFile(g.File); err != nil || strings.Contains(fmt.Sprintf("%+v", g), strings.Split(string(data), "\n")[1]) {
			t.Errorf("%s: %v, or the private key is told", tt.kind, err)
		}
	}
}

// A faulty configuration is no reason not to make a key whose place is named.
func TestGenerateWithFaultyConfiguration(t *testing.T) {
	p := newPlace(t)
	if err := os.WriteFile(p.config, []byte("hostname = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := p.mailgate(t, "keys", "generate", "example.com", "--no-dns"); code != exitConfig || !strings.Contains(out, "--out FILE") {
		t.Errorf("exit %d\n%s", code, out)
	}
	p.generate(t, "--no-dns", "--out", filepath.Join(t.TempDir(), "x.pem"))
}

func mailDomain(t *testing.T, s string) mail.Domain {
	t.Helper()
	d, err := mail.ParseDomain(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ownerAndMode(t *testing.T, path string) (uint32, fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid, info.Mode().Perm()
}
