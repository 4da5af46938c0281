package main

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/demo"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/tlspolicy"
	"mailgate/internal/web"
)

func (a *app) demoCommand() *cobra.Command {
	var stay, verbose bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole gateway on this machine: no root, no Internet, no Postfix",
		Long: `Play the whole gateway on this machine. DNS servers, receivers and a mail server
are started on loopback, and the real gateway between them: a key that is only in
the panel's DNS, an egress address SPF doesn't list, a destination that chokes on
TLS 1.3. The records are published, and held mail leaves by itself.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.DiscardHandler)
			if verbose {
				log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			}
			start := func(ctx context.Context, configFile string, port int, providers map[string]preflight.Provider) (demo.Gateway, error) {
				return startForDemo(ctx, configFile, wiring{log: log, authorityPort: port, providers: providers, dnsTime: time.Minute})
			}
			return demo.Run(cmd.Context(), demo.Options{Start: start, Out: cmd.OutOrStdout(), Stay: stay})
		},
	}
	cmd.Flags().BoolVar(&stay, "stay", false, "keep it running after the story, to look around")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "show the gateway's log, too")
	return cmd
}

// demoGateway is the real gateway, run in this process and asked over its control
// socket as the command line does.
type demoGateway struct {
	*client
	gateway *gateway
	cancel  context.CancelFunc
	done    chan error
}

func startForDemo(ctx context.Context, configFile string, w wiring) (demo.Gateway, error) {
	a := &app{config: configFile}
	cfg, err := loadConfig(configFile)
	if err != nil {
		return nil, err
	}
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	g, err := newGateway(ctx, cfg, w)
	if err != nil {
		return nil, err
	}
	// The demo stops it itself, in its order, also when ctx ends.
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &demoGateway{client: c, gateway: g, cancel: cancel, done: make(chan error, 1)}
	ready := make(chan struct{})
	go func() { d.done <- g.Run(runCtx, func() { close(ready) }) }()
	select {
	case <-ready:
		return d, nil
	case err := <-d.done:
		cancel()
		return nil, errors.Join(err, g.Close())
	}
}

func (d *demoGateway) Held(ctx context.Context) (quarantine.Page, error) {
	var page quarantine.Page
	err := d.get(ctx, "/v1/quarantine", nil, &page)
	return page, err
}

func (d *demoGateway) Show(ctx context.Context, id string) (quarantine.Detail, error) {
	var detail quarantine.Detail
	err := d.get(ctx, "/v1/quarantine/"+url.PathEscape(id), nil, &detail)
	return detail, err
}

func (d *demoGateway) Reload(ctx context.Context) error {
	var result web.ReloadResult
	return d.post(ctx, "/v1/reload", struct{}{}, &result)
}

func (d *demoGateway) TLSPolicy(ctx context.Context, destination mail.Domain) (tlspolicy.Policy, error) {
	return d.gateway.tlsPolicy(ctx, destination)
}

func (d *demoGateway) Stop() error {
	d.cancel()
	return errors.Join(<-d.done, d.gateway.Close())
}
