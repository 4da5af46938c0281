package main

import "github.com/spf13/cobra"

func (a *app) keysCommand() *cobra.Command {
	return group("keys", "Make signing keys, and see which of them sign", a.generateCommand(), a.keysListCommand(), a.keysImportCommand(), a.rotateCommand())
}
