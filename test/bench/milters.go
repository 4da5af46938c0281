package main

import (
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
	"syscall"
	"time"

	"mailgate/internal/dnstest"
)

// domain signs with selector; receiver is under Google's MX, so that mailgate has
// something to predict.
const domain, selector, receiver = "example.com", "mail", "gmail.com"

// milter is one running program.
type milter struct {
	name   string
	socket string
	log    string
	cmd    *exec.Cmd
	gone   chan struct{}
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

// startAll starts mailgate with a DNS server of its own, and the other milters that
// are installed. What was started is returned also with an error.
func startAll(dir, mailgate string, key *rsa.PrivateKey) ([]*milter, *dnstest.Server, error) {
	dns, err := startDNS(key)
	if err != nil {
		return nil, nil, err
	}
	plans := []struct {
		name, config, text string
		args               []string
	}{
		{"mailgate", "mailgate.toml", mailgateConfig(dir, dns.Addr(), "mailgate", "auto"), []string{mailgate, "serve", "--config"}},
		{"mailgate/go", "mailgate-go.toml", mailgateConfig(dir, dns.Addr(), "mailgate-go", "go"), []string{mailgate, "serve", "--config"}},
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
	file := filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
	m := &milter{name: name, socket: file + ".sock", log: file + ".log", gone: make(chan struct{})}
	log, err := os.Create(m.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	m.cmd = exec.Command(args[0], args[1:]...)
	m.cmd.Stdout, m.cmd.Stderr = log, log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = m.cmd.Wait()
		close(m.gone)
	}()
	for range 600 {
		if c, err := net.Dial("unix", m.socket); err == nil {
			c.Close()
			return m, nil
		}
		select {
		case <-m.gone:
			return nil, fmt.Errorf("%s ended\n%s", name, m.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
	m.stop()
	return nil, fmt.Errorf("%s opened no socket\n%s", name, m.tail())
}

func (m *milter) stop() {
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.gone:
	case <-time.After(10 * time.Second):
		_ = m.cmd.Process.Kill()
		<-m.gone
	}
}

// tail returns the end of what the program printed.
func (m *milter) tail() string {
	text, err := os.ReadFile(m.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
