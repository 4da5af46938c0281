package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageArgs makes a wrong number of arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil || cmd.HasSubCommands() {
			return asUsage(cmd, err)
		}
		for n := len(args) - 1; n >= 0; n-- {
			if check(cmd, args[:n]) == nil {
				return asUsage(cmd, fmt.Errorf("%s: an argument too many", strings.Join(args[n:], " ")))
			}
		}
		return asUsage(cmd, errors.New("an argument is missing"))
	}
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
