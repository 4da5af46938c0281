package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/web"
)

func (a *app) configCommand() *cobra.Command {
	check := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and the keys it names",
		Long: `Check the configuration and the files it names, as serve would. Faults are told with
file, line and column, those of a file it names with the key that names it (exit code
78); warnings don't fail.`,
		Example: "  mailgate config check --config ./mailgate.toml",
		Args:    usageArgs(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.checkConfig(cmd) },
	}
	return group("config", "Check the configuration", check)
}

func (a *app) checkConfig(cmd *cobra.Command) error {
	cfg, err := loadConfig(a.config)
	if err != nil {
		return err
	}
	if err := cfg.Unsupported(); err != nil {
		return coded(exitConfig, err)
	}
	notes := &noteHandler{}
	keyring, err := loadKeysBy(cfg, a.rotationBook(cfg), loaderFor(cfg), notes.logger())
	if err != nil {
		return coded(configCode(err), fmt.Errorf("%s: %w", cfg.Path, err))
	}
	if _, err := tlsTable(cfg); err != nil {
		return coded(exitConfig, fmt.Errorf("%s: %w", cfg.Path, err))
	}
	if _, err := newRelayDoor(cfg, notes.logger()); err != nil {
		return coded(configCode(err), fmt.Errorf("%s: %w", cfg.Path, err))
	}
	if _, err := relaySettings(cfg, wiring{}); err != nil {
		return coded(configCode(err), fmt.Errorf("%s: %w", cfg.Path, err))
	}
	found := append(warnings(cfg), notes.notes...)
	if a.json() {
		return printJSON(cmd, struct {
			Path     string   `json:"path"`
			Keys     int      `json:"keys"`
			Warnings []string `json:"warnings"`
		}{cfg.Path, len(keyring.Keys()), found})
	}
	out := cmd.OutOrStdout()
	for _, w := range found {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
	fmt.Fprintf(out, "%s: right, %s for %s\n", cfg.Path,
		count(len(keyring.Keys()), "key", "keys"), count(len(keyring.Domains()), "domain", "domains"))
	return nil
}

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Make the running gateway take its changed configuration",
		Long: `Make the running gateway take its changed configuration and keys. A faulty one is
refused (exit code 78) and the old one stays in force.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var result web.ReloadResult
			if err := c.post(cmd.Context(), "/v1/reload", struct{}{}, &result); err != nil {
				return err
			}
			if a.json() {
				return printJSON(cmd, result)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			for _, n := range result.Notes {
				fmt.Fprintf(cmd.OutOrStdout(), "note: %s\n", n)
			}
			return nil
		},
	}
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what the running gateway does",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var s web.Status
			if err := c.get(cmd.Context(), "/v1/status", nil, &s); err != nil {
				return err
			}
			if a.json() {
				return printJSON(cmd, s)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "mailgate %s, %s, up %s, signing for %s\n%s\n%s\n",
				s.Version, s.Mode, age(time.Since(s.Started)), count(len(s.Domains), "domain", "domains"), heldLine(s.Counts), storeLine(s.Store))
			for _, line := range rotationLines(s.Rotations, time.Now(), a.command) {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			return nil
		},
	}
}
