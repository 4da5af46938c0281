package advise

import (
	"fmt"
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

// dkim publishes the record of each key that receivers don't find as it is.
func (a *adviser) dkim() {
	for _, key := range a.want.Keys {
		troubles := a.troubles(func(f preflight.Finding) bool { return a.aboutKey(f, key) && keyRecordMends(f.Code) })
		if len(troubles) == 0 && !a.want.All || key.Record == "" && (len(troubles) > 0 || a.want.Now == nil) {
			continue
		}
		r := Record{Check: preflight.DKIM, Codes: codes(troubles), Type: "TXT", Name: key.name(), Value: key.Record}
		r.Replaces = published(troubles, r.Name, func(txt string) bool { return txt != "" && txt != key.Record && !isSPF(txt) })
		if slices.Contains(r.Codes, "wildcard-txt") {
			r.Replaces = nil // what answered stands at another name
		}
		for _, f := range troubles {
			r.Notes = append(r.Notes, keyNotes(f, r.Name)...)
		}
		slices.Sort(r.Notes)
		r.Notes = slices.Compact(r.Notes)
		if a.want.Now != nil {
			a.keyState(&r, key)
		}
		if r.Value != "" {
			a.publish(r)
		}
	}
}

// keyState compares a key's record with what is published at its name.
func (a *adviser) keyState(r *Record, key Key) {
	now := a.want.Now(r.Name)
	findings := a.aboutKeyAll(key)
	now.Wildcard = now.Wildcard || has(findings, "wildcard-txt")
	sound := len(r.Codes) == 0 && len(now.Values) > 0
	r.Replaces = nil
	if !sound {
		r.Replaces = matching(now.Values, func(txt string) bool { return txt != key.Record })
	}
	r.settle(now)
	r.State = stateOf(*r, findings, now.Known)
	if sound && (r.State == ToAdd || r.State == ToReplace) {
		r.State, r.Replaces, r.Value = AsItIs, nil, now.Values[0]
	}
	tooShort := func(f preflight.Finding) bool { return f.Code == "dkim-key-short" && f.Status == preflight.Fail }
	if at := slices.IndexFunc(findings, tooShort); r.State == AsItIs && at >= 0 {
		r.State, r.Fault = Faulty, findings[at].Text
	}
	if !has(findings, "dkim-cname-dangling") { // that has a note of its own
		r.aliasNote()
	}
}

// aboutKeyAll returns all findings about a key.
func (a *adviser) aboutKeyAll(key Key) []preflight.Finding {
	var found []preflight.Finding
	for _, f := range a.report.Findings {
		if a.aboutKey(f, key) || f.Selector == key.Selector && f.Name == key.name() {
			found = append(found, f)
		}
	}
	return found
}

// aboutKey reports whether a finding is about a key: by the name looked at, or,
// where the record was found under a wrong name, by the selector.
func (a *adviser) aboutKey(f preflight.Finding, key Key) bool {
	if f.Check != preflight.DKIM || f.Selector != key.Selector {
		return false
	}
	other := slices.ContainsFunc(a.want.Keys, func(k Key) bool { return k != key && k.name() == f.Name })
	return f.Name == key.name() || !other
}

// keyRecordMends reports whether publishing the key's own record is the mend.
func keyRecordMends(code string) bool {
	switch code {
	case "dkim-key-short", "dkim-ed25519-only":
		return false
	case "wildcard-txt":
		return true
	}
	return strings.HasPrefix(code, "dkim-")
}

// keyNotes says what to mind when the record at name is published.
func keyNotes(f preflight.Finding, name string) []string {
	note := ""
	switch f.Code {
	case "dkim-only-on-local-dns", "dkim-wrong-provider-zone":
		note = "Your panel has it, but the world asks other name servers."
	case "dkim-name-doubled":
		note = fmt.Sprintf("The record is at %s, with the zone's name twice: delete that one.", foundAt(f, name))
	case "dkim-name-lacks-subdomain":
		note = fmt.Sprintf("The record is at %s: leave that one only if mail of its own is signed with the key.", foundAt(f, name))
	case "dkim-several-records", "dkim-split-into-two-records":
		note = "One record only: delete all others at this name. A long value is one record of several strings."
	case "dkim-truncated-at-semicolon", "dkim-quotes-in-value":
		note = "A zone file needs quotes around the value, a form mostly none."
	case "dkim-truncated-at-255":
		note = "Enter the whole value; a form that cuts it needs it in pieces of at most 255 characters, each in quotes."
	case "dkim-cname-dangling":
		note = "Delete the CNAME at this name first: no other record may stand beside it."
	case "dkim-revoked":
		note = "An empty p= revokes a key: if that was meant, sign with a new key and selector."
	case "dkim-testing":
		note = "Without t=y, which tells receivers to ignore the signature."
	default:
		return nil
	}
	return []string{note}
}

// foundAt returns the wrong name a record was found under.
func foundAt(f preflight.Finding, name string) string {
	for _, o := range f.Evidence {
		if o.Name != name && len(o.Records) > 0 {
			return o.Name
		}
	}
	if f.Name != name {
		return f.Name
	}
	return "a wrong name"
}
