package smtpd

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// argon is an argon2id hash with its parameters.
type argon struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
	salt    []byte
	key     []byte
}

// What new hashes cost: the second choice of RFC 9106 section 4 with less memory,
// as OWASP has it.
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	saltLength  = 16
	keyLength   = 32
)

// What hashes from elsewhere may cost at most, so that a line of configuration
// can't take the machine.
const (
	maxHashMemory = 256 << 10 // KiB
	maxHashTime   = 16
	maxPassword   = 1024 // bytes
)

// HashPassword returns the argon2id hash of a password in PHC string form.
func HashPassword(password string) (string, error) {
	if password == "" || len(password) > maxPassword {
		return "", fmt.Errorf("hash a password: want 1 to %d bytes, have %d", maxPassword, len(password))
	}
	a := argon{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, saltLength)}
	rand.Read(a.salt)
	a.key = a.derive(password, keyLength)
	return a.String(), nil
}

// CheckPassword reports whether hash is that of password. It costs what the hash
// says, and is not bounded in number: Users is.
func CheckPassword(hash, password string) (bool, error) {
	a, err := parseHash(hash)
	if err != nil {
		return false, err
	}
	return a.matches(password), nil
}

func (a argon) matches(password string) bool {
	if len(password) > maxPassword {
		password = ""
	}
	return subtle.ConstantTimeCompare(a.derive(password, len(a.key)), a.key) == 1 && password != ""
}

func (a argon) derive(password string, length int) []byte {
	return argon2.IDKey([]byte(password), a.salt, a.time, a.memory, a.threads, uint32(length))
}

// String gives the PHC string form.
func (a argon) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.memory, a.time, a.threads,
		b64.EncodeToString(a.salt), b64.EncodeToString(a.key))
}

// parseHash reads the PHC string form.
func parseHash(s string) (argon, error) {
	var a argon
	bad := func(what string) (argon, error) {
		return argon{}, fmt.Errorf("password hash: %s; make one with \"mailgate relay passwd\"", what)
	}
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return bad("not of the form $argon2id$v=19$m=…,t=…,p=…$salt$key")
	}
	if parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return bad("not of version 19")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &a.memory, &a.time, &a.threads); err != nil {
		return bad("bad parameters " + parts[3])
	}
	var err1, err2 error
	a.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	a.key, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	switch {
	case errors.Join(err1, err2) != nil, a.String() != s:
		return bad("not in the form it is written in")
	case a.memory < 8*uint32(a.threads), a.memory > maxHashMemory, a.time < 1, a.time > maxHashTime, a.threads < 1:
		return bad("parameters out of bounds " + parts[3])
	case len(a.salt) < 8, len(a.salt) > 64, len(a.key) < 16, len(a.key) > 64:
		return bad("salt or key of odd length")
	}
	return a, nil
}
