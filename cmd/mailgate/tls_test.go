package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailgate/internal/config"
	"mailgate/internal/tlspolicy"
	"mailgate/internal/web"
)

func TestParseEnd(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, zone)
	for s, want := range map[string]time.Time{
		"":           {},
		"30d":        now.Add(30 * 24 * time.Hour),
		"12h":        now.Add(12 * time.Hour),
		"1d12h":      now.Add(36 * time.Hour),
		"2026-11-21": time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), // today, to its end
		"2027-03-31": time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := parseEnd(s, now); err != nil || !got.Equal(want) {
			t.Errorf("parseEnd(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"2026-11-20": "that day is over", "0d": "want how long", "0h": "want how long", "-1d": "want how long",
		"soon": "want how long", "2027-02-30": "want how long", "2027-03-31T12:00": "want how long",
	} {
		if got, err := parseEnd(s, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseEnd(%q) = %v, %v; want an error with %q", s, got, err, want)
		}
	}
}

// suggested are overrides of every kind that a probe suggests.
func suggested() []tlspolicy.Override {
	return []tlspolicy.Override{
		{Destination: "example.net", Level: tlspolicy.Encrypt, Curves: tlspolicy.Classic},
		{Destination: "example.net", Level: tlspolicy.Secure, MaxVersion: tlspolicy.TLS12},
		{Destination: "[smtp.example.net]:587", Level: tlspolicy.Encrypt, MaxVersion: tlspolicy.TLS12, Curves: tlspolicy.Classic,
			Ciphers: []string{"TLS_RSA_WITH_AES_128_CBC_SHA"}},
		{Destination: "example.net", Level: tlspolicy.DANEOnly, MinVersion: tlspolicy.TLS10, MaxVersion: tlspolicy.TLS10,
			Ciphers: []string{"TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_256_CBC_SHA"}},
	}
}

// The suggested [[tls]] is what was meant, to the end of its last day.
func TestOverrideBlock(t *testing.T) {
	last := time.Date(2099, 3, 31, 0, 0, 0, 0, time.UTC)
	for _, want := range suggested() {
		text := "hostname = \"mx1.example.com\"\n" + overrideBlock(want, last)
		cfg, err := config.Parse([]byte(text), "mailgate.toml")
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		table, err := tlsTable(cfg)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		want.Reason, want.Expires = "say why", last.AddDate(0, 0, 1)
		if got := table.Overrides(); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("got  %+v\nwant %+v\n%s", got, want, text)
		}
	}
}

// The suggested command is what was meant, as a shell reads it.
func TestOverrideCommand(t *testing.T) {
	now := time.Now()
	for _, want := range suggested() {
		args := shellWords(t, overrideCommand(want))
		cmd, rest, err := newRoot(&app{}).Find(args[1:])
		if err != nil || cmd.Name() != "override" {
			t.Fatalf("%v: %v", args, err)
		}
		if err := cmd.ParseFlags(rest); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		text := func(name string) string { return cmd.Flag(name).Value.String() }
		list := func(name string) []string { l, _ := cmd.Flags().GetStringSlice(name); return l }
		f := overrideFlags{
			level: text("level"), minVersion: text("min-version"), maxVersion: text("max-version"), curves: text("curves"),
			ciphers: list("cipher"), reason: text("reason"), expires: text("expires"),
		}
		got, err := f.override(cmd.Flags().Arg(0), now)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		want.Reason, want.Expires = "say why", now.Add(30*24*time.Hour)
		if len(got.Ciphers) == 0 {
			got.Ciphers = nil // no flag gives an empty list
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v\ngot  %+v\nwant %+v", args, got, want)
		}
	}
}

// shellWords has a shell divide a command, in a directory where a careless pattern
// would match.
func shellWords(t *testing.T, command string) []string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"s:587", "m"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-c", `printf '%s\n' `+command)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// Where an override isn't needed any more, what is said to remove it does.
func TestShowRemoval(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	p := web.TLSPolicy{
		InForce: tlspolicy.Policy{Level: tlspolicy.Encrypt, Source: tlspolicy.FromOverride, Destination: "[smtp.example.net]:587"},
		Probe:   &web.TLSProbed{At: now, Works: true, Answer: "TLS 1.3 works without the override"},
	}
	for _, c := range []struct {
		all  []tlspolicy.Override
		want string
	}{
		{[]tlspolicy.Override{{Destination: "a.example"}, {Destination: p.InForce.Destination, RunTime: true}, {Destination: p.InForce.Destination}},
			"Remove it: mailgate tls override '[smtp.example.net]:587' --remove\n"},
		{[]tlspolicy.Override{{Destination: "a.example", RunTime: true}, {Destination: p.InForce.Destination}},
			"Remove it: take its [[tls]] out of the configuration, and reload\n"},
	} {
		p.RunTime = madeAtRunTime(c.all, p.InForce.Destination)
		var out strings.Builder
		showTLSPolicy(&out, p, now)
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%v: no %q in\n%s", p.RunTime, c.want, &out)
		}
	}
}

func TestListOverrides(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	row := func(destination string, p *web.TLSProbed) web.TLSOverridden {
		return web.TLSOverridden{Override: tlspolicy.Override{Destination: destination, Level: tlspolicy.Encrypt}, Probe: p}
	}
	var out strings.Builder
	listOverrides(&out, web.TLSOverrides{Overrides: []web.TLSOverridden{
		row("a.example", nil),
		row("b.example", &web.TLSProbed{At: now.Add(-time.Hour), Works: true, Answer: "TLS 1.3 works"}),
		row("[c.example]:587", &web.TLSProbed{At: now.Add(-time.Hour), Answer: "it fails"}),
		row(".d.example", nil),
		row("mx:*.e.example", nil),
		row("mx:mx.f.example", nil),
	}}, now)
	for _, want := range []string{
		`a\.example .* not probed yet`, `b\.example .* works \(1h00m ago\)`, `\[c\.example\]:587 .* fails \(1h00m ago\): it fails`,
		`\.d\.example .* a pattern isn't probed`, `mx:\*\.e\.example .* a pattern isn't probed`, `mx:mx\.f\.example .* a pattern isn't probed`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + ` *$`).MatchString(out.String()) {
			t.Errorf("nothing of %s in\n%s", want, &out)
		}
	}
}
