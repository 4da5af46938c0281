package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// PolicyMap checks that Postfix asks the socketmap door for TLS policies, in the form
// of its own version.
func (p *Postfix) PolicyMap(d Door, configured string) []Result {
	maps, version, queue := p.Main["smtp_tls_policy_maps"], p.Main["mail_version"], p.Main["queue_directory"]
	chroots := p.chroots("smtp")
	var results []Result
	asks, seen := false, false
	var others []string
	for _, word := range words(maps) {
		kind, rest, _ := strings.Cut(word, ":")
		at := strings.LastIndexByte(rest, ':')
		if kind != "socketmap" || at < 0 {
			others = append(others, word)
			continue
		}
		reaches := func(chroot bool) bool { return endpoint{text: rest[:at], chroot: chroot}.reaches(d, queue) }
		switch {
		case !slices.ContainsFunc(chroots, func(chroot bool) bool { return !reaches(chroot) }):
			asks = true
		case reaches(true) || reaches(false) || rest[:at] == "unix:"+d.Address:
			seen = true
		default:
			others = append(others, word)
		}
	}
	right := d.Endpoint(queue, slices.Contains(chroots, true))
	if d.Network == "unix" && len(chroots) == 1 && right != "" { // as postmap -q can be told, too
		right = "unix:" + d.Address
		if chroots[0] {
			right = "unix:" + strings.TrimPrefix(d.Address, strings.TrimSuffix(queue, "/"))
		}
	}
	mend := p.set("smtp_tls_policy_maps", strings.Join(append(others, "socketmap:"+right+":mailgate"), ", "))
	if right == "" {
		mend = []string{fmt.Sprintf("In mailgate.toml: [socketmap] listen = %q (or \"inet:127.0.0.1:8461\"), then restart mailgate, and run the doctor again",
			"unix:"+filepath.Join(queue, "mailgate/socketmap.sock"))}
	}
	switch {
	case asks:
		results = append(results, Result{Area: "postfix", Code: "postfix-policy-map", Status: Pass, Text: "smtp_tls_policy_maps = " + maps})
	case seen:
		results = append(results, Result{Area: "postfix", Code: "postfix-policy-map-chroot", Status: Fail,
			Text: "smtp_tls_policy_maps = " + maps + ": a service smtp can't see that path for its chroot, and defers the mail", Mend: mend})
	default:
		results = append(results, Result{Area: "postfix", Code: "postfix-policy-map-missing", Status: Warn,
			Text: "[socketmap] is open, but smtp_tls_policy_maps doesn't name it: Postfix knows nothing of TLS overrides", Mend: mend})
	}
	if newer(configured, version) {
		results = append(results, Result{Area: "postfix", Code: "postfix-version", Status: Fail,
			Text: fmt.Sprintf("[socketmap] postfix = %q, but this is Postfix %s, which doesn't understand such answers and defers the mail", configured, version),
			Mend: []string{fmt.Sprintf("In mailgate.toml: [socketmap] postfix = %q, then mailgate reload", majorMinor(version))}})
	}
	return results
}

// chroots are the kinds of services of that command there are: chrooted ones and others.
func (p *Postfix) chroots(command string) []bool {
	var kinds []bool
	for _, s := range p.Services {
		if s.Command == command && !slices.Contains(kinds, s.Chroot) {
			kinds = append(kinds, s.Chroot)
		}
	}
	if len(kinds) == 0 {
		return []bool{false}
	}
	return kinds
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
