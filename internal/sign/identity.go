package sign

import (
	"fmt"
	"strings"

	"mailgate/internal/mail"
)

// identity returns the value of i=, "" when there is none. It must be at or under
// d= (RFC 6376, section 3.5). The local part is kept to atoms and dots, which need
// no encoding in a tag value.
func (k Key) identity() (string, error) {
	if k.Identity == "" {
		return "", nil
	}
	local, name, found := strings.Cut(k.Identity, "@")
	if !found {
		return "", fmt.Errorf("identity %q: want user@domain or @domain", k.Identity)
	}
	for i := range len(local) {
		if !plainLocal(local[i]) {
			return "", fmt.Errorf("identity %q: the local part holds %q", k.Identity, local[i])
		}
	}
	if len(local) > 64 {
		return "", fmt.Errorf("identity %q: the local part is longer than 64 bytes", k.Identity)
	}
	domain, err := mail.ParseDomain(name)
	if err != nil {
		return "", fmt.Errorf("identity %q: %w", k.Identity, err)
	}
	if !domain.IsUnder(k.Domain) {
		return "", fmt.Errorf("identity %q is not under the signing domain %s", k.Identity, k.Domain)
	}
	return local + "@" + string(domain), nil
}

func plainLocal(c byte) bool {
	return alphanumeric(c) || strings.IndexByte("!#$%&'*+-/?^_`{|}~.", c) >= 0
}
