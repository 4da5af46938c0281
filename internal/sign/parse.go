package sign

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ParseKey parses a private key as found in a key file: PEM with an RSA key in
// PKCS#1 or PKCS#8 or an Ed25519 key in PKCS#8; PEM whose body is a raw 32-byte
// Ed25519 seed; or such a seed in bare base64. The strings are warnings for
// people. An RSA key under 1024 bits is ErrShortKey.
func ParseKey(data []byte) (crypto.Signer, []string, error) {
	key, err := parse(data)
	if err != nil {
		return nil, nil, err
	}
	if err := checkPublic(key.Public()); err != nil {
		return nil, nil, err
	}
	return key, warnings(key.Public()), nil
}

func parse(data []byte) (crypto.Signer, error) {
	if !bytes.Contains(data, []byte("-----BEGIN")) {
		return parseSeed(data)
	}
	block, err := privateBlock(data)
	if err != nil {
		return nil, err
	}
	if len(block.Bytes) == ed25519.SeedSize {
		return ed25519.NewKeyFromSeed(block.Bytes), nil
	}
	if block.Type == "RSA PRIVATE KEY" {
		return parsePKCS1(block.Bytes)
	}
	return parsePKCS8(block.Bytes)
}

// parseSeed parses an Ed25519 seed in base64, with or without padding.
func parseSeed(data []byte) (crypto.Signer, error) {
	text := strings.TrimRight(string(bytes.Join(bytes.Fields(data), nil)), "=")
	seed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("neither PEM nor an Ed25519 seed of 32 bytes in base64")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// privateBlock finds the one private key among the PEM blocks of data.
func privateBlock(data []byte) (*pem.Block, error) {
	var found *pem.Block
	other := ""
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
			other = block.Type
		case found != nil:
			return nil, errors.New("more than one private key")
		default:
			found = block
		}
	}
	switch {
	case found == nil && other != "":
		return nil, fmt.Errorf("holds a %s, but no private key", other)
	case found == nil:
		return nil, errors.New("damaged PEM")
	}
	return found, usableBlock(found)
}

func usableBlock(block *pem.Block) error {
	switch {
	case strings.HasPrefix(block.Type, "ENCRYPTED"), strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return errors.New("encrypted with a pass phrase: decrypt it with `openssl pkey -in FILE -out NEWFILE`")
	case block.Type == "PRIVATE KEY", block.Type == "RSA PRIVATE KEY", strings.EqualFold(block.Type, "ED25519 PRIVATE KEY"):
		return nil
	}
	return fmt.Errorf("%s: want RSA (PKCS#1, PKCS#8) or Ed25519 (PKCS#8, raw seed)", block.Type)
}

func parsePKCS1(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("parse PKCS#1 key: %w", err)
	}
	return key, nil
}

func parsePKCS8(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("parse PKCS#8 key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%T can't sign DKIM: want RSA or Ed25519", key)
	}
	return signer, nil
}
