//go:build integration

package tlspolicy

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestExcludeInOpenSSL: of Postfix's medium grade, exclude= leaves exactly the suites
// of the policy, as far as this OpenSSL has them.
func TestExcludeInOpenSSL(t *testing.T) {
	const medium = "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH"
	known := ciphers(t, medium)
	for _, s := range choosable() {
		if !slices.Contains(known, s.Name) {
			continue
		}
		list := medium
		for word := range strings.SplitSeq(postfixExclude([]string{s.Name}), ":") {
			list += ":!" + word
		}
		if got := ciphers(t, list); !slices.Equal(got, []string{s.Name}) {
			t.Errorf("%s: OpenSSL would offer %q", s.Name, got)
		}
	}
	if len(known) < 20 {
		t.Errorf("OpenSSL has %d suites: the test looks at nothing", len(known))
	}
}

// ciphers returns the suites of TLS 1.2 and below that a list stands for.
func ciphers(t *testing.T, list string) (names []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", "ciphers", "-stdname", list).Output()
	if err != nil {
		t.Fatalf("openssl ciphers: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[3] != "TLSv1.3" {
			names = append(names, fields[0])
		}
	}
	return names
}
