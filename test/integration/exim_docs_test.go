//go:build integration

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// manual is docs/exim.md, whose examples these tests run.
type manual string

func readManual(t *testing.T) manual {
	t.Helper()
	text, err := os.ReadFile("../../docs/exim.md")
	if err != nil {
		t.Fatal(err)
	}
	return manual(text)
}

// block returns the one block of code that has a line.
func (m manual) block(t *testing.T, line string) string {
	t.Helper()
	var found []string
	for i, part := range strings.Split(string(m), "\n```") {
		_, code, _ := strings.Cut(part, "\n") // past the language
		if i%2 == 1 && strings.Contains("\n"+code+"\n", "\n"+line+"\n") {
			found = append(found, code+"\n")
		}
	}
	if len(found) != 1 {
		t.Fatalf("docs/exim.md has %d examples with the line %q, want 1", len(found), line)
	}
	return found[0]
}

// mentions checks that the text still names what a test does.
func (m manual) mentions(t *testing.T, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(string(m), "`"+w+"`") {
			t.Fatalf("docs/exim.md doesn't mention `%s` any more", w)
		}
	}
}

// replaced puts what a test needs in the place of what an example has.
func replaced(t *testing.T, example string, oldnew ...string) string {
	t.Helper()
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(example, oldnew[i]) {
			t.Fatalf("no %q in the example\n%s", oldnew[i], example)
		}
	}
	return strings.NewReplacer(oldnew...).Replace(example)
}

// router and transport are those for a mailgate on the same machine, whose relay is
// at host and port.
func (m manual) router(t *testing.T, host string) string {
	t.Helper()
	return replaced(t, m.block(t, "  route_list = * 127.0.0.1"), "127.0.0.1", host)
}

func (m manual) transport(t *testing.T, host, port string) string {
	t.Helper()
	return replaced(t, m.block(t, "  hosts_avoid_tls = 127.0.0.1"), "127.0.0.1", host, "2525", port)
}

// TestEximManualConfigurations: mailgate takes the configurations in docs/exim.md.
func TestEximManualConfigurations(t *testing.T) {
	m := readManual(t)
	same := m.block(t, `trusted = ["127.0.0.0/8", "::1/128"]`)
	for name, config := range map[string]string{
		"one machine":      same,
		"own domain":       same + m.block(t, `destination = "example.com"`),
		"several machines": m.block(t, `trusted = ["192.0.2.20"]`),
		"with a login":     replaced(t, m.block(t, `name     = "exim"`), `password = "$argon2id$…"`, strings.TrimSpace(hashed(t, "secret"))),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			makeDomain(t, dir, "example.com")
			certify(t, "192.0.2.10", filepath.Join(dir, "tls", "mx1.pem"), filepath.Join(dir, "tls", "mx1.key.pem"))
			file := filepath.Join(dir, "mailgate.toml")
			writeFile(t, file, config, 0o600)
			if out, err := exec.Command(binary, "config", "check", "--config", file).CombinedOutput(); err != nil {
				t.Errorf("config check: %v\n%s", err, out)
			}
		})
	}
}

// TestEximManualLogs: the lines of Exim's log in docs/exim.md are such as the other
// tests find there.
func TestEximManualLogs(t *testing.T) {
	m := readManual(t)
	for _, pattern := range []string{takenLine("bob@gmail.com"), rejectedLine("bob@gmail.com")} {
		if !regexp.MustCompile("(?m)^" + pattern).MatchString(string(m)) {
			t.Errorf("docs/exim.md has no line %s", pattern)
		}
	}
}
