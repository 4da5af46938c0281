package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/preflight"
	"mailgate/internal/web"
)

func (a *app) keysListCommand() *cobra.Command {
	var noDNS bool
	cmd := &cobra.Command{
		Use:   "list [DOMAIN]",
		Short: "Show the signing keys, which of them sign, and whether the world has them",
		Long: `Show the signing keys of DOMAIN, or all: which of them sign, and on how many of the
domain's name servers their records are.

STATE  active       it signs
       unused       it would sign, but isn't published while another key is, or can't be read
       standby      it signs only while no other key of its kind is published
       standing-in  it is on standby, and signs
       publishing   keys rotate has made it, and waits until it is published
       retired      keys rotate has replaced it; it is kept for a time
       revoking     its record is to be revoked    revoked  its record is revoked
MATCH  ✓ what is published is this key's record    ✗ it isn't    ? DNS gives no answer

The running gateway tells it. Where none answers it is told from the configuration, which
knows nothing of rotations. DNS is asked for at most 5 s for each domain; --no-dns leaves
that out.

Exit code: 0 every key that should sign does, 1 one doesn't or isn't published, 2 DNS
gives no answer.`,
		Example: `  mailgate keys list
  mailgate keys list example.com --no-dns
  mailgate keys list --format json | jq '.keys[] | {name, record}'`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := web.KeyQuery{NoDNS: noDNS}
			if len(args) > 0 {
				q.Domain = args[0]
			}
			return a.listKeys(cmd, q)
		},
	}
	cmd.Flags().BoolVar(&noDNS, "no-dns", false, "don't ask DNS what is published")
	return cmd
}

func (a *app) listKeys(cmd *cobra.Command, q web.KeyQuery) error {
	if _, err := keyDomain(q.Domain); err != nil {
		return usageError(err)
	}
	list, err := a.keyList(cmd, q)
	if err != nil {
		return err
	}
	if a.json() {
		err = printJSON(cmd, list)
	} else {
		printKeys(cmd.OutOrStdout(), list, q, time.Now(), a.command)
	}
	if err != nil {
		return err
	}
	return keysExit(list, q)
}

// keyList asks the gateway, or where none can be asked looks at the configuration.
func (a *app) keyList(cmd *cobra.Command, q web.KeyQuery) (list web.KeyList, err error) {
	c, err := a.connect()
	if err != nil {
		return list, err
	}
	query := url.Values{"domain": {q.Domain}}
	if q.NoDNS {
		query.Set("dns", "no")
	}
	err = c.get(cmd.Context(), "/v1/keys", query, &list)
	if !canDoWithout(err) || a.socket != "" {
		return list, err
	}
	cfg, err := a.configOrDefault()
	if err != nil {
		return list, err
	}
	if list, err = a.configuredKeys(cmd.Context(), cfg, q); err != nil {
		return list, err
	}
	list.Notes = append(list.Notes, fmt.Sprintf("told from %s alone, without rotations: no gateway can be asked at %s", cfg.Path, c.socket))
	return list, nil
}

// canDoWithout reports whether the gateway can't be asked, rather than that it said no.
func canDoWithout(err error) bool {
	var said *refusal
	if errors.As(err, &said) {
		return said.status == http.StatusNotFound // an older one
	}
	var c *codedError
	return errors.As(err, &c) && (c.code == exitUnavailable || c.code == exitNoPerm)
}

// quietWiring is for commands that ask DNS by themselves.
func (a *app) quietWiring() wiring {
	return wiring{log: slog.New(slog.DiscardHandler), authorityPort: a.authorityPort, dnsTime: a.dnsTime}
}

func printKeys(out io.Writer, list web.KeyList, q web.KeyQuery, now time.Time, command func(...string) string) {
	if len(list.Keys) == 0 {
		fmt.Fprintln(out, noKeys(q.Domain, command))
	} else {
		p := painter(out)
		g := grid{cut: []int{0, 1}}
		g.add("DOMAIN", "SELECTOR", "STATE", "KEY", "AGE", "NAME SERVERS", "MATCH")
		for _, k := range list.Keys {
			g.add(plain(k.Domain, 0), plain(k.Selector, 0), string(k.State), keyKind(k), keyAge(k, now), serversWord(k), matchWord(k))
		}
		g.write(out, screenWidth(out))
		for _, k := range list.Keys {
			printKeyNotes(out, p, k, command)
		}
	}
	for _, note := range list.Notes {
		fmt.Fprintln(out, "note: "+plain(note, 0))
	}
}

func noKeys(domain string, command func(...string) string) string {
	if domain == "" {
		return "no key is configured. Make one: " + command("keys", "generate", "DOMAIN")
	}
	return fmt.Sprintf("no key signs for %s here. Make one: %s", plain(domain, 0), command("keys", "generate", plain(domain, 0)))
}

func keyKind(k web.Key) string {
	if k.Algorithm == "" {
		return "?"
	}
	return k.Algorithm
}

func keyAge(k web.Key, now time.Time) string {
	if k.Made.IsZero() {
		return "?"
	}
	return age(max(now.Sub(k.Made), 0))
}

func serversWord(k web.Key) string {
	if k.Servers == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", k.Serving, k.Servers)
}

func matchWord(k web.Key) string {
	switch k.Match {
	case preflight.Yes:
		return "✓"
	case preflight.No:
		return "✗"
	}
	return "?"
}

// printKeyNotes says what there is to say of a key beyond its row.
func printKeyNotes(out io.Writer, p paint, k web.Key, command func(...string) string) {
	head := plain(k.Selector+" of "+k.Domain, 0) + ": "
	if k.Problem != "" {
		fmt.Fprintln(out, p.red("✗ ")+head+plain(k.Problem, 0))
	} else if k.Why != "" {
		fmt.Fprintf(out, "  %s%s, %s\n", head, k.State, plain(k.Why, 0))
	}
	for _, f := range k.Findings {
		switch {
		case f.Status == preflight.Fail:
			fmt.Fprintf(out, "%s%s%s: %s The record: %s\n", p.red("✗ "), head, f.Code, plain(f.Text, 0), command("records", plain(k.Domain, 0)))
		case f.Status != preflight.Pass && !f.Unused:
			fmt.Fprintf(out, "%s%s%s: %s\n", p.yellow("! "), head, f.Code, plain(f.Text, 0))
		}
	}
	for _, w := range k.Warnings {
		fmt.Fprintln(out, p.yellow("! ")+head+plain(w, 0))
	}
}

// keysExit is the exit code for what a list shows.
func keysExit(list web.KeyList, q web.KeyQuery) error {
	should := func(k web.Key) bool {
		return slices.Contains([]web.KeyState{web.KeyActive, web.KeyUnused, web.KeyStandingIn}, k.State)
	}
	is := func(bad func(web.Key) bool) bool {
		return slices.ContainsFunc(list.Keys, func(k web.Key) bool { return should(k) && bad(k) })
	}
	switch {
	case len(list.Keys) == 0,
		is(func(k web.Key) bool { return k.Problem != "" || k.State != web.KeyActive }),
		!q.NoDNS && is(func(k web.Key) bool { return k.Match == preflight.No }):
		return coded(exitFail, nil)
	case !q.NoDNS && is(func(k web.Key) bool { return k.Match == preflight.Maybe }):
		return coded(exitUnknown, nil)
	}
	return nil
}
