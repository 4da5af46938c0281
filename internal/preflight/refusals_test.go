package preflight

import "testing"

// Predictions name only rules that people can look up.
func TestRefusals(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Refusals() {
		if seen[r.Rule] || r.Reply == "" || r.Source == "" || len(r.Checks) == 0 {
			t.Errorf("rule %+v is there twice, or lacks something", r)
		}
		seen[r.Rule] = true
		if got, ok := ExplainRule(r.Rule); !ok || got.Reply != r.Reply {
			t.Errorf("ExplainRule(%s) = %+v, %v", r.Rule, got, ok)
		}
	}
	if len(seen) != len(rules) {
		t.Errorf("%d refusals of %d rules", len(seen), len(rules))
	}
	if r, ok := ExplainRule("gmail-no-such-rule"); ok {
		t.Errorf("ExplainRule of no rule: %+v", r)
	}
}
