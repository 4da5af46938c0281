package quarantine

import (
	"slices"
	"strings"

	"mailgate/internal/spool"
)

// selects reports whether a recipient of a listed message is one of those it is
// listed for: it alone answers to all that f asks of a recipient (see
// spool.Filter).
func selects(f spool.Filter, r spool.Recipient) bool {
	return (len(f.States) == 0 || slices.Contains(f.States, r.State)) &&
		(f.Reason == "" || f.Reason == r.Reason) &&
		(f.Provider == "" || f.Provider == r.Provider) &&
		(f.Code == "" || slices.ContainsFunc(r.Codes, func(code string) bool { return isOf(code, f.Code) })) &&
		containsFold(r.Address.Local+"@"+string(r.Address.Domain), f.Recipient)
}

// isOf reports whether a finding's code is the one asked for, or of that kind.
func isOf(code, asked string) bool {
	return code == asked || !strings.Contains(asked, "-") && strings.HasPrefix(code, asked+"-")
}

// containsFold is strings.Contains without regard to case.
func containsFold(s, part string) bool {
	in, want := []rune(s), []rune(part)
	for i := 0; i+len(want) <= len(in); i++ {
		if strings.EqualFold(string(in[i:i+len(want)]), string(want)) {
			return true
		}
	}
	return false
}
