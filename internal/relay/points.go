package relay

// CrashPoints are the names that Options.CrashPoint is called with: before and after
// what a server is asked, before the final dot, when a report on what is given up is
// in custody, and after it is written down.
func CrashPoints() []string {
	return []string{"deliver-claimed", "deliver-sending", "deliver-answered", "deliver-reported", "deliver-settled"}
}
