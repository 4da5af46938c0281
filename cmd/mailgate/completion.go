package main

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailgate/internal/advise"
	"mailgate/internal/config"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
	"mailgate/internal/web"
)

const completeMost = "100" // ids that are offered

// values are what a shell may complete a word to: each alone, or with a description
// after a tab. args are the words before it. What comes out of a message is never
// offered: shells do more with these than to show them.
type values func(a *app, cmd *cobra.Command, args []string) []string

// argumentValues are the arguments of commands, by path without the program's name.
func argumentValues() map[string]values {
	return map[string]values{
		"check":   several(domains),
		"records": one(domains), "records publish": one(domains),
		"keys generate": one(domains), "keys list": one(domains), "keys rotate": one(domains),
		"explain":         one(explainable),
		"quarantine show": one(heldIDs), "quarantine release": several(heldIDs), "quarantine discard": several(heldIDs),
		"queue show": one(queuedIDs), "queue hold": one(queuedIDs), "queue fail": one(queuedIDs), "queue retry": several(queuedIDs),
		"tls policy": one(overridden), "tls probe": one(overridden), "tls override": one(overridden),
	}
}

// flagValues are those of flags, which mean the same in every command.
func flagValues() map[string]values {
	return map[string]values{
		"as":          forms,
		"domain":      domains,
		"finding":     findingCodes,
		"format":      formats,
		"held-for":    fixed("refused", "waiting", "foreign", "by-hand"),
		"level":       fixed("none", "may", "encrypt", "dane", "dane-only", "verify", "secure"),
		"mail-from":   domains,
		"max-version": fixed("1.0", "1.1", "1.2", "1.3"),
		"min-version": fixed("1.0", "1.1", "1.2", "1.3"),
		"provider":    providers,
		"selector":    selectors,
		"sort":        fixed("newest", "oldest", "largest"),
		"state":       states,
		"type":        fixed("rsa2048", "rsa3072", "rsa4096", "ed25519"),
	}
}

// complete tells shells what the arguments and flags of all commands may be.
func (a *app) complete(root *cobra.Command) {
	arguments, flags := argumentValues(), flagValues()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		path := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), root.Name()), " ")
		if v := arguments[path]; v != nil {
			cmd.ValidArgsFunction = a.completion(v)
		} else if !strings.Contains(cmd.Use, "FILE") {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			name, _ := pflag.UnquoteUsage(f)
			switch v := flags[f.Name]; {
			case v != nil:
				_ = cmd.RegisterFlagCompletionFunc(f.Name, a.completion(v)) // fails only where there is one already
			case name != "FILE" && name != "DIR" && f.Name != "socket":
				_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
			}
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// completion is what cobra asks, with the values that begin as the word does.
func (a *app) completion(v values) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		var list []string
		for _, value := range v(a, cmd, args) {
			if strings.HasPrefix(value, word) {
				list = append(list, value)
			}
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// one is for a single argument, several for any number, each once.
func one(v values) values {
	return func(a *app, cmd *cobra.Command, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		return v(a, cmd, args)
	}
}

func several(v values) values {
	return func(a *app, cmd *cobra.Command, args []string) []string {
		return slices.DeleteFunc(v(a, cmd, args), func(value string) bool {
			word, _, _ := strings.Cut(value, "\t")
			return slices.Contains(args, word)
		})
	}
}

func fixed(words ...string) values {
	return func(*app, *cobra.Command, []string) []string { return words }
}

// configured is the configuration, nil where it can't be read.
func (a *app) configured() *config.Config {
	cfg, err := a.configOrDefault()
	if err != nil {
		return nil
	}
	return cfg
}

func domains(a *app, _ *cobra.Command, _ []string) []string {
	var list []string
	if cfg := a.configured(); cfg != nil {
		for _, d := range cfg.Domains {
			list = append(list, string(d.Name))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// selectors are those of the domains named, or else all.
func selectors(a *app, _ *cobra.Command, args []string) []string {
	var list []string
	cfg := a.configured()
	if cfg == nil {
		return nil
	}
	for _, d := range cfg.Domains {
		for _, k := range d.Keys {
			if len(args) == 0 || slices.Contains(args, string(d.Name)) || slices.Contains(args, string(d.Signer())) {
				list = append(list, k.Selector)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func forms(*app, *cobra.Command, []string) []string {
	var list []string
	for _, h := range advise.Hosts() {
		list = append(list, string(h)+"\t"+h.Title())
	}
	return list
}

func formats(_ *app, cmd *cobra.Command, _ []string) []string {
	return append([]string{"text", "json"}, strings.Fields(cmd.Annotations[moreFormats])...)
}

func findingCodes(*app, *cobra.Command, []string) []string {
	var list []string
	for _, c := range preflight.Codes() {
		list = append(list, c.Code)
	}
	return list
}

func explainable(a *app, cmd *cobra.Command, args []string) []string {
	list := findingCodes(a, cmd, args)
	for _, r := range preflight.Refusals() {
		list = append(list, r.Rule)
	}
	return list
}

func providers(*app, *cobra.Command, []string) []string {
	var list []string
	for _, p := range preflight.KnownProviders() {
		list = append(list, string(p))
	}
	return append(list, string(preflight.Other), "unknown")
}

func states(*app, *cobra.Command, []string) []string {
	return []string{string(spool.Held), string(spool.Queued), string(spool.Delivered), string(spool.Bounced), string(spool.Discarded), "all"}
}

// ask asks the gateway, for no longer than somebody waits for a shell.
func (a *app) ask(path string, query url.Values, into any) bool {
	c, err := a.connect()
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.timeForGateway())
	defer cancel()
	return c.get(ctx, path, query, into) == nil
}

// heldIDs are the newest held messages, with how long they have been here.
func heldIDs(a *app, _ *cobra.Command, _ []string) []string {
	var page quarantine.Page
	if !a.ask("/v1/quarantine", url.Values{"limit": {completeMost}}, &page) {
		return nil
	}
	list := []string{}
	for _, m := range page.Messages {
		list = append(list, m.ID+"\theld for "+age(time.Since(m.Received)))
	}
	return list
}

// queuedIDs are the newest queued messages, with how long they have been here.
func queuedIDs(a *app, _ *cobra.Command, _ []string) []string {
	var page struct {
		Messages []web.QueueMessage `json:"messages"`
	}
	if !a.ask("/v1/queue/messages", url.Values{"limit": {completeMost}}, &page) {
		return nil
	}
	list := []string{}
	for _, m := range page.Messages {
		list = append(list, m.ID+"\tqueued for "+age(time.Since(m.Received)))
	}
	return list
}

// overridden are the destinations that the configuration has an override for.
func overridden(a *app, _ *cobra.Command, _ []string) []string {
	var list []string
	if cfg := a.configured(); cfg != nil {
		for _, o := range cfg.TLS {
			list = append(list, o.Destination)
		}
	}
	return list
}
