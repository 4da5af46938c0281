package convert

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	domains := []Domain{{Pattern: "example.com"}}
	for name, c := range map[string]struct {
		plan Plan
		want bool
	}{
		"all taken":   {Plan{Domains: domains, Notes: []Note{{Kind: Taken}, {Kind: Moot}, {Kind: Differs}}}, true},
		"left":        {Plan{Domains: domains, Notes: []Note{{Kind: Taken}, {Kind: Left}}}, false},
		"to mend":     {Plan{Domains: domains, Notes: []Note{{Kind: Mend}}}, false},
		"difference":  {Plan{Domains: domains, Differences: []Difference{{From: "a@b.example"}}}, false},
		"no domain":   {Plan{}, false},
		"no settings": {Plan{Domains: domains}, true},
	} {
		if got := c.plan.Complete(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestTOMLHolds: what comes from outside can't leave its string or its comment.
func TestTOMLHolds(t *testing.T) {
	const evil = "a\"\\\n[milter]\nlisten = \"x\"\u202e\x00\xff#"
	p := Plan{
		Source: "OpenDKIM", Files: []string{evil}, Listen: evil, Trusted: []string{evil},
		Domains:     []Domain{{Pattern: evil, SignAs: evil, Keys: []Key{{Selector: evil, File: evil, Identity: evil}}}},
		Notes:       []Note{{Kind: Left, File: evil, Line: 1, Setting: evil, Text: evil, Do: evil}},
		Differences: []Difference{{From: evil, Old: []string{evil}, Why: evil}},
	}
	plain(t, &p)
	if n := strings.Count(string(p.TOML()), "\n[milter]"); n != 1 {
		t.Errorf("%d sections:\n%s", n, p.TOML())
	}
}

// TestUnreadable tells a file that isn't there or may not be read from a fault.
func TestUnreadable(t *testing.T) {
	root := t.TempDir()
	for name, read := range map[string]func(string, Options) (*Plan, error){"OpenDKIM": OpenDKIM, "rspamd": Rspamd, "Exim": Exim} {
		_, err := read("/etc/nothing/here.conf", Options{Root: root})
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Exim("", Options{Root: root}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Exim without a file: %v", err)
	}
}

// TestTreeStays: links, relative ones and those of a parent directory, lead nowhere
// but into the root.
func TestTreeStays(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for name, target := range map[string]string{
		"absolute": outside, "up": "../../../../../../../../../.." + outside, "loop": "loop", "inside": "/a/../there",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "there"), []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &tree{root: root}
	for _, name := range []string{"/absolute", "/up", "/loop", "/../../.." + outside} {
		if data, err := r.read(name); err == nil {
			t.Errorf("%s is read: %q", name, data)
		}
	}
	if data, err := r.read("/inside"); err != nil || string(data) != "y" {
		t.Errorf("/inside: %q, %v", data, err)
	}
	if _, err := r.read("/"); err == nil {
		t.Error("a directory is read")
	}
}

func TestMilter(t *testing.T) {
	for listen, want := range map[string]string{
		"inet:127.0.0.1:8891":                          "inet:127.0.0.1:8891",
		"inet:0.0.0.0:8891":                            "inet:127.0.0.1:8891",
		"inet6:[::]:8891":                              "inet:[::1]:8891",
		"inet6:[2001:db8::1]:8891":                     "inet:[2001:db8::1]:8891",
		"unix:/var/spool/postfix/mailgate/milter.sock": "unix:mailgate/milter.sock",
		"unix:/run/mailgate/milter.sock":               "unix:/run/mailgate/milter.sock",
	} {
		if got := (&Plan{Listen: listen}).Milter(); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}
