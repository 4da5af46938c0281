package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/web"
)

type rotateFlags struct {
	selector      string
	wait          string
	cancel, again bool
	dryRun, list  bool
}

func (a *app) rotateCommand() *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use:   "rotate [DOMAIN]",
		Short: "Replace a signing key, without a message signed by a key that isn't in DNS",
		Long: `Replace the signing keys of DOMAIN. The running gateway does it, over days and restarts:

  1  a new key is written, of the same kind (RSA at least 2048 bits), under a new selector
  2  its record is published: by the domain's publisher, or by you, and the gateway waits
  3  signing switches, once every name server has had the record for longer than the old
     record's TTL, and has it that very moment
  4  the old key is kept for keys.grace, and signs only where the new one is gone from
     DNS; then it signs no more, and its record is to become "v=DKIM1; p="

Called again it shows how far it is, and looks at DNS at once. Without a domain, or with
--list, it lists the rotations there are. With rotate_every in the configuration the
gateway begins by itself.

--cancel leaves the old key signing; after the switch it goes back to it, provided that
its record is still on every name server, until it is revoked.

The configuration goes on naming the old key, and the gateway knows which took its place.
When it has ended, put the new line into the configuration; then the old file may go,
unless other keys are in it, too: it says so.

Who else signs with this key (another gateway, OpenDKIM on another machine) must have the
new one before the grace ends. What somebody else has put at a record's name is never
overwritten: the rotation waits and says so. Once the old key is being revoked, --cancel
leaves what is there and ends the rotation.

Exit code: 0 done as told, 1 that can't be, 2 DNS gives no answer or --wait was too short,
64 usage, 69 no gateway answers.`,
		Example: `  mailgate keys rotate example.com
  mailgate keys rotate example.com --wait 2h
  mailgate keys rotate example.com --selector mail-e --dry-run
  mailgate keys rotate example.com --cancel
  mailgate keys rotate --list --format json`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			domain := ""
			if len(args) > 0 {
				domain = args[0]
			}
			return a.rotate(cmd, domain, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.selector, "selector", "", "only the key with this `SELECTOR` (default: every key of the domain that signs)")
	flags.StringVar(&f.wait, "wait", "", "wait until the new key signs, for at most `2h`")
	flags.BoolVar(&f.cancel, "cancel", false, "leave the old key signing, or go back to it")
	flags.BoolVar(&f.again, "again", false, "although the key was replaced within the last day")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what would be done")
	flags.BoolVar(&f.list, "list", false, "list the rotations, of DOMAIN or all")
	return cmd
}

// check returns the time of --wait; 0: none.
func (f rotateFlags) check(domain string) (wait time.Duration, err error) {
	doing := f.cancel || f.again || f.dryRun || f.wait != "" || f.selector != ""
	switch {
	case domain == "" && doing:
		return 0, usageError(errors.New("which DOMAIN? Without one the rotations are listed"))
	case f.list && doing:
		return 0, usageError(errors.New("--list goes alone, or with a DOMAIN"))
	case f.cancel && (f.again || f.wait != "" || f.dryRun), f.dryRun && f.wait != "":
		return 0, usageError(errors.New("give one of --cancel, --dry-run and --wait"))
	}
	if f.wait != "" {
		var ok bool
		if wait, ok = parseAge(f.wait); !ok || wait <= 0 {
			return 0, usageError(fmt.Errorf("--wait %q: want how long, as 10m or 2h", f.wait))
		}
	}
	return wait, nil
}

func (a *app) rotate(cmd *cobra.Command, domain string, f rotateFlags) error {
	wait, err := f.check(domain)
	if err != nil {
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	var list web.RotationList
	if domain == "" || f.list {
		query := url.Values{}
		if domain != "" {
			query.Set("domain", domain)
		}
		if err := c.get(cmd.Context(), "/v1/rotations", query, &list); err != nil {
			return err
		}
		if a.json() {
			return printJSON(cmd, list)
		}
		listRotations(cmd.OutOrStdout(), list.Rotations, time.Now())
		return nil
	}
	path := "/v1/rotations"
	if f.cancel {
		path += "/cancel"
	}
	order := web.RotationOrder{Domain: domain, Selector: f.selector, DryRun: f.dryRun, Again: f.again}
	if err := c.post(cmd.Context(), path, order, &list); err != nil {
		return err
	}
	var ended error
	if wait > 0 {
		ended = a.awaitRotations(cmd, c, wait, &list)
	}
	if a.json() {
		err = printJSON(cmd, list)
	} else {
		printRotations(cmd.OutOrStdout(), list.Rotations, time.Now(), a.command)
	}
	return errors.Join(err, ended)
}

// lookEvery is how often --wait asks the gateway, which looks at DNS at its own pace.
const lookEvery = 2 * time.Second

// awaitRotations follows rotations until their new keys sign.
func (a *app) awaitRotations(cmd *cobra.Command, c *client, wait time.Duration, list *web.RotationList) error {
	if !a.json() && slices.ContainsFunc(list.Rotations, awaitsSwitch) { // what to publish, before the waiting
		printRotations(cmd.OutOrStdout(), list.Rotations, time.Now(), a.command)
		fmt.Fprintln(cmd.OutOrStdout())
	}
	p := newProgress(cmd.ErrOrStderr(), a.json())
	defer p.clear()
	ctx, cancel := context.WithTimeout(cmd.Context(), wait)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for slices.ContainsFunc(list.Rotations, awaitsSwitch) {
		p.say(func() string { return waitingLine(list.Rotations) })
		select {
		case <-cmd.Context().Done():
			return coded(exitInterrupted, errors.New("interrupted; the gateway goes on"))
		case <-ctx.Done():
			return coded(exitUnknown, fmt.Errorf("not switched after %s; the gateway goes on", age(wait)))
		case <-tick.C:
		}
		var now web.RotationList
		err := c.get(ctx, "/v1/rotations", url.Values{"domain": {list.Rotations[0].Domain}}, &now)
		if ctx.Err() != nil {
			continue
		}
		if err != nil {
			return err
		}
		for i, r := range list.Rotations {
			same := func(n web.Rotation) bool { return n.Old.Selector == r.Old.Selector }
			if at := slices.IndexFunc(now.Rotations, same); at >= 0 {
				list.Rotations[i] = now.Rotations[at]
			}
		}
	}
	return waitedFor(list.Rotations)
}

// awaitsSwitch: the new key is still on its way.
func awaitsSwitch(r web.Rotation) bool { return r.State == "publishing" || r.State == "holding" }

// waitedFor is how it ended for those that wait no more.
func waitedFor(list []web.Rotation) error {
	for _, r := range list {
		if r.State == "cancelled" {
			return coded(exitFail, fmt.Errorf("the rotation of %s of %s was cancelled: the old key signs", r.Old.Selector, r.Domain))
		}
	}
	return nil
}

func waitingLine(list []web.Rotation) string {
	for _, r := range list {
		if awaitsSwitch(r) {
			return fmt.Sprintf("%s %s: %s", r.Domain, r.New.Selector, plain(rotationNow(r, time.Now()), 0))
		}
	}
	return ""
}

func listRotations(out io.Writer, list []web.Rotation, now time.Time) {
	if len(list) == 0 {
		fmt.Fprintln(out, "no key is being replaced")
		return
	}
	g := grid{cut: []int{5}}
	g.add("DOMAIN", "OLD", "NEW", "STATE", "SINCE", "NOW")
	for _, r := range list {
		g.add(plain(r.Domain, 0), plain(r.Old.Selector, 0), plain(r.New.Selector, 0), r.State, age(now.Sub(rotationSince(r))), plain(rotationNow(r, now), 0))
	}
	g.write(out, screenWidth(out))
}
