//go:build integration

package integration

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// gateway is one mailgate.
type gateway struct {
	*process
	dir, config string
	milter      string // host:port
	socket      string
}

// signer is one key of a domain, as configured and as published.
type signer struct {
	selector string
	file     string
	record   string // TXT record, in presentation form
}

// domain is one [[domain]] of the configuration with its keys.
type domain struct {
	name string
	keys []signer
}

// records returns what to publish for the domain's keys.
func (d domain) records() []string {
	var all []string
	for _, k := range d.keys {
		all = append(all, k.record)
	}
	return all
}

func (d domain) selectors() []string {
	var all []string
	for _, k := range d.keys {
		all = append(all, k.selector)
	}
	return all
}

// makeDomain makes an RSA and an Ed25519 key.
func makeDomain(t *testing.T, dir, name string) domain {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(r.Public())
	if err != nil {
		t.Fatal(err)
	}
	e, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return domain{name: name, keys: []signer{
		makeSigner(t, dir, name, "mail", "rsa", r, public),
		makeSigner(t, dir, name, "mail-e", "ed25519", secret, e),
	}}
}

func makeSigner(t *testing.T, dir, name, selector, kind string, key crypto.Signer, public []byte) signer {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "keys", name+"."+selector+".pem")
	writeFile(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600)
	value := fmt.Sprintf("v=DKIM1; k=%s; p=%s", kind, base64.StdEncoding.EncodeToString(public))
	return signer{selector: selector, file: file, record: txt(selector+"._domainkey", value)}
}

// egress are the addresses the gateways say their mail leaves from.
var egress = []string{"203.0.113.9"}

// settings of one gateway.
type settings struct {
	domains []domain
	mode    string // "" for the default
	egress  []string
	extra   string // more of the configuration
	via     string // where released mail goes back in
	in      *internet
}

// configure writes a gateway's configuration.
func configure(t *testing.T, dir string, s settings) *gateway {
	t.Helper()
	g := &gateway{dir: dir, config: filepath.Join(dir, "mailgate.toml"), milter: address(0, 9) + ":8891", socket: filepath.Join(dir, "control.sock")}
	var b strings.Builder
	if s.mode != "" {
		fmt.Fprintf(&b, "mode = %q\n", s.mode)
	}
	fmt.Fprintf(&b, "hostname = \"mx1.gate.test\"\negress = [%s]\n", quoted(s.egress))
	fmt.Fprintf(&b, "[milter]\nlisten = \"inet:%s\"\ntrusted = [\"127.0.0.1/32\"]\n", g.milter)
	fmt.Fprintf(&b, "[control]\nsocket = %q\n", g.socket)
	fmt.Fprintf(&b, "[store]\nurl = \"sqlite:%s\"\n", filepath.Join(dir, "mailgate.db"))
	fmt.Fprintf(&b, "[dns]\nresolvers = [%q]\npanel = %q\n", s.in.resolver, s.in.panel)
	fmt.Fprintf(&b, "[release]\nvia = %q\n[hold]\nrecheck = \"1s\"\n", s.via)
	b.WriteString(s.extra)
	for _, d := range s.domains {
		fmt.Fprintf(&b, "[[domain]]\nname = %q\nkeys = [\n", d.name)
		for _, k := range d.keys {
			fmt.Fprintf(&b, "  { selector = %q, file = %q },\n", k.selector, k.file)
		}
		b.WriteString("]\n")
	}
	writeFile(t, g.config, b.String(), 0o600)
	return g
}

func quoted(list []string) string {
	var all []string
	for _, s := range list {
		all = append(all, fmt.Sprintf("%q", s))
	}
	return strings.Join(all, ", ")
}

// serve starts the gateway.
func (g *gateway) serve(t *testing.T) {
	t.Helper()
	g.process = start(t, g.dir, "mailgate", binary, "serve", "--config", g.config)
	g.ready(t, func() bool { return listening("tcp", g.milter) && listening("unix", g.socket) })
}

// run calls a command of mailgate on this gateway and returns what it prints and
// its exit code, which must be a verdict: 0, 1 or 2.
func (g *gateway) run(t *testing.T, args ...string) (stdout string, exit int) {
	t.Helper()
	stdout, exit = g.command(t, append(args, "--config", g.config)...)
	if exit > 2 {
		t.Fatalf("mailgate %s: exit %d\n%s", strings.Join(args, " "), exit, stdout)
	}
	return stdout, exit
}

// verdict calls a command until it knows: DNS may take longer to answer than a command
// waits for it, which is exit code 2.
func (g *gateway) verdict(t *testing.T, args ...string) (stdout string, exit int) {
	t.Helper()
	eventually(t, "a verdict of mailgate "+strings.Join(args, " "), func() bool {
		stdout, exit = g.run(t, args...)
		return exit < 2
	})
	return stdout, exit
}

// command calls mailgate. What it prints on standard error is returned only when it
// fails.
func (g *gateway) command(t *testing.T, args ...string) (stdout string, exit int) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatalf("mailgate %s: %v", strings.Join(args, " "), err)
	}
	if exit = cmd.ProcessState.ExitCode(); exit > 2 {
		out.Write(errs.Bytes())
	}
	return out.String(), exit
}

// heldMessage is what is read of a message in `quarantine list --format json`.
type heldMessage struct {
	ID         string
	Recipients []struct {
		Address, State, Reason, Rule string
		Codes                        []string
	}
}

// held returns the messages in quarantine, newest first.
func (g *gateway) held(t *testing.T) []heldMessage {
	t.Helper()
	text, _ := g.run(t, "quarantine", "list", "--format", "json")
	var page struct{ Messages []heldMessage }
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		t.Fatalf("quarantine list: %v\n%s", err, text)
	}
	return page.Messages
}

// onlyHeld waits until one message is in quarantine, and returns it.
func (g *gateway) onlyHeld(t *testing.T) heldMessage {
	t.Helper()
	var all []heldMessage
	eventually(t, "one message in quarantine", func() bool {
		all = g.held(t)
		return len(all) == 1
	})
	return all[0]
}

// noneHeld waits until nothing is in quarantine any more.
func (g *gateway) noneHeld(t *testing.T) {
	t.Helper()
	eventually(t, "the quarantine to be empty", func() bool { return len(g.held(t)) == 0 })
}

// wantHeld waits until one message is in quarantine, held for these recipients and
// this reason, with these finding codes among others. One that is held before DNS has
// told all is told apart by the next re-check.
func (g *gateway) wantHeld(t *testing.T, to []string, reason string, codes ...string) heldMessage {
	t.Helper()
	var all []heldMessage
	defer func() {
		if t.Failed() {
			t.Logf("in quarantine: %+v", all)
		}
	}()
	eventually(t, fmt.Sprintf("one message held for %v, %s with %v", to, reason, codes), func() bool {
		all = g.held(t)
		return len(all) == 1 && all[0].is(to, reason, codes)
	})
	return all[0]
}

func (m heldMessage) is(to []string, reason string, codes []string) bool {
	var held, seen []string
	for _, r := range m.Recipients {
		if r.State != "held" {
			continue
		}
		if r.Reason != reason {
			return false
		}
		held, seen = append(held, r.Address), append(seen, r.Codes...)
	}
	return slices.Equal(held, to) && !slices.ContainsFunc(codes, func(c string) bool { return !slices.Contains(seen, c) })
}
