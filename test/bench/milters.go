package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mailgate/internal/dnstest"
)

// domain signs with selector; receiver is under Google's MX, so that mailgate has
// something to predict.
const domain, selector, receiver = "example.com", "mail", "gmail.com"

// milter is one running program.
type milter struct {
	*process
	socket string
}

func keyFile(dir string) string { return filepath.Join(dir, "key.pem") }

// makeKey writes the key that all milters use.
func makeKey(dir string) (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return key, os.WriteFile(keyFile(dir), pem.EncodeToMemory(block), 0o600)
}

// compareMilters measures signing: speed, then memory.
func compareMilters(ctx context.Context, b *bench) error {
	milters, dns, err := startAll(b.dir, b.mailgate, b.key)
	for _, m := range milters {
		defer m.stop()
	}
	if dns != nil {
		defer dns.Close()
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d messages of 10 KiB a measurement, median of %d\n\n", b.messages, b.rounds)
	if err := compareSpeed(ctx, b.options, b.load, b.key, milters, dns); err != nil {
		return err
	}
	return compareMemory(ctx, b.options, b.load, milters)
}

// startAll starts mailgate with a DNS server of its own, and the other milters that
// are installed. What was started is returned also with an error.
func startAll(dir, mailgate string, key *rsa.PrivateKey) ([]*milter, *dnstest.Server, error) {
	dns, err := startDNS()
	if err == nil {
		err = publishAll(dns, key)
	}
	if err != nil {
		return nil, dns, err
	}
	plans := []struct {
		name, config, text string
		args               []string
	}{
		{"mailgate", "mailgate.toml", mailgateConfig(dir, dns.Addr(), "mailgate", "auto", ""), []string{mailgate, "serve", "--config"}},
		{"mailgate/go", "mailgate-go.toml", mailgateConfig(dir, dns.Addr(), "mailgate-go", "go", ""), []string{mailgate, "serve", "--config"}},
		{"OpenDKIM", "opendkim.conf", opendkimConfig(dir), []string{"opendkim", "-f", "-x"}},
		{"rspamd", "rspamd.conf", rspamdConfig(dir), []string{"rspamd", "-f", "-i", "-u", "root", "-g", "root", "-c"}},
	}
	var milters []*milter
	for _, p := range plans {
		if _, err := exec.LookPath(p.args[0]); err != nil {
			fmt.Printf("%s is not installed: left out\n", p.name)
			continue
		}
		config := filepath.Join(dir, p.config)
		if err := os.WriteFile(config, []byte(p.text), 0o600); err != nil {
			return milters, dns, err
		}
		m, err := startMilter(p.name, dir, append(p.args, config)...)
		if err != nil {
			return milters, dns, err
		}
		milters = append(milters, m)
	}
	if len(milters) == 0 {
		return nil, dns, errors.New("no milter to measure")
	}
	return milters, dns, nil
}

// startMilter starts a program and waits for its socket.
func startMilter(name, dir string, args ...string) (*milter, error) {
	p, err := launch(name, dir, args...)
	if err != nil {
		return nil, err
	}
	m := &milter{process: p, socket: filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+".sock")}
	if err := p.ready(func() bool { return listening("unix", m.socket) }); err != nil {
		p.stop()
		return nil, err
	}
	return m, nil
}

// listening reports whether something accepts connections there.
func listening(network, address string) bool {
	c, err := net.Dial(network, address)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
