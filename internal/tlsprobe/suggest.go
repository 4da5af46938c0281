package tlsprobe

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"slices"

	"mailgate/internal/tlspolicy"
)

// Suggestion is what to do about a destination.
type Suggestion struct {
	Words    string              `json:"words"`
	Override *tlspolicy.Override `json:"override,omitempty"` // nil: none would help, or none is needed
}

// Works reports whether mail can be sent to a host by its policy.
func (h *Host) Works() bool {
	switch {
	case h.Error != "":
		return false
	case h.Policy.Level == tlspolicy.None:
		return true
	case !h.StartTLS || !h.ByPolicy.OK():
		return h.Policy.Level == tlspolicy.May
	}
	return true
}

// Known reports whether the probe found out if mail can be sent by the host's policy:
// not where the server, or a limit on connections, ended it before TLS began.
func (h *Host) Known() bool {
	return h.Error == "" && (h.ByPolicy == nil || !h.ByPolicy.Unreached)
}

// Suggest says what to do about a destination with these hosts, best first. reason
// and end of the override are the administrator's to add.
func Suggest(destination string, hosts []*Host) Suggestion {
	reached := false
	for _, h := range hosts {
		if h.Error != "" {
			continue
		}
		reached = true
		if s := h.suggest(destination); s != nil {
			return *s
		}
	}
	if !reached {
		return Suggestion{Words: "No server could be probed, so nothing is known of its TLS."}
	}
	return Suggestion{Words: "Nothing needs to be done: TLS works as the policy says."}
}

// suggest returns nil where nothing needs to be done.
func (h *Host) suggest(destination string) *Suggestion {
	level := cmp.Or(h.Policy.Level, tlspolicy.May)
	switch {
	case level == tlspolicy.None:
		return h.suggestNone()
	case !h.StartTLS && level == tlspolicy.May:
		return &Suggestion{Words: h.Name + " offers no STARTTLS: mail goes to it in the clear. Only its administrator can change that."}
	case !h.StartTLS:
		return &Suggestion{Words: fmt.Sprintf("%s offers no STARTTLS, and the policy %s demands it: mail waits. Either the server is misconfigured, or something on the way strips STARTTLS.", h.Name, level)}
	case h.ByPolicy.OK():
		return nil
	case !h.Plain.OK():
		return h.suggestLess(destination, level)
	case !h.Known():
		return &Suggestion{Words: fmt.Sprintf("TLS itself works with %s, but a second connection to it failed (%s), so it isn't known whether it works as the policy %s demands. Probe it again later.", h.Name, h.ByPolicy.Error, level)}
	}
	words := fmt.Sprintf("TLS itself works with %s, but not as the policy %s demands: %s. ", h.Name, level, h.ByPolicy.Error)
	if h.overridden() {
		words += fmt.Sprintf("That is with the override for %s: change it, remove it, or have the server's administrator do what it asks for.", h.Policy.Destination)
	} else {
		words += "Its administrator has to mend the certificate or the records."
	}
	return &Suggestion{Words: words}
}

// overridden reports whether an override has a part in what is asked of the server.
func (h *Host) overridden() bool {
	o := h.Policy.Origins
	return h.Policy.Destination != "" && (h.Policy.Source == tlspolicy.FromOverride ||
		slices.Contains([]tlspolicy.Source{o.Versions, o.Ciphers, o.Curves, o.ServerName, o.MatchNames}, tlspolicy.FromOverride))
}

func (h *Host) suggestNone() *Suggestion {
	if h.StartTLS && h.Plain.OK() {
		return &Suggestion{Words: fmt.Sprintf("%s can do TLS %s; the policy none isn't needed.", h.Name, h.Plain.Version)}
	}
	return nil
}

// suggestLess is for a server that chokes on what is offered.
func (h *Host) suggestLess(destination string, level tlspolicy.Level) *Suggestion {
	for _, less := range h.Lesser {
		if less.Error != "" {
			continue
		}
		o := tlspolicy.Override{Destination: destination, Level: max(level, tlspolicy.Encrypt), MaxVersion: less.limits.highest}
		if less.limits.classic {
			o.Curves = tlspolicy.Classic
		}
		o.Ciphers = less.oldCipher()
		return &Suggestion{Words: fmt.Sprintf("%s fails with everything offered, and works with less: %s.", h.Name, less.Offered), Override: &o}
	}
	for _, v := range h.Versions {
		if v.Unreached { // what it speaks isn't known, then
			break
		}
		if v.Error == "" {
			return &Suggestion{
				Words: fmt.Sprintf("%s speaks nothing newer than TLS %s, which is out of date (RFC 8996): its administrator should mend that.", h.Name, v.Version),
				Override: &tlspolicy.Override{
					Destination: destination, Level: max(level, tlspolicy.Encrypt), MinVersion: v.Version, MaxVersion: v.Version,
					Ciphers: v.oldCipher(),
				},
			}
		}
	}
	return &Suggestion{Words: fmt.Sprintf("%s offers STARTTLS, and no handshake with it comes about: %s.", h.Name, h.Plain.Error)}
}

// oldCipher is the suite of a handshake, if this program doesn't offer it by itself.
func (h *Handshake) oldCipher() []string {
	for _, suite := range tls.InsecureCipherSuites() {
		if suite.Name == h.Cipher {
			return []string{h.Cipher}
		}
	}
	return nil
}
