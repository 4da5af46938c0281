// Command mailgate signs outgoing mail and holds what the sender's domain would
// get bounced. See README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

const version = "0.3.0"

const defaultConfig = "/etc/mailgate/mailgate.toml"

func main() {
	os.Exit(run(&app{}, argsOf(os.Args), os.Stdin, os.Stdout, os.Stderr))
}

// argsOf are the arguments, with the command before them where the program was called
// by a link named sendmail.
func argsOf(args []string) []string {
	if len(args) > 0 && filepath.Base(args[0]) == "sendmail" {
		return append([]string{"sendmail"}, args[1:]...)
	}
	return args[min(1, len(args)):]
}

// run is main without the process around it, so that tests can call it.
func run(a *app, args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitPass
	}
	if text := err.Error(); text != "" {
		tell(wantsJSON(args), out, errOut, text, exitCode(err))
	}
	return exitCode(err)
}

// tell says what went wrong: in words on standard error, and for scripts that asked
// for JSON as {"error": …} on standard output, too.
func tell(inJSON bool, out, errOut io.Writer, text string, code int) {
	fmt.Fprintln(errOut, "mailgate:", text)
	if inJSON {
		_ = json.NewEncoder(out).Encode(struct {
			Error    string `json:"error"`
			ExitCode int    `json:"exit_code"`
		}{text, code})
	}
}

// app is what the commands share: the flags every one has.
type app struct {
	config string
	socket string
	format string

	authorityPort int           // of authoritative name servers; 0: 53, tests differ
	dnsTime       time.Duration // that DNS may take for one domain; 0: checkTime
	gatewayTime   time.Duration // that the gateway may take where it can be done without; 0: gatewayTime
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "mailgate",
		Short: "Sign outgoing mail, and hold what would bounce",
		Long: `mailgate stands between your mail server and the Internet. It signs outgoing
mail with DKIM and holds what receivers would refuse with what the sender's
domain publishes in DNS now; held mail leaves by itself once DNS is right.

It is a milter for Postfix, and an SMTP relay: the smart host of Exim and Exchange,
and sendmail for scripts, which delivers what it takes.

Try first:   mailgate demo
Check a domain: mailgate check example.com --ip 203.0.113.9
Run it:      mailgate serve --config ` + defaultConfig,
		Example: `  mailgate check example.com --selector mail --ip 203.0.113.9
  mailgate quarantine list
  mailgate queue list
  mailgate quarantine release q7f3a --reason "record published"`,
		Version:           version,
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              usageArgs(cobra.NoArgs),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.checkFlags(cmd) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.StringVarP(&a.config, "config", "c", defaultConfig, "configuration `FILE`")
	flags.StringVar(&a.socket, "socket", "", "control socket of the running gateway (default: the configuration's)")
	flags.StringVar(&a.format, "format", "text", "text or json")
	root.AddCommand(a.serveCommand(), a.demoCommand(), a.checkCommand(), a.recordsCommand(), a.keysCommand(),
		a.quarantineCommand(), a.queueCommand(), a.tlsCommand(), a.relayCommand(), a.sendmailCommand(), a.explainCommand(), a.storeCommand(), a.configCommand(), a.doctorCommand(), a.reloadCommand(), a.statusCommand())
	root.AddCommand(a.buildCommands()...)
	a.complete(root)
	return root
}

// moreFormats is the annotation of a command that knows formats beyond text and
// json; they are separated by a space.
const moreFormats = "formats"

func (a *app) checkFlags(cmd *cobra.Command) error {
	formats := append([]string{"text", "json"}, strings.Fields(cmd.Annotations[moreFormats])...)
	if slices.Contains(formats, a.format) {
		return nil
	}
	last := len(formats) - 1
	return usageError(fmt.Errorf("--format %s: it is %s or %s", a.format, strings.Join(formats[:last], ", "), formats[last]))
}

func (a *app) json() bool { return a.format == "json" }

// group is a command that only has sub-commands.
func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return noSuchCommand(cmd, args[0])
		}
		return cmd.Help()
	}}
	cmd.AddCommand(sub...)
	return cmd
}

// Exit codes; scripts rely on them (64 and up are those of sysexits.h).
const (
	exitPass        = 0
	exitFail        = 1  // a definite fail
	exitUnknown     = 2  // could not be determined
	exitUsage       = 64 // EX_USAGE
	exitUnavailable = 69 // EX_UNAVAILABLE: the daemon can't be reached
	exitSoftware    = 70 // EX_SOFTWARE: a fault while running
	exitNoPerm      = 77 // EX_NOPERM
	exitConfig      = 78 // EX_CONFIG

	exitInterrupted = 130 // Ctrl-C, as shells have it
)

// codedError is an error with the exit code it ends the program with. An empty
// text says that everything was said already.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *codedError) Unwrap() error { return e.err }

func coded(code int, err error) error { return &codedError{code, err} }
func usageError(err error) error      { return coded(exitUsage, err) }

func exitCode(err error) int {
	var c *codedError
	if errors.As(err, &c) {
		return c.code
	}
	if strings.HasPrefix(err.Error(), "unknown command") {
		return exitUsage
	}
	return exitFail
}
