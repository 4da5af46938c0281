//go:build !docs

package main

import "github.com/spf13/cobra"

// buildCommands are those that only the build uses.
func (a *app) buildCommands() []*cobra.Command { return nil }
