package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"mailgate/internal/store"
)

func (a *app) storeCommand() *cobra.Command {
	return group("store", "Check, back up and compact the database of messages",
		a.storeCheckCommand(), a.storeBackupCommand(), a.storeCompactCommand())
}

func (a *app) storeCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Look whether everything in the store is sound",
		Long: `Look at everything in the store the configuration names: pages and indexes of the
database, the size and digest of every message kept and of the evidence, the
numbers that lists rest on, the index of words that searches use, the state of every
recipient against the review log, and the log's chain of hashes. Nothing is changed, and a running gateway goes on meanwhile.

Exit code 0: sound. 1: there are faults. 2: the database is of another version of
mailgate, and only its pages and references were looked at. 78: there is no database.
With faults, make no backup over an older one; stop mailgate, copy the database aside
with its -wal file, and restore the last good backup (see mailgate store backup --help).`,
		Example: `  mailgate store check
  mailgate store check --config ./mailgate.toml --format json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := a.storeURL()
			if err != nil {
				return err
			}
			line := newProgress(cmd.ErrOrStderr(), a.json())
			found, err := store.Check(cmd.Context(), url, func(step string, done, total int64) {
				line.insist(func() string { return "checking " + step + percent(done, total) })
			})
			line.clear()
			if err != nil {
				return storeError(cmd.Context(), err)
			}
			if err := a.printChecked(cmd, &found); err != nil {
				return err
			}
			switch {
			case len(found.Faults) > 0:
				return coded(exitFail, nil)
			case found.Schema != found.Known:
				return coded(exitUnknown, nil)
			}
			return nil
		},
	}
}

// checkedView is what `store check` shows as JSON.
type checkedView struct {
	Database   string      `json:"database"`
	Sound      bool        `json:"sound"` // everything was looked at, and no fault found
	Schema     int64       `json:"schema"`
	Partly     bool        `json:"partly"` // the schema isn't this program's: only pages and references were looked at
	Messages   int64       `json:"messages"`
	Bodies     int64       `json:"bodies"`
	BodyBytes  int64       `json:"body_bytes"`
	LogFirst   int64       `json:"log_first"`
	LogLast    int64       `json:"log_last"`
	LogHead    string      `json:"log_head"`
	LogTrimmed int64       `json:"log_trimmed"`
	Faults     []faultView `json:"faults"`
	More       bool        `json:"more"` // faults than are listed
}

type faultView struct {
	Step string `json:"step"`
	Text string `json:"text"`
}

func (v *checkedView) logText() string {
	if v.LogLast == 0 {
		return "the review log is empty"
	}
	return fmt.Sprintf("review log %d to %d", v.LogFirst, v.LogLast)
}

func (a *app) printChecked(cmd *cobra.Command, c *store.Checked) error {
	v := checkedView{
		Database: c.Path, Sound: len(c.Faults) == 0 && c.Schema == c.Known, Schema: c.Schema, Partly: c.Schema != c.Known,
		Messages: c.Messages, Bodies: c.Bodies, BodyBytes: c.BodyBytes,
		LogFirst: c.Chain.First, LogLast: c.Chain.Last, LogHead: fmt.Sprintf("%x", c.Chain.Head), LogTrimmed: c.Chain.Trimmed,
		Faults: []faultView{}, More: c.More,
	}
	for _, f := range c.Faults {
		v.Faults = append(v.Faults, faultView(f))
	}
	if a.json() {
		return printJSON(cmd, v)
	}
	out := cmd.OutOrStdout()
	p := painter(out)
	for _, f := range v.Faults {
		fmt.Fprintf(out, "%s %s: %s\n", p.red("✗"), f.Step, plain(f.Text, 0))
	}
	if v.More {
		fmt.Fprintf(out, "… and more\n")
	}
	switch {
	case len(v.Faults) > 0:
		fmt.Fprintf(out, "%s: not sound. Next: mailgate store check --help\n", v.Database)
	case v.Partly:
		fmt.Fprintf(out, "%s %s: no fault in its pages and references; nothing else was looked at\n  %s\n", p.yellow("…"), v.Database, otherSchema(c))
	default:
		fmt.Fprintf(out, "%s %s is sound: %s, %s with %s, %s\n", p.green("✓"), v.Database, count(int(v.Messages), "message", "messages"),
			count(int(v.Bodies), "body", "bodies"), bytesText(v.BodyBytes), v.logText())
	}
	return nil
}

// otherSchema says whose schema it is, and what to do.
func otherSchema(c *store.Checked) string {
	if c.Schema > c.Known {
		return fmt.Sprintf("Its schema is version %d, of a newer mailgate; this one knows %d. Check it with the newer one", c.Schema, c.Known)
	}
	return fmt.Sprintf("Its schema is version %d, of an older mailgate; this one's is %d. mailgate serve brings it up to date", c.Schema, c.Known)
}

func (a *app) storeBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the store to a new file, while mailgate runs",
		Long: `Copy the store, as it is at this moment, to the new FILE. A running gateway goes on
meanwhile. The copy is on disk and was looked over when the command ends with 0;
only the database's owner can read it, for it has all held mail in it.

To restore a backup:
  1. stop mailgate
  2. move the database aside, with the files beside it:
       mkdir aside && mv mailgate.db mailgate.db-wal mailgate.db-shm aside/
     (-wal and -shm may not be there; they must not stay)
  3. put the backup in its place, for mailgate's user:
       install -o mailgate -g mailgate -m 600 FILE /var/lib/mailgate/mailgate.db
  4. mailgate store check
  5. so that nothing leaves or is told by itself, set in the configuration:
       hold.auto_release = false    hold.max_age = "0"
       hold.notify_after = ""       hold.digest  = "0"
     then start mailgate
  6. what was sent, returned or discarded after the backup is held again: find it in
     the review log of the database moved aside, and discard it:
       n=$(sqlite3 -readonly FILE "SELECT coalesce(max(n), 0) FROM review_log")
       sqlite3 -readonly aside/mailgate.db "SELECT id, local || '@' || domain, action,
         actor, reason FROM review_log WHERE n > $n AND action IN
         ('release', 'deliver', 'return', 'bounce', 'discard')"
  7. put the settings of step 5 back, and mailgate reload
What was taken after the backup is only in the database moved aside: keep it. What the
relay had queued in the backup is delivered after the start, perhaps a second time.`,
		Example: `  mailgate store backup /var/backups/mailgate-$(date +%F).db`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			url, err := a.storeURL()
			if err != nil {
				return err
			}
			file, err := filepath.Abs(args[0])
			if err != nil {
				return usageError(err)
			}
			if _, err := os.Stat(filepath.Dir(file)); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("back up to %s: there is no directory %s", file, filepath.Dir(file))
			}
			line := newProgress(cmd.ErrOrStderr(), a.json())
			err = store.Backup(cmd.Context(), url, file, func(done, total int64) {
				line.insist(func() string { return "copying" + percent(done, total) })
			})
			line.clear()
			if err != nil {
				return storeError(cmd.Context(), fmt.Errorf("back up to %s: %w", file, err))
			}
			info, err := os.Stat(file)
			if err != nil {
				return coded(exitSoftware, err)
			}
			size := info.Size()
			if a.json() {
				return printJSON(cmd, struct {
					File  string `json:"file"`
					Bytes int64  `json:"bytes"`
				}{file, size})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s written, %s. How to restore it: mailgate store backup --help\n", file, bytesText(size))
			return nil
		},
	}
}

func (a *app) storeCompactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Write the database anew, without gaps (mailgate must be stopped)",
		Long: `Write the database anew, without gaps. mailgate must be stopped (exit code 69 if it
isn't). It is seldom needed: mailgate gives the space of deleted bodies back by
itself, save for databases made by versions that didn't yet; those do so after a
compact. While it works, it takes room for two more copies beside the database.
A crash or Ctrl-C leaves the database as it was.`,
		Example: `  systemctl stop mailgate && mailgate store compact; systemctl start mailgate`,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := a.storeURL()
			if err != nil {
				return err
			}
			line := newProgress(cmd.ErrOrStderr(), a.json())
			line.insist(func() string { return "compacting …" })
			sizes, err := store.Compact(cmd.Context(), url)
			line.clear()
			if err != nil {
				return storeError(cmd.Context(), err)
			}
			if a.json() {
				return printJSON(cmd, struct {
					Before int64 `json:"before"`
					After  int64 `json:"after"`
				}{sizes.Before, sizes.After})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "compacted: %s before, %s now\n", bytesText(sizes.Before), bytesText(sizes.After))
			return nil
		},
	}
}

// storeURL is that of the store in the configuration.
func (a *app) storeURL() (string, error) {
	cfg, err := loadConfig(a.config)
	if err != nil {
		return "", err
	}
	return "sqlite:" + cfg.Store.Path, nil
}

// storeError gives an error of the store its exit code.
func storeError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return coded(exitInterrupted, errors.New("interrupted; the store is as it was"))
	case errors.Is(err, store.ErrInUse):
		return coded(exitUnavailable, fmt.Errorf("%w: stop mailgate first", err))
	case errors.Is(err, store.ErrMissing):
		return coded(exitConfig, err)
	case errors.Is(err, fs.ErrPermission):
		return coded(exitNoPerm, err)
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return err
	}
	return coded(exitSoftware, err)
}

func percent(done, total int64) string {
	if total <= 0 {
		return " …"
	}
	return fmt.Sprintf(" %d %%", 100*min(done, total)/total)
}

// bytesText is a size as people read it.
func bytesText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
