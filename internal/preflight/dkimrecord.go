package preflight

import (
	"crypto/rsa"

	"fmt"
	"slices"
	"strings"

	"mailgate/internal/dnsview"
)

// keyVerdict is what published records mean for one of our keys.
type keyVerdict struct {
	findings []Finding // Code, Status, Text and Record; the first is the main one
	valid    bool      // a signature by our key verifies
	testing  bool
}

func keyFails(code, record, format string, args ...any) keyVerdict {
	return keyVerdict{findings: []Finding{{
		Code: code, Status: Fail, Record: shortKey(record), Text: fmt.Sprintf(format, args...),
	}}}
}

func (v *keyVerdict) warn(code, record, format string, args ...any) {
	v.findings = append(v.findings, Finding{
		Code: code, Status: Warn, Record: shortKey(record), Text: fmt.Sprintf(format, args...),
	})
}

// judgeKey compares the TXT records at a selector's name, at least one, with the
// key.
func judgeKey(key Key, records []dnsview.Record) keyVerdict {
	var keys []dnsview.Record
	for _, r := range records {
		if looksLikeKey(r.Text) {
			keys = append(keys, r)
		}
	}
	switch {
	case len(keys) == 0:
		return keyFails("dkim-syntax", records[0].Text, "What is published is not a DKIM key record.")
	case splitInTwo(key, records):
		return keyFails("dkim-split-into-two-records", records[0].Text,
			"The key is cut into %d records; it must be one record, of several strings if it is long.", len(records))
	case len(keys) > 1:
		return keyFails("dkim-several-records", keys[0].Text,
			"There are %d key records at this name; verifiers may take any of them or none.", len(keys))
	}
	v := judgeRecord(key, keys[0])
	if len(records) > 1 {
		v.warn("dkim-several-records", keys[0].Text,
			"Beside the key there are other TXT records at this name; some verifiers take the wrong one.")
	}
	return v
}

// looksLikeKey reports whether somebody meant a TXT value to be a key record.
func looksLikeKey(s string) bool {
	if isSPF(s) || isDMARC(s) {
		return false
	}
	s = strings.ToLower(dropFWS(strings.TrimLeft(s, "\"“ ")))
	for _, start := range []string{"v=dkim1", "k=rsa", "k=ed25519", "p=", "-----begin"} {
		if strings.HasPrefix(s, start) {
			return true
		}
	}
	return strings.Contains(s, ";p=")
}

// splitInTwo reports whether the records are pieces of one key record.
func splitInTwo(key Key, records []dnsview.Record) bool {
	if len(records) < 2 || len(records) > 4 {
		return false
	}
	head := slices.IndexFunc(records, func(r dnsview.Record) bool { return looksLikeKey(r.Text) })
	whole := records[head].Text
	for i, r := range records {
		if i == head {
			continue
		}
		if !isBase64Piece(r.Text) {
			return false
		}
		whole += r.Text
	}
	if key.Public == nil || len(records) > 2 {
		return true
	}
	record, err := parseKeyRecord(whole)
	return err == nil && !record.Revoked
}

// isBase64Piece reports whether s may be the tail of a cut key.
func isBase64Piece(s string) bool {
	s = strings.TrimRight(dropFWS(s), ";\"")
	_, err := decodeBase64(s[:len(s)/4*4])
	return len(s) >= 16 && err == nil
}

// judgeRecord compares the one key record at a name with the key.
func judgeRecord(key Key, r dnsview.Record) keyVerdict {
	if v, found := judgeSpelling(r.Text); found {
		return v
	}
	if n, cut := cutShort(key, r); cut {
		return keyFails("dkim-truncated-at-255", r.Text,
			"The record ends after %d bytes, in the middle of the key.", n)
	}
	record, err := parseKeyRecord(r.Text)
	switch {
	case err != nil:
		return keyFails("dkim-syntax", r.Text, "The record can't be read: %v.", err)
	case record.Revoked:
		return keyFails("dkim-revoked", r.Text, "The record's p= is empty: the key is revoked.")
	}
	return judgeParsed(key, record, r.Text)
}

// judgeSpelling finds what people paste wrong. The record may still parse.
func judgeSpelling(text string) (keyVerdict, bool) {
	switch {
	case strings.Contains(text, "-----") || strings.Contains(text, "BEGIN PUBLIC"):
		return keyFails("dkim-pem-header-in-value", text,
			"The record has the lines of the PEM file (-----BEGIN …-----) in it."), true
	case strings.ContainsAny(text, "\"“”"):
		return keyFails("dkim-quotes-in-value", text,
			"The record has quotation marks in its value."), true
	case !strings.Contains(text, ";") && !strings.Contains(text, "p="):
		return keyFails("dkim-truncated-at-semicolon", text,
			"The record is only %q: everything after the first semicolon is lost.", clip(text, 40)), true
	}
	return keyVerdict{}, false
}

// cutShort reports whether the record is one string of (nearly) 255 bytes that
// ends inside a key: ours where we know it, any otherwise.
func cutShort(key Key, r dnsview.Record) (length int, cut bool) {
	_, p, found := strings.Cut(r.Text, "p=")
	if !found || len(r.Text) < 250 || len(r.Text) > 256 || len(r.Strings) > 1 {
		return 0, false
	}
	p = dropFWS(p)
	if key.Public == nil {
		_, err := parseKeyRecord(r.Text)
		return len(r.Text), err != nil
	}
	ours := publishedForm(key.Public)
	return len(r.Text), len(p) < len(ours) && strings.HasPrefix(ours, p)
}

// judgeParsed compares a readable record with the key.
func judgeParsed(key Key, record keyRecord, text string) keyVerdict {
	switch {
	case !record.AllowsSHA256():
		return keyFails("dkim-hash-not-allowed", text,
			"The record's h= does not allow SHA-256, the only hash in use.")
	case !record.AllowsMail():
		return keyFails("dkim-service-not-email", text, "The record's s= does not allow the key for mail.")
	case key.Public != nil && !samePublic(key.Public, record.Public):
		return keyFails("dkim-key-mismatch", text, "%s", describeMismatch(key, record, text))
	}
	algorithm, bits := describeKey(record.Public)
	if algorithm == "rsa" && bits < 1024 {
		return keyFails("dkim-key-short", text,
			"The key has %d bits; under 1024 the mail counts as unsigned.", bits)
	}
	v := keyVerdict{valid: true, testing: record.Testing()}
	if algorithm == "rsa" && bits < 2048 {
		v.warn("dkim-key-short", text, "The key has %d bits; 2048 are recommended.", bits)
	}
	if record.Testing() {
		v.warn("dkim-testing", text, "The record says t=y, testing: verifiers may treat the mail as unsigned.")
	}
	if record.Spaces {
		v.warn("dkim-spaces-in-p", text, "There is white space inside p=: legal, but some verifiers stumble over it.")
	}
	return v
}

func describeMismatch(key Key, record keyRecord, text string) string {
	ours, _ := describeKey(key.Public)
	theirs, _ := describeKey(record.Public)
	if ours != theirs {
		return fmt.Sprintf("The published key is of type %s, the one that signs of type %s.", theirs, ours)
	}
	if rsaKey, ok := record.Public.(*rsa.PublicKey); ok {
		return fmt.Sprintf("The published key (%d bits) is not the one that signs.", rsaKey.N.BitLen())
	}
	return "The published key is not the one that signs."
}
