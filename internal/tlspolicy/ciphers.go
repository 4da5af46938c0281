package tlspolicy

import (
	"crypto/tls"
	"fmt"
	"slices"
)

// choosable returns the suites that crypto/tls lets one choose from, secure ones
// first: those of TLS 1.2 and below. Those of TLS 1.3 are always all offered.
func choosable() []*tls.CipherSuite {
	all := slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites())
	return slices.DeleteFunc(all, func(s *tls.CipherSuite) bool {
		return slices.Equal(s.SupportedVersions, []uint16{tls.VersionTLS13})
	})
}

func checkCiphers(names []string) error {
	_, unknown := cipherIDs(names)
	if unknown != "" {
		return fmt.Errorf("cipher suite %q is unknown, or of TLS 1.3, whose suites can't be chosen: "+
			"use IANA names such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", unknown)
	}
	return nil
}

// insecure returns the first name of a suite that crypto/tls doesn't offer by itself,
// "" if there is none.
func insecure(names []string) string {
	suites := tls.InsecureCipherSuites()
	for _, name := range names {
		if slices.ContainsFunc(suites, func(s *tls.CipherSuite) bool { return s.Name == name }) {
			return name
		}
	}
	return ""
}

// cipherIDs returns the suites by number, nil for no names, and the first name that
// isn't one, which doesn't count.
func cipherIDs(names []string) (ids []uint16, unknown string) {
	suites := choosable()
	for _, name := range names {
		i := slices.IndexFunc(suites, func(s *tls.CipherSuite) bool { return s.Name == name })
		if i >= 0 {
			ids = append(ids, suites[i].ID)
		} else if unknown == "" {
			unknown = name
		}
	}
	return ids, unknown
}
