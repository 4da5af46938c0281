//go:build cgo && linux

package sign

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"sync"
	"testing"
)

func accelerated(t testing.TB, kind string) (plain, fast crypto.Signer) {
	t.Helper()
	plain, err := Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	if fast, err = Accelerate(plain); err != nil {
		t.Fatal(err)
	}
	return plain, fast
}

func TestAccelerate(t *testing.T) {
	for _, kind := range []string{"rsa2048", "rsa3072"} {
		plain, fast := accelerated(t, kind)
		if _, ok := fast.(*libcryptoKey); !ok {
			t.Fatalf("%s: %T", kind, fast)
		}
		if !plain.Public().(*rsa.PublicKey).Equal(fast.Public()) {
			t.Errorf("%s: another public key", kind)
		}
		if (Key{Signer: plain}).Record() != (Key{Signer: fast}).Record() {
			t.Errorf("%s: another record", kind)
		}
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				digest := sha256.Sum256([]byte{byte(i)})
				signature, err := fast.Sign(nil, digest[:], crypto.SHA256)
				if err == nil {
					err = rsa.VerifyPKCS1v15(plain.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], signature)
				}
				if err != nil {
					t.Errorf("%s: %v", kind, err)
				}
			})
		}
		wg.Wait()
		if _, err := fast.Sign(nil, make([]byte, 20), crypto.SHA1); err == nil {
			t.Error("signs SHA-1")
		}
		if _, err := fast.Sign(nil, make([]byte, 5), crypto.SHA256); err == nil {
			t.Error("signs what is no digest")
		}
	}
}

func TestAccelerateLeavesEd25519(t *testing.T) {
	if plain, fast := accelerated(t, "ed25519"); !plain.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(fast.Public()) {
		t.Error("another key")
	}
}

// Two signers that don't agree are found out at the start.
func TestDisagreementIsFoundOut(t *testing.T) {
	plain, _ := accelerated(t, "rsa2048")
	_, other := accelerated(t, "rsa2048")
	if agree(other, plain) == nil {
		t.Error("two keys agree")
	}
}

func BenchmarkLibcryptoRSA2048(b *testing.B) {
	_, fast := accelerated(b, "rsa2048")
	digest := sha256.Sum256(nil)
	for b.Loop() {
		if _, err := fast.Sign(nil, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}
