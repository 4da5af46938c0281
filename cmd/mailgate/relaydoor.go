package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"slices"

	"mailgate/internal/config"
	"mailgate/internal/gate"
	"mailgate/internal/smtpd"
)

// relayDoor is what a reload changes of the SMTP door, by the address listened at.
type relayDoor struct {
	accounts  *smtpd.Accounts
	listeners map[string]relayListener
}

type relayListener struct {
	trusted func(netip.Addr) bool
	rights  smtpd.Rights
	tls     *tls.Config // nil: off
}

// newRelayDoor reads certificates and accounts. All faults are told at once.
func newRelayDoor(cfg *config.Config, log *slog.Logger) (*relayDoor, error) {
	d := &relayDoor{listeners: map[string]relayListener{}}
	var faults []error
	for _, l := range cfg.Relay.Listeners {
		trusted := smtpd.In(l.Trusted)
		listener := relayListener{
			trusted: func(a netip.Addr) bool { _, ok := trusted(a); return ok },
			rights:  smtpd.Rights{SendAs: l.From},
		}
		if l.TLS != config.TLSOff {
			pair, err := smtpd.LoadCertificates(l.Certificate, l.Key, profileOf(l), log)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", certificateKey(l, err), err))
				continue
			}
			listener.tls = pair.Config()
		}
		d.listeners[l.Listen.String()] = listener
	}
	var accounts []smtpd.Account
	for _, u := range cfg.Relay.Users {
		accounts = append(accounts, smtpd.Account{Name: u.Name, Hash: u.Hash, Rights: smtpd.Rights{SendAs: u.From}})
	}
	var err error
	if d.accounts, err = smtpd.NewAccounts(accounts); err != nil {
		faults = append(faults, fmt.Errorf("relay.user: %w", err))
	}
	return d, errors.Join(faults...)
}

// certificateKey is the key of the configuration that names what can't be read.
func certificateKey(l config.RelayListener, err error) string {
	if fault, ok := errors.AsType[*fs.PathError](err); ok && fault.Path == l.Key {
		return l.Path + ".key"
	}
	return l.Path + ".certificate"
}

func profileOf(l config.RelayListener) smtpd.Profile {
	if l.Legacy {
		return smtpd.Legacy
	}
	return smtpd.Modern
}

// smtpServer is the door of all listeners of the relay.
func (g *gateway) smtpServer(cfg *config.Config) *smtpd.Server {
	r := cfg.Relay
	return smtpd.NewServer(smtpd.Config{
		Name:    cfg.Hostname,
		Gate:    smtpd.Current(func() *gate.Gate { return g.live.Load().gate }),
		Custody: kicker{g.store, g.engine},
		Limits: smtpd.Limits{
			Size: r.MaxSize, Recipients: r.MaxRecipients, Sessions: r.MaxConnections, SessionsPerClient: r.MaxPerClient,
			Drain: drainTime,
		},
		Metrics: smtpd.NewMetrics(g.registry),
		Log:     g.log,
	})
}

// listenRelay opens the listeners of the relay. What a reload may change of them is
// asked anew for each connection and login.
func (g *gateway) listenRelay(cfg *config.Config, open func(name string, l config.Listen, serve func(context.Context, net.Listener) error) error) error {
	if len(cfg.Relay.Listeners) == 0 {
		return nil
	}
	server := g.smtpServer(cfg)
	for _, l := range cfg.Relay.Listeners {
		err := open("["+l.Path+"]", l.Listen, func(ctx context.Context, nl net.Listener) error {
			return server.Serve(ctx, g.smtpListener(cfg, l, nl))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *gateway) smtpListener(cfg *config.Config, l config.RelayListener, nl net.Listener) smtpd.Listener {
	at := l.Listen.String()
	listener := smtpd.Listener{
		Listener: nl,
		Trusted: func(a netip.Addr) (smtpd.Rights, bool) {
			now, ok := g.live.Load().door.listeners[at]
			return now.rights, ok && now.trusted(a)
		},
		TLS:       smtpd.TLSMode(l.TLS),
		Profile:   profileOf(l),
		Normalise: cfg.Relay.Normalise,
		ProxyFrom: l.Proxy,
	}
	if l.TLS != config.TLSOff {
		listener.Config = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if now := g.live.Load().door.listeners[at]; now.tls != nil {
				return now.tls, nil
			}
			return nil, fmt.Errorf("no certificate for %s in the configuration any more", at)
		}}
	}
	if len(cfg.Relay.Users) > 0 {
		listener.Users = currentUsers(func() *smtpd.Accounts { return g.live.Load().door.accounts })
	}
	return listener
}

// currentUsers are those of the configuration in force.
type currentUsers func() *smtpd.Accounts

func (current currentUsers) Check(ctx context.Context, user, password string) (smtpd.Rights, bool, error) {
	return current().Check(ctx, user, password)
}

// relayRestart lists what a reload can't change of the relay.
func relayRestart(running, wanted *config.Config) []restart {
	a, b := running.Relay, wanted.Relay
	changed := len(a.Listeners) != len(b.Listeners)
	for i := 0; !changed && i < len(a.Listeners); i++ {
		x, y := a.Listeners[i], b.Listeners[i]
		changed = x.Listen != y.Listen || x.TLS != y.TLS || !slices.Equal(x.Proxy, y.Proxy)
	}
	limits := func(r config.Relay) [4]int64 {
		return [4]int64{r.MaxSize, int64(r.MaxRecipients), int64(r.MaxConnections), int64(r.MaxPerClient)}
	}
	return []restart{
		{"[relay] listen, tls, proxy", changed},
		{"[relay] limits, bare_newlines", limits(a) != limits(b) || a.Normalise != b.Normalise},
		{"[[relay.user]], the first or the last", (len(a.Users) == 0) != (len(b.Users) == 0)},
		{"hostname, in the relay's greeting", len(a.Listeners) > 0 && running.Hostname != wanted.Hostname},
	}
}
