package main

import (
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
	var ignored []string
	cmd := &cobra.Command{
		Use:     "sendmail [-t] [-i] [-f SENDER] [RECIPIENT…]",
		Aliases: []string{"send"},
		Short:   "Send a message from standard input through the relay, as sendmail does",
		Long: `Send a message from standard input through the relay of the gateway, as sendmail
does: for cron jobs, PHP and scripts. Missing From, Date and Message-ID are added.
It is refused as a whole if one recipient is.

The relay is that of the configuration, or ` + defaultRelay + ` where it can't be read;
its listener must trust this machine, and is spoken to without TLS.

Exit code: 0 taken, 64 usage, 65 bad data, 69 refused for good, 75 try again later.
Of sendmail's other options -o, -B, -N, -R, -V and -bm are taken and mean nothing.`,
		Example: "  mailgate sendmail -t -i < message\n  mailgate sendmail -f cron@example.com ann@example.com < message",
		RunE: func(cmd *cobra.Command, args []string) error {
			l.dots = l.dots || slices.Contains(ignored, "i")
			l.to = args
			return a.sendmail(cmd, &l, server)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&l.fromHeader, "read-recipients", "t", false, "take recipients from To, Cc and Bcc, too")
	flags.BoolVarP(&l.dots, "ignore-dots", "i", false, "a line with a single dot doesn't end the message")
	flags.StringVarP(&l.sender, "from", "f", "", "envelope `SENDER`; <> for none (default: the user at hostname)")
	flags.StringVarP(&l.name, "name", "F", "", "full `NAME`, where a From field is added")
	flags.StringVar(&server, "server", "", "`HOST:PORT` of the relay (default: the configuration's)")
	for _, o := range []string{"o", "B", "N", "R", "V", "b"} {
		flags.StringArrayVarP(&ignored, "sendmail-"+o, o, nil, "")
		_ = flags.MarkHidden("sendmail-" + o)
	}
	return cmd
}

func (a *app) sendmail(cmd *cobra.Command, l *submission, server string) error {
	at, hostname, err := a.relayServer(server)
	if err != nil {
		return err
	}
	if err := l.address(hostname); err != nil {
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
	if err := l.submit(c, string(hostname), content.Reader()); err != nil {
		return coded(sendCode(err), err)
	}
	return nil
}

// relayServer finds the relay: --server, the configuration's, or the usual one.
func (a *app) relayServer(server string) (at string, hostname mail.Domain, err error) {
	name, _ := os.Hostname()
	if hostname, err = mail.ParseDomain(name); err != nil {
		hostname = "localhost"
	}
	cfg, err := config.Load(a.config)
	switch {
	case err == nil:
		hostname = cfg.Hostname
	case server == "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) && a.config == defaultConfig:
		return defaultRelay, hostname, nil
	case server == "":
		return "", "", coded(configCode(err), err)
	}
	if server != "" {
		return server, hostname, nil
	}
	for _, l := range cfg.Relay.Listeners {
		if l.TLS != config.TLSImplicit && l.TLS != config.TLSRequired && len(l.Proxy) == 0 {
			return reachable(l.Listen.Address), hostname, nil
		}
	}
	return "", "", coded(exitConfig, fmt.Errorf("%s: the relay has no listener without TLS that this machine could use", a.config))
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
