package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/dnsview"
	"mailgate/internal/publish"
)

// askServersEvery is how often name servers are asked for what was written.
const askServersEvery = 2 * time.Second

// run shows the difference, asks, writes and waits.
func (p *publishing) run(cmd *cobra.Command, a *app, f publishFlags) error {
	out := cmd.OutOrStdout()
	if a.json() {
		out = io.Discard
	}
	p.show(out)
	switch {
	case len(p.Zones) == 0:
		return p.nothing(out)
	case f.dryRun:
		fmt.Fprintln(out, "\nDry run: nothing was written.")
		return p.remains()
	case !f.yes:
		if err := askToWrite(cmd, a.json()); err != nil {
			return err
		}
	}
	for _, changes := range p.Zones {
		if err := p.host.Apply(cmd.Context(), changes); err != nil {
			return publishFault(err)
		}
	}
	p.Written = true
	fmt.Fprintf(out, "Written by publisher %q.\n", p.Publisher)
	if f.wait == 0 {
		fmt.Fprintf(out, "See that the world has it: %s\n", p.command("check", p.Domain))
		return p.remains()
	}
	told := newProgress(cmd.ErrOrStderr(), a.json())
	p.await(cmd.Context(), f.wait, told)
	told.clear()
	return p.outcome(cmd.Context(), out)
}

// command is one to type next, with the configuration this run was given.
func (p *publishing) command(words ...string) string {
	if p.wanted == nil {
		return (&app{}).command(words...)
	}
	return p.wanted.app.command(words...)
}

// nothing ends a run without a change.
func (p *publishing) nothing(out io.Writer) error {
	err := p.remains()
	p.Complete = err == nil
	switch {
	case p.Complete:
		fmt.Fprintf(out, "Nothing to do: %s publishes all that it should.\n", p.Domain)
	case len(p.ByHand) > 0:
		fmt.Fprintf(out, "Nothing that publisher %q could write. What is to be entered by hand, and how: %s\n", p.Publisher, p.command("records", p.Domain))
	case len(p.Faulty) > 0:
		fmt.Fprintf(out, "Nothing to write: no record mends that. All of it: %s\n", p.command("records", p.Domain))
	case len(p.settling) > 0:
		fmt.Fprintf(out, "Nothing to write before they agree. Wait for it: %s\n", p.command("check", p.Domain, "--wait", "10m"))
	}
	return err
}

// show prints the difference as diff does.
func (p *publishing) show(out io.Writer) {
	paint := painter(out)
	for _, changes := range p.Zones {
		fmt.Fprintf(out, "Zone %s, by publisher %q (%s):\n", changes.Zone, p.Publisher, p.provider)
		for _, c := range changes.Sets {
			fmt.Fprintf(out, "  %s %s\n", plain(c.Name, 0), c.Type)
			for _, text := range c.Remove {
				fmt.Fprintln(out, "  "+paint.red("- "+plain(text, 0)))
			}
			for _, text := range c.Add {
				fmt.Fprintln(out, "  "+paint.green("+ "+plain(text, 0)))
			}
			for _, text := range c.Keep {
				fmt.Fprintln(out, "    "+plain(text, 0)+"   (stays)")
			}
		}
	}
	for _, r := range p.ByHand {
		fmt.Fprintf(out, "By hand: %s %s %s\n", plain(r.Name, 0), r.Type, plain(r.Value, 0))
	}
	for _, r := range p.Faulty {
		fmt.Fprintf(out, "At fault: %s %s %s\n", plain(r.Name, 0), r.Type, plain(r.Value, 0))
		said := slices.ContainsFunc(p.Steps, func(s advise.Step) bool { return strings.Contains(s.Text, r.Fault) })
		if r.Fault != "" && !said {
			fmt.Fprintln(out, "  "+plain(r.Fault, 0))
		}
	}
	for _, s := range p.Steps {
		fmt.Fprintf(out, "  %s   %s\n    %s\n", s.Code, plain(s.Name, 0), plain(s.Text, 0))
	}
	for _, note := range slices.Concat(p.wanted.Notes, p.Warnings) {
		fmt.Fprintln(out, "Note:", plain(note, 0))
	}
}

// askToWrite has the difference confirmed on a terminal.
func askToWrite(cmd *cobra.Command, silent bool) error {
	in, ok := cmd.InOrStdin().(*os.File)
	if silent || !ok || !isatty.IsTerminal(in.Fd()) {
		return usageError(errors.New("nothing was written: there is no terminal to ask on; give --yes, or --dry-run to see the difference only"))
	}
	return confirmed(cmd.Context(), in, cmd.ErrOrStderr())
}

// confirmed reads the answer; anything but y or yes is a no. Reading can't be broken
// off, so an interruption leaves it behind.
func confirmed(ctx context.Context, in io.Reader, out io.Writer) error {
	fmt.Fprint(out, "\nWrite this? [y/N] ")
	answered := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // the end of input is a no
		answered <- line
	}()
	var line string
	select {
	case line = <-answered:
	case <-ctx.Done():
		fmt.Fprintln(out)
		return coded(exitInterrupted, errors.New("interrupted; nothing was written"))
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was written")
}

// await asks the name servers until all have what was written, or the time is over. A
// look isn't cut short by that: it would tell nothing.
func (p *publishing) await(ctx context.Context, wait time.Duration, told *progress) {
	over := time.After(wait)
	for {
		if seen := p.look(ctx); ctx.Err() == nil || len(p.Servers) == 0 {
			p.Servers = seen
		}
		if haveAll(p.Servers) {
			return
		}
		told.say(func() string { return "waiting for the name servers: " + strings.Join(perName(p.Servers), ", ") })
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-time.After(askServersEvery):
		}
	}
}

func (p *publishing) look(ctx context.Context) []publish.Seen {
	seen := []publish.Seen{}
	for _, changes := range p.Zones {
		for _, c := range changes.Sets {
			at := c.Look(ctx, p.wanted.view.resolver)
			if len(at) == 0 {
				at = []publish.Seen{{Name: c.Name, Why: "no name server of its zone could be asked"}}
			}
			seen = append(seen, at...)
		}
	}
	return seen
}

func haveAll(seen []publish.Seen) bool {
	return len(seen) > 0 && !slices.ContainsFunc(seen, func(s publish.Seen) bool { return !s.Has })
}

// perName counts, for each name, the servers that have it: "mail._domainkey… 1/2".
func perName(seen []publish.Seen) []string {
	var names []string
	have, all := map[string]int{}, map[string]int{}
	for _, s := range seen {
		if all[s.Name] == 0 {
			names = append(names, s.Name)
		}
		all[s.Name]++
		if s.Has {
			have[s.Name]++
		}
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d/%d", name, have[name], all[name])
	}
	return names
}

// outcome tells what the name servers have.
func (p *publishing) outcome(ctx context.Context, out io.Writer) error {
	for _, line := range perName(p.Servers) {
		fmt.Fprintf(out, "  %s name servers\n", line)
	}
	if haveAll(p.Servers) {
		fmt.Fprintf(out, "Every name server has it. Receivers that asked before may remember the old answer until its TTL ends.\n")
		err := p.remains()
		if p.Complete = err == nil; !p.Complete {
			fmt.Fprintf(out, "Not all is done yet: %s\n", p.command("records", p.Domain))
		}
		return err
	}
	reached := false
	for _, s := range p.Servers {
		reached = reached || s.Has
		if !s.Has {
			fmt.Fprintf(out, "  %s lacks %s (%s)\n", plain(s.Server, 0), plain(s.Name, 0), plain(s.Why, 0))
		}
	}
	if !reached {
		warning := fmt.Sprintf("the host took the records, but none of the name servers that the world asks has them: publisher %q seems to write into a place that isn't asked", p.Publisher)
		p.warn(warning)
		fmt.Fprintln(out, "Note:", warning)
	}
	fmt.Fprintf(out, "Go on waiting: %s\n", p.command("check", p.Domain, "--wait", "30m"))
	if ctx.Err() != nil {
		return coded(exitInterrupted, nil)
	}
	return coded(exitUnknown, nil)
}

var _ publish.View = (*dnsview.Resolver)(nil)
