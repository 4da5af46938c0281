package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mailgate/internal/config"
	"mailgate/internal/convert"
	"mailgate/internal/sign"
)

// importing is what `keys import` was asked.
type importing struct {
	sources       map[string]*string // by flag
	root, out     string
	keys, owner   string
	dryRun, whole bool
}

// notGiven is the value of a source's flag without one, as the help shows it.
const notGiven = "default"

// importSources are the programs, in the order of the help.
var importSources = []struct {
	flag, otherwise string // the file or directory when none is given
	read            func(file string, o convert.Options) (*convert.Plan, error)
}{
	{"opendkim", "/etc/opendkim.conf", convert.OpenDKIM},
	{"rspamd", "/etc/rspamd", convert.Rspamd},
	{"exim", "", convert.Exim},
}

func (a *app) keysImportCommand() *cobra.Command {
	in := &importing{sources: map[string]*string{}}
	cmd := &cobra.Command{
		Use:   "import --opendkim [FILE] | --rspamd [FILE|DIR] | --exim [FILE|DIR]",
		Short: "Sign as OpenDKIM, rspamd or Exim did: make a configuration of theirs",
		Long: `Read the configuration of another signer and show mailgate's for the same keys.
Nothing is changed: the configuration goes to standard output, and with --out into a
new file. Keys stay where they are; --write-keys copies them. What can't be taken over is named with its file
and line, and so is where mail would be signed otherwise than before; both are in the
configuration, too, as comments.

  --opendkim   opendkim.conf with its tables (file:, refile:, lists)
               default /etc/opendkim.conf
  --rspamd     dkim_signing.conf: the directory of rspamd's configuration, or one file
               default /etc/rspamd
  --exim       Exim's own signing, as VestaCP and HestiaCP set it up, Debian's macros,
               or other transports; default: where this system has it

Key files that mailgate would refuse to read are told with what mends them. The old
signer may need them as they are: copy them (as root, with --write-keys DIR), or mend
them at the switch only. Without copies, run it as the user that mailgate runs as: what
is safe depends on that.

Exit code 0: all was taken over and is signed as before; 1: something wasn't, or is to
be mended; 77: a file can't be read; 78: the old configuration is broken.`,
		Example: `  mailgate keys import --opendkim
  mailgate keys import --opendkim /etc/opendkim.conf --out /etc/mailgate/mailgate.toml
  sudo mailgate keys import --opendkim --write-keys /etc/mailgate/keys --out /etc/mailgate/mailgate.toml
  mailgate keys import --rspamd /etc/rspamd --format json
  mailgate keys import --exim /etc/exim4 --root /mnt/old-server`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.keysImport(cmd, in, args) },
	}
	for _, s := range importSources {
		in.sources[s.flag] = cmd.Flags().String(s.flag, "", "read the configuration of this program: `FILE`")
		cmd.Flags().Lookup(s.flag).NoOptDefVal = notGiven
	}
	cmd.Flags().StringVarP(&in.out, "out", "o", "", "write the configuration to this new `FILE`; one that is there is never changed")
	cmd.Flags().BoolVar(&in.dryRun, "dry-run", false, "write nothing, whatever else is said (as without --out)")
	cmd.Flags().StringVar(&in.keys, "write-keys", "", "`DIR` for copies of all keys, also of those in the old configuration itself; written together with --out")
	cmd.Flags().StringVar(&in.owner, "owner", "", "`USER` the copies are given to: whom mailgate runs as (default: you)")
	cmd.Flags().StringVar(&in.root, "root", "", "`DIR` before every path that is read: another system's files")
	cmd.Flags().BoolVar(&in.whole, "all", false, "tell of every setting, also of those that were taken over or mean nothing here")
	return cmd
}

func (a *app) keysImport(cmd *cobra.Command, in *importing, args []string) error {
	plan, err := in.read(cmd, args)
	if err != nil {
		return err
	}
	toml := plan.TOML()
	if _, err := config.Parse(toml, "mailgate.toml"); err != nil {
		return coded(exitSoftware, fmt.Errorf("the configuration made of %s's isn't right, please report this: %w", plan.Source, err))
	}
	if in.writes() {
		if err := in.write(plan, toml); err != nil {
			return err
		}
	}
	switch {
	case a.json():
		err = printJSON(cmd, imported{plan, string(toml), in.written()})
	case in.writes():
		in.report(cmd, plan)
	default:
		_, err = cmd.OutOrStdout().Write(toml)
		in.hint(cmd, plan)
	}
	if err != nil || plan.Complete() {
		return err
	}
	return coded(exitFail, nil)
}

// imported is what `keys import` shows as JSON.
type imported struct {
	*convert.Plan
	TOML    string `json:"toml"`
	Written string `json:"written,omitempty"`
}

func (in *importing) writes() bool { return in.out != "" && !in.dryRun }

func (in *importing) written() string {
	if in.writes() {
		return in.out
	}
	return ""
}

// read reads the one source that is asked for.
func (in *importing) read(cmd *cobra.Command, args []string) (*convert.Plan, error) {
	asked := -1
	for i, s := range importSources {
		if !cmd.Flags().Changed(s.flag) {
			continue
		}
		if asked >= 0 {
			return nil, usageError(fmt.Errorf("--%s and --%s: import one at a time", importSources[asked].flag, s.flag))
		}
		asked = i
	}
	if asked < 0 {
		return nil, usageError(fmt.Errorf("say where from: --opendkim, --rspamd or --exim\nsee: %s --help", cmd.CommandPath()))
	}
	source := importSources[asked]
	file := *in.sources[source.flag]
	switch {
	case file != notGiven && len(args) > 0:
		return nil, usageError(fmt.Errorf("%s: an argument too many", args[0]))
	case len(args) > 0:
		file = args[0]
	case file == notGiven || file == "":
		file = source.otherwise
	}
	options, file, err := in.options(file)
	if err != nil {
		return nil, usageError(err)
	}
	plan, err := source.read(file, options)
	return plan, importError(err)
}

// options makes paths absolute: the configuration may be put anywhere.
func (in *importing) options(file string) (convert.Options, string, error) {
	o := convert.Options{Root: strings.TrimRight(in.root, "/"), Keys: in.keys}
	var err error
	if in.root != "" {
		if o.Root, err = filepath.Abs(in.root); err != nil {
			return o, "", err
		}
	} else if file != "" {
		if file, err = filepath.Abs(file); err != nil {
			return o, "", err
		}
	}
	if in.keys != "" {
		o.Keys, err = filepath.Abs(in.keys)
	}
	return o, file, err
}

// importError gives an error its exit code.
func importError(err error) error {
	var fault *convert.Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &fault):
		return coded(exitConfig, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		return coded(exitNoPerm, err)
	}
	return coded(exitConfig, err)
}

// write makes the new files. The configuration comes last: it is there when its keys
// are.
func (in *importing) write(plan *convert.Plan, toml []byte) error {
	if _, err := os.Lstat(in.out); err == nil {
		return usageError(fmt.Errorf("--out %s is there already, and never changed: name a new file, and put together what you need", in.out))
	}
	var owner keyOwner
	if in.owner != "" {
		var err error
		if owner, err = namedOwner(in.owner); err != nil {
			return err
		}
	}
	for i, key := range plan.Inline {
		if err := sign.WriteKeyFor(key.File, key.Signer, owner.Owner); err != nil {
			return writeError(errors.Join(err, removeKeys(plan.Inline[:i])))
		}
	}
	f, err := os.OpenFile(in.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return writeError(errors.Join(fmt.Errorf("write the configuration: %w", err), removeKeys(plan.Inline)))
	}
	_, err = f.Write(toml)
	if err := errors.Join(err, f.Close()); err != nil {
		return writeError(errors.Join(fmt.Errorf("write the configuration: %w", err), os.Remove(in.out), removeKeys(plan.Inline)))
	}
	return nil
}

// removeKeys takes back keys that were written: the next attempt writes them again.
func removeKeys(written []convert.Inline) error {
	var all error
	for _, key := range written {
		all = errors.Join(all, os.Remove(key.File))
	}
	return all
}

func writeError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return coded(exitNoPerm, err)
	}
	return coded(exitSoftware, err)
}
