package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"mailgate/internal/quarantine"
	"mailgate/internal/web"
)

func (a *app) releaseCommand() *cobra.Command {
	var review web.Review
	cmd := &cobra.Command{
		Use:   "release ID",
		Short: "Check a held message again, sign it afresh and send it",
		Long: `Check a held message again, sign it afresh and send it by the way it came.
What would still be refused stays held (exit code 1); --anyway sends it all the same.`,
		Example: `  mailgate quarantine release q7f3a --reason "record published"`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var released quarantine.Released
			if err := a.review(cmd, args[0], "release", review, &released); err != nil {
				return err
			}
			if a.json() {
				return printJSON(cmd, released)
			}
			for _, r := range released.Recipients {
				fmt.Fprintf(cmd.OutOrStdout(), "%s released to <%s>: %s\n", released.ID, plain(r.Address, 0), plain(r.Answer, 0))
			}
			return nil
		},
	}
	reviewFlags(cmd, &review)
	cmd.Flags().BoolVar(&review.Anyway, "anyway", false, "send it although it would be refused")
	return cmd
}

func (a *app) discardCommand() *cobra.Command {
	var review web.Review
	cmd := &cobra.Command{
		Use:     "discard ID",
		Short:   "Throw a held message away; nobody is told",
		Example: `  mailgate quarantine discard q7f3a --reason "compromised account"`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var done struct {
				ID string `json:"id"`
			}
			if err := a.review(cmd, args[0], "discard", review, &done); err != nil {
				return err
			}
			if a.json() {
				return printJSON(cmd, done)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s discarded\n", done.ID)
			return nil
		},
	}
	reviewFlags(cmd, &review)
	return cmd
}

func reviewFlags(cmd *cobra.Command, review *web.Review) {
	cmd.Flags().StringVar(&review.Reason, "reason", "", "why, for the review log (required)")
	cmd.Flags().StringSliceVar(&review.Recipients, "to", nil, "only these recipients (default: all that are held)")
}

func (a *app) review(cmd *cobra.Command, id, verb string, review web.Review, into any) error {
	if strings.TrimSpace(review.Reason) == "" {
		return usageError(errors.New(`--reason is required: say why, it goes into the review log`))
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	return c.post(cmd.Context(), "/v1/quarantine/"+url.PathEscape(id)+"/"+verb, review, into)
}
