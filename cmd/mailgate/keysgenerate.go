package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// generateFlags are what `keys generate` is told beside the domain.
type generateFlags struct {
	selector, kind, file, owner, as string
	noDNS                           bool
}

func (a *app) generateCommand() *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:   "generate DOMAIN",
		Short: "Make a key, and show the record to publish",
		Long: `Make a DKIM key for DOMAIN and show the TXT record to publish, in the form of the
domain's DNS host, and what to put into the configuration. An existing file is never
overwritten. The file has mode 0600; made as root, it is given to the user the gateway
runs as, who is told from the owner of the configured keys or of the store, or by
--owner.

Where it goes: the file the configuration names for this selector, or else [keys] dir,
or beside the keys there are, or keys/ beside the configuration. Without a
configuration: the directory you are in.

It asks DNS for at most 5 s whether the selector is in use already; --no-dns leaves
that out. RSA 2048 is right nearly everywhere. Longer RSA keys don't fit into every
DNS host's form (Aliyun's takes 512 characters). Ed25519 is for a second key beside RSA:
Google doesn't verify it.`,
		Example: `  mailgate keys generate example.com
  mailgate keys generate example.com --selector m2026b --as cloudflare
  mailgate keys generate example.com --selector mail-e --type ed25519 --out /etc/mailgate/keys/example.com.mail-e.pem
  sudo mailgate keys generate example.com --owner mailgate`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.generate(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.selector, "selector", "mail", "selector, the name of the key in DNS")
	flags.StringVar(&f.kind, "type", "rsa2048", "rsa2048, rsa3072, rsa4096 or ed25519")
	flags.StringVar(&f.file, "out", "", "`FILE` to write (default DOMAIN.SELECTOR.pem where the configuration has keys)")
	flags.StringVar(&f.owner, "owner", "", "`USER` the file is given to (default: whom the gateway runs as)")
	flags.StringVar(&f.as, "as", "", "`FORM` of the record: "+formWords()+" (default: told from the name servers)")
	flags.BoolVar(&f.noDNS, "no-dns", false, "don't ask DNS whether the selector is in use, nor who hosts the domain")
	return cmd
}

// formWords are the words of --as.
func formWords() string {
	var words []string
	for _, h := range advise.Hosts() {
		words = append(words, string(h))
	}
	return strings.Join(words, ", ")
}

// generated is what `keys generate` shows.
type generated struct {
	Domain    string        `json:"domain"`
	Selector  string        `json:"selector"`
	Algorithm string        `json:"algorithm"`
	File      string        `json:"file"`
	Owner     string        `json:"owner,omitempty"` // whom it was given to
	Name      string        `json:"name"`
	Record    string        `json:"record"`
	Host      advise.Host   `json:"host"`
	HostTitle string        `json:"host_title"`
	Form      advise.Fields `json:"form"`            // as entered at the DNS host
	InUse     preflight.Tri `json:"selector_in_use"` // something else is published at the name
	Notes     []string      `json:"notes"`
	TOML      string        `json:"toml,omitempty"` // for the configuration; empty: it is there
	Next      []string      `json:"next"`

	place  keyPlace
	advice advise.Advice
}

func (a *app) generate(cmd *cobra.Command, name string, f generateFlags) error {
	domain, err := mail.ParseDomain(name)
	if err != nil {
		return usageError(err)
	}
	if err := sign.CheckSelector(f.selector); err != nil {
		return usageError(fmt.Errorf("--selector: %w", err))
	}
	if f.as != "" {
		if _, err := advise.ParseHost(f.as); err != nil {
			return usageError(fmt.Errorf("--as: %w", err))
		}
	}
	cfg, err := a.configForKeys(f.file != "")
	if err != nil {
		return err
	}
	owner, err := ownerOfKey(cfg, f.owner)
	if err != nil {
		return err
	}
	signer, err := sign.Generate(f.kind)
	if err != nil {
		return usageError(fmt.Errorf("--type: %w", err))
	}
	place := placeOfKey(cfg, domain, f.selector)
	if f.file != "" {
		place = keyPlace{file: f.file, known: place.known && sameFile(place.file, f.file)}
	}
	if err := writeKey(place.file, signer, owner); err != nil {
		return err
	}
	key := sign.Key{Domain: domain, Selector: f.selector, Signer: signer}
	g := a.generatedKey(cfg, key, place, owner)
	if !a.json() {
		printWritten(cmd.OutOrStdout(), g, owner)
	}
	a.lookUpSelector(cmd.Context(), cfg, key, f, g)
	if a.json() {
		return printJSON(cmd, g)
	}
	return printGenerated(cmd.OutOrStdout(), g)
}

// configForKeys reads the configuration, if there is one. A faulty one is no reason
// not to make a key whose place is named.
func (a *app) configForKeys(placeNamed bool) (*config.Config, error) {
	_, err := os.Stat(a.config)
	if errors.Is(err, fs.ErrNotExist) && (a.config == defaultConfig || placeNamed) {
		return nil, nil
	}
	cfg, err := loadConfig(a.config)
	switch {
	case err == nil:
		return cfg, nil
	case placeNamed:
		return nil, nil
	}
	return nil, fmt.Errorf("%w\n(a key can be made without the configuration: --out FILE)", err)
}

func sameFile(a, b string) bool {
	x, errX := filepath.Abs(a)
	y, errY := filepath.Abs(b)
	return errX == nil && errY == nil && x == y
}

func writeKey(file string, signer crypto.Signer, owner keyOwner) error {
	err := sign.WriteKeyFor(file, signer, owner.Owner)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already: choose another --selector or --out; a published key is never overwritten", file)
	case errors.Is(err, fs.ErrPermission):
		return coded(exitNoPerm, err)
	case err != nil:
		return coded(exitSoftware, err)
	}
	return nil
}

// lookUpSelector asks DNS what is at the key's name, and whose form the record is for.
func (a *app) lookUpSelector(ctx context.Context, cfg *config.Config, key sign.Key, f generateFlags, g *generated) {
	record := advise.Record{Check: preflight.DKIM, Type: "TXT", Name: key.Name(), TTL: 3600, Value: key.Record()}
	g.Host = advise.Web
	if !f.noDNS {
		ctx, cancel := context.WithTimeout(ctx, a.timeForDNS())
		defer cancel()
		zone := a.askSelector(ctx, cfg, key, g)
		if record.Zone = zone.Apex; zone.Apex != "" {
			g.Host, g.HostTitle = advise.DetectHost(zone.NameServers)
		}
	}
	if f.as != "" {
		g.Host, _ = advise.ParseHost(f.as) // it was looked at before
		g.HostTitle = ""
	}
	if g.HostTitle == "" {
		g.HostTitle = g.Host.Title()
	}
	g.Form = advise.Form(record, g.Host)
	g.advice = advise.Advice{Records: []advise.Record{record}}
}
