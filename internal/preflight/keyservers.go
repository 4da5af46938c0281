package preflight

import (
	"context"
	"slices"
	"time"

	"mailgate/internal/dnsview"
)

// KeyMatch says what a server has at a key's name.
type KeyMatch string

const (
	KeyMatches  KeyMatch = "match"     // the key that signs, or any valid one where that isn't known
	KeyOther    KeyMatch = "other"     // a valid record, but of another key
	KeyInvalid  KeyMatch = "invalid"   // what no signature verifies with: a bad record, or several
	KeyNone     KeyMatch = "none"      // no record
	KeyAlias    KeyMatch = "alias"     // a CNAME; where it leads is another server's to say
	KeyNoAnswer KeyMatch = "no-answer" // or none with authority
)

// KeyServer is one server's answer about a key: evidence in which the record was
// compared with the key that signs.
type KeyServer struct {
	View    dnsview.View  `json:"view"`
	Server  string        `json:"server"`
	Address string        `json:"address,omitempty"`
	Name    string        `json:"name"` // as asked: the key's own, or a target of its CNAME
	Match   KeyMatch      `json:"match"`
	Rcode   string        `json:"rcode,omitempty"`
	AA      bool          `json:"aa"`
	TTL     uint32        `json:"ttl"`
	RTT     time.Duration `json:"rtt_ns"`
	Error   string        `json:"error,omitempty"`
}

// KeyServers says what every authoritative server has of a key, and beside it the
// panel's own server, where one is configured. It asks what a check has asked
// before, except the panel. It ends with ctx or after Options.Timeout.
func (c *Checker) KeyServers(ctx context.Context, key Key) []KeyServer {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	answers := []dnsview.Answer{c.dns.Published(ctx, key.name(), "TXT")}
	if panel, configured := c.dns.Panel(ctx, key.name(), "TXT"); configured {
		answers = append(answers, panel)
	}
	servers := []KeyServer{}
	for _, a := range answers {
		for _, o := range a.Observations {
			if o.Type != "TXT" && o.Error == "" {
				continue // how the zone was found
			}
			servers = append(servers, KeyServer{
				View: o.View, Server: o.Server, Address: o.Address, Name: o.Name, Match: matchOf(key, o),
				Rcode: o.Rcode, AA: o.AA, TTL: o.TTL, RTT: o.RTT, Error: o.Error,
			})
		}
	}
	return servers
}

func matchOf(key Key, o dnsview.Observation) KeyMatch {
	authority := o.View == dnsview.Recursive || o.AA
	switch {
	case o.Error != "" && len(o.Records) == 0, !authority, o.Rcode != "NOERROR" && o.Rcode != "NXDOMAIN":
		return KeyNoAnswer
	case len(o.Records) == 0:
		return KeyNone
	case len(o.Records[0]) > 6 && o.Records[0][:6] == "CNAME ":
		return KeyAlias
	case judgeKey(key, textRecords(o.Records)).valid:
		return KeyMatches
	case len(o.Records) == 1 && validRecord(o.Records[0]):
		return KeyOther
	}
	return KeyInvalid
}

func validRecord(text string) bool {
	r, err := parseKeyRecord(text)
	return err == nil && !r.Revoked
}

// commonSelectors are those that mail programs, panels and big services use.
var commonSelectors = [...]string{
	"mail", "default", "dkim", "google", "selector1", "selector2", "s1", "s2", "k1", "k2", "k3",
	"x", "smtp", "mx", "email", "key1", "zoho", "mandrill", "mxvault", "fm1", "protonmail",
}

// FindSelectors looks for keys under names that are in common use, through the
// resolvers. What it finds is a hint: a domain may sign with any other selector,
// and with none of these. It ends with ctx or after Options.Timeout.
func (c *Checker) FindSelectors(ctx context.Context, domain string) []string {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	found := make([]bool, len(commonSelectors)+1)
	probes := append(commonSelectors[:], WildcardProbe)
	done := make(chan struct{})
	room := make(chan struct{}, 8)
	for i, selector := range probes {
		go func() {
			room <- struct{}{}
			defer func() { <-room; done <- struct{}{} }()
			a := c.dns.Recursive(ctx, selector+"._domainkey."+domain, "TXT")
			found[i] = slices.ContainsFunc(a.Texts(), validRecord)
		}()
	}
	for range probes {
		<-done
	}
	var selectors []string
	for i, selector := range commonSelectors {
		if found[i] && !found[len(commonSelectors)] { // else a wildcard answers for all
			selectors = append(selectors, selector)
		}
	}
	return selectors
}
