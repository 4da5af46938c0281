package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
	"mailgate/internal/quarantine"
	"mailgate/internal/relay"
	"mailgate/internal/spool"
	"mailgate/internal/tlsreport"
)

// newReports tells other domains how TLS with them went, by the configuration in force.
func (g *gateway) newReports(ctx context.Context) (*tlsreport.Reports, error) {
	return tlsreport.New(ctx, tlsreport.Options{
		Settings: g.reportSettings,
		DNS:      reportDNS(func() *dnsview.Resolver { return g.live.Load().view.resolver }),
		STS:      g.policies.STS,
		Mailer:   reportMailer{g},
		Client:   g.policies.HTTPClient,
		Memory:   reportMemory{g.store},
		Metrics:  newReportMetrics(g.registry),
		Log:      g.log,
	})
}

func (g *gateway) reportSettings() tlsreport.Settings {
	cfg := g.live.Load().cfg
	return tlsreport.Settings{Enabled: cfg.Reports.Enabled, Hostname: cfg.Hostname, From: cfg.Reports.From, Name: cfg.Reports.Name}
}

// tlsResults gives the relay's sessions to the reports.
type tlsResults struct{ g *gateway }

// Session implements relay.Results.
func (r tlsResults) Session(s relay.TLSSession) {
	err := s.Err
	if errors.Is(err, relay.ErrNoSTARTTLS) {
		err = tlsreport.ErrNoSTARTTLS
	}
	local := s.Local
	if heard, e := netip.ParseAddr(s.Heard.SendingMTAIP); e == nil && !local.IsValid() {
		local = heard
	}
	r.g.reports.Session(tlsreport.Session{
		Domain: s.Domain, Host: s.Host, Local: seenAs(local, s.Remote, r.g.live.Load().cfg.Egress), Remote: s.Remote,
		Policy: s.Policy, Err: err, Heard: s.Heard,
	})
}

// seenAs is our address as the other side sees it: behind address translation the first
// egress address of the family.
func seenAs(local, remote netip.Addr, egress []netip.Addr) netip.Addr {
	remote = remote.Unmap()
	if !remote.IsValid() || local.IsValid() && !local.Unmap().IsPrivate() {
		return local
	}
	for _, a := range egress {
		if a.Unmap().Is4() == remote.Is4() {
			return a
		}
	}
	return local
}

// reportDNS looks up where reports go.
type reportDNS func() *dnsview.Resolver

// TXT implements tlsreport.DNS.
func (current reportDNS) TXT(ctx context.Context, name string) ([]string, error) {
	a := current().Recursive(ctx, name, "TXT")
	switch a.Status {
	case dnsview.Found:
		return a.Texts(), nil
	case dnsview.NoData, dnsview.NXDomain:
		return nil, nil
	}
	return nil, &net.DNSError{Err: dnsError(a).Error(), Name: name, IsTemporary: true}
}

// reportMailer sends reports as notices are sent.
type reportMailer struct{ g *gateway }

// Mail implements tlsreport.Mailer. A report without a DKIM signature is worth nothing
// (RFC 8460, section 3).
func (m reportMailer) Mail(ctx context.Context, from, to mail.Address, content []byte) error {
	if len(m.g.live.Load().gate.Keys().For(from.Domain)) == 0 {
		return fmt.Errorf("reports must be signed, and there is no key for %s: add a [[domain]] with keys, or change tls_reports.from", from.Domain)
	}
	return m.g.quarantine.Mail(ctx, quarantine.KindTLSReport, to, content)
}

// reportNotes is the kind of the notes that keep what reports will say.
const reportNotes = "tls-report"

// reportMemory keeps in the store what reports will say.
type reportMemory struct{ notes spool.Notes }

// Recall implements tlsreport.Memory.
func (m reportMemory) Recall(ctx context.Context) ([]tlsreport.Note, error) {
	list, err := m.notes.Notes(ctx, reportNotes)
	notes := make([]tlsreport.Note, len(list))
	for i, n := range list {
		notes[i] = tlsreport.Note{Name: n.Name, Data: n.Data, Until: n.Until}
	}
	return notes, err
}

// Keep implements tlsreport.Memory.
func (m reportMemory) Keep(ctx context.Context, n tlsreport.Note) error {
	return m.notes.KeepNote(ctx, spool.Note{Kind: reportNotes, Name: n.Name, Data: n.Data, Until: n.Until}, nil)
}

// Forget implements tlsreport.Memory.
func (m reportMemory) Forget(ctx context.Context, name string) error {
	return m.notes.DropNote(ctx, reportNotes, name, nil)
}

// reportMetrics implements tlsreport.Metrics.
type reportMetrics struct{ reports *prometheus.CounterVec }

func newReportMetrics(r *prometheus.Registry) reportMetrics {
	m := reportMetrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailgate_tls_reports_total",
		Help: "Tries to send a TLS report, by way (mail, https) and result: sent (with mail: queued), failed; any, given-up: domains that didn't get theirs within a day.",
	}, []string{"via", "result"})}
	for _, via := range []string{"mail", "https"} {
		for _, result := range []string{"sent", "failed"} {
			m.reports.WithLabelValues(via, result)
		}
	}
	m.reports.WithLabelValues("any", "given-up")
	r.MustRegister(m.reports)
	return m
}

// Report implements tlsreport.Metrics.
func (m reportMetrics) Report(via, result string) { m.reports.WithLabelValues(via, result).Inc() }
