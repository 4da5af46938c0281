//go:build integration

package publish

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var longKey = "v=DKIM1; k=rsa; p=" + strings.Repeat("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", 12)

func TestKnotPublishes(t *testing.T) {
	k, ctx := startKnot(t), context.Background()
	h := k.host("mailgate", knotKey)
	wants := []Want{
		{Name: "mail._domainkey.Example.com.", Type: "TXT", Value: longKey, TTL: 10 * time.Minute},
		{Name: "example.com", Type: "TXT", Value: "v=spf1 mx ip4:192.0.2.1 -all", Replaces: []string{"v=spf1 mx -all"}},
	}
	plan, err := h.Plan(ctx, "example.com", wants)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Sets) != 2 {
		t.Fatalf("plan %+v", plan)
	}
	const foreign = `google-site-verification=abc"d\e`
	wantTexts(t, "kept", plan.Sets[1].Keep, []string{foreign})
	wantTexts(t, "removed", plan.Sets[1].Remove, []string{"v=spf1 mx -all"})
	if err := h.Apply(ctx, plan); err != nil {
		t.Fatal(err)
	}
	wantTexts(t, "DKIM", k.txt("example.com", "mail._domainkey"), []string{`600 "` + longKey[:255] + `" "` + longKey[255:] + `"`})
	wantTexts(t, "SPF", k.txt("example.com", "@"), []string{`300 "google-site-verification=abc\"d\\e"`, `300 "v=spf1 mx ip4:192.0.2.1 -all"`})

	if plan, err = h.Plan(ctx, "example.com", wants); err != nil || !plan.Empty() {
		t.Errorf("once more: %+v, %v", plan, err)
	}
	for _, gone := range []Want{
		{Name: "mail._domainkey.example.com", Type: "TXT", Replaces: []string{longKey}},
		{Name: "example.com", Type: "TXT", Replaces: []string{"v=spf1 mx ip4:192.0.2.1 -all", "never there"}},
	} {
		if plan, err = h.Plan(ctx, "example.com", []Want{gone}); err != nil {
			t.Fatal(err)
		}
		if err := h.Apply(ctx, plan); err != nil {
			t.Fatal(err)
		}
	}
	wantTexts(t, "DKIM, taken away", k.txt("example.com", "mail._domainkey"), nil)
	wantTexts(t, "SPF, taken away", k.txt("example.com", "@"), []string{`300 "google-site-verification=abc\"d\\e"`})
}

func TestKnotRefuses(t *testing.T) {
	k, ctx := startKnot(t), context.Background()
	spf := Want{Name: "example.com", Type: "TXT", Value: "v=spf1 -all", Replaces: []string{"v=spf1 mx -all"}}
	for _, c := range []struct {
		name      string
		key, text string
		zone      string
		want      Want
		err       error
	}{
		{"wrong secret", "mailgate", knotWrongKey, "example.com", spf, ErrLogin},
		{"unknown key", "other", knotKey, "example.com", spf, ErrLogin},
		{"a key without the right", "reader", knotReadKey, "example.com", spf, ErrLogin},
		{"no query, no transfer", "mailgate", knotKey, "closed.example", Want{Name: "closed.example", Type: "TXT", Value: "x"}, ErrLogin},
		{"another's zone", "mailgate", knotKey, "example.org", Want{Name: "example.org", Type: "TXT", Value: "x"}, ErrLogin},
		{"an alias", "mailgate", knotKey, "example.com", Want{Name: "alias._domainkey.example.com", Type: "TXT", Value: "v=DKIM1; p=x"}, ErrCannot},
		{"another SPF record", "mailgate", knotKey, "example.com", Want{Name: "example.com", Type: "TXT", Value: "v=spf1 a -all"}, ErrChanged},
	} {
		h := k.host(c.key, c.text)
		plan, err := h.Plan(ctx, c.zone, []Want{c.want})
		if err == nil {
			err = h.Apply(ctx, plan)
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if err != nil && strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: the error shows the key: %v", c.name, err)
		}
	}
	wantTexts(t, "the apex", k.txt("example.com", "@"), []string{`300 "google-site-verification=abc\"d\\e"`, `300 "v=spf1 mx " "-all"`})
}

// What is beside a value that goes is given back to the byte.
func TestKnotKeepsOdd(t *testing.T) {
	k, ctx := startKnot(t), context.Background()
	for _, zone := range []string{"example.com", "hidden.example"} { // by queries, by a transfer
		h := k.host("mailgate", knotKey)
		plan, err := h.Plan(ctx, zone, []Want{{Name: "odd." + zone, Type: "TXT", Value: "new", Replaces: []string{"old"}}})
		if err == nil {
			err = h.Apply(ctx, plan)
		}
		if err != nil {
			t.Fatal(err)
		}
		split := `300 "a" "b \"c"`
		if zone == "hidden.example" { // libdns joins its strings, which mean the same
			split = `300 "ab \"c"`
		}
		wantTexts(t, zone, k.txt(zone, "odd"), []string{`300 ""`, `300 "\001"`, split, `300 "gr\252n"`, `300 "new"`})
	}
}

// What a wildcard answers for a name isn't there, and a record of its own hides it;
// what is there, though it is the same, is.
func TestKnotWildcards(t *testing.T) {
	k, ctx := startKnot(t), context.Background()
	h := k.host("mailgate", knotKey)
	for _, c := range []struct{ zone, name, replaces string }{
		{"example.com", "mail._domainkey.alias-wild", ""},
		{"example.com", "_dmarc.alias-wild", ""},
		{"example.com", "mail._domainkey.txt-wild", ""},
		{"example.com", "news.txt-wild", "v=spf1 -all"}, // as DNS shows
		{"example.com", "there.txt-wild", "v=spf1 -all"},
		{"example.com", "all.txt-wild", "v=spf1 -all"}, // nobody can tell
		{"hidden.example", "_dmarc.alias-wild", ""},    // by a transfer
	} {
		want := Want{Name: c.name + "." + c.zone, Type: "TXT", Value: "v=spf1 a -all"}
		if c.replaces != "" {
			want.Replaces = []string{c.replaces}
		}
		plan, err := h.Plan(ctx, c.zone, []Want{want})
		if err == nil {
			err = h.Apply(ctx, plan)
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := k.txt(c.zone, c.name)
		if len(got) != 1 || !strings.HasSuffix(got[0], ` "v=spf1 a -all"`) {
			t.Errorf("%s: %q", c.name, got)
		}
		if plan, err := h.Plan(ctx, c.zone, []Want{want}); err != nil || !plan.Empty() {
			t.Errorf("%s, once more: %+v, %v", c.name, plan, err)
		}
	}
	wantTexts(t, "the wildcard", k.txt("example.com", "*.txt-wild"), []string{`300 "v=spf1 -all"`})
	_, err := h.Plan(ctx, "example.com", []Want{{Name: "real.alias-wild.example.com", Type: "TXT", Value: "x"}})
	if !errors.Is(err, ErrCannot) {
		t.Errorf("an alias beside a wildcard: %v", err)
	}
}

// Whoever edits the zone between the difference and the order isn't overwritten.
func TestKnotChangedMeanwhile(t *testing.T) {
	k, ctx := startKnot(t), context.Background()
	h, other := k.host("mailgate", knotKey), k.host("mailgate", knotKey)
	plan, err := h.Plan(ctx, "example.com", []Want{{Name: "example.com", Type: "TXT", Value: "v=spf1 -all", Replaces: []string{"v=spf1 mx -all"}}})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := other.Plan(ctx, "example.com", []Want{{Name: "example.com", Type: "TXT", Value: "another=1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Apply(ctx, theirs); err != nil {
		t.Fatal(err)
	}
	if err := h.Apply(ctx, plan); !errors.Is(err, ErrChanged) {
		t.Errorf("%v, want ErrChanged", err)
	}
	if !slices.Contains(k.txt("example.com", "@"), `300 "another=1"`) {
		t.Error("the other's record is gone")
	}
}

// The name servers' configurations of docs/publishing.md work as they are written.
func TestKnotAsDocumented(t *testing.T) {
	conf := `server:
    rundir: %[1]s
    listen: 127.0.0.23@%[2]s
control:
    listen: %[1]s/knot.sock
database:
    storage: %[1]s
template:
  - id: default
    storage: %[1]s
log:
  - target: stderr
    any: warning
` + documented(t, "knot")
	k, ctx := startKnotWith(t, conf), context.Background()
	h := k.host("mailgate", "bWFpbGdhdGUncyBvd24ga2V5LCBtYWRlIGJ5IGtleW1nciA=")
	plan, err := h.Plan(ctx, "example.com", []Want{{Name: "example.com", Type: "TXT", Value: "v=spf1 -all", Replaces: []string{"v=spf1 mx -all"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Apply(ctx, plan); err != nil {
		t.Fatal(err)
	}
	wantTexts(t, "the apex", k.txt("example.com", "@"), []string{`300 "google-site-verification=abc\"d\\e"`, `300 "v=spf1 -all"`})

	file := filepath.Join(t.TempDir(), "named.conf")
	if err := os.WriteFile(file, []byte(documented(t, "bind")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("named-checkconf", file).CombinedOutput(); err != nil {
		t.Errorf("named-checkconf: %v\n%s", err, out)
	}
}

// documented is the block of docs/publishing.md in a language.
func documented(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/publishing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```"+language+"\n")
	block, _, ends := strings.Cut(rest, "```")
	if !found || !ends {
		t.Fatalf("docs/publishing.md has no block in %s", language)
	}
	return block
}

// A primary that answers no plain query is read by a transfer with the key.
func TestKnotTransfers(t *testing.T) {
	k, ctx := startKnot(t), context.Background()
	h := k.host("mailgate", knotKey)
	plan, err := h.Plan(ctx, "hidden.example", []Want{{Name: "hidden.example", Type: "TXT", Value: "v=spf1 -all", Replaces: []string{"v=spf1 mx -all"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Apply(ctx, plan); err != nil {
		t.Fatal(err)
	}
	wantTexts(t, "the apex", k.txt("hidden.example", "@"), []string{`300 "google-site-verification=abc\"d\\e"`, `300 "v=spf1 -all"`})
	_, err = h.Plan(ctx, "hidden.example", []Want{{Name: "alias._domainkey.hidden.example", Type: "TXT", Value: "x"}})
	if !errors.Is(err, ErrCannot) {
		t.Errorf("an alias: %v", err)
	}
}

func TestKnotIsSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.23:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := (&knot{T: t, at: l.Addr().String()}).host("mailgate", knotKey)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // it ends by itself long before
	defer cancel()
	if _, err := h.Plan(ctx, "example.com", []Want{{Name: "example.com", Type: "TXT", Value: "x"}}); err == nil || ctx.Err() != nil {
		t.Errorf("a silent server: %v, %v", err, ctx.Err())
	}
}
