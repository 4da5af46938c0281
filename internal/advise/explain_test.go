package advise

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailgate/internal/preflight"
)

func TestExplain(t *testing.T) {
	for _, c := range preflight.Codes() {
		e, ok := Explain(c.Code)
		if !ok || e.Code != c || e.Verify == "" {
			t.Errorf("Explain(%s) = %+v, %v", c.Code, e, ok)
		}
		if _, err := findings.ReadFile("findings/" + c.Code + ".txt"); err != nil {
			t.Errorf("%s has no text: %v", c.Code, err)
		}
		if strings.HasSuffix(c.Code, "-ok") {
			continue
		}
		if e.Receivers == "" || len(e.Steps) == 0 {
			t.Errorf("%s lacks what receivers do, or how to mend it", c.Code)
		}
		heading, does := receivers(e.class)
		if e.class != "" && (heading == "" || does == "") {
			t.Errorf("%s counts as %q, which nothing is known of", c.Code, e.class)
		}
	}
	if e, ok := Explain("dkim-no-such-code"); ok {
		t.Errorf("Explain of no code: %+v", e)
	}
}

// Every text belongs to a code, and every line of it is read.
func TestTexts(t *testing.T) {
	err := fs.WalkDir(findings, "findings", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "/receivers/") {
			return err
		}
		code := strings.TrimSuffix(d.Name(), ".txt")
		if _, ok := preflight.Explain(code); !ok {
			t.Errorf("%s: there is no code %s", path, code)
		}
		text, err := findings.ReadFile(path)
		if err != nil {
			return err
		}
		for _, complaint := range complaints(string(text)) {
			t.Errorf("%s: %s", path, complaint)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	domainName = regexp.MustCompile(`\b[a-z0-9_-]+(\.[a-z0-9_-]+)*\.(com|net|org|test|example)\b`)
	ours       = regexp.MustCompile(`(^|\.)(example\.com|example\.net|example)$`)
	ipv4       = regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+\b`)
	reversed   = regexp.MustCompile(`[0-9a-f.]+\.(in-addr|ip6)\.arpa`)
	documented = regexp.MustCompile(`^(192\.0\.2|198\.51\.100|203\.0\.113)\.|^(127\.0\.0\.1|0\.0\.0\.0|128\.0\.0\.0)$`)
)

// complaints says what is wrong with a text: a line that belongs to no part or is
// in the wrong form, a name or an address that is somebody's.
func complaints(text string) (bad []string) {
	part := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		label, rest, found := strings.Cut(line, ":")
		switch {
		case found && isLabel(label):
			part = label
			if list := slices.Contains([]string{"Wrong", "Right", "Mend"}, part); list != (rest == "") {
				bad = append(bad, "text in the wrong place: "+line)
			}
		case part == "Wrong" || part == "Right":
			if !strings.HasPrefix(line, "    ") {
				bad = append(bad, "not indented: "+line)
			}
		case part != "Mend" || !strings.HasPrefix(line, "- "):
			bad = append(bad, "belongs to no part: "+line)
		}
		for _, name := range domainName.FindAllString(line, -1) {
			if !ours.MatchString(name) {
				bad = append(bad, "somebody's domain: "+name)
			}
		}
		for _, address := range ipv4.FindAllString(reversed.ReplaceAllString(line, ""), -1) {
			if !documented.MatchString(address) {
				bad = append(bad, "somebody's address: "+address)
			}
		}
	}
	return bad
}

func TestComplaints(t *testing.T) {
	for text, want := range map[string]int{
		"Receivers: refuse it.\nMend:\n- Do it.\n": 0,
		"stray\n":                                     1,
		"Mend: at once\n":                             1,
		"Wrong:\nnot indented\n":                      1,
		"Mend:\n- at mail.corp.com\n":                 1,
		"Wrong:\n    9.9.9.9\n":                       1,
		"Right:\n    ip4:203.0.113.9 a.example.com\n": 0,
	} {
		if got := complaints(text); len(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestNamesIn(t *testing.T) {
	for text, want := range map[string][]string{
		"dkim-missing":                           {"dkim-missing"},
		"DKIM-Missing, spf-softfail.":            {"dkim-missing", "spf-softfail"},
		"verdict=hold dkim=missing dkim=missing": {"dkim-missing"},
		"rule=gmail-unauthenticated dkim=pass":   {"gmail-unauthenticated"},
		"550 5.7.26 sender is unauthenticated":   nil,
		"":                                       nil,
	} {
		if got := NamesIn(text); !slices.Equal(got, want) {
			t.Errorf("NamesIn(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestSimilar(t *testing.T) {
	for word, want := range map[string]string{
		"dkim-mising":          "dkim-missing",
		"dkim_only_local_dns":  "dkim-only-on-local-dns",
		"SPF-soft-fail":        "spf-softfail",
		"ptr missing":          "ptr-missing",
		"gmail-unautenticated": "gmail-unauthenticated",
		"hello":                "",
		"":                     "",
		"x":                    "",
	} {
		got := Similar(word)
		if want == "" && len(got) > 0 || want != "" && (len(got) == 0 || got[0] != want) {
			t.Errorf("Similar(%q) = %q, want %q first", word, got, want)
		}
	}
	if got := Similar(strings.Repeat("dkim-missing", 1000)); got != nil {
		t.Errorf("a long word is like %q", got)
	}
}

func FuzzNamesIn(f *testing.F) {
	f.Add("DKIM-Missing, spf=softfail")
	f.Add("\xff-\x00dkim=missing\n550 5.7.26")
	f.Fuzz(func(t *testing.T, text string) {
		for _, code := range slices.Concat(NamesIn(text), Similar(text)) {
			if !isName(code) {
				t.Errorf("%q names %q, which there isn't", text, code)
			}
		}
	})
}
