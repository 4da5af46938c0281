package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"mailgate/internal/mail"
	"mailgate/internal/sign"
)

func (a *app) keysCommand() *cobra.Command {
	return group("keys", "Make signing keys", a.generateCommand())
}

// generated is what `keys generate` shows.
type generated struct {
	Domain    string `json:"domain"`
	Selector  string `json:"selector"`
	Algorithm string `json:"algorithm"`
	File      string `json:"file"`
	Name      string `json:"name"`
	Record    string `json:"record"`
}

func (a *app) generateCommand() *cobra.Command {
	var selector, kind, file string
	cmd := &cobra.Command{
		Use:   "generate DOMAIN",
		Short: "Make a key, and show the record to publish",
		Long: `Make a DKIM key for DOMAIN and show the TXT record to publish. An existing file
is never overwritten. Ed25519 is for a second key beside RSA: Google doesn't
verify it yet.`,
		Example: `  mailgate keys generate example.com
  mailgate keys generate example.com --selector mail-e --type ed25519 --out /etc/mailgate/keys/example.com.mail-e.pem`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			domain, err := mail.ParseDomain(args[0])
			if err != nil {
				return usageError(fmt.Errorf("domain %q: %w", args[0], err))
			}
			if err := sign.CheckSelector(selector); err != nil {
				return usageError(fmt.Errorf("--selector %q: %w", selector, err))
			}
			if file == "" {
				file = fmt.Sprintf("%s.%s.pem", domain, selector)
			}
			return a.generate(cmd, domain, selector, kind, file)
		},
	}
	cmd.Flags().StringVar(&selector, "selector", "mail", "selector, the name of the key in DNS")
	cmd.Flags().StringVar(&kind, "type", "rsa2048", "rsa2048, rsa3072, rsa4096 or ed25519")
	cmd.Flags().StringVar(&file, "out", "", "`FILE` to write (default DOMAIN.SELECTOR.pem)")
	return cmd
}

func (a *app) generate(cmd *cobra.Command, domain mail.Domain, selector, kind, file string) error {
	signer, err := sign.Generate(kind)
	if err != nil {
		return usageError(fmt.Errorf("--type: %w", err))
	}
	if err := sign.WriteKey(file, signer); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: choose another --selector or --out; a published key is never overwritten", file)
	} else if errors.Is(err, fs.ErrPermission) {
		return coded(exitNoPerm, err)
	} else if err != nil {
		return coded(exitSoftware, err)
	}
	key := sign.Key{Domain: domain, Selector: selector, Signer: signer}
	g := generated{string(domain), selector, key.Algorithm(), file, key.Name(), key.Record()}
	if a.json() {
		return printJSON(cmd, g)
	}
	fmt.Fprintf(cmd.OutOrStdout(), `%s key written to %s

Publish:
  Type TXT   Name %s
  %s

Then, in mailgate.toml:
  [[domain]]
  name = %q
  keys = [{ selector = %q, file = %q }]

and see that the world has it: mailgate check %s --selector %s
`, g.Algorithm, g.File, g.Name, g.Record, g.Domain, g.Selector, g.File, g.Domain, g.Selector)
	return nil
}
