package store

// CrashPoints are the names that Options.CrashPoint is called with.
func CrashPoints() []string {
	return []string{
		"take", "chunk", "move", "token", "redeem", "mark", "purge", "drop", "shrink",
		"trim", "trim-log", "trim-messages", "sweep", "index",
		"claim", "settle", "defer", "void",
		"before-commit", "after-commit", "before-checkpoint", "after-checkpoint",
	}
}
