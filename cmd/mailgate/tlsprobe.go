package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/config"
	"mailgate/internal/dnsview"
	"mailgate/internal/tlspolicy"
	"mailgate/internal/tlsprobe"
	"mailgate/internal/web"
)

func (a *app) tlsProbeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "probe DESTINATION",
		Short: "Connect to a destination's servers, and say what TLS they can do",
		Long: `Connect to each server of a destination: is STARTTLS offered, which versions and ciphers
does it speak, is its certificate trusted and for its name, would mail be sent by the
policy. A handshake that fails is shown, with what would help. No mail is sent; each
server gets up to ten connections, one after the other.

It runs in the gateway where one answers, or else from here, by the configuration's
[dns] and [[tls]].

Exit code: 0 mail can be sent by the policy, 1 it can't, 2 it could not be found out.`,
		Example: "  mailgate tls probe gmail.com\n  mailgate tls probe '[smtp.example.net]:587'",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.tlsProbe(cmd, args[0]) },
	}
}

// probed is what `tls probe` shows in JSON.
type probed struct {
	Destination string               `json:"destination"`
	Works       bool                 `json:"works"`
	Hosts       []*tlsprobe.Host     `json:"hosts"`
	Suggestion  *tlsprobe.Suggestion `json:"suggestion,omitempty"`
}

func (a *app) tlsProbe(cmd *cobra.Command, destination string) error {
	p := probed{Destination: destination, Hosts: []*tlsprobe.Host{}}
	each := func(line probeLine) error {
		switch {
		case line.Problem != nil:
			return coded(exitUnknown, errors.New(line.Problem.Error))
		case line.Suggestion != nil:
			p.Suggestion, p.Works = line.Suggestion, line.Works
		case line.Host != nil:
			p.Hosts = append(p.Hosts, line.Host)
			if !a.json() {
				showProbed(cmd.OutOrStdout(), line.Host)
			}
		}
		return nil
	}
	if err := a.probe(cmd.Context(), destination, each); err != nil {
		return err
	}
	switch {
	case a.json():
		if err := printJSON(cmd, p); err != nil {
			return err
		}
	case p.Suggestion != nil:
		showSuggestion(cmd.OutOrStdout(), *p.Suggestion)
	}
	return probeCode(p)
}

func probeCode(p probed) error {
	if p.Works {
		return nil
	}
	for _, h := range p.Hosts {
		if h.Known() {
			return coded(exitFail, nil)
		}
	}
	return coded(exitUnknown, nil)
}

// probe has the gateway probe, or does it from here.
func (a *app) probe(ctx context.Context, destination string, each func(probeLine) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	err = lines(ctx, c, "/v1/tls/probe", web.TLSProbeOrder{Destination: destination}, each)
	if err == nil || exitCode(err) != exitUnavailable || a.socket != "" {
		return err
	}
	cfg, err := a.configOrDefault()
	if err != nil {
		return err
	}
	return a.probeFromHere(ctx, cfg, destination, each)
}

func (a *app) probeFromHere(ctx context.Context, cfg *config.Config, destination string, each func(probeLine) error) error {
	d, err := tlspolicy.ParseNextHop(destination)
	if err != nil {
		return usageError(err)
	}
	table, err := tlsTable(cfg)
	if err != nil {
		return coded(exitConfig, err)
	}
	quiet := slog.New(slog.DiscardHandler)
	view, err := newView(cfg.DNS, a.quietWiring())
	if err != nil {
		return coded(exitConfig, err)
	}
	defer view.resolver.Close()
	policies, err := tlspolicy.New(ctx, tlspolicy.Options{
		View:    func() tlspolicy.View { return tlsView(cfg, view) },
		Table:   func() *tlspolicy.Table { return table },
		Private: func() bool { return cfg.MTASTS.Private },
		Log:     quiet,

		LookupTime: a.dnsTime,
	})
	if err != nil {
		return coded(exitSoftware, err)
	}
	defer policies.Close()
	p := probing{
		dns: relayDNS(func() *dnsview.Resolver { return view.resolver }), lookup: policies.Lookup,
		prober: tlsprobe.Prober{Hostname: string(cfg.Hostname)}, port: 25,
	}
	var faults []error
	hosts, suggestion, err := p.destination(ctx, d, func(h *tlsprobe.Host) { faults = append(faults, each(probeLine{Host: h})) })
	if err != nil {
		return coded(exitUnknown, err)
	}
	return errors.Join(append(faults, each(probeLine{Suggestion: &suggestion, Works: works(hosts)}))...)
}

func showProbed(out io.Writer, h *tlsprobe.Host) {
	fmt.Fprintln(out, strings.TrimRight(plain(h.Name, 0)+"  "+h.Address, " "))
	line := func(ok bool, name, format string, args ...any) {
		fmt.Fprintf(out, "  %s %-12s %s\n", tick(ok), name, plain(fmt.Sprintf(format, args...), 0))
	}
	switch {
	case h.Address == "": // its policy or its address isn't known
		line(false, "not probed", "%s", h.Error)
		return
	case h.Error != "":
		line(false, "connection", "%s", h.Error)
		return
	}
	line(h.StartTLS, "STARTTLS", "%s", map[bool]string{true: "offered", false: "not offered"}[h.StartTLS])
	defer showDemands(line, h)
	if !h.StartTLS {
		return
	}
	showHandshake(out, line, "handshake", h.Plain)
	line(true, "versions", "%s", versionWords(h.Versions))
	for _, less := range h.Lesser {
		line(less.Error == "", "with less", "%s: %s", less.Offered, handshakeWords(&less))
	}
	for i, c := range h.Chain {
		if i == 0 {
			line(h.Trusted == "yes", "certificate", "%s, %s, until %s; trusted: %s", c.Subject, c.Key, c.NotAfter.Format(time.DateOnly), h.Trusted)
			line(h.Named == "yes", "name", "%s", map[bool]string{true: strings.Join(c.Names, ", "), false: h.Named}[h.Named == "yes"])
			continue
		}
		line(true, "  signed by", "%s, %s", c.Subject, c.Key)
	}
	if h.ByPolicy != nil {
		showHandshake(out, line, "policy", h.ByPolicy)
	}
}

// showDemands says what the domain demands of the host, and whether it keeps to it.
func showDemands(line func(bool, string, string, ...any), h *tlsprobe.Host) {
	for _, r := range h.TLSA {
		line(r.Fits, "TLSA", "%s%s", r.Record, map[bool]string{false: "  is of another certificate"}[r.Fits])
	}
	if h.STS != nil {
		line(h.STS.Problem == "", "MTA-STS", "%s: %s", h.STS.Mode, cmp.Or(h.STS.Problem, "the host keeps to it"))
	}
	line(h.Works(), "in force", "%s", h.Policy.Describe(time.Now()))
}

func showHandshake(out io.Writer, line func(bool, string, string, ...any), name string, h *tlsprobe.Handshake) {
	line(h.OK(), name, "%s: %s", h.Offered, handshakeWords(h))
	for _, t := range h.Transcript {
		fmt.Fprintf(out, "                   %s\n", plain(t, 0))
	}
}

func handshakeWords(h *tlsprobe.Handshake) string {
	if !h.OK() {
		return h.Error
	}
	words := "TLS " + h.Version.String() + ", " + h.Cipher
	if h.Group != "" {
		words += ", " + h.Group
	}
	return words
}

func versionWords(versions []tlsprobe.Handshake) string {
	var yes, no, unknown []string
	for v, h := range versions {
		version := (tlspolicy.TLS10 + tlspolicy.Version(v)).String()
		switch {
		case h.Error == "":
			yes = append(yes, version)
		case h.Unreached:
			unknown = append(unknown, version)
		default:
			no = append(no, version)
		}
	}
	words := "none"
	switch {
	case len(yes) > 0:
		words = strings.Join(yes, ", ")
	case len(unknown) > 0:
		words = "none found"
	}
	if len(no) > 0 {
		words += " (not " + strings.Join(no, ", ") + ")"
	}
	if len(unknown) > 0 { // the server took no more connections
		words += "; not known: " + strings.Join(unknown, ", ")
	}
	return words
}

func showSuggestion(out io.Writer, s tlsprobe.Suggestion) {
	fmt.Fprintf(out, "\n%s\n", plain(s.Words, 0))
	if s.Override == nil {
		return
	}
	fmt.Fprintf(out, "\nUntil it is mended, override it:\n  %s\nor in the configuration:\n%s", overrideCommand(*s.Override), overrideBlock(*s.Override, time.Now().AddDate(0, 0, 30)))
}
