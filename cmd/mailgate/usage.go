package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailgate/internal/doctor"
)

// usageArgs makes a wrong number of arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		if cmd.HasSubCommands() && len(args) > 0 && (!cmd.HasParent() || similarCommand(cmd, args[0]) != "") {
			return noSuchCommand(cmd, args[0])
		}
		for n := len(args) - 1; n >= 0; n-- {
			if check(cmd, args[:n]) == nil {
				return asUsage(cmd, fmt.Errorf("%s: an argument too many", strings.Join(args[n:], " ")))
			}
		}
		return asUsage(cmd, errors.New("an argument is missing"))
	}
}

// noSuchCommand says what could have been meant by a sub-command that there isn't.
func noSuchCommand(cmd *cobra.Command, name string) error {
	if similar := similarCommand(cmd, name); similar != "" {
		return usageError(fmt.Errorf("%s: no such command; did you mean %s %s?", plain(name, 60), cmd.CommandPath(), similar))
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return usageError(fmt.Errorf("%s: no such command; there are: %s", plain(name, 60), strings.Join(names, ", ")))
}

// similarCommand is the sub-command that is like name, "" for none.
func similarCommand(cmd *cobra.Command, name string) string {
	cmd.SuggestionsMinimumDistance = 2
	if similar := cmd.SuggestionsFor(name); len(similar) > 0 {
		return similar[0]
	}
	return ""
}

// command is a command line to paste, with the --config and --socket of this one.
func (a *app) command(words ...string) string {
	if a.config != "" && a.config != defaultConfig {
		words = append(slices.Clip(words), "--config", a.config)
	}
	if a.socket != "" {
		words = append(slices.Clip(words), "--socket", a.socket)
	}
	line := "mailgate"
	for _, word := range words {
		line += " " + doctor.Quote(word)
	}
	return line
}

func asUsage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return usageError(fmt.Errorf("%w\nusage: %s", err, cmd.UseLine()))
}

// flagError says what a flag's value should have been.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		what := map[string]string{
			"int": "a whole number", "int64": "a whole number", "uint16": "a whole number", "bool": "true or false", "duration": "a time such as 90s or 10m",
		}[value.GetFlag().Value.Type()]
		if what != "" {
			err = fmt.Errorf("--%s %q: it is %s", value.GetFlag().Name, value.GetValue(), what)
		}
	}
	return usageError(fmt.Errorf("%w\nsee: %s --help", err, cmd.CommandPath()))
}

// wantsJSON reports whether the arguments ask for JSON, also where a fault in them
// keeps the flags from being read.
func wantsJSON(args []string) bool {
	i := slices.Index(args, "--format")
	return slices.Contains(args, "--format=json") || i >= 0 && i+1 < len(args) && args[i+1] == "json"
}
