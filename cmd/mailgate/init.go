package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mailgate/internal/mail"
	"mailgate/internal/sign"
)

// The names a start from nothing uses.
const (
	initSelector = "mail"
	initMilter   = "inet:127.0.0.1:8891"
	initRelay    = "127.0.0.1:2525"
	initDomain   = mail.Domain("example.com")
)

// initialise makes a key and a configuration in dir, leaving alone what is there,
// and says what to do next. It returns the configuration's path.
func initialise(out io.Writer, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "mailgate.toml")
	if _, err := os.Stat(path); err == nil {
		fmt.Fprintf(out, "Configuration: %s\n\n", path)
		return path, nil
	}
	domain := ownDomain()
	file := filepath.Join("keys", fmt.Sprintf("%s.%s.pem", domain, initSelector))
	key, err := initKey(filepath.Join(dir, file))
	if err != nil {
		return "", err
	}
	key.Domain, key.Selector = domain, initSelector
	if err := os.WriteFile(path, []byte(initConfig(domain, file)), 0o600); err != nil {
		return "", fmt.Errorf("write the configuration: %w", err)
	}
	fmt.Fprintf(out, `Made for %[1]s:
  key            %[2]s
  configuration  %[3]s   (put your domain and your public addresses there)

Publish this TXT record in the DNS of %[1]s:
  Name   %[4]s
  Value  %[5]s

Tell Postfix, in main.cf:
  smtpd_milters = %[6]s
  milter_default_action = tempfail
and for mail from this machine itself: non_smtpd_milters = $smtpd_milters
Or make %[8]s the smart host of Exim or Exchange: docs/exim.md, docs/exchange.md.
On other machines they need an address of this one in [relay], and to be in trusted.

Try next:
  %[7]s check %[1]s --config %[3]s
  %[7]s status --config %[3]s
  %[7]s sendmail --config %[3]s -f you@%[1]s you@elsewhere.example < message
  %[7]s quarantine list --config %[3]s     held mail, and why
  %[7]s queue list --config %[3]s          what the relay has to deliver
  %[7]s demo

`, domain, filepath.Join(dir, file), path, key.Name(), key.Record(), initMilter, os.Args[0], initRelay)
	return path, nil
}

// initKey reads the key an earlier start made, or makes one.
func initKey(path string) (sign.Key, error) {
	signer, _, err := sign.LoadKey(path)
	if err == nil {
		return sign.Key{Signer: signer}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return sign.Key{}, coded(exitConfig, err)
	}
	if signer, err = sign.Generate("rsa2048"); err != nil {
		return sign.Key{}, err
	}
	if err := sign.WriteKey(path, signer); err != nil {
		return sign.Key{}, err
	}
	return sign.Key{Signer: signer}, nil
}

// ownDomain is the domain of the machine's name, or example.com.
func ownDomain() mail.Domain {
	name, err := os.Hostname()
	if err != nil {
		return initDomain
	}
	d, err := mail.ParseDomain(name)
	if err != nil || d.Parent() == "" || d.Parent().Parent() == "" {
		return initDomain
	}
	return d.Parent()
}

func initConfig(domain mail.Domain, keyFile string) string {
	return fmt.Sprintf(`# Made by mailgate serve --init. Every setting is explained in config.example.toml.
mode   = "enforce"
egress = []                 # every public address that mail leaves from

[milter]
listen  = %q
trusted = ["127.0.0.0/8", "::1/128"]

[relay]                     # takes mail by SMTP, from Exim, Exchange and scripts, and delivers it
listen  = %q
trusted = ["127.0.0.0/8", "::1/128"]

[control]
socket = "control.sock"

[store]
url = "sqlite:mailgate.db"

[release]
via = "127.0.0.1:25"        # Postfix, where mail that the milter held goes back in; without Postfix: "relay"

[[domain]]
name = %q
keys = [{ selector = %q, file = %q }]
`, initMilter, initRelay, string(domain), initSelector, keyFile)
}
