package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"mailgate/internal/smtpd"
)

func (a *app) relayCommand() *cobra.Command {
	cmd := group("relay", "Look after the SMTP relay", a.passwdCommand())
	cmd.Long = `Look after the SMTP relay, [relay] in the configuration: what Exim and Exchange have
as their smart host. What it has to deliver: mailgate queue list. To send through it:
mailgate sendmail. Its configuration: mailgate config check.`
	cmd.Example = "  mailgate relay passwd\n  mailgate queue list\n  mailgate sendmail -t < message"
	return cmd
}

func (a *app) passwdCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "passwd",
		Short: "Print the hash of a password, for [[relay.user]]",
		Long: `Read a password, twice from the terminal or one line from standard input, and print
its argon2id hash as the line to put under [[relay.user]]. Nothing is stored.

Exit code: 0 printed, 64 no password, or one that can't be used.`,
		Example: "  mailgate relay passwd\n  mailgate relay passwd < /root/exchange.password",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := askPassword(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return usageError(err)
			}
			hash, err := smtpd.HashPassword(password)
			if err != nil {
				return usageError(err)
			}
			if a.json() {
				return printJSON(cmd, struct {
					Password string `json:"password"`
				}{hash})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "password = %q\n", hash)
			return nil
		},
	}
}

// askPassword reads without echo from a terminal, and else the first line.
func askPassword(ctx context.Context, in io.Reader, prompt io.Writer) (string, error) {
	lines := bufio.NewReader(io.LimitReader(in, 4<<10))
	f, ok := in.(*os.File)
	if !ok {
		return readLine(lines)
	}
	fd := int(f.Fd())
	shown, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil { // no terminal
		return readLine(lines)
	}
	hidden := *shown
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &hidden); err != nil {
		return "", fmt.Errorf("switch off the terminal's echo: %w", err)
	}
	restore := func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, shown) }
	defer restore()
	defer context.AfterFunc(ctx, restore)() // after Ctrl-C, too
	var typed [2]string
	for i, word := range []string{"Password: ", "Again: "} {
		fmt.Fprint(prompt, word)
		typed[i], err = readLine(lines)
		fmt.Fprintln(prompt)
		if err != nil {
			return "", err
		}
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two are not the same")
	}
	return typed[0], nil
}

func readLine(from *bufio.Reader) (string, error) {
	line, err := from.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
