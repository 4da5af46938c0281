//go:build integration

package integration

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// doctorResult is a result of `mailgate doctor --format json`.
type doctorResult struct {
	Area, Code, Status, Text string
	Mend                     []string
}

// TestDoctor: what Postfix's own postconf says is understood, and a mend, run as it is
// printed, mends.
func TestDoctor(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"good.test"}})
	etc := filepath.Join(w.postfix.dir, "etc")
	examine := func() []doctorResult {
		t.Helper()
		var said struct{ Results []doctorResult }
		eventually(t, "doctor to hear of postconf and of DNS in time", func() bool {
			out, _ := w.gate.command(t, "doctor", "--config", w.gate.config, "--postfix-config", etc, "--format", "json")
			if err := json.Unmarshal([]byte(out), &said); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return !slices.ContainsFunc(said.Results, func(r doctorResult) bool {
				return slices.Contains([]string{"postfix-unreadable", "door-closed", "dns-resolvers-silent", "dns-authoritative-silent"}, r.Code)
			})
		})
		return said.Results
	}
	troubles := func(results []doctorResult) []string {
		var codes []string
		for _, r := range results {
			if r.Area == "postfix" && r.Status != "pass" {
				codes = append(codes, r.Code)
			}
		}
		return codes
	}
	postconf := func(setting string) {
		t.Helper()
		if out, err := exec.Command("postconf", "-c", etc, "-e", setting).CombinedOutput(); err != nil {
			t.Fatalf("postconf: %v\n%s", err, out)
		}
	}

	// One service of this Postfix is without the milter on purpose.
	well := []string{"postfix-service-without"}
	results := examine()
	if got := troubles(results); !slices.Equal(got, well) {
		t.Fatalf("a Postfix as it should be: %q, want %q\n%+v", got, well, results)
	}
	for _, area := range []string{"configuration", "keys", "gateway", "milter", "dns", "disk", "store"} {
		at := slices.IndexFunc(results, func(r doctorResult) bool { return r.Area == area })
		if at < 0 || results[at].Status == "fail" {
			t.Errorf("%s: %+v", area, results)
		}
	}

	milter := "inet:" + w.gate.milter
	for _, fault := range []struct{ setting, code string }{
		{"smtpd_milters =", "postfix-milter-missing"},
		{"smtpd_milters = " + milter + " inet:127.0.0.1:11332", "postfix-milter-not-last"},
		{"smtpd_milters = inet:127.0.0.1:11332, $non_smtpd_milters", ""},
		{"smtpd_milters = inet:8891@127.0.0.1", "postfix-address-form"},
		{"milter_default_action = accept", "postfix-default-action"},
		{"non_smtpd_milters =", "postfix-local-mail"},
	} {
		postconf("smtpd_milters = " + milter)
		postconf("non_smtpd_milters = " + milter)
		postconf(fault.setting)
		results := examine()
		at := slices.IndexFunc(results, func(r doctorResult) bool { return r.Code == fault.code })
		if fault.code == "" {
			if got := troubles(results); !slices.Equal(got, well) {
				t.Errorf("%s: %q", fault.setting, got)
			}
			continue
		}
		if at < 0 {
			t.Errorf("%s: not seen as %s: %+v", fault.setting, fault.code, results)
			continue
		}
		for _, command := range results[at].Mend {
			if strings.HasPrefix(command, "postconf ") {
				if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", command, err, out)
				}
			}
		}
		if got := troubles(examine()); !slices.Equal(got, well) {
			t.Errorf("%s: after the mend %q there still is %q", fault.setting, results[at].Mend, got)
		}
	}
}
