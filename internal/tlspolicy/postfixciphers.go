package tlspolicy

import (
	"slices"
	"strings"
)

// postfixExclude lists, in OpenSSL's words, all that OpenSSL would offer at grade
// medium and that is not among the suites; "" without suites. Postfix can only
// exclude.
func postfixExclude(suites []string) string {
	if len(suites) == 0 {
		return ""
	}
	excluded := onlyOpenSSL()
	for _, s := range choosable() {
		if name := openSSLName(s.Name); !slices.Contains(suites, s.Name) {
			excluded = append(excluded, name)
		}
	}
	return strings.Join(excluded, ":")
}

// onlyOpenSSL names classes and suites that OpenSSL has and crypto/tls hasn't.
func onlyOpenSSL() []string {
	return []string{"aNULL", "eNULL", "DH", "kDHr", "kDHd", "kECDHr", "kECDHe", "aDSS", "PSK", "SRP", "kGOST",
		"CAMELLIA", "ARIA", "AESCCM", "SEED", "IDEA", "RC2", "DES", "MD5", "SHA384",
		"AES256-SHA256", "ECDHE-ECDSA-DES-CBC3-SHA"}
}

// openSSLName turns an IANA name into OpenSSL's, for the suites of choosable.
func openSSLName(name string) string {
	name = strings.TrimPrefix(name, "TLS_")
	name = strings.TrimPrefix(name, "RSA_WITH_") // OpenSSL doesn't name RSA key exchange
	for _, change := range [][2]string{
		{"_WITH_", "_"}, {"3DES_EDE_CBC", "DES_CBC3"}, {"RC4_128", "RC4"},
		{"CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305"},
		{"AES_128_CBC", "AES128"}, {"AES_256_CBC", "AES256"}, {"AES_128", "AES128"}, {"AES_256", "AES256"},
	} {
		name = strings.Replace(name, change[0], change[1], 1)
	}
	return strings.ReplaceAll(name, "_", "-")
}
