package quarantine

import (
	"strings"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// identity is whose mail one check of DNS decides.
type identity struct{ from, mailFrom mail.Domain }

func identityOf(m *spool.Message) identity {
	return identity{m.From.Domain, m.Envelope.From.Domain}
}

// keyOf is the group that a held recipient of m is in.
func keyOf(m *spool.Message, r spool.Recipient) spool.GroupKey {
	return spool.GroupKey{
		From: m.From.Domain, MailFrom: m.Envelope.From.Domain,
		Reason: r.Reason, Provider: r.Provider, Rule: r.Rule, Codes: joinCodes(r.Codes),
	}
}

// hasProvider reports whether it is known who receives the mail of a group.
func hasProvider(g spool.GroupKey) bool {
	return g.Provider != "" && g.Provider != string(preflight.UnknownProvider)
}

func joinCodes(codes []string) string { return strings.Join(codes, " ") }

// byIdentity sorts groups into identities, in the order of their first group.
func byIdentity(groups []spool.Group) (order []identity, of map[identity][]spool.Group) {
	of = map[identity][]spool.Group{}
	for _, g := range groups {
		id := identity{g.From, g.MailFrom}
		if of[id] == nil {
			order = append(order, id)
		}
		of[id] = append(of[id], g)
	}
	return order, of
}
