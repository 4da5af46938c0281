package preflight

import (
	"crypto/x509"
	"encoding/base64"
	"slices"
	"testing"
)

func TestParseKeyRecord(t *testing.T) {
	expand := keyNames().Replace
	good := []struct {
		record string
		check  func(keyRecord) bool
	}{
		{"v=DKIM1; k=rsa; p={KEY}", func(k keyRecord) bool { return samePublic(k.Public, ourKey()) }},
		{"p={KEY}", func(k keyRecord) bool { return k.Algorithm == "rsa" }},
		{" v = DKIM1 ;\r\n\tp\t=\t{KEY}\r\n ;", func(k keyRecord) bool { return samePublic(k.Public, ourKey()) && !k.Spaces }},
		{"v=DKIM1;p={SPACED}", func(k keyRecord) bool { return samePublic(k.Public, ourKey()) && k.Spaces }},
		{"v=DKIM1; k=ed25519; p={ED}", func(k keyRecord) bool { return samePublic(k.Public, edKey()) }},
		{"v=DKIM1; n=any note; x_1=unknown tag; p=", func(k keyRecord) bool { return k.Revoked && k.Public == nil }},
		{"v=DKIM1; h=sha1:sha256; s=email; t=y : s; p={KEY}", func(k keyRecord) bool {
			return k.AllowsSHA256() && k.AllowsMail() && k.Testing() && slices.Equal(k.Flags, []string{"y", "s"})
		}},
		{"v=DKIM1; s=*; p={KEY}", keyRecord.AllowsMail},
		{"h=sha1; p={KEY}", func(k keyRecord) bool { return !k.AllowsSHA256() }},
		{"s=other; p={KEY}", func(k keyRecord) bool { return !k.AllowsMail() }},
		{"p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(madeUpKey("ours", 2048))), func(k keyRecord) bool { return samePublic(k.Public, ourKey()) }},
	}
	for _, c := range good {
		if k, err := parseKeyRecord(expand(c.record)); err != nil || !c.check(k) {
			t.Errorf("%s: %+v, %v", c.record, k, err)
		}
	}
	bad := []string{
		"", "v=DKIM1", "v=DKIM1; k=rsa", "v=DKIM2; p={KEY}", "k=rsa; v=DKIM1; p={KEY}",
		"v=DKIM1; p={KEY}; p={KEY}", "v=DKIM1; p=!!!", "v=DKIM1; p=AAAA", "v=DKIM1; k=dsa; p={KEY}",
		"v=DKIM1; k=ed25519; p={KEY}", "v=DKIM1; k=rsa; p={ED}", "v=DKIM1; =x; p={KEY}", "v=DKIM1; 1=x; p={KEY}",
		"v=DKIM1; novalue; p={KEY}", "v=DKIM1; p={CUT}",
	}
	for _, record := range bad {
		if k, err := parseKeyRecord(expand(record)); err == nil {
			t.Errorf("%q is read as %+v", record, k)
		}
	}
}

func FuzzKeyRecord(f *testing.F) {
	for _, c := range dkimDiagnoses() {
		dns := newFakeDNS(goodZone, c.zone)
		for _, records := range dns.records {
			for _, r := range records {
				f.Add(r.Text)
			}
		}
	}
	key := goodIdentity().Keys[0]
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseKeyRecord(text)
		if err == nil && !k.Revoked && k.Public == nil {
			t.Errorf("%q: no key and no error", text)
		}
		v := judgeKey(key, textRecords([]string{text}))
		if v.valid && (err != nil || !samePublic(k.Public, key.Public)) {
			t.Errorf("%q is called valid", text)
		}
		if !v.valid && len(v.findings) == 0 {
			t.Errorf("%q is bad, and nothing says why", text)
		}
		judgeKey(key, textRecords([]string{text, text[len(text)/2:]}))
	})
}
