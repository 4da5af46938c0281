package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Postfix is the configuration of a Postfix as far as it concerns mailgate.
type Postfix struct {
	Main     map[string]string // parameters of main.cf in force, defaults too, with $names expanded
	Services []Service         // smtpd, cleanup and smtp services of master.cf

	configDir string // as asked for; empty: the default
}

// Service is a line of master.cf (master(5)).
type Service struct {
	Name    string // "smtp", "submission", "127.0.0.1:10025"
	Command string // "smtpd", "cleanup", "smtp"
	Chroot  bool
	Options map[string]string // -o name=value
}

// parameters are those of main.cf that are asked for.
func parameters() []string {
	return []string{
		"smtpd_milters", "non_smtpd_milters", "smtpd_milter_maps", "milter_default_action", "queue_directory", "mail_owner",
		"mail_version", "smtp_tls_policy_maps", "receive_override_options", "compatibility_level",
	}
}

// ErrNoPostfix says that there is no postconf to ask.
var ErrNoPostfix = errors.New("postconf is not on this machine")

const postconfTime = 10 * time.Second

// ReadPostfix asks postconf; configDir is its config_directory, empty for the default.
func ReadPostfix(ctx context.Context, configDir string) (*Postfix, error) {
	postconf, err := exec.LookPath("postconf")
	if err != nil {
		if postconf, err = exec.LookPath("/usr/sbin/postconf"); err != nil { // not in everybody's PATH
			return nil, ErrNoPostfix
		}
	}
	if configDir != "" { // what is printed works from anywhere
		if configDir, err = filepath.Abs(configDir); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, postconfTime)
	defer cancel()
	ask := func(args ...string) (string, error) {
		if configDir != "" {
			args = append([]string{"-c", configDir}, args...)
		}
		cmd := exec.CommandContext(ctx, postconf, args...)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("postconf %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
		}
		return string(out), nil
	}
	main, err := ask(append([]string{"-x"}, parameters()...)...)
	if err != nil {
		return nil, err
	}
	master, err := ask("-M", "-x")
	if err != nil {
		return nil, err
	}
	p := &Postfix{Main: parseMain(main), configDir: configDir}
	p.Services = parseMaster(master, chrootByDefault(p.Main["compatibility_level"]))
	return p, nil
}

// parseMain reads "name = value" lines.
func parseMain(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, "="); ok {
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return values
}

// chrootByDefault is what "-" means in the column chroot: before Postfix 3.0 it was yes,
// and it is still with the compatibility level of then (COMPATIBILITY_README).
func chrootByDefault(level string) bool { return level == "" || strings.HasPrefix(level, "0") }

// parseMaster reads what `postconf -M` prints: a service a line.
func parseMaster(text string, chroot bool) []Service {
	var list []Service
	for line := range strings.Lines(text) {
		// name type private unprivileged chroot wakeup maxproc command args
		fields := split(line, " \t\r\n")
		if len(fields) < 8 || strings.HasPrefix(fields[0], "#") || !slices.Contains([]string{"smtpd", "cleanup", "smtp"}, fields[7]) {
			continue
		}
		list = append(list, Service{Name: fields[0], Command: fields[7], Chroot: fields[4] == "y" || fields[4] == "-" && chroot, Options: options(fields[8:])})
	}
	return list
}

// options reads -o name=value and -o { name = value }.
func options(args []string) map[string]string {
	set := map[string]string{}
	for i := 0; i+1 < len(args); i++ {
		if args[i] != "-o" {
			continue
		}
		i++
		if name, value, ok := strings.Cut(unbraced(args[i]), "="); ok {
			set[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return set
}

// words are those of a parameter's list, which spaces and commas separate.
func words(s string) []string { return split(s, " \t\r\n,") }

// split cuts at separators, but not within braces.
func split(s, separators string) []string {
	var list []string
	depth, start := 0, -1
	for i, c := range s + " " {
		switch {
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		}
		separates := depth == 0 && strings.ContainsRune(separators, c)
		if !separates && start < 0 {
			start = i
		}
		if separates && start >= 0 {
			list, start = append(list, s[start:i]), -1
		}
	}
	if start >= 0 { // a brace that isn't closed
		list = append(list, s[start:])
	}
	return list
}

// unbraced takes off the braces around a value.
func unbraced(s string) string {
	if inner, ok := strings.CutPrefix(s, "{"); ok {
		return strings.TrimSpace(strings.TrimSuffix(inner, "}"))
	}
	return s
}

// set is what changes a parameter of main.cf, and puts it in force.
func (p *Postfix) set(name, value string) []string {
	return []string{p.command("postconf") + fmt.Sprintf(" -e %s", Quote(name+" = "+value)), p.reload()}
}

func (p *Postfix) reload() string { return p.command("postfix") + " reload" }

// command is one of Postfix's, for this instance.
func (p *Postfix) command(name string) string {
	if p.configDir == "" {
		return name
	}
	return name + " -c " + Quote(p.configDir)
}

// Quote makes a word of the shell's.
func Quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@,=%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
