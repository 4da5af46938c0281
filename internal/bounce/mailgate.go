package bounce

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

var logPair = regexp.MustCompile(`(?:^|\s)([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)`)

// readMailgate reads a line of mailgate's own log, as text or JSON.
func readMailgate(l line) ([]Reading, bool) {
	f := mailgateFields(l.text)
	r := Reading{
		Format: Mailgate, QueueID: f["id"], Sender: angledOnly(f["from"]), Recipient: firstAddress(f["to"]),
		RemoteHost: f["host"], TLS: tlsName(f["tls"]), Domain: domainFrom(f["domain"]),
	}
	if r.QueueID == "" {
		r.QueueID = f["qid"]
	}
	for _, check := range []string{"dkim", "spf", "dmarc"} {
		if code := check + "-" + f[check]; f[check] != "" && f[check] != "pass" {
			if _, known := preflight.Explain(code); known {
				r.Findings = append(r.Findings, code)
			}
		}
	}
	switch f["verdict"] {
	case "pass", "notice", "delivered":
		return nil, true
	case "hold", "held":
		r.Event = Held
	case "bounced":
		r.Event = Failed
	case "deferred":
		r.Event = Delayed
	case "reject", "defer":
		r.Event = Rejected
	default:
		return nil, false
	}
	r.mailgateWords(f)
	return []Reading{r}, false
}

// mailgateWords takes the reply that a receiver gave, or the one predicted.
func (r *Reading) mailgateWords(f map[string]string) {
	if reply := f["reply"]; reply != "" {
		r.apply(unwrap(reply))
		r.Local = !startsWithCode(reply)
		if r.Event == Rejected {
			r.Local = false
		}
	}
	rule, known := preflight.ExplainRule(f["rule"])
	if !known || f["reply"] != "" && r.Event != Rejected {
		return
	}
	r.Predicted = true
	r.Provider = rule.Provider
	reply, _ := parseReply(strings.NewReplacer("{domain}", string(r.Domain), "{sender}", string(domainOf(r.Sender)), " [{address}]", "", "{address}", "", " [{address4}]", "", " [{address6}]", "").Replace(rule.Reply))
	r.Reply = reply
}

func mailgateFields(text string) map[string]string {
	fields := map[string]string{}
	if strings.HasPrefix(text, "{") {
		var all map[string]any
		if json.Unmarshal([]byte(text), &all) == nil {
			for k, v := range all {
				if s, ok := v.(string); ok {
					fields[k] = s
				}
			}
		}
		return fields
	}
	for _, m := range logPair.FindAllStringSubmatch(text, 64) {
		value := m[2]
		if strings.HasPrefix(value, `"`) {
			value = strings.ReplaceAll(strings.Trim(value, `"`), `\"`, `"`)
		}
		if _, twice := fields[m[1]]; !twice {
			fields[m[1]] = value
		}
	}
	return fields
}

// firstAddress is the first of a list such as "<a@x>,<b@y>".
func firstAddress(s string) string {
	list := strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' || c == ';' })
	i := slices.IndexFunc(list, func(a string) bool { return strings.Contains(a, "@") })
	if i < 0 {
		return ""
	}
	return bareAddress(list[i])
}

func angledOnly(s string) string {
	if s == "<>" {
		return s
	}
	return bareAddress(s)
}

// tlsName is "TLS1.3" of "TLS 1.3 …" or "TLSv1.3".
func tlsName(s string) string {
	m := tlsWords.FindStringSubmatch(s)
	if m == nil {
		return ""
	}
	return "TLS" + m[1]
}

var tlsWords = regexp.MustCompile(`(?i)TLS ?v?(\d[\d.]*)`)
