//go:build !linux

package store

import "errors"

// renameNew would rename a file to a name that nothing has.
func renameNew(string, string) error { return errors.ErrUnsupported }
