package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"mailgate/internal/advise"
	"mailgate/internal/dnsview"
	"mailgate/internal/preflight"
)

// printCheck shows a check: the findings, evidence for those that aren't well, the
// predicted answers, and what to publish.
func printCheck(out io.Writer, c *checked) error {
	p := painter(out)
	fmt.Fprintf(out, "%s        %s        %s\n", c.Domain, serversLine(c.Report.NameServers), c.Report.Checked.UTC().Format("15:04:05 UTC"))
	printFindings(out, p, c.Report)
	for _, note := range c.Notes {
		fmt.Fprintf(out, "%s %s\n", p.yellow("!"), note)
	}
	fmt.Fprintln(out)
	printPredictions(out, p, c.Predictions)
	if len(c.Advice.Records)+len(c.Advice.Steps) > 0 {
		fmt.Fprintln(out)
		return advise.Write(out, c.Advice, c.hostOf)
	}
	return nil
}

func serversLine(servers []string) string {
	if len(servers) == 0 {
		return "name servers: not known"
	}
	return "name servers: " + strings.Join(servers, ", ")
}

func printFindings(out io.Writer, p paint, r *preflight.Report) {
	for _, f := range r.Findings {
		about := f.Selector
		if about == "" {
			about = f.Address
		}
		if about == "" {
			about = f.Name
		}
		fmt.Fprintf(out, "%s %-6s %s   %s\n", mark(p, f.Status), strings.ToUpper(string(f.Check)), plain(about, 60), f.Code)
		if f.Status == preflight.Pass {
			continue
		}
		fmt.Fprintf(out, "         %s%s\n", plain(f.Text, 0), lookups(f))
		if f.Record != "" {
			fmt.Fprintf(out, "         published: %s\n", plain(f.Record, 200))
		}
		printEvidence(out, f.Check, f.Evidence)
	}
}

func mark(p paint, s preflight.Status) string {
	switch s {
	case preflight.Pass:
		return p.green("✓")
	case preflight.Warn:
		return p.yellow("!")
	case preflight.Fail:
		return p.red("✗")
	}
	return p.yellow("?")
}

func lookups(f preflight.Finding) string {
	if f.Check != preflight.SPF || f.Lookups == 0 {
		return ""
	}
	return fmt.Sprintf("   %d/10 lookups", f.Lookups)
}

// printEvidence has one line for each server asked about the thing itself. How the
// zone and its servers were found is in the JSON.
func printEvidence(out io.Writer, check preflight.Check, evidence []dnsview.Observation) {
	t := table(out)
	for _, o := range evidence {
		if o.Error == "" && check != preflight.SOA && (o.Type == "SOA" || o.Type == "NS") {
			continue
		}
		server := o.Server
		if o.View != dnsview.Authoritative {
			server += " (" + string(o.View) + ")"
		}
		said := o.Rcode
		if o.Error != "" {
			said = strings.TrimPrefix(said+", "+o.Error, ", ")
		}
		if o.AA {
			said += " aa"
		}
		fmt.Fprintf(t, "         %s\t%s %s\t%s\t%d ms\n", plain(server, 60), o.Name, o.Type, said, o.RTT.Round(time.Millisecond).Milliseconds())
	}
	t.Flush()
}

func printPredictions(out io.Writer, p paint, predictions []preflight.Prediction) {
	for _, x := range predictions {
		name := x.Provider.Title()
		switch x.Verdict {
		case preflight.Refuse:
			fmt.Fprintf(out, "%s %s would say (prediction, rule %s):\n    %s\n", p.red("✗"), name, x.Rule, plain(x.Reply, 0))
		case preflight.Accept:
			fmt.Fprintf(out, "%s %s would take it (prediction)\n", p.green("✓"), name)
		default:
			fmt.Fprintf(out, "%s %s: can't be predicted; %s\n", p.yellow("?"), name, plain(openWhy(x), 0))
		}
		for _, w := range x.Warnings {
			fmt.Fprintf(out, "    %s\n", plain(w, 0))
		}
	}
}

// openWhy says briefly what a prediction hangs on; the findings have it in full.
func openWhy(x preflight.Prediction) string {
	if len(x.Codes) > 0 {
		return "it hangs on what is not known (" + strings.Join(x.Codes, ", ") + ")"
	}
	return x.Why
}
