package main

import (
	"fmt"
	"strings"
	"time"

	"mailgate/internal/tlspolicy"
)

// overrideBlock is an override as [[tls]]; reason and end are the reader's.
func overrideBlock(o tlspolicy.Override, end time.Time) string {
	var b strings.Builder
	b.WriteString("  [[tls]]\n")
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-11s = %q\n", key, value)
		}
	}
	line("destination", o.Destination)
	line("level", o.Level.String())
	line("min_version", o.MinVersion.String())
	line("max_version", o.MaxVersion.String())
	if len(o.Ciphers) > 0 {
		fmt.Fprintf(&b, "  %-11s = [\"%s\"]\n", "ciphers", strings.Join(o.Ciphers, `", "`))
	}
	line("curves", string(o.Curves))
	line("reason", "say why")
	fmt.Fprintf(&b, "  %-11s = %s   # the last day it holds\n", "expires", end.Format(time.DateOnly))
	return b.String()
}

// overrideCommand is the same as a command.
func overrideCommand(o tlspolicy.Override) string {
	words := []string{"mailgate tls override", shellWord(o.Destination)}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, value)
		}
	}
	add("--level", o.Level.String())
	add("--min-version", o.MinVersion.String())
	add("--max-version", o.MaxVersion.String())
	for _, c := range o.Ciphers {
		add("--cipher", c)
	}
	add("--curves", string(o.Curves))
	return strings.Join(append(words, `--expires 30d --reason "say why"`), " ")
}

// shellWord quotes a destination such as [smtp.example.net]:587, which a shell takes
// for a pattern.
func shellWord(destination string) string {
	if strings.ContainsAny(destination, "[]*") {
		return "'" + destination + "'"
	}
	return destination
}
