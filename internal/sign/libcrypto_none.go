//go:build !cgo || !linux

package sign

import (
	"crypto"
	"errors"
)

// Accelerate returns an error: this program was built without cgo, by which
// libcrypto is called.
func Accelerate(crypto.Signer) (crypto.Signer, error) {
	return nil, errors.New("built without cgo")
}
