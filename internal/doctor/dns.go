package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// View is what is asked of DNS; *dnsview.Resolver has it.
type View interface {
	Published(ctx context.Context, name, qtype string) dnsview.Answer
	Recursive(ctx context.Context, name, qtype string) dnsview.Answer
}

const (
	firewall      = "Let this machine reach port 53 of other servers by UDP and TCP."
	resolversOnly = "Where that can't be: [dns] authoritative = false in mailgate.toml; then only resolvers are asked."
)

// DNS checks that resolvers answer, and the name servers of the domains.
func DNS(ctx context.Context, view View, domains []mail.Domain, authoritative bool) []Result {
	name := "."
	if len(domains) > 0 {
		name = string(domains[0])
	}
	results := []Result{resolvers(view.Recursive(ctx, name, "SOA"))}
	if !authoritative {
		return results
	}
	for _, d := range domains {
		results = append(results, nameServers(d, view.Published(ctx, string(d), "SOA")))
	}
	return results
}

func resolvers(a dnsview.Answer) Result {
	servers, silent := answered(a)
	switch {
	case len(servers) > 0:
		return Result{Area: "dns", Code: "dns-resolvers", Status: Pass, Text: "resolvers answer: " + strings.Join(servers, ", ")}
	default:
		return Result{Area: "dns", Code: "dns-resolvers-silent", Status: Fail,
			Text: "no resolver answers" + because(silent) + ": mail waits until one does",
			Mend: []string{"See /etc/resolv.conf, or [dns] resolvers in mailgate.toml.", firewall}}
	}
}

func nameServers(d mail.Domain, a dnsview.Answer) Result {
	servers, silent := answered(a)
	switch {
	case a.Fallback != "":
		return Result{Area: "dns", Code: "dns-authoritative-silent", Status: Fail,
			Text: fmt.Sprintf("%s: none of its name servers answers this machine (%s)", d, a.Fallback),
			Mend: []string{firewall, resolversOnly}}
	case len(servers) > 0 && len(silent) == 0:
		return Result{Area: "dns", Code: "dns-authoritative", Status: Pass, Text: fmt.Sprintf("%s: its name servers answer: %s", d, strings.Join(servers, ", "))}
	case len(servers) > 0:
		return Result{Area: "dns", Code: "dns-authoritative-partly", Status: Warn, Text: fmt.Sprintf("%s: some name servers don't answer%s", d, because(silent)),
			Mend: []string{"Mend these servers, or take them out of the delegation."}}
	case a.Status == dnsview.NXDomain:
		return Result{Area: "dns", Code: "dns-no-domain", Status: Fail, Text: fmt.Sprintf("%s does not exist in DNS", d),
			Mend: []string{"Correct the name of the [[domain]], or register it."}}
	}
	return Result{Area: "dns", Code: "dns-authoritative-silent", Status: Fail,
		Text: fmt.Sprintf("%s: none of its name servers answers this machine%s", d, because(silent)),
		Mend: []string{firewall, resolversOnly}}
}

// answered tells servers that answered from those that didn't, with their faults.
func answered(a dnsview.Answer) (servers, silent []string) {
	for _, o := range a.Observations {
		if o.Name != a.Name || o.Type != a.Type { // how the servers were found
			continue
		}
		fault := o.Error
		if fault == "" && o.Rcode != "NOERROR" && o.Rcode != "NXDOMAIN" {
			fault = o.Rcode
		}
		switch {
		case fault != "":
			silent = append(silent, o.Server+" "+fault)
		case !slices.Contains(servers, o.Server):
			servers = append(servers, o.Server)
		}
	}
	return servers, silent
}

func because(silent []string) string {
	if len(silent) == 0 {
		return ""
	}
	return " (" + strings.Join(silent[:min(len(silent), 4)], "; ") + ")"
}
