package publish

import (
	"errors"
	"strings"
	"testing"

	"github.com/libdns/rfc2136"
)

// What libdns gives as a text only is told apart.
func TestUpdateFault(t *testing.T) {
	u := &update{provider: &rfc2136.Provider{Server: "192.0.2.53:53", KeyName: "mailgate"}}
	for text, want := range map[string]struct {
		err  error
		says string
	}{
		`dns response error code "NOTAUTH" (9)`:  {ErrLogin, "clocks"},
		`dns response error code "REFUSED" (5)`:  {ErrLogin, "allow it to update"},
		`dns response error code "NOTZONE" (10)`: {ErrZone, ""},
		`dns response error code "FORMERR" (1)`:  {ErrCannot, "by hand"},
		`dns response error code "NOTIMP" (4)`:   {ErrCannot, "by hand"},
		`dns response error code "SERVFAIL" (2)`: {nil, "its log"},
		`dial tcp: connection refused`:           {nil, "connection refused"},
	} {
		err := u.fault(errors.New(text))
		for _, known := range []error{ErrLogin, ErrZone, ErrCannot, ErrChanged} {
			if errors.Is(err, known) != (known == want.err) {
				t.Errorf("%s: %v", text, err)
			}
		}
		if !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if u.fault(nil) != nil {
		t.Error("nil is a fault")
	}
}
