package main

import "github.com/spf13/cobra"

func (a *app) quarantineCommand() *cobra.Command {
	return group("quarantine", "See, release and discard held mail; the review log",
		a.listCommand(), a.showCommand(), a.releaseCommand(), a.discardCommand(), a.recheckCommand(), a.logCommand())
}
