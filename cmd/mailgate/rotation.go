package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/config"
	"mailgate/internal/dnsview"
	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/publish"
	"mailgate/internal/rotation"
	"mailgate/internal/sign"
)

// newRotations goes on with the rotations of keys that the store has.
func (g *gateway) newRotations(ctx context.Context) (*rotation.Engine, error) {
	book, err := rotation.Load(ctx, g.store)
	if err != nil {
		return nil, err
	}
	e := rotation.New(book, rotation.Options{
		Notes:     g.store,
		DNS:       func() rotation.View { return g.live.Load().view.resolver },
		Site:      func() rotation.Site { return rotationSite(g.live.Load().cfg) },
		Publisher: g.rotationPublisher,
		Apply:     g.applyRotations,
		Made: func(file string) (time.Time, error) {
			info, err := os.Stat(file)
			if err != nil {
				return time.Time{}, err
			}
			return info.ModTime(), nil
		},
		Log:        g.log,
		Now:        g.rotationClock,
		CrashPoint: g.crashPoint,
	})
	g.signers.OnStandIn(e.StoodIn)
	g.registry.MustRegister(&rotationCollector{
		engine:  e,
		states:  prometheus.NewDesc("mailgate_key_rotations", "Signing keys being replaced, by how far it is: publishing, holding, signing (the old key is kept), revoking.", []string{"state"}, nil),
		waiting: prometheus.NewDesc("mailgate_key_rotation_waiting_seconds", "How long the oldest rotation has waited for a record to be published; 0: none does.", nil, nil),
	})
	return e, nil
}

// rotationSite is what a configuration says about keys.
func rotationSite(cfg *config.Config) rotation.Site {
	site := rotation.Site{Dir: cfg.Keys.Dir, Grace: cfg.Keys.Grace}
	for _, d := range cfg.Domains {
		for _, k := range d.Keys {
			site.Keys = append(site.Keys, rotation.Key{Domain: d.Signer(), Use: keyUse(k), Every: d.RotateEvery})
		}
	}
	return site
}

func keyUse(k config.Key) rotation.Use {
	return rotation.Use{Selector: k.Selector, File: k.File, Identity: k.Identity}
}

// keyUses are a domain's keys as they are used: rotation may have put others in the
// place of those configured.
func keyUses(d config.Domain, book rotation.Book) []rotation.Use {
	var configured []rotation.Use
	for _, k := range d.Keys {
		configured = append(configured, keyUse(k))
	}
	return book.Uses(d.Signer(), configured)
}

// newGate is the gate of a configuration, with the keys that sign now.
func (g *gateway) newGate(cfg *config.Config, v *view) (*gate.Gate, error) {
	keyring, err := loadKeysBy(cfg, g.rotations.Book().For(rotationSite(cfg)), sign.LoadKey, g.log)
	if err != nil {
		return nil, coded(configCode(err), err)
	}
	c := gateConfig(cfg)
	c.JudgeTime = g.dnsTime
	return gate.New(c, keyring, v.checker, v.txt), nil
}

// applyRotations has mail signed with the keys that sign now. A message keeps those it
// began with.
func (g *gateway) applyRotations(context.Context) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	l := *g.live.Load()
	var err error
	if l.gate, err = g.newGate(l.cfg, l.view); err != nil {
		return err
	}
	g.live.Store(&l)
	g.signers.Keep(l.gate.Keys())
	g.rotations.Reconfigured() // key files may have changed
	g.quarantine.Reloaded()
	return nil
}

// rotationDomain finds the [[domain]] whose publisher writes the keys of signing domain
// d: its own, or else one that signs as d. Where those that do name different publishers
// nobody knows whose zone it is: then there is none.
func rotationDomain(cfg *config.Config, d mail.Domain) (found config.Domain, ok bool) {
	for _, c := range cfg.Domains {
		switch {
		case c.Signer() != d:
		case c.Name == d && !c.Wildcard:
			return c, true
		case !ok:
			found, ok = c, true
		case found.Publisher != c.Publisher:
			found.Publisher = ""
		}
	}
	return found, ok
}

func (g *gateway) rotationPublisher(d mail.Domain) rotation.Publisher {
	cfg := g.live.Load().cfg
	c, ok := rotationDomain(cfg, d)
	if !ok || c.Publisher == "" {
		return nil
	}
	return rotationHost{cfg: cfg, domain: c, dns: g.live.Load().view.resolver}
}

// rotationHost implements rotation.Publisher.
type rotationHost struct {
	cfg    *config.Config
	domain config.Domain
	dns    zoneFinder
}

// Publish implements rotation.Publisher.
func (h rotationHost) Publish(ctx context.Context, name, value string, replaces []string, ttl time.Duration) error {
	host, err := publisherFor(h.cfg, h.domain)
	if err != nil {
		return err
	}
	zone := h.dns.ZoneOf(ctx, name)
	if zone.Status != dnsview.Found {
		return fmt.Errorf("the zone of %s is not known: DNS gives no answer", name)
	}
	replaces = slices.DeleteFunc(slices.Clone(replaces), func(old string) bool { return old == value })
	plan, err := host.Plan(ctx, zone.Apex, []publish.Want{{Name: name, Type: "TXT", Value: value, Replaces: replaces, TTL: ttl}})
	if err != nil || plan.Empty() {
		return err
	}
	err = host.Apply(ctx, plan)
	if errors.Is(err, publish.ErrChanged) {
		err = fmt.Errorf("%w (it is tried again)", err)
	}
	return err
}

// rotationCollector shows what is under way.
type rotationCollector struct {
	engine          *rotation.Engine
	states, waiting *prometheus.Desc
}

func (c *rotationCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.states
	ch <- c.waiting
}

func (c *rotationCollector) Collect(ch chan<- prometheus.Metric) {
	counts := map[rotation.State]int{}
	var longest time.Duration
	for _, r := range c.engine.Rotations("") {
		counts[r.State]++
		switch since := r.Begun; r.State {
		case rotation.Revoking:
			since = r.Revoke
			fallthrough
		case rotation.Publishing:
			longest = max(longest, time.Since(since))
		}
	}
	for _, state := range rotation.States() {
		if state.Open() {
			ch <- prometheus.MustNewConstMetric(c.states, prometheus.GaugeValue, float64(counts[state]), string(state))
		}
	}
	ch <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, longest.Seconds())
}
