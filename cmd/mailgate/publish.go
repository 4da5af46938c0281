package main

import (
	"context"
	"slices"
	"strings"

	"mailgate/internal/advise"
	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
	"mailgate/internal/notice"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// zoneFinder is what finds the zones that records belong in.
type zoneFinder interface {
	ZoneOf(ctx context.Context, name string) dnsview.Zone
}

// adviceFor is what to publish, and at which DNS host, so that what the report
// found is mended.
func adviceFor(ctx context.Context, dns zoneFinder, r *preflight.Report, keys []sign.Key) (advise.Advice, advise.HostOf) {
	var want advise.Want
	for _, k := range keys {
		want.Keys = append(want.Keys, advise.Key{Domain: string(k.Domain), Selector: k.Selector, Record: k.Record()})
	}
	servers := map[string][]string{}
	for _, d := range []mail.Domain{r.From, r.MailFrom, r.Helo} {
		if d == "" {
			continue
		}
		zone := dns.ZoneOf(ctx, string(d))
		if _, known := servers[zone.Apex]; zone.Apex != "" && !known {
			want.Zones = append(want.Zones, zone.Apex)
			servers[zone.Apex] = zone.NameServers
		}
	}
	hostOf := func(zone string) (advise.Host, string) { return advise.DetectHost(servers[zone]) }
	advice := advise.For(r, want)
	nowhere := nonexistent(r, want.Zones)
	advice.Records = slices.DeleteFunc(advice.Records, func(record advise.Record) bool {
		inNothing := nowhere && mail.Domain(record.Name).IsUnder(r.From)
		return inNothing || !strings.Contains(record.Name, ".") // a HELO name that is no full name: nowhere to publish it
	})
	if nowhere { // and all else to do comes after
		advice.Steps = slices.DeleteFunc(advice.Steps, func(s advise.Step) bool { return s.Code != "soa-missing" })
	}
	return advice, hostOf
}

// nonexistent reports that the sender's domain isn't in DNS, nor is a zone of its
// organisation, in which a record would make it exist.
func nonexistent(r *preflight.Report, zones []string) bool {
	organisation := r.Facts.DMARC.SuffixOrg
	return r.Facts.SOA.From == preflight.No && organisation != "" && !slices.ContainsFunc(zones, func(zone string) bool {
		return r.From.IsUnder(mail.Domain(zone)) && mail.Domain(zone).IsUnder(organisation)
	})
}

// toPublish is the same for the API.
func toPublish(ctx context.Context, dns zoneFinder, r *preflight.Report, keys []sign.Key) []notice.Record {
	advice, hostOf := adviceFor(ctx, dns, r, keys)
	var list []notice.Record
	for _, record := range advice.Records {
		host, title := hostOf(record.Zone)
		if title == "" {
			title = host.Title()
		}
		fields := advise.Form(record, host)
		list = append(list, notice.Record{
			At: title, Type: fields.Type, Name: fields.Name, Value: fields.Value,
			Replaces: record.Replaces, Notes: slices.Concat(record.Notes, fields.Notes),
		})
	}
	return list
}
