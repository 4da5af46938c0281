package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"
	"github.com/spf13/cobra"

	"mailgate/internal/config"
	"mailgate/internal/mail"
)

// Exit codes of sendmail, beside those that all commands have.
const (
	exitDataErr  = 65 // EX_DATAERR: not a message, or not an address
	exitTempFail = 75 // EX_TEMPFAIL: nothing was sent, try again later
)

// defaultRelay is where the relay is taken to be when the configuration can't be
// read, as by cron jobs of ordinary users.
const defaultRelay = "127.0.0.1:2525"

func (a *app) sendmailCommand() *cobra.Command {
	var l submission
	var server string
	var ignored, modes []string
	cmd := &cobra.Command{
		Use:     "sendmail [-t] [-i] [-f SENDER] [RECIPIENT…]",
		Aliases: []string{"send"},
		Short:   "Send a message from standard input through the relay, as sendmail does",
		Long: `Send a message from standard input through the relay of the gateway, as sendmail
does: for cron jobs, PHP and scripts. Missing From, Date and Message-ID are added,
and addresses without a domain get one. It is refused as a whole if one recipient
is. A link to mailgate named sendmail does the same.

The relay is that of the configuration; its listener must trust this machine, and is
spoken to without TLS. Where there is no ` + defaultConfig + `, or the
user may not read it, it is taken to be at ` + defaultRelay + `. The domain for addresses
without one is relay.origin, or the hostname.

Exit code: 0 taken, 64 usage, 65 bad data, 69 refused for good, 75 try again later,
78 bad configuration, or one without a [relay] to send through.
Of sendmail's other options -o, -B, -N, -R, -V and -bm are taken and mean nothing.`,
		Example: "  mailgate sendmail -t -i < message\n  mailgate sendmail -f cron@example.com ann@example.com < message",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := sendmailMode(modes); err != nil {
				return err
			}
			l.dots = l.dots || slices.Contains(ignored, "i")
			l.to = args
			return a.sendmail(cmd, &l, server)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&l.fromHeader, "read-recipients", "t", false, "take recipients from To, Cc and Bcc, too")
	flags.BoolVarP(&l.dots, "ignore-dots", "i", false, "a line with a single dot doesn't end the message")
	flags.StringVarP(&l.sender, "from", "f", "", "envelope `SENDER`; <> for none (default: the user, at the domain below)")
	flags.StringVarP(&l.name, "name", "F", "", "full `NAME`, where a From field is added")
	flags.StringVar(&server, "server", "", "`HOST:PORT` of the relay (default: the configuration's)")
	flags.Var(&l.domain, "domain", "`DOMAIN` of addresses without one (default: the configuration's)")
	for _, o := range []string{"o", "B", "N", "R", "V"} {
		flags.StringArrayVarP(&ignored, "sendmail-"+o, o, nil, "")
		_ = flags.MarkHidden("sendmail-" + o)
	}
	flags.StringArrayVarP(&modes, "sendmail-b", "b", nil, "")
	_ = flags.MarkHidden("sendmail-b")
	return cmd
}

// sendmailMode refuses what sendmail can do with -b beside sending, which is -bm.
func sendmailMode(modes []string) error {
	hints := map[string]string{
		"s": "speak SMTP to the relay itself",
		"p": "see mailgate queue list",
		"i": "there are no aliases to build",
		"v": "to look at a domain: mailgate check DOMAIN",
		"d": "see mailgate serve",
	}
	for _, m := range modes {
		hint := hints[m]
		switch {
		case m == "m":
		case hint == "":
			return usageError(fmt.Errorf("-b%s is not supported", m))
		default:
			return usageError(fmt.Errorf("-b%s is not supported: %s", m, hint))
		}
	}
	return nil
}

func (a *app) sendmail(cmd *cobra.Command, l *submission, server string) error {
	at, us, err := a.relayServer(server)
	if err != nil {
		return err
	}
	if l.domain == "" {
		l.domain = originFlag(us.origin)
	}
	if err := l.address(mail.Domain(l.domain)); err != nil {
		return err
	}
	content, err := l.read(cmd.InOrStdin())
	if err != nil {
		return coded(exitDataErr, err)
	}
	defer content.Close()
	if len(l.recipients) == 0 {
		return usageError(errors.New("no recipients: name some, or give -t and a To field"))
	}
	dialer := &net.Dialer{}
	conn, err := dialer.DialContext(cmd.Context(), "tcp", at)
	if err != nil {
		return coded(exitTempFail, fmt.Errorf("no relay answers at %s: is `mailgate serve` running with [relay]? (%w)", at, err))
	}
	c := smtp.NewClient(conn)
	defer c.Close()
	if err := l.submit(c, string(us.hostname), content.Reader()); err != nil {
		return coded(sendCode(err), err)
	}
	return nil
}

// names are those of the machine that sends: in HELO, and in addresses without a domain.
type names struct{ hostname, origin mail.Domain }

// relayServer finds the relay: --server, the configuration's, or the usual one.
func (a *app) relayServer(server string) (at string, us names, err error) {
	cfg, err := config.Load(a.config)
	switch {
	case err == nil:
		us = names{cfg.Hostname, cmp.Or(cfg.Relay.Origin, cfg.Hostname)}
	case server == "" && (a.config != defaultConfig || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission)):
		return "", names{}, coded(configCode(err), err)
	default:
		us = systemNames()
		return cmp.Or(server, defaultRelay), us, nil
	}
	if server != "" {
		return server, us, nil
	}
	if len(cfg.Relay.Listeners) == 0 {
		return "", names{}, coded(exitConfig, fmt.Errorf("%s: there is no section [relay], which takes this mail; add one, or give --server", a.config))
	}
	for _, l := range cfg.Relay.Listeners {
		if l.TLS != config.TLSImplicit && l.TLS != config.TLSRequired && len(l.Proxy) == 0 {
			return reachable(l.Listen.Address), us, nil
		}
	}
	return "", names{}, coded(exitConfig, fmt.Errorf("%s: the relay has no listener without TLS that this machine could use", a.config))
}

// systemNames are used where there is no configuration to be read.
func systemNames() names {
	name, _ := os.Hostname()
	d, err := mail.ParseDomain(name)
	if err != nil {
		d = "localhost"
	}
	return names{d, d}
}

// reachable is where to connect to what listens at an address, perhaps at all.
func reachable(address string) string {
	at, err := netip.ParseAddrPort(address)
	switch {
	case err != nil || !at.Addr().IsUnspecified():
		return address
	case at.Addr().Is4():
		return fmt.Sprintf("127.0.0.1:%d", at.Port())
	}
	return fmt.Sprintf("[::1]:%d", at.Port())
}

// sendCode tells "later" from "never".
func sendCode(err error) int {
	answer, ok := errors.AsType[*smtp.SMTPError](err)
	if ok && answer.Code/100 == 5 {
		return exitUnavailable
	}
	return exitTempFail
}

// localUser is who runs this.
func localUser() string {
	u, err := user.Current()
	if err != nil || strings.ContainsAny(u.Username, "\\ @") {
		return "nobody"
	}
	return u.Username
}

// originFlag is the value of --domain.
type originFlag mail.Domain

func (d *originFlag) String() string { return string(*d) }
func (d *originFlag) Type() string   { return "domain" }

func (d *originFlag) Set(s string) error {
	parsed, err := mail.ParseDomain(s)
	*d = originFlag(parsed)
	return err
}
