//go:build cgo && linux

package sign

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/golang-fips/openssl/v2"
	"github.com/golang-fips/openssl/v2/bbig"
)

// libcryptoFile is OpenSSL 3's library, looked for at run time where the system
// keeps its libraries.
const libcryptoFile = "libcrypto.so.3"

// Accelerate returns the key with its RSA operation done by the system's
// libcrypto, which takes a third of the time; an error says why it can't. Keys of
// other kinds are returned as they are.
func Accelerate(key crypto.Signer) (crypto.Signer, error) {
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return key, nil
	}
	if err := openssl.Init(libcryptoFile); err != nil {
		return nil, fmt.Errorf("libcrypto: %w", err)
	}
	fast, err := newLibcryptoKey(private)
	if err != nil {
		return nil, fmt.Errorf("libcrypto: %w", err)
	}
	return fast, agree(fast, private)
}

// libcryptoKey is an RSA key as libcrypto has it.
type libcryptoKey struct {
	public  *rsa.PublicKey
	private *openssl.PrivateKeyRSA
}

func newLibcryptoKey(k *rsa.PrivateKey) (*libcryptoKey, error) {
	if len(k.Primes) != 2 {
		return nil, fmt.Errorf("a key of %d primes", len(k.Primes))
	}
	k.Precompute()
	private, err := openssl.NewPrivateKeyRSA(
		bbig.Enc(k.N), openssl.BigInt{uint(k.E)}, bbig.Enc(k.D), bbig.Enc(k.Primes[0]), bbig.Enc(k.Primes[1]),
		bbig.Enc(k.Precomputed.Dp), bbig.Enc(k.Precomputed.Dq), bbig.Enc(k.Precomputed.Qinv))
	if err != nil {
		return nil, err
	}
	return &libcryptoKey{&k.PublicKey, private}, nil
}

// Public implements crypto.Signer.
func (k *libcryptoKey) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer: PKCS #1 v1.5 (RFC 8017 section 8.2) over SHA-256,
// all that DKIM uses.
func (k *libcryptoKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.SHA256 {
		return nil, fmt.Errorf("libcrypto: hash %v is not for DKIM", opts.HashFunc())
	}
	return openssl.SignRSAPKCS1v15(k.private, crypto.SHA256, digest)
}

// agree makes sure that both give the same signature; the scheme knows no chance.
func agree(fast, plain crypto.Signer) error {
	digest := sha256.Sum256([]byte("mailgate"))
	want, err := plain.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	got, err := fast.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("libcrypto: it signs differently from crypto/rsa")
	}
	return nil
}
