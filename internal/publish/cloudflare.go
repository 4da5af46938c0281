package publish

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/libdns/cloudflare"
	"github.com/libdns/libdns"
)

// cloudflareDNS is a Cloudflare account. Cloudflare splits long texts itself. A value
// is replaced in one step (PATCH of its record).
type cloudflareDNS struct{ provider *cloudflare.Provider }

func openCloudflare(a Account) *cloudflareDNS {
	return &cloudflareDNS{&cloudflare.Provider{
		APIToken: a.Secret.text(), HTTPClient: &cloudflareClient{http: client(a)},
	}}
}

func (d *cloudflareDNS) fits(string) error { return nil }

func (d *cloudflareDNS) read(ctx context.Context, zone, name string) ([]value, string, error) {
	records, err := d.provider.GetRecords(context.WithValue(ctx, narrowing{}, narrow{name: name}), zone)
	if err != nil {
		return nil, "", cloudflareFault(err)
	}
	values, alias := at(records, zone, name, joined)
	return values, alias, nil
}

// write replaces as many values as it can in their places, before it adds and removes
// what is over: at no time is less there than before or after.
func (d *cloudflareDNS) write(ctx context.Context, zone string, c Change) error {
	name, ttl := libdns.RelativeName(c.Name, zone), c.TTL
	if ttl != time.Second { // 1 is Cloudflare's word for "automatic"
		ttl = max(ttl, time.Minute)
	}
	going := c.going()
	for i := range max(len(c.Add), len(going)) {
		var err error
		switch {
		case i < len(c.Add) && i < len(going):
			old := context.WithValue(ctx, narrowing{}, narrow{value: &going[i].text})
			_, err = d.provider.SetRecords(old, zone, texted(name, ttl, c.Add[i:i+1]))
		case i < len(c.Add):
			_, err = d.provider.AppendRecords(ctx, zone, texted(name, ttl, c.Add[i:i+1]))
		default:
			old := context.WithValue(ctx, narrowing{}, narrow{value: &going[i].text})
			_, err = d.provider.DeleteRecords(old, zone, texted(name, ttl, []string{going[i].text}))
		}
		if err != nil {
			return cloudflareFault(err)
		}
	}
	return nil
}

func texted(name string, ttl time.Duration, values []string) []libdns.Record {
	var list []libdns.Record
	for _, text := range values {
		list = append(list, libdns.TXT{Name: name, TTL: ttl, Text: text})
	}
	return list
}

func cloudflareFault(err error) error {
	if strings.Contains(err.Error(), "expected 1 zone, got") {
		return fmt.Errorf("%w: the token sees no such zone at Cloudflare; it needs Zone:Read and DNS:Edit for it", ErrZone)
	}
	return err
}

// joined is the text of a content without its outer quotes, which is how libdns gives
// it. Between the strings of a long one it leaves the inner quotes
// (github.com/libdns/cloudflare issue 32).
func joined(content string) string {
	if text, ok := unquoteAll(`"` + content + `"`); ok {
		return text
	}
	return content
}

// unquoteAll joins quoted strings with white space between them, in which a backslash
// makes the next byte plain.
func unquoteAll(s string) (string, bool) {
	var b strings.Builder
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " \t\r\n") {
		if s[0] != '"' {
			return "", false
		}
		end := 1
		for end < len(s) && s[end] != '"' {
			if s[end] == '\\' && end+1 < len(s) {
				end++
			}
			b.WriteByte(s[end])
			end++
		}
		if end >= len(s) {
			return "", false
		}
		s = s[end+1:]
	}
	return b.String(), true
}

// spelled is how libdns spells a text as a content.
func spelled(text string) string { return strconv.Quote(text) }

// only keeps the records whose content stands for text.
func only(records []cloudflareRecord, text string) []cloudflareRecord {
	return slices.DeleteFunc(records, func(r cloudflareRecord) bool {
		content, ok := unquoteAll(r.content())
		return (!ok || content != text) && r.content() != text
	})
}
