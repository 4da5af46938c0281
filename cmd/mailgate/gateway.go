package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"mailgate/internal/config"
	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/milter"
	"mailgate/internal/notice"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/relay"
	"mailgate/internal/rotation"
	"mailgate/internal/spool"
	"mailgate/internal/store"
	"mailgate/internal/tlspolicy"
	"mailgate/internal/tlsreport"
	"mailgate/internal/web"
)

// wiring is what a gateway takes from outside its configuration.
type wiring struct {
	log           *slog.Logger
	authorityPort int                           // of authoritative name servers; 0: 53
	dnsTime       time.Duration                 // that DNS may take for one answer or verdict; 0: checkTime
	providers     map[string]preflight.Provider // further MX suffixes of big providers
	smtpPort      uint16                        // of MX hosts; 0: 25
	loopback      bool                          // MX hosts may be on this machine
	found         func(*preflight.Report)       // told of reports that DNS was asked for; nil: nobody

	// For tests that end the process at a named step of custody: what is called
	// there, how many bytes are written between two checkpoints of the store, and
	// how many messages come into its index at once.
	crashPoint func(name string)
	checkpoint int
	indexEvery int

	rotationClock func() time.Time // nil: time.Now
}

// gateway is everything that runs under `mailgate serve`.
type gateway struct {
	wiring
	configFile string
	started    time.Time
	registry   *prometheus.Registry
	store      *store.Store
	quarantine *quarantine.Quarantine
	policies   *tlspolicy.Policies
	watch      *overrideWatch
	reports    *tlsreport.Reports
	engine     *relay.Engine // delivers what is queued
	rotations  *rotation.Engine
	views      *views
	signers    *signerWatch
	probes     relay.Probes   // by which a release finds out that it will pass our milter
	running    *config.Config // what it was started with: some of it a reload can't change
	reloading  sync.Mutex
	reloaded   chan struct{} // a token after each reload, for warnByDNS
	live       atomic.Pointer[live]
}

// live is what a reload replaces as a whole. A message keeps the one it began
// with.
type live struct {
	cfg     *config.Config
	view    *view
	gate    *gate.Gate
	tls     *tlspolicy.Table
	trusted func(netip.Addr) bool

	door     *relayDoor
	settings relay.Settings
}

// newGateway opens the store and the keys. Nothing listens yet.
func newGateway(ctx context.Context, cfg *config.Config, w wiring) (*gateway, error) {
	g := &gateway{wiring: w, configFile: cfg.Path, running: cfg, started: time.Now(), registry: newRegistry(), reloaded: make(chan struct{}, 1)}
	g.signers = newSignerWatch(w.log)
	g.signers.register(g.registry)
	w.found = g.signers.Found
	g.views = &views{wiring: w, registry: g.registry}
	l, err := g.buildSite(cfg)
	if err != nil {
		return nil, err
	}
	g.live.Store(l)
	if g.store, err = store.Open(ctx, "sqlite:"+cfg.Store.Path, g.storeOptions()); err != nil {
		return nil, errors.Join(coded(exitSoftware, err), g.views.Close())
	}
	// The store knows which keys sign.
	if g.rotations, err = g.newRotations(ctx); err != nil {
		return nil, errors.Join(coded(exitSoftware, err), g.views.Close(), g.store.Close())
	}
	if l.gate, err = g.newGate(cfg, l.view); err != nil {
		return nil, errors.Join(err, g.views.Close(), g.store.Close())
	}
	registerSpool(g.registry, g.store)
	registerStore(g.registry, g.store.Usage)
	if err := g.newTLS(ctx); err != nil {
		return nil, errors.Join(coded(exitSoftware, err), g.views.Close(), g.store.Close())
	}
	g.engine = g.newEngine()
	g.quarantine = quarantine.New(g.store, quarantine.Options{
		Judge:    func() quarantine.Judge { return doubtingJudge{g.live.Load().gate, g.engine} },
		Injector: g,
		Relay:    relayRelease{g},
		Policy:   func() quarantine.Policy { return holdPolicy(g.live.Load().cfg) },
		Publish:  g.publish,
		Ending: func() []notice.Ending {
			return announcements(g.policies.Expiring(tlspolicy.EndsSoon))
		},
		Count:   countReleases(g.registry),
		Noticed: countNotices(g.registry),
		Full:    g.storeFull,
		Logger:  w.log,

		CrashPoint: w.crashPoint,
	})
	return g, nil
}

// storeOptions asks the configuration in force.
func (g *gateway) storeOptions() store.Options {
	return store.Options{
		Logger:   g.log,
		MaxBytes: func() int64 { return g.live.Load().cfg.Hold.MaxBytes },

		CrashPoint:      g.crashPoint,
		CheckpointBytes: g.checkpoint,
		IndexEvery:      g.indexEvery,
	}
}

// Close gives back what newGateway opened; the store is last.
func (g *gateway) Close() error {
	g.policies.Close()
	return errors.Join(g.reports.Flush(context.Background()), g.views.Close(), g.store.Close())
}

// build makes what a configuration asks for: all of it, or an error.
func (g *gateway) build(cfg *config.Config) (*live, error) {
	l, err := g.buildSite(cfg)
	if err == nil {
		l.gate, err = g.newGate(cfg, l.view)
	}
	return l, err
}

// buildSite is build without the gate.
func (g *gateway) buildSite(cfg *config.Config) (*live, error) {
	if err := cfg.Unsupported(); err != nil {
		return nil, coded(exitConfig, err)
	}
	overrides, err := tlsTable(cfg)
	if err != nil {
		return nil, coded(exitConfig, err)
	}
	door, err := newRelayDoor(cfg, g.log)
	if err != nil {
		return nil, coded(configCode(err), err)
	}
	settings, err := relaySettings(cfg, g.wiring)
	if err != nil {
		return nil, coded(configCode(err), err)
	}
	view, err := g.views.For(cfg)
	if err != nil {
		return nil, coded(exitConfig, err)
	}
	return &live{
		cfg:     cfg,
		view:    view,
		tls:     overrides,
		trusted: milter.In(cfg.Milter.Trusted),

		door:     door,
		settings: settings,
	}, nil
}

// Inject hands released mail on, by the configuration in force.
func (g *gateway) Inject(ctx context.Context, m *spool.Message, to []mail.Address, token string, content io.Reader) ([]spool.Handover, error) {
	cfg := g.live.Load().cfg
	if cfg.Release.Via == config.ReleaseViaRelay { // a notice: what is released, the relay takes itself
		return g.queueNotice(ctx, m, content)
	}
	r := relay.Reinjector{Address: cfg.Release.Via, Hostname: cfg.Hostname, Probes: &g.probes}
	return r.Inject(ctx, m, to, token, content)
}

// drainTime bounds how long a stop waits for releases under way.
const drainTime = 20 * time.Second

// Run opens the doors and works until ctx ends, then stops in order: releases
// and deliveries first, then the listeners, with messages in hand finished, the
// store (by Close) last.
func (g *gateway) Run(ctx context.Context, ready func()) error {
	if err := g.quarantine.Resume(ctx); err != nil {
		return err
	}
	doors, err := g.listen(g.running)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	// Releases lead back through our own milter: they end before a door closes.
	open, closeDoors := context.WithCancel(context.WithoutCancel(ctx))
	defer closeDoors()
	group.Go(func() error {
		<-ctx.Done()
		g.quarantine.Drain(drainTime)
		closeDoors()
		return nil
	})
	for _, door := range doors {
		group.Go(func() error { return door.serve(open, door.listener) })
		g.log.Info("listening", "door", door.name, "address", door.listener.Addr().String())
	}
	group.Go(func() error { return g.quarantine.Run(ctx) })
	group.Go(func() error { return g.engine.Run(ctx) })
	group.Go(func() error { return g.warnByDNS(ctx) })
	group.Go(func() error { return g.policies.Run(ctx) })
	group.Go(func() error { return g.watch.Run(ctx) })
	group.Go(func() error { return g.rotations.Run(ctx) })
	group.Go(func() error { return g.reports.Run(ctx) })
	group.Go(func() error { return paceCollector(ctx) })
	ready()
	return group.Wait()
}

func (g *gateway) milterServer(cfg *config.Config) *milter.Server {
	return &milter.Server{
		Gate:        milter.Current(func() *gate.Gate { return g.live.Load().gate }),
		Custody:     g.store,
		Redeemer:    g.quarantine,
		Probed:      g.probes.Seen,
		Trusted:     func(a netip.Addr) bool { return g.live.Load().trusted(a) },
		Metrics:     milter.NewMetrics(g.registry),
		Log:         g.log,
		MaxConns:    cfg.Milter.MaxConnections,
		IdleTimeout: cfg.Milter.Timeout,
	}
}

func (g *gateway) api() *web.API {
	return web.New(web.Options{
		Quarantine: g.quarantine,
		Queue:      queueView{g},
		TLS:        tlsAPI{g},
		Keys:       keysAPI{g},
		Rotations:  rotationAPI{g},
		Registry:   g.registry,
		Status:     g.status,
		Reload:     g.reload,
	})
}

// publish is what would mend the findings of a report.
func (g *gateway) publish(ctx context.Context, r *preflight.Report) []notice.Record {
	l := g.live.Load()
	return toPublish(ctx, l.view.resolver, r, l.gate.Keys().For(r.From))
}

func (g *gateway) status() web.Status {
	l := g.live.Load()
	s := web.Status{Version: version, Mode: string(l.cfg.Mode), Config: g.configFile, Started: g.started, Domains: []string{}, Store: g.storeStatus(), Rotations: rotationAPI{g}.underWay()}
	for _, d := range l.gate.Keys().Domains() {
		s.Domains = append(s.Domains, string(d))
	}
	return s
}

// reload takes the new configuration, or keeps the old one and says why.
func (g *gateway) reload(context.Context) ([]string, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	cfg, err := loadConfig(g.configFile)
	if err != nil {
		g.log.Error("reload: the old configuration stays", "error", err)
		return nil, err
	}
	l, err := g.build(cfg)
	if err != nil {
		g.log.Error("reload: the old configuration stays", "error", err)
		return nil, err
	}
	notes := append(restartNeeded(g.running, cfg), warnings(cfg)...)
	g.live.Store(l)
	g.signers.Keep(l.gate.Keys())
	g.rotations.Reconfigured()
	g.quarantine.Reloaded()
	select {
	case g.reloaded <- struct{}{}:
	default:
	}
	if len(notes) > 0 {
		g.log.Info("reloaded", "notes", notes)
	} else {
		g.log.Info("reloaded")
	}
	return notes, nil
}

// restart is a part of the configuration that a reload can't change.
type restart struct {
	name    string
	changed bool
}

// restartNeeded lists what a reload can't change and the new configuration has
// otherwise than what runs.
func restartNeeded(running, wanted *config.Config) []string {
	notes := []string{}
	parts := []restart{
		{"[milter] listen, socket_mode", running.Milter.Listen != wanted.Milter.Listen || running.Milter.SocketMode != wanted.Milter.SocketMode},
		{"[milter] max_connections, timeout", running.Milter.MaxConnections != wanted.Milter.MaxConnections ||
			running.Milter.Timeout != wanted.Milter.Timeout},
		{"[socketmap] listen", running.Socketmap.Listen != wanted.Socketmap.Listen},
		{"[control] socket", running.Control != wanted.Control},
		{"[store] url", running.Store != wanted.Store},
	}
	for _, part := range append(parts, relayRestart(running, wanted)...) {
		if part.changed {
			notes = append(notes, part.name+": restart needed")
		}
	}
	return notes
}

// tlsPolicy looks up the policy in force for a destination.
func (g *gateway) tlsPolicy(ctx context.Context, d mail.Domain) (tlspolicy.Policy, error) {
	p, err := g.policies.Lookup(ctx, tlspolicy.Destination{Domain: d})
	if err != nil {
		return p, fmt.Errorf("TLS policy for %s: %w", d, err)
	}
	return p, nil
}
