package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
)

func (a *app) recordsCommand() *cobra.Command {
	var f recordsFlags
	cmd := &cobra.Command{
		Use:   "records DOMAIN",
		Short: "All the records a domain should publish, in its DNS host's form",
		Long: `Show every record that DOMAIN should publish, whether or not it is there: DKIM of
each configured key, one SPF record merged with the one that is published, and
DMARC. Each is "published as it should be", "to add", "to replace" (today's is
shown), published with a fault, or "not known". Works without the daemon, and
without a configuration: give the selectors, their key files and the addresses.

--as picks the form: bind is a zone file, of which every line can be used as it is;
cloudflare, cpanel, hestia (and vesta), aliyun, route53; web is for other hosts.
Without it the form is that of the host the name servers belong to.

SPF is evaluated before it is told, as it would be once published.

Exit code: 0 the records are told, 1 one of them can't be right as it is (an error in
SPF, an include at fault, over 10 DNS queries, too long for the host), 2 DNS gave no
answer, so that what is there is not known. Whether mail would pass is "mailgate check".`,
		Example: `  mailgate records example.com
  mailgate records example.com --as bind > example.com.records
  mailgate records example.com --selector mail --key mail.pem --ip 203.0.113.9 --ip 2001:db8::9
  mailgate records example.com --as aliyun --rua dmarc@example.com
  mailgate records example.com --format json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.records(cmd, args[0], f) },
	}
	f.register(cmd)
	var words []string
	for _, h := range advise.Hosts() {
		words = append(words, string(h))
	}
	cmd.Flags().StringVar(&f.as, "as", "", "`FORM`: "+strings.Join(words, ", ")+" (default: told from the name servers)")
	cmd.AddCommand(a.recordsPublishCommand())
	return cmd
}

// recordsShown is what `records` shows.
type recordsShown struct {
	Domain   string        `json:"domain"`
	Complete bool          `json:"complete"` // DNS told all that it was asked
	Records  []recordShown `json:"records"`
	Steps    []advise.Step `json:"steps"`
	Notes    []string      `json:"notes,omitempty"`
}

// recordShown is a record, and how it is entered at its DNS host.
type recordShown struct {
	advise.Record
	Host        advise.Host   `json:"host"`
	HostTitle   string        `json:"host_title"`
	NameServers []string      `json:"name_servers,omitempty"`
	Form        advise.Fields `json:"form"`
	ZoneFile    string        `json:"zone_file"` // the same as a line of a zone file
}

func (a *app) records(cmd *cobra.Command, name string, f recordsFlags) error {
	w, err := a.wantedRecords(cmd.Context(), name, f)
	if err != nil {
		return err
	}
	defer w.Close()
	shown := w.shown()
	if a.json() {
		err = printJSON(cmd, shown)
	} else {
		err = printRecords(cmd.OutOrStdout(), w)
	}
	if err != nil {
		return err
	}
	return shown.exit()
}

func (w *wanted) shown() recordsShown {
	s := recordsShown{Domain: string(w.Domain), Complete: true, Records: []recordShown{}, Steps: w.Advice.Steps, Notes: w.Notes}
	for _, r := range w.Advice.Records {
		host, title := w.HostOf(r.Zone)
		if title == "" {
			title = host.Title()
		}
		s.Records = append(s.Records, recordShown{
			Record: r, Host: host, HostTitle: title, NameServers: w.Zones[r.Zone].NameServers,
			Form: advise.Form(r, host), ZoneFile: advise.ZoneLine(r),
		})
		s.Complete = s.Complete && r.State != advise.Unsure
	}
	return s
}

// exit is the error with the exit code; nil where all could be told.
func (s recordsShown) exit() error {
	for _, r := range s.Records {
		if r.State == advise.Faulty || r.Fault != "" || r.State != advise.AsItIs && (r.Form.Problem != "" || r.Lookups > advise.MaxLookups) {
			return coded(exitFail, nil)
		}
	}
	if !s.Complete {
		return coded(exitUnknown, nil)
	}
	return nil
}

func printRecords(out io.Writer, w *wanted) error {
	p := painter(out)
	head := []string{fmt.Sprintf("%s        %s", w.Domain, serversLine(w.Report.NameServers))}
	for _, note := range w.Notes {
		head = append(head, "! "+note)
	}
	return advise.WriteListing(out, advise.Listing{
		Advice: w.Advice, HostOf: w.HostOf, Head: head, Clean: func(s string) string { return plain(s, 0) },
		Mark: func(s advise.State) string {
			switch s {
			case advise.AsItIs:
				return p.green("✓")
			case advise.ToReplace:
				return p.red("~")
			case advise.Faulty:
				return p.red("✗")
			case advise.Partly, advise.Unsure:
				return p.yellow("?")
			}
			return p.red("+")
		},
	})
}
