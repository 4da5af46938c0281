package sign

import "os"

// ReadPrivate reads a file that nobody but this process's user and root can have read
// or written, such as LoadKey wants it. It must be a small one.
func ReadPrivate(path string) ([]byte, error) { return readPrivate(path, os.Geteuid()) }
