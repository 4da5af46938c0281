package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/config"
	"mailgate/internal/dnsview"
	"mailgate/internal/doctor"
	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/rotation"
	"mailgate/internal/sign"
	"mailgate/internal/tlspolicy"
)

// loadConfig reads the configuration; its errors end the program with 78 or 77.
func loadConfig(path string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, coded(configCode(err), err)
	}
	return cfg, nil
}

// configCode is the exit code for a configuration, or a key it names, that can't be
// used.
func configCode(err error) int {
	if errors.Is(err, fs.ErrPermission) {
		return exitNoPerm
	}
	return exitConfig
}

// warnings is what is right in a configuration but likely not meant.
func warnings(cfg *config.Config) []string {
	list := append([]string{}, cfg.Warnings()...)
	if seen := doctor.DefaultRoutes().V4; len(cfg.Egress) == 0 && seen.IsValid() && !seen.IsLoopback() {
		list = append(list, fmt.Sprintf("egress: this machine sends from %s; behind NAT the world sees another", seen))
	}
	if len(cfg.TLS) > 0 && !cfg.Milter.Listen.IsZero() && cfg.Socketmap.Listen.IsZero() {
		list = append(list, "[[tls]]: overrides hold for the relay, but Postfix isn't told of them: open [socketmap], and set smtp_tls_policy_maps")
	}
	if cfg.Reports.Enabled && len(cfg.Relay.Listeners) == 0 {
		list = append(list, "[tls_reports]: there will be none: they are about mail that the relay delivers, and here Postfix does")
	}
	return list
}

// configOrDefault reads the configuration; the one at the default place may be
// missing, and then everything is as if it were empty.
func (a *app) configOrDefault() (*config.Config, error) {
	if _, err := os.Stat(a.config); errors.Is(err, fs.ErrNotExist) && a.config == defaultConfig {
		return config.Parse(nil, a.config)
	}
	return loadConfig(a.config)
}

// loadKeysBy reads every key the configuration names, or rotation has put in the place of
// one. All faults are told at once; a key on standby that can't be read is left out.
func loadKeysBy(cfg *config.Config, book rotation.Book, load keyLoader, log *slog.Logger) (*sign.Keyring, error) {
	var domains []sign.DomainKeys
	var faults []error
	for _, d := range cfg.Domains {
		keys := sign.DomainKeys{Pattern: d.Pattern, SignAs: d.SignAs, SubDomains: d.SubDomains}
		for _, k := range keyUses(d, book) {
			signer, warnings, err := load(k.File)
			if err != nil && k.Configured != nil {
				replaced := *k.Configured
				log.Warn("the key of a rotation that has ended can't be read: the configured one takes its place", "domain", d.Pattern, "selector", k.Selector, "configured", replaced.Selector, "error", err)
				var second error
				if signer, warnings, second = load(replaced.File); second == nil {
					k, err = replaced, nil
				} else {
					err = fmt.Errorf("a rotation that has ended put it in the place of %s: %w; nor can that be read: %w", replaced.Selector, err, second)
				}
			}
			if err != nil && k.Standby {
				log.Warn("the key that was replaced can't stand in for the new one", "domain", d.Pattern, "selector", k.Selector, "error", err)
				continue
			}
			if err != nil {
				faults = append(faults, fmt.Errorf("key %s of %s: %w", k.Selector, d.Pattern, err))
				continue
			}
			for _, w := range warnings {
				log.Warn(w, "domain", d.Pattern, "selector", k.Selector)
			}
			if cfg.Engine == config.EngineAuto {
				signer = accelerate(signer, k.Selector, log)
			}
			keys.Keys = append(keys.Keys, sign.Key{Selector: k.Selector, Signer: signer, Identity: k.Identity, Standby: k.Standby, Warnings: warnings})
		}
		domains = append(domains, keys)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return sign.NewKeyring(domains)
}

// accelerate has libcrypto do the RSA operation, if it can.
func accelerate(signer crypto.Signer, selector string, log *slog.Logger) crypto.Signer {
	fast, err := sign.Accelerate(signer)
	if err != nil {
		log.Info("signing with Go's own RSA, which takes three times as long", "selector", selector, "cause", err)
		return signer
	}
	return fast
}

func gateConfig(cfg *config.Config) gate.Config {
	bulk := map[mail.Domain]bool{}
	expire := map[mail.Domain]time.Duration{}
	for _, d := range cfg.Domains {
		bulk[d.Name] = d.Bulk
		expire[d.Name] = d.Expire
	}
	return gate.Config{
		Observe:  cfg.Mode == config.Observe,
		Refused:  gate.Policy(cfg.Policy.Refused),
		Unknown:  gate.Policy(cfg.Policy.Unknown),
		Foreign:  gate.Policy(cfg.Policy.Foreign),
		Hostname: cfg.Hostname,
		Egress:   cfg.Egress,
		Bulk:     func(d mail.Domain) bool { return inherited(bulk, d) },
		Expire:   func(d mail.Domain) time.Duration { return inherited(expire, d) },
	}
}

func holdPolicy(cfg *config.Config) quarantine.Policy {
	return quarantine.Policy{
		Hostname:    cfg.Hostname,
		NextServer:  nextServer(cfg),
		AutoRelease: cfg.Hold.AutoRelease,
		Recheck:     cfg.Hold.Recheck,
		ReleaseRate: cfg.Hold.ReleaseRate,
		MaxAge:      cfg.Hold.MaxAge,
		NotifyAfter: cfg.Hold.NotifyAfter,
		Postmaster:  cfg.Hold.Postmaster,
		Digest:      cfg.Hold.Digest,
		KeepBodies:  cfg.Hold.KeepBodies,
		KeepLog:     cfg.Hold.KeepLog,
	}
}

// nextServer names the server that released mail goes to, for reports. One on this
// machine goes by the machine's name.
func nextServer(cfg *config.Config) string {
	host, _, err := net.SplitHostPort(cfg.Release.Via)
	if err != nil || host == "localhost" {
		return string(cfg.Hostname)
	}
	switch address, err := netip.ParseAddr(host); {
	case err != nil:
		return host
	case address.IsLoopback():
		return string(cfg.Hostname)
	case address.Is6():
		return "[IPv6:" + host + "]"
	default:
		return "[" + host + "]"
	}
}

// inherited is the setting of d, or of its nearest parent that has one.
func inherited[T any](settings map[mail.Domain]T, d mail.Domain) T {
	for ; d != ""; d = d.Parent() {
		if v, ok := settings[d]; ok {
			return v
		}
	}
	var none T
	return none
}

func tlsTable(cfg *config.Config) (*tlspolicy.Table, error) {
	var overrides []tlspolicy.Override
	for _, o := range cfg.TLS {
		override := tlspolicy.Override{
			Destination: o.Destination, MinVersion: tlspolicy.Version(o.MinVersion), MaxVersion: tlspolicy.Version(o.MaxVersion),
			Ciphers: o.Ciphers, Curves: tlspolicy.Curves(o.Curves), ServerName: o.ServerName, MatchNames: o.Match, Reason: o.Reason,
		}
		if err := override.Level.UnmarshalText([]byte(o.Level)); err != nil {
			return nil, fmt.Errorf("[[tls]] %s: %w", o.Destination, err)
		}
		if !o.Expires.IsZero() {
			override.Expires = o.Expires.AddDate(0, 0, 1) // it holds on its last day
		}
		overrides = append(overrides, override)
	}
	return tlspolicy.NewTable(overrides, time.Now)
}

// view is one way to look at DNS, with what was learned through it.
type view struct {
	dns      config.DNS
	resolver *dnsview.Resolver
	checker  *preflight.Checker
}

// views keeps the view in force, so that a reload which leaves [dns] alone keeps
// what was learned.
type views struct {
	wiring
	registry *prometheus.Registry

	mu      sync.Mutex
	current *view
	before  uint64 // queries of views gone
}

// oldViewStays is how long a view that was replaced serves messages under way.
const oldViewStays = 10 * time.Minute

// For returns the view a configuration asks for.
func (v *views) For(cfg *config.Config) (*view, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.current != nil && sameDNS(v.current.dns, cfg.DNS) {
		return v.current, nil
	}
	next, err := newView(cfg.DNS, v.wiring)
	if err != nil {
		return nil, err
	}
	if v.current == nil {
		registerDNS(v.registry, v.Queries)
	} else {
		v.before += v.current.resolver.Queries()
		time.AfterFunc(oldViewStays, v.current.resolver.Close)
	}
	v.current = next
	return next, nil
}

func sameDNS(a, b config.DNS) bool {
	return slices.Equal(a.Resolvers, b.Resolvers) && a.Authoritative == b.Authoritative && a.Panel == b.Panel
}

// Queries is the number of packets sent to DNS servers so far.
func (v *views) Queries() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.before + v.current.resolver.Queries()
}

func (v *views) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.current != nil {
		v.current.resolver.Close()
	}
	return nil
}

func newView(dns config.DNS, w wiring) (*view, error) {
	resolver, err := dnsview.New(dnsview.Options{
		Resolvers:       dns.Resolvers,
		NoAuthoritative: !dns.Authoritative,
		Panel:           dns.Panel,
		AuthorityPort:   w.authorityPort,
		LookupTime:      w.dnsTime,
		Logger:          w.log,
	})
	if err != nil {
		return nil, fmt.Errorf("[dns]: %w", err)
	}
	checker := preflight.New(resolver, preflight.Options{Timeout: w.dnsTime, Providers: w.providers, Logger: w.log, Found: w.found})
	return &view{dns: dns, resolver: resolver, checker: checker}, nil
}

// txt gives TXT records to the verifier of signatures already on a message.
func (v *view) txt(ctx context.Context, name string) ([]string, error) {
	a := v.resolver.Published(ctx, strings.TrimSuffix(name, "."), "TXT")
	switch a.Status {
	case dnsview.Found:
		return a.Texts(), nil
	case dnsview.NXDomain, dnsview.NoData:
		return nil, &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
	}
	return nil, &net.DNSError{Err: "no answer", Name: name, IsTemporary: true}
}
