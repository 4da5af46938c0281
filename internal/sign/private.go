package sign

// ReadPrivate reads a file that nobody but user uid and root can have read or written;
// its errors are LoadKeyAs's.
func ReadPrivate(path string, uid int) ([]byte, error) { return readPrivate(path, uid) }
