//go:build docs

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// buildCommands are those that only the build uses.
func (a *app) buildCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:    "docs DIR",
		Short:  "Write the man pages and the completions of shells",
		Hidden: true,
		Args:   usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.Root().InitDefaultCompletionCmd()
			return errors.Join(writeCompletions(cmd.Root(), filepath.Join(args[0], "completion")),
				writeManPages(cmd.Root(), filepath.Join(args[0], "man", "man1")))
		},
	}}
}

func writeCompletions(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(
		root.GenBashCompletionFileV2(filepath.Join(dir, "mailgate.bash"), true),
		root.GenZshCompletionFile(filepath.Join(dir, "_mailgate")), // zsh finds it by this name
		root.GenFishCompletionFile(filepath.Join(dir, "mailgate.fish"), true),
	)
}

func writeManPages(root *cobra.Command, dir string) error {
	// Pages of commands there were must not stay.
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	date, err := sourceDate()
	if err != nil {
		return err
	}
	forMan(root)
	return doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{
		Path: dir, CommandSeparator: "-",
		Header: &doc.GenManHeader{Section: "1", Date: &date, Source: "mailgate " + version, Manual: "mailgate"},
	})
}

// sourceDate is the date on the pages. It is never today's, so that two builds of one
// source are the same.
func sourceDate() (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// forMan makes the texts of a command, and of those below it, Markdown.
func forMan(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	cmd.Long = markdown(cmd.Long)
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		f.Usage = escape(f.Usage)
	})
	for _, sub := range cmd.Commands() {
		forMan(sub)
	}
	if cmd.HasSubCommands() { // or else each has a page "help" to see also
		cmd.SetHelpCommand(&cobra.Command{Use: "help", Hidden: true})
	}
}

// markdown is a text of ours: what is set in columns stays as it is.
func markdown(text string) string {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		paragraph = strings.Trim(paragraph, "\n")
		columns := false
		for line := range strings.SplitSeq(paragraph, "\n") {
			columns = columns || strings.Contains(line, "  ") || strings.HasPrefix(line, "\t")
		}
		if columns {
			b.WriteString("```\n" + paragraph + "\n```\n\n")
		} else {
			b.WriteString(escape(paragraph) + "\n\n")
		}
	}
	return b.String()
}

// escape keeps characters from meaning something in Markdown.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "<", `\<`, ">", `\>`, "[", `\[`, "]", `\]`, "#", `\#`, "|", `\|`).Replace(text)
}
