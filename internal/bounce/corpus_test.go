package bounce

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailgate/internal/preflight"
)

var update = flag.Bool("update", false, "write the golden files anew")

// scanned returns the readings of a text.
func scanned(t testing.TB, text string) ([]Reading, Stats) {
	t.Helper()
	var list []Reading
	stats, err := Scan(strings.NewReader(text), func(r Reading) error {
		list = append(list, r)
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return list, stats
}

// corpus returns what is under testdata/corpus: NAME.txt holds what somebody would
// paste or pipe, NAME.json what is read in it.
func corpus(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/corpus/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("only %d files in the corpus", len(files))
	}
	return files
}

func TestCorpus(t *testing.T) {
	for _, file := range corpus(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			list, _ := scanned(t, string(text))
			for i := range list {
				list[i].Raw, list[i].Meaning.Means, list[i].Meaning.Do, list[i].Meaning.Source = "", "", nil, ""
			}
			got, err := json.MarshalIndent(list, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := strings.TrimSuffix(file, ".txt") + ".json"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("read\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Each rule is hit by something in the corpus: none is dead, or hidden by another.
func TestEveryRuleIsHit(t *testing.T) {
	hit := map[*Rule]bool{}
	eachInCorpus(t, func(r *Reading) { hit[ruleFor(r)] = true })
	for i := range table {
		if u := &table[i]; !hit[u] {
			t.Errorf("nothing in the corpus is read by rule %s (%s %v %v)", u.Name, u.Provider, u.enhanced, u.text)
		}
	}
}

// Each reply that pre-flight predicts, and each named in the table of providers'
// replies, is in the corpus as a real program wrote it down.
func TestEveryReplyIsThere(t *testing.T) {
	type reply struct{ provider, codes, rule string }
	want := []reply{
		{"google", "451 4.7.26", "gmail-dns-failure"}, {"google", "421 4.7.26", "gmail-unauthenticated-rate"}, {"google", "550 5.7.26", "gmail-unauthenticated"},
		{"google", "550 5.7.26", "gmail-spf-hardfail"}, {"google", "550 5.7.26", "gmail-dmarc-reject"}, {"google", "550 5.7.1", "gmail-unauthenticated"},
		{"google", "550 5.7.27", "gmail-bulk-spf"}, {"google", "421 4.7.27", "gmail-bulk-spf"}, {"google", "550 5.7.30", "gmail-bulk-dkim"}, {"google", "421 4.7.30", "gmail-bulk-dkim"},
		{"google", "421 4.7.32", "gmail-bulk-unaligned"}, {"google", "550 5.7.32", "gmail-bulk-unaligned"},
		{"google", "550 5.7.40", "gmail-bulk-dmarc"}, {"google", "421 4.7.40", "gmail-bulk-dmarc"}, {"google", "421 4.7.31", "gmail-bulk-dmarc"}, {"google", "504 5.7.40", "gmail-auth-type"},
		{"google", "550 5.7.29", "gmail-no-tls"}, {"google", "421 4.7.0", "gmail-no-tls"}, {"google", "550 5.7.25", "gmail-ptr"}, {"google", "451 4.7.23", "gmail-ptr"}, {"google", "550 5.7.1", "gmail-ipv6-ptr"},
		{"google", "550 5.7.24", "gmail-spf-suspicious"}, {"google", "550 5.7.1", "gmail-malformed"}, {"google", "550 5.7.1", "gmail-unsolicited"}, {"google", "451 4.3.0", "gmail-multiple-domains"},
		{"google", "421 4.7.28", "gmail-rate"}, {"google", "550 5.7.28", "gmail-rate"}, {"google", "421 4.7.0", "gmail-rate"}, {"google", "550 5.7.1", "gmail-reputation"},
		{"microsoft", "550 5.7.515", "microsoft-bulk-unauthenticated"}, {"microsoft", "550 5.7.509", "microsoft-dmarc-reject"}, {"microsoft", "550 5.7.23", "microsoft-spf-fail"}, {"microsoft", "450 4.7.26", "microsoft-ipv6-unauthenticated"},
		{"microsoft", "550 5.7.606", "microsoft-banned-ip"}, {"microsoft", "550 5.7.1", "microsoft-block-list"},
		{"yahoo", "554 5.7.9", "yahoo-dmarc-reject"}, {"yahoo", "550 5.7.9", "yahoo-unauthenticated"}, {"yahoo", "451 4.0.0", "yahoo-no-soa"}, {"yahoo", "554 5.7.9", "yahoo-no-soa"}, {"yahoo", "553 5.7.2", "yahoo-blocked-ip"},
		{"apple", "554 5.7.1", "apple-unauthenticated"}, {"apple", "554 5.7.1", "apple-dmarc-reject"}, {"qq", "550", "qq-spf"}, {"qq", "550", "qq-dmarc"},
	}
	seen := map[reply]bool{}
	rules := map[string]bool{}
	eachInCorpus(t, func(r *Reading) {
		seen[reply{string(r.Provider), r.Reply.Codes(), r.Meaning.Rule}] = true
		rules[r.Meaning.Rule] = true
	})
	for _, w := range want {
		if !seen[w] && !seen[reply{w.provider, w.codes + " 5.0.0", w.rule}] {
			t.Errorf("no %s %s read as %s", w.provider, w.codes, w.rule)
		}
	}
	for _, r := range preflight.Refusals() {
		if !rules[r.Rule] {
			t.Errorf("nothing is read as %s, which pre-flight predicts", r.Rule)
		}
	}
}

func eachInCorpus(t *testing.T, look func(*Reading)) {
	t.Helper()
	for _, file := range corpus(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list, _ := scanned(t, string(text))
		for i := range list {
			look(&list[i])
		}
	}
}

// What pre-flight predicts, read as if a provider had said it, is the rule itself.
func TestPredictionsReadAsTheirRule(t *testing.T) {
	for _, r := range preflight.Refusals() {
		host := map[preflight.Provider]string{preflight.Google: "gmail-smtp-in.l.google.com", preflight.Microsoft: "a.mail.protection.outlook.com", preflight.Yahoo: "mta5.am0.yahoodns.net", preflight.Apple: "mx01.mail.icloud.com", preflight.QQ: "mx3.qq.com"}[r.Provider]
		words := strings.NewReplacer("{domain}", "example.com", "{sender}", "example.com", "{address}", "203.0.113.9", "{address4}", "203.0.113.9", "{address6}", "2001:db8::9").Replace(r.Reply)
		list, _ := scanned(t, "status=bounced (host "+host+"[192.0.2.1] said: "+words+" (in reply to end of DATA command))")
		if len(list) != 1 || list[0].Meaning.Rule != r.Rule {
			t.Errorf("%s: %q is read as %+v", r.Rule, words, list)
		}
	}
}
