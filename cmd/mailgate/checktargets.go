package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
)

// target is a domain to check.
type checkTarget struct {
	domain   mail.Domain
	wildcard bool // it stands for the sub-domains of a configured "*."
	id       preflight.Identity
}

// targetsToCheck are the domains that were asked for, each once, in that order.
func targetsToCheck(args []string, f checkFlags, configured []config.Domain, in io.Reader) ([]checkTarget, error) {
	var list []checkTarget
	at := map[mail.Domain]bool{}
	add := func(d mail.Domain, wildcard bool) {
		if !at[d] {
			at[d] = true
			list = append(list, checkTarget{domain: d, wildcard: wildcard})
		}
	}
	for _, arg := range args {
		d, err := mail.ParseDomain(arg)
		if err != nil {
			return nil, usageError(err)
		}
		add(d, false)
	}
	if f.file != "" {
		domains, err := domainsOf(f.file, in)
		if err != nil {
			return nil, err
		}
		for _, d := range domains {
			add(d, false)
		}
	}
	if f.all {
		for _, wildcards := range []bool{false, true} { // a domain of its own before one that stands for others
			for _, d := range configured {
				if d.Wildcard == wildcards {
					add(d.Name, d.Wildcard)
				}
			}
		}
	}
	switch {
	case len(list) > 0:
		return list, nil
	case f.all:
		return nil, usageError(errors.New("--all: the configuration has no domains; name them, or give --config FILE"))
	case f.file != "":
		return nil, usageError(fmt.Errorf("--file %s: no domain in it", f.file))
	}
	return nil, usageError(errors.New("which domain? mailgate check example.com, or --file FILE, or --all that are configured\nsee: mailgate check --help"))
}

// domainsOf reads a file of domains, or standard input.
func domainsOf(file string, in io.Reader) ([]mail.Domain, error) {
	name := "standard input"
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, usageError(fmt.Errorf("--file: %w", err))
		}
		defer opened.Close()
		in, name = opened, file
	}
	domains, err := readDomains(in, name)
	if err != nil {
		return nil, usageError(err)
	}
	return domains, nil
}

const (
	maxDomains      = 100_000 // in a file
	maxDomainFaults = 10      // that are told at once
)

// readDomains reads one domain a line; "#" begins a comment. The faults are told
// together, with name and line.
func readDomains(in io.Reader, name string) ([]mail.Domain, error) {
	var domains []mail.Domain
	var faults []error
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		d, err := mail.ParseDomain(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", name, n, err))
			if len(faults) == maxDomainFaults {
				break
			}
			continue
		}
		if domains = append(domains, d); len(domains) > maxDomains {
			return nil, fmt.Errorf("%s:%d: more than %s domains: split the file", name, n, thousands(maxDomains))
		}
	}
	if err := lines.Err(); err != nil {
		faults = append(faults, fmt.Errorf("read %s: %w", name, err))
	}
	return domains, errors.Join(faults...)
}
