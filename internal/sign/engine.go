package sign

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

var errCancelled = errors.New("signing cancelled")

// engine stands before a key's crypto.Signer, which the library calls in a
// goroutine of its own: there a panic would end the process, and a cancelled
// message would cost a signature.
type engine struct {
	crypto.Signer
	size      int // of a signature, in bytes
	cancelled *atomic.Bool
}

func newEngine(s crypto.Signer, cancelled *atomic.Bool) engine {
	e := engine{Signer: s, size: ed25519.SignatureSize, cancelled: cancelled}
	if public, ok := s.Public().(*rsa.PublicKey); ok {
		e.size = public.Size()
	}
	return e
}

// Sign is crypto.Signer's.
func (e engine) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	if e.cancelled.Load() {
		return nil, errCancelled
	}
	defer func() {
		if p := recover(); p != nil {
			signature, err = nil, fmt.Errorf("signing engine panicked: %v", p)
		}
	}()
	signature, err = e.Signer.Sign(random, digest, opts)
	if err == nil && len(signature) != e.size {
		return nil, fmt.Errorf("signing engine returned %d bytes, want %d", len(signature), e.size)
	}
	return signature, err
}
