package preflight

import (
	"strings"
	"testing"

	"mailgate/internal/dnsview"
)

// Whatever is published is judged: a record a verifier can use, or one reason why
// not, which has a sentence and isn't longer than a screen.
func FuzzJudgeKey(f *testing.F) {
	ours := publishedForm(ourKey())
	f.Add("v=DKIM1; k=rsa; p="+ours, "")
	f.Add("v=DKIM1; k=rsa; p="+ours[:200], ours[200:])
	f.Add("v=DKIM1; k=rsa;", "p="+ours)
	f.Add(`"v=DKIM1\; P=`+ours, "hello")
	f.Add("p=-----BEGIN PRIVATE KEY", "x")
	f.Add("=p=p =", ";p=\xff“")
	key := Key{Domain: "example.com", Selector: "mail", Public: ourKey()}
	f.Fuzz(func(t *testing.T, first, second string) {
		records := textRecords([]string{first})
		if second != "" {
			records = textRecords([]string{first, second})
		}
		for _, k := range []Key{key, {Domain: "example.com", Selector: "mail"}} {
			v := judgeKey(k, records)
			if !v.valid && (len(v.findings) == 0 || v.findings[0].Status != Fail) {
				t.Fatalf("%q, %q: neither valid nor a reason: %+v", first, second, v)
			}
			for _, found := range v.findings {
				if _, known := Explain(found.Code); !known || !strings.HasSuffix(found.Text, ".") || v.valid && found.Status == Fail {
					t.Errorf("%q, %q: %+v", first, second, found)
				}
			}
		}
		if v := judgeKey(key, records[:1]); v.valid != verifies(first) {
			t.Errorf("%q: valid %v", first, v.valid)
		}
	})
}

// verifies is what a verifier makes of a record, in one line.
func verifies(text string) bool {
	k, err := parseKeyRecord(text)
	return err == nil && !k.Revoked && looksLikeKey(text) && k.AllowsSHA256() && k.AllowsMail() && samePublic(ourKey(), k.Public)
}

func TestEndsEarly(t *testing.T) {
	ours := publishedForm(ourKey())
	for at := range ours {
		have, want, short := endsEarly(ours[:at])
		if at >= 12 && (!short || have != at || want != len(ours)) {
			t.Fatalf("%d characters: %d of %d, %v", at, have, want, short)
		}
	}
	for _, whole := range []string{ours, publishedForm(edKey()), "", "AAAA", "hello world", publishedForm(madeUpKey("short", 1024))} {
		if _, _, short := endsEarly(whole); short {
			t.Errorf("%q ends early", clip(whole, 20))
		}
	}
	if _, cut := cutShort(Key{Public: ourKey()}, dnsview.Record{Text: "v=DKIM1; p=" + ours[:243], Strings: []string{"a", "b"}}); cut {
		t.Error("a value of two strings is not one that was cut at 255")
	}
}
