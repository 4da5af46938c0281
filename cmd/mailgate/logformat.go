package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/quarantine"
)

// logWriter writes entries of the review log in one format.
type logWriter struct {
	write func([]quarantine.Entry) error // the oldest first
	close func() error
}

func (a *app) logWriter(cmd *cobra.Command) logWriter {
	out := cmd.OutOrStdout()
	switch a.format {
	case "json":
		return jsonLog(cmd)
	case "jsonl":
		return jsonLinesLog(out)
	case "csv":
		return csvLog(out)
	}
	return textLog(out)
}

func textLog(out io.Writer) logWriter {
	screen := screenWidth(out)
	zoned := false
	return logWriter{
		write: func(list []quarantine.Entry) error {
			if !zoned && len(list) > 0 {
				zoned = true
				fmt.Fprintln(out, "times are "+list[0].Time.Local().Format("MST (-07:00)"))
			}
			for _, e := range list {
				printEntry(out, e, screen)
			}
			return nil
		},
		close: func() error { return nil },
	}
}

// jsonLog is one object, so it is kept until the end.
func jsonLog(cmd *cobra.Command) logWriter {
	page := quarantine.LogPage{Entries: []quarantine.Entry{}}
	return logWriter{
		write: func(list []quarantine.Entry) error {
			page.Entries = append(page.Entries, list...)
			return nil
		},
		close: func() error { return printJSON(cmd, page) },
	}
}

func jsonLinesLog(out io.Writer) logWriter {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return logWriter{
		write: func(list []quarantine.Entry) error {
			for _, entry := range list {
				if err := e.Encode(entry); err != nil {
					return err
				}
			}
			return nil
		},
		close: func() error { return nil },
	}
}

var csvHeading = []string{
	"n", "time", "id", "recipient", "action", "from", "into", "before", "verdict", "actor", "reason", "codes", "where", "hash",
}

func csvLog(out io.Writer) logWriter {
	w := csv.NewWriter(out)
	_ = w.Write(csvHeading) // an error stays until close
	return logWriter{
		write: func(list []quarantine.Entry) error {
			for _, e := range list {
				_ = w.Write(csvRow(e))
			}
			w.Flush()
			return w.Error()
		},
		close: func() error {
			w.Flush()
			return w.Error()
		},
	}
}

func csvRow(e quarantine.Entry) []string {
	return []string{
		strconv.FormatInt(e.N, 10), e.Time.UTC().Format(time.RFC3339), e.ID, inert(e.Recipient), string(e.Action),
		string(e.From), string(e.Into), string(e.Before), e.Verdict, inert(e.Actor), inert(e.Reason),
		strings.Join(e.Codes, " "), inert(e.Where), e.Hash,
	}
}

// inert puts an apostrophe before a cell that a spreadsheet would run as a formula.
func inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
