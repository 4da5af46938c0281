package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"mailgate/internal/quarantine"
)

// TestVerifyHasThreeAnswers: right, wrong, and not to be told.
func TestVerifyHasThreeAnswers(t *testing.T) {
	right := quarantine.Verified{Entries: 5, First: 5, Last: 9, Trimmed: 4, Head: "9:ab"}
	for _, tt := range []struct {
		name string
		v    func(*quarantine.Verified)
		code int
		want []string
	}{
		{"right", func(v *quarantine.Verified) { v.Right = true }, 0, []string{"5 entries, 5 to 9", "noted earlier is its beginning, unchanged", "--against 9:ab"}},
		{"wrong", func(v *quarantine.Verified) { v.Problem = "entry 7 was changed" }, 1, []string{"the review log is wrong: entry 7 was changed"}},
		{"not to be told", func(v *quarantine.Verified) { v.Unproven = "entry 1 was removed" }, 2,
			[]string{"5 entries, 5 to 9", "proves nothing: entry 1 was removed", "no sign of a change", "--against 9:ab"}},
	} {
		v := right
		tt.v(&v)
		f := &fakeAPI{verified: func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) }}
		code, out, _ := f.runWith(t, t.Context(), "log", "--verify", "--against", "1:ab")
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.name, code, tt.code)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is missing:\n%s", tt.name, want, out)
			}
		}
		if tt.code != 1 && strings.Contains(out, "wrong") {
			t.Errorf("%s: cries wolf:\n%s", tt.name, out)
		}
	}
}
