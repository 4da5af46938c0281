package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
)

func (a *app) serveCommand() *cobra.Command {
	var initDir, level string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Run the gateway until it is told to stop (SIGTERM, Ctrl-C). SIGHUP, or
mailgate reload, takes a changed configuration; a faulty one is refused and the
old one stays in force.

With --init DIR it starts from nothing: a key and a configuration are made in DIR
if none is there, and it says what to publish and what to tell Postfix.`,
		Example: "  mailgate serve --config /etc/mailgate/mailgate.toml\n  mailgate serve --init ./var",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger(cmd.ErrOrStderr(), level)
			if err != nil {
				return err
			}
			if initDir != "" {
				if a.config, err = initialise(cmd.OutOrStdout(), initDir); err != nil {
					return err
				}
			}
			return a.serve(cmd.Context(), log)
		},
	}
	cmd.Flags().StringVar(&initDir, "init", "", "start from nothing in `DIR`, or with what an earlier --init made there")
	cmd.Flags().StringVar(&level, "log-level", "info", "debug, info, warn or error")
	return cmd
}

func (a *app) logger(out io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usageError(fmt.Errorf("--log-level %s: it is debug, info, warn or error", level))
	}
	options := &slog.HandlerOptions{Level: l}
	if a.json() {
		return slog.New(slog.NewJSONHandler(out, options)), nil
	}
	return slog.New(slog.NewTextHandler(out, options)), nil
}

// useProcessors lets one more goroutine run than there are processors, unless
// GOMAXPROCS is in the environment: the store's writer is often in an fsync, and the
// runtime is slow to give its place to another.
func useProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.SetDefaultGOMAXPROCS() // in a container, its share
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

func (a *app) serve(ctx context.Context, log *slog.Logger) (err error) {
	useProcessors()
	cfg, err := loadConfig(a.config)
	if err != nil {
		return err
	}
	for _, w := range warnings(cfg) {
		log.Warn(w)
	}
	g, err := newGateway(ctx, cfg, wiring{log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	defer g.reloadOnHangup(ctx)()
	err = g.Run(ctx, func() {
		log.Info("ready", "version", version, "config", cfg.Path, "mode", cfg.Mode)
		_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	})
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	if err != nil {
		return coded(exitSoftware, err)
	}
	log.Info("stopped")
	return nil
}

// reloadOnHangup reloads at every SIGHUP until the function it returns is called.
func (g *gateway) reloadOnHangup(ctx context.Context) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				_, _ = g.reload(ctx) // it logs
			}
		}
	}()
	return func() {
		signal.Stop(hangup)
		cancel()
		<-done
	}
}
