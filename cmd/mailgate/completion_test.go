package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completed is what a shell is offered for the last of the words.
func completed(t *testing.T, words ...string) []string {
	t.Helper()
	return completedBy(t, &app{}, words...)
}

func completedBy(t *testing.T, a *app, words ...string) []string {
	t.Helper()
	var out, errOut strings.Builder
	if code := run(a, append([]string{"__complete"}, words...), strings.NewReader(""), &out, &errOut); code != exitPass {
		t.Fatalf("exit %d: %s", code, errOut.String())
	}
	var list []string
	for line := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !strings.HasPrefix(word, ":") { // the directive
			list = append(list, word)
		}
	}
	return list
}

func TestCompletion(t *testing.T) {
	config := filepath.Join(t.TempDir(), "mailgate.toml")
	if err := os.WriteFile(config, []byte(`hostname = "mx1.example.com"
[[domain]]
name = "example.com"
keys = [{ selector = "mail", file = "a.pem" }, { selector = "next", file = "b.pem" }]
[[domain]]
name = "*.example.net"
keys = [{ selector = "s1", file = "c.pem" }]
[[tls]]
destination = "gmail.com"
level = "encrypt"
reason = "r"
`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ words, want string }{
		{"che", "check"},
		{"keys l", "list"},
		{"check |", "example.com example.net"},
		{"check example.com |", "example.net"},
		{"records exa", "example.com example.net"},
		{"records example.com |", ""},
		{"keys list example.n", "example.net"},
		{"keys rotate |", "example.com example.net"},
		{"keys generate example.com --type rsa2", "rsa2048"},
		{"check example.com --selector |", "mail next"},
		{"check --selector |", "mail next s1"},
		{"records example.com --as clo", "cloudflare"},
		{"status --format |", "text json"},
		{"explain dkim-only", "dkim-only-on-local-dns"},
		{"explain gmail-unauth", "gmail-unauthenticated"},
		{"quarantine list --domain example.c", "example.com"},
		{"quarantine release --finding dkim-mis", "dkim-missing"},
		{"quarantine list --provider go", "google"},
		{"tls policy g", "gmail.com"},
		{"tls override gmail.com --level sec", "secure"},
		{"quarantine show |", ""}, // no gateway answers
		{"status |", ""},
	}
	for _, tt := range tests {
		words := append([]string{"--config", config}, strings.Fields(tt.words)...)
		if last := len(words) - 1; words[last] == "|" { // nothing is typed yet
			words[last] = ""
		}
		if got := strings.Join(completed(t, words...), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.words, got, tt.want)
		}
	}
}

// Ids come from the running gateway, without a word of the messages.
func TestCompletionOfIDs(t *testing.T) {
	s := startRelaySite(t, "")
	s.mustSend("$(touch x)", "bob@gmail.test")
	s.awaitState("$(touch x)", "held")
	config := filepath.Join(s.dir, siteFile)
	id := s.message("$(touch x)").ID
	patient := &app{gatewayTime: hangGuard}
	if got := completedBy(t, patient, "--config", config, "quarantine", "release", ""); !slices.Equal(got, []string{id}) {
		t.Errorf("%q, want %s", got, id)
	}
	if got := completedBy(t, patient, "--config", config, "quarantine", "release", id, ""); len(got) != 0 {
		t.Errorf("offered again: %q", got)
	}
	if got := completedBy(t, patient, "--config", config, "queue", "show", ""); len(got) != 0 {
		t.Errorf("in the queue: %q", got)
	}
}

// A gateway that doesn't answer keeps no shell waiting.
func TestCompletionIsBounded(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := completed(t, "--socket", socket, "quarantine", "show", ""); len(got) != 0 {
		t.Errorf("%q", got)
	}
}
