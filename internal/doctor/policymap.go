package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

// PolicyMap checks that Postfix asks the socketmap door for TLS policies, in the form
// of its own version.
func (p *Postfix) PolicyMap(d Door, configured string) []Result {
	maps, version := p.Main["smtp_tls_policy_maps"], p.Main["mail_version"]
	var results []Result
	asks := false
	for _, word := range words(maps) {
		kind, rest, _ := strings.Cut(word, ":")
		if at := strings.LastIndexByte(rest, ':'); kind == "socketmap" && at > 0 {
			asks = asks || endpoint{text: rest[:at]}.reaches(d, p.Main["queue_directory"]) ||
				endpoint{text: rest[:at], chroot: true}.reaches(d, p.Main["queue_directory"])
		}
	}
	if asks {
		results = append(results, Result{Area: "postfix", Code: "postfix-policy-map", Status: Pass, Text: "smtp_tls_policy_maps = " + maps})
	} else {
		right := "socketmap:" + d.Endpoint(p.Main["queue_directory"], false) + ":mailgate"
		results = append(results, Result{Area: "postfix", Code: "postfix-policy-map-missing", Status: Warn,
			Text: "[socketmap] is open, but smtp_tls_policy_maps doesn't name it: Postfix knows nothing of TLS overrides",
			Mend: p.set("smtp_tls_policy_maps", right)})
	}
	if newer(configured, version) {
		results = append(results, Result{Area: "postfix", Code: "postfix-version", Status: Fail,
			Text: fmt.Sprintf("[socketmap] postfix = %q, but this is Postfix %s, which doesn't understand such answers and defers the mail", configured, version),
			Mend: []string{fmt.Sprintf("In mailgate.toml: [socketmap] postfix = %q, then mailgate reload", majorMinor(version))}})
	}
	return results
}

// newer reports whether version a ("3.10") is newer than b ("3.7.11").
func newer(a, b string) bool {
	left, right := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(left), len(right), 2) {
		x, errX := strconv.Atoi(left[i])
		y, errY := strconv.Atoi(right[i])
		if errX != nil || errY != nil {
			return false
		}
		if x != y {
			return x > y
		}
	}
	return false
}

func majorMinor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
