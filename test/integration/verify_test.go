//go:build integration

package integration

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// signature is what the independent verifier says about one.
type signature struct {
	OK        bool
	Error     string
	Domain    string
	Selector  string
	Algorithm string
}

// verify asks python3-dkim about every signature of a message.
func verify(t *testing.T, resolver string, message []byte) []signature {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "verify.py", resolver)
	cmd.Stdin = bytes.NewReader(message)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("verify.py: %v\n%s", err, stderr.Bytes())
	}
	var found []signature
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var s signature
		if err := dec.Decode(&s); err != nil {
			t.Fatalf("verify.py said %q: %v", out, err)
		}
		found = append(found, s)
	}
	return found
}

// wantSigned checks that a message has exactly one good signature by each selector
// of the domain and is otherwise what was submitted: nothing is put before it but
// signatures and Received fields, and nothing in it is changed.
func wantSigned(t *testing.T, resolver, domain string, m receipt, submitted []byte, selectors ...string) {
	t.Helper()
	wantOriginal(t, m, submitted, len(selectors))
	seen := map[string]int{}
	for _, s := range verify(t, resolver, m.raw) {
		if !s.OK || s.Domain != domain {
			t.Errorf("signature %+v, want a good one by %s", s, domain)
		}
		seen[s.Selector]++
	}
	for _, selector := range selectors {
		if seen[selector] != 1 {
			t.Errorf("%d signatures by selector %s, want 1 (of %v)", seen[selector], selector, seen)
		}
	}
	if len(seen) != len(selectors) {
		t.Errorf("signatures by %v, want %v", seen, selectors)
	}
}

// wantUnsigned checks that a message passed as it was submitted.
func wantUnsigned(t *testing.T, m receipt, submitted []byte) {
	t.Helper()
	wantOriginal(t, m, submitted, 0)
}

var fieldName = regexp.MustCompile(`(?m)^[!-9;-~]+:`)

// wantOriginal checks what was put before the submitted message.
func wantOriginal(t *testing.T, m receipt, submitted []byte, signatures int) {
	t.Helper()
	prefix, found := bytes.CutSuffix(m.raw, submitted)
	if !found {
		t.Fatalf("the message was changed on its way; it arrived as\n%s", firstBytes(m.raw, 4000))
	}
	count := map[string]int{}
	for _, name := range fieldName.FindAllString(string(prefix), -1) {
		count[strings.ToLower(name)]++
	}
	if count["dkim-signature:"] != signatures || count["received:"] == 0 || len(count) > 2 || (signatures == 0 && len(count) > 1) {
		t.Errorf("put before the message: %v, want %d signatures and Received only\n%s", count, signatures, prefix)
	}
}

func firstBytes(b []byte, n int) []byte { return b[:min(len(b), n)] }
