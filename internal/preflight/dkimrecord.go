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
	s = strings.ToLower(dropFWS(strings.TrimLeft(s, quoteMarks+" ")))
	for _, start := range []string{"k=rsa", "k=ed25519", "p=", "-----begin"} {
		if strings.HasPrefix(s, start) {
			return true
		}
	}
	return strings.Contains(s, "v=dkim1") || strings.Contains(s, ";p=")
}

// splitInTwo reports whether the records are pieces of one key record.
func splitInTwo(key Key, records []dnsview.Record) bool {
	if len(records) < 2 || len(records) > 4 {
		return false
	}
	if tagsApart(records) {
		return true
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
	record, err := parseKeyRecord(strings.Map(dropQuotes, whole))
	return err == nil && !record.Revoked
}

// tagsApart reports whether one record has p= and the others the tags before it:
// "v=DKIM1; k=rsa;" and "p=…".
func tagsApart(records []dnsview.Record) bool {
	withKey := 0
	for _, r := range records {
		switch s := strings.ToLower(dropFWS(strings.TrimLeft(r.Text, quoteMarks+" "))); {
		case strings.HasPrefix(s, "p="):
			withKey++
		case strings.Contains(s, "p=") || !strings.HasPrefix(s, "v=dkim1") && !strings.HasPrefix(s, "k=") && !strings.HasPrefix(s, "h="):
			return false
		}
	}
	return withKey == 1
}

// isBase64Piece reports whether s may be the tail of a cut key.
func isBase64Piece(s string) bool {
	s = strings.Trim(dropFWS(s), ";"+quoteMarks)
	_, err := decodeBase64(s[:len(s)/4*4])
	return len(s) >= 16 && err == nil
}

// judgeRecord compares the one key record at a name with the key. What verifiers can
// read is as it should be, whatever stands in n=.
func judgeRecord(key Key, r dnsview.Record) keyVerdict {
	record, err := parseKeyRecord(r.Text)
	switch {
	case err == nil && record.Revoked:
		return keyFails("dkim-revoked", r.Text, "The record's p= is empty: the key is revoked.")
	case err == nil:
		return judgeParsed(key, record, r.Text)
	}
	if v, found := judgeSpelling(r.Text); found {
		return v
	}
	if n, cut := cutShort(key, r); cut {
		return keyFails("dkim-truncated-at-255", r.Text,
			"The record ends after %d bytes, in the middle of the key.", n)
	}
	return keyFails("dkim-syntax", r.Text, "The record can't be read: %s.", whyUnreadable(r.Text, err))
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
