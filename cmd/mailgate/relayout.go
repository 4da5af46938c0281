package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"mailgate/internal/config"
	"mailgate/internal/dnsview"
	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/relay"
	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

// newEngine is the relay's way out. It runs also without the door: what was queued
// before still leaves.
func (g *gateway) newEngine() *relay.Engine {
	current := func() *live { return g.live.Load() }
	return relay.New(relay.Options{
		Queue:    g.store,
		Bodies:   g.store,
		Messages: g.store,
		Custody:  g.store,
		Resolver: relayDNS(func() *dnsview.Resolver { return current().view.resolver }),
		Policies: g.policies,
		Results:  tlsResults{g},
		Signer:   relaySigner(func() *gate.Gate { return current().gate }),
		Settings: func() relay.Settings { return current().settings },
		Findings: g.findings,
		Notes:    g.store,
		Metrics:  newRelayMetrics(g.registry),
		Logger:   g.log,

		CrashPoint: g.crashPoint,
	})
}

// relaySettings reads the passwords that routes name, beside what the configuration
// says itself.
func relaySettings(cfg *config.Config, w wiring) (relay.Settings, error) {
	s := relay.Settings{
		Hostname:       cfg.Hostname,
		Egress:         cfg.Egress,
		NextHop:        relay.Route{Via: cfg.Relay.NextHop},
		MaxAge:         cfg.Queue.MaxAge,
		FirstRetry:     cfg.Queue.RetryFirst,
		LastRetry:      cfg.Queue.RetryMost,
		DelayAfter:     cfg.Queue.DelayNotice,
		Postmaster:     cfg.Hold.Postmaster,
		Connections:    cfg.Queue.Connections,
		PerDestination: cfg.Queue.PerDestination,
		Drain:          drainTime,
		Loopback:       w.loopback,
		Port:           w.smtpPort,
	}
	for i, r := range cfg.Routes {
		route, err := relayRoute(r)
		if err != nil {
			return s, fmt.Errorf("route[%d], %s: %w", i, r.Destination, err)
		}
		s.Routes = append(s.Routes, route)
	}
	return s, nil
}

func relayRoute(r config.Route) (relay.Route, error) {
	route := relay.Route{Destination: r.Destination, Via: r.Via, User: r.User}
	var err error
	if r.TLS != "" {
		if route.TLS, err = tlspolicy.ParseLevel(string(r.TLS)); err != nil {
			return route, err
		}
	}
	if r.PasswordFile != "" {
		route.Password, err = readPassword(r.PasswordFile)
	}
	return route, err
}

// readPassword returns the first line of a file that nobody else can read.
func readPassword(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others than its owner; mend it with: chmod 600 %s", path, path)
	}
	line, err := bufio.NewReader(io.LimitReader(f, 4<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", fmt.Errorf("%s: its first line is empty, want a password", path)
	}
	return line, nil
}

// findings is what each check finds about mail of these domains. A check of which a
// part can't be made is left out: unknown is not a change.
func (g *gateway) findings(ctx context.Context, from, mailFrom mail.Domain) map[string]string {
	l := g.live.Load()
	report := l.view.checker.Check(ctx, l.gate.Identity(from, mail.Address{Domain: mailFrom}))
	found := map[string]string{}
	for _, check := range []preflight.Check{preflight.DKIM, preflight.SPF, preflight.DMARC, preflight.PTR, preflight.SOA, preflight.DNS, preflight.Host} {
		var list []string
		known := true
		for _, f := range report.Of(check) {
			known = known && f.Status != preflight.Unknown
			list = append(list, fmt.Sprintf("%s %s %s %s %s", f.Code, f.Status, f.Name, f.Address, f.Record))
		}
		if slices.Sort(list); known {
			found[string(check)] = strings.Join(list, "\n")
		}
	}
	return found
}

// doubtingJudge is the gate's verdict, and that of receivers: whom they refuse
// although nothing speaks against it doesn't pass.
type doubtingJudge struct {
	gate   *gate.Gate
	engine *relay.Engine
}

func (j doubtingJudge) Judge(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) gate.Verdict {
	return j.doubt(ctx, j.gate.Judge(ctx, from, sender, to), from, sender)
}

func (j doubtingJudge) JudgeAfresh(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) gate.Verdict {
	return j.doubt(ctx, j.gate.JudgeAfresh(ctx, from, sender, to), from, sender)
}

func (j doubtingJudge) doubt(ctx context.Context, v gate.Verdict, from mail.Domain, sender mail.Address) gate.Verdict {
	m := &spool.Message{From: mail.Address{Domain: from}, Envelope: mail.Envelope{From: sender}}
	v.Recipients = slices.Clone(v.Recipients)
	for i := range v.Recipients {
		r := &v.Recipients[i]
		if r.Disposition != gate.Pass {
			continue
		}
		id := relay.IdentityOf(m, &spool.Recipient{Address: r.Address, Provider: string(r.Prediction.Provider)})
		said, ok := j.engine.Distrusted(ctx, id)
		if !ok {
			continue
		}
		r.Disposition, r.Cause = gate.Hold, gate.CauseRefused
		r.Prediction.Verdict, r.Prediction.Codes = preflight.Refuse, []string{"receiver-refused"}
		r.Prediction.Rule, r.Prediction.Reply = said.Rule, said.Reply
		r.Prediction.Why = fmt.Sprintf("%s refused mail of this sender on %s, and nothing has changed in DNS since",
			said.Host, said.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return v
}

// relayRelease is the way out of released mail that the relay takes: what came
// through it, and with release.via = "relay" all.
type relayRelease struct{ g *gateway }

// Takes implements quarantine.Relay.
func (r relayRelease) Takes(m *spool.Message) bool {
	return m.Source == "relay" || r.g.live.Load().cfg.Release.Via == config.ReleaseViaRelay
}

// Moving implements quarantine.Relay.
func (r relayRelease) Moving(id string) (done func(), err error) { return r.g.engine.Moving(id) }

// Trust implements quarantine.Relay.
func (r relayRelease) Trust(ctx context.Context, m *spool.Message, to []mail.Address) {
	for i := range m.Recipients {
		if slices.Contains(to, m.Recipients[i].Address) {
			r.g.engine.Trust(ctx, relay.IdentityOf(m, &m.Recipients[i]))
		}
	}
}

// Kick implements quarantine.Relay.
func (r relayRelease) Kick() { r.g.engine.Kick() }

// queueNotice takes a notice into the relay's queue.
func (g *gateway) queueNotice(ctx context.Context, m *spool.Message, content io.Reader) ([]spool.Handover, error) {
	all, err := io.ReadAll(content)
	if err != nil {
		return nil, fmt.Errorf("read a notice: %w", err)
	}
	header, err := mail.ReadHeader(bufio.NewReader(bytes.NewReader(all)), len(all)+1)
	if err != nil {
		return nil, fmt.Errorf("read a notice: %w", err)
	}
	own := *m
	own.Source = "relay"
	own.Subject, own.MessageID = header.Subject(), header.MessageID()
	if own.From, err = header.From(); err != nil {
		return nil, fmt.Errorf("read a notice: %w", err)
	}
	own.Recipients = slices.Clone(m.Recipients)
	for i := range own.Recipients {
		own.Recipients[i].Delivery.Next = m.Received
	}
	if err := (kicker{g.store, g.engine}).Take(ctx, &own, bytes.NewReader(all)); err != nil {
		return nil, fmt.Errorf("take a notice into custody: %w", err)
	}
	var results []spool.Handover
	for _, r := range own.Recipients {
		results = append(results, spool.Handover{Recipient: r.Address, Answer: "queued as " + own.ID})
	}
	return results, nil
}

// kicker has the relay look at its queue when something came into it.
type kicker struct {
	spool.Taker
	engine *relay.Engine
}

// Take implements spool.Taker.
func (k kicker) Take(ctx context.Context, m *spool.Message, content io.Reader) error {
	err := k.Taker.Take(ctx, m, content)
	if err == nil {
		for _, r := range m.In(spool.Queued) {
			k.engine.Queued(r.Address.Domain)
		}
	}
	return err
}
