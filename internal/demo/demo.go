// Package demo plays the whole gateway on one machine: DNS servers, receivers and
// a stand-in for Postfix on loopback, and the real mailgate between them. Nothing
// leaves the machine.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/tlspolicy"
)

// Gateway is the running mailgate, as the demo sees it from outside.
type Gateway interface {
	Held(ctx context.Context) (quarantine.Page, error)
	Show(ctx context.Context, id string) (quarantine.Detail, error)
	TLSPolicy(ctx context.Context, destination mail.Domain) (tlspolicy.Policy, error)
	Reload(ctx context.Context) error
	Stop() error
}

// Start runs a gateway with the configuration file. authorityPort is where this
// machine's authoritative DNS servers listen, providers names the MX that answer
// as a big provider does.
type Start func(ctx context.Context, configFile string, authorityPort int, providers map[string]preflight.Provider) (Gateway, error)

// Options of a demo.
type Options struct {
	Start Start
	Out   io.Writer
	Stay  bool // keep it running after the story, until ctx ends
}

// Run plays the story. The error tells what did not go as it should.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "mailgate-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer os.RemoveAll(dir)
	s := &stage{dir: dir, out: o.Out}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.build(ctx, o.Start); err != nil {
		return err
	}
	if err := s.play(ctx); err != nil {
		return err
	}
	if o.Stay {
		s.invite()
		<-ctx.Done()
	}
	return nil
}

// stage is everything that runs.
type stage struct {
	dir     string
	out     io.Writer
	dns     *names
	keys    *keys
	gmail   *receiver
	other   *receiver
	bank    *receiver
	mta     *mta
	gateway Gateway
}

func (s *stage) configFile() string { return filepath.Join(s.dir, "mailgate.toml") }

func (s *stage) build(ctx context.Context, start Start) error {
	var err error
	if s.dns, err = startDNS(); err != nil {
		return err
	}
	if s.keys, err = makeKeys(s.dir); err != nil {
		return err
	}
	if err := s.dns.publishAll(s.keys); err != nil {
		return err
	}
	if err := s.startReceivers(); err != nil {
		return err
	}
	milter := "unix:" + filepath.Join(s.dir, "milter.sock")
	if s.mta, err = startMTA(milter, s.dns, map[string]*receiver{
		"mx.gmail.test": s.gmail, "mx.other.test": s.other, "mx.bank.test": s.bank,
	}); err != nil {
		return err
	}
	if err := s.writeConfig(milter, false); err != nil {
		return err
	}
	s.gateway, err = start(ctx, s.configFile(), s.dns.port(), map[string]preflight.Provider{"mx.gmail.test": preflight.Google})
	if err != nil {
		return err
	}
	s.mta.policy = s.gateway.TLSPolicy
	return nil
}

func (s *stage) startReceivers() (err error) {
	if s.gmail, err = startReceiver("mx.gmail.test", s.dns.resolver(), asGmail); err != nil {
		return err
	}
	if s.other, err = startReceiver("mx.other.test", s.dns.resolver(), takesAll); err != nil {
		return err
	}
	s.bank, err = startReceiver("mx.bank.test", s.dns.resolver(), chokesOnTLS13)
	return err
}

// close stops everything in the order of the mail's way.
func (s *stage) close() error {
	var errs []error
	if s.gateway != nil {
		errs = append(errs, s.gateway.Stop())
	}
	if s.mta != nil {
		errs = append(errs, s.mta.Close())
	}
	for _, r := range []*receiver{s.gmail, s.other, s.bank} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	if s.dns != nil {
		errs = append(errs, s.dns.Close())
	}
	return errors.Join(errs...)
}
