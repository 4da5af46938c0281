package bounce

import (
	"regexp"
	"strings"
)

var (
	trackingLED  = regexp.MustCompile(`(?s)\{LED=(.*?)\}(?:;|\]|,|$|\s)`)
	trackingFQDN = regexp.MustCompile(`\{FQDN=([^}]*)\}`)
	messageID    = regexp.MustCompile(`<[^<>\s]*>`)
	trackingIP   = regexp.MustCompile(`\{IP=([^}]*)\}`)
	anyAddress   = regexp.MustCompile(`[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+`)
	protocolLog  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT[\d:.]+Z,([^,]*),([0-9A-F]{16}),\d+,(\[?[0-9A-Fa-f.:]+\]?:\d+),(\[?[0-9A-Fa-f.:]+\]?:\d+),<,"?([45]\d\d[ -].*?)"?,`)
)

// readTracking reads what message tracking, or the queue viewer, has under LED: the
// last error of a delivery.
func readTracking(l line) []Reading {
	m := trackingLED.FindStringSubmatch(l.raw)
	if m == nil {
		return nil
	}
	r := Reading{Format: Exchange, Event: Delayed, RemoteHost: first(trackingFQDN, l.raw), RemoteIP: first(trackingIP, l.raw)}
	outside := messageID.ReplaceAllString(trackingLED.ReplaceAllString(l.raw, " "), " ")
	if found := anyAddress.FindAllString(outside, 2); len(found) > 0 {
		r.Recipient = found[0]
		if len(found) > 1 {
			r.Sender = found[1]
		}
	}
	if strings.Contains(l.raw, "FAIL,") || strings.Contains(l.raw, ",FAIL") {
		r.Event = Failed
	}
	said := m[1]
	r.apply(answer{text: said, remote: true})
	return []Reading{r}
}

// exchangeOwn reports whether a reply is Exchange's own about a try: these have codes,
// too.
func exchangeOwn(said string) bool {
	low := strings.ToLower(said)
	for _, mark := range []string{"dns query failed", "4.4.316", "4.4.317", "4.4.101", "socket", "connection was closed", "no connection could be made", "dnsdomaindoesnotexist", "failed to connect", "message delayed", "primary target ip address responded with", "infodomainnonexistent", "message expired", "lastattemptedservername"} {
		if strings.Contains(low, mark) {
			return !strings.Contains(low, "responded with: \"4") && !strings.Contains(low, "responded with: \"5")
		}
	}
	return false
}

// readProtocolLog reads a refusal out of Exchange's SmtpSend protocol log.
func readProtocolLog(l line) []Reading {
	m := protocolLog.FindStringSubmatch(l.raw)
	if m == nil {
		return nil
	}
	r := Reading{Format: Exchange, Event: Said, QueueID: m[2], RemoteIP: strings.Trim(m[4][:strings.LastIndexByte(m[4], ':')], "[]")}
	r.apply(answer{text: m[5], remote: true})
	return []Reading{r}
}
