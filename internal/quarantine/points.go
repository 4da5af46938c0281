package quarantine

// CrashPoints are the names that Options.CrashPoint is called with: before and
// after what the next server is asked, and after its answer is written down.
func CrashPoints() []string {
	return []string{
		"release-claimed", "release-sent", "release-settled",
		"expire-claimed", "expire-sent", "expire-settled",
		"notice-sent", "digest-sent",
	}
}
