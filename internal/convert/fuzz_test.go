package convert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/rogpeppe/go-internal/txtar"
)

// seeds are the files of the cases whose names end so.
func seeds(f *testing.F, name string, ends ...string) {
	files, err := filepath.Glob(filepath.Join("testdata", name, "*.txtar"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, in := range a.Files {
			for _, end := range ends {
				if strings.HasSuffix(in.Name, end) {
					f.Add(in.Data)
				}
			}
		}
	}
}

// plain checks what is to be written for bytes that would break out of their line.
func plain(t *testing.T, p *Plan) {
	t.Helper()
	for line := range strings.SplitSeq(string(p.TOML()), "\n") {
		if i := strings.IndexFunc(line, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) }); i >= 0 {
			t.Fatalf("a control character in %q", line)
		}
	}
}

// FuzzOpenDKIMConf reads a configuration whose files are all the same one.
func FuzzOpenDKIMConf(f *testing.F) {
	seeds(f, "opendkim", "opendkim.conf")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4<<10 || os.WriteFile(filepath.Join(dir, "opendkim.conf"), data, 0o600) != nil {
			return
		}
		if p, err := OpenDKIM("/opendkim.conf", Options{Root: dir, Keys: "/keys"}); err == nil {
			plain(t, p)
			if _, err := keyring(p); err != nil {
				t.Fatalf("mailgate refuses the domains: %v", err)
			}
		}
	})
}

// FuzzOpenDKIMTables reads tables.
func FuzzOpenDKIMTables(f *testing.F) {
	f.Add([]byte("*@example.com com\nann@*.example.net net:@%\n"), []byte("com example.com:mail:/k.pem\nnet %:s:/%.pem\n"), true)
	f.Add([]byte(".example.com %\n* a\n"), []byte("a example.com:mail:./k.pem\n"), false)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, signing, keys []byte, patterns bool) {
		if len(signing)+len(keys) > 2<<10 {
			return
		}
		kind := map[bool]string{true: "refile:", false: "file:"}[patterns]
		for name, data := range map[string][]byte{
			"s": signing, "k": keys,
			"opendkim.conf": []byte("Mode s\nMultipleSignatures yes\nKeyTable file:/k\nSigningTable " + kind + "/s\n"),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if p, err := OpenDKIM("/opendkim.conf", Options{Root: dir, Keys: "/keys"}); err == nil {
			plain(t, p)
			if _, err := keyring(p); err != nil {
				t.Fatalf("mailgate refuses the domains: %v", err)
			}
		}
	})
}

// FuzzUCL reads rspamd's configuration language, and signs by it.
func FuzzUCL(f *testing.F) {
	seeds(f, "rspamd", "dkim_signing.conf")
	f.Add([]byte("a <<X\nb\nX\nc = 'd\\'e' f { g [1, {h: \"\\n\"}] }"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4<<10 || os.WriteFile(filepath.Join(dir, "x.conf"), data, 0o600) != nil {
			return
		}
		if p, err := Rspamd("/x.conf", Options{Root: dir, Keys: "/keys"}); err == nil {
			plain(t, p)
			if _, err := keyring(p); err != nil {
				t.Fatalf("mailgate refuses the domains: %v", err)
			}
		}
	})
}

// FuzzExim reads a configuration, and expands its strings.
func FuzzExim(f *testing.F) {
	seeds(f, "exim", "exim.conf", "exim4.conf", ".template")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4<<10 || os.WriteFile(filepath.Join(dir, "exim.conf"), data, 0o600) != nil {
			return
		}
		if p, err := Exim("/exim.conf", Options{Root: dir, Keys: "/keys"}); err == nil {
			plain(t, p)
			if _, err := keyring(p); err != nil {
				t.Fatalf("mailgate refuses the domains: %v", err)
			}
		}
	})
}

// FuzzEximString expands strings alone, which a whole configuration reaches seldom.
func FuzzEximString(f *testing.F) {
	for _, s := range []string{
		"${lc:${domain:$h_from:}}", `${if exists{/x/$dkim_domain.pem}{/x/$dkim_domain.pem}{0}}`, `\N$a\N$1\$`,
		"${lookup{$dkim_domain}lsearch{/t}{$value}fail}", "${if and{{eq{a}{b}}{!def:x}}{y}}", "${readfile{/t}{}}",
	} {
		f.Add(s)
	}
	root := &tree{root: f.TempDir()}
	f.Fuzz(func(t *testing.T, s string) {
		e := eximString{tree: root, touched: &eximTouched{}, vars: map[string]string{"sender_address": "ann@example.com", "dkim_domain": "example.com"}}
		_, _ = e.expand(s)
	})
}
