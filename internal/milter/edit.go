package milter

import (
	"fmt"
	"strings"

	"github.com/emersion/go-milter"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// edit tells the MTA which recipients to drop, which fields to remove and which
// signatures to put at the top.
func (m *message) edit(out *gate.Outcome, held []gate.Recipient, mod *milter.Modifier, o options) error {
	for _, r := range held {
		for _, to := range m.asGiven[r.Address] {
			if err := mod.DeleteRecipient(to); err != nil {
				return fmt.Errorf("delete recipient %s: %w", r.Address, err)
			}
		}
	}
	// An index counts the fields of that name that are left: the last one first.
	for i := m.tokenFields; i > 0; i-- {
		if err := mod.ChangeHeader(i, spool.TokenHeader, ""); err != nil {
			return fmt.Errorf("remove %s: %w", spool.TokenHeader, err)
		}
	}
	// Each goes on top of the one before.
	for i := len(out.Signatures) - 1; i >= 0; i-- {
		f := out.Signatures[i]
		if err := mod.InsertHeader(0, f.Name, fieldValue(f, o)); err != nil {
			return fmt.Errorf("insert %s: %w", f.Name, err)
		}
	}
	return nil
}

// fieldValue is what follows the colon, without the final line end. An MTA without
// header-leading-space adds a space of its own.
func fieldValue(f mail.Field, o options) string {
	_, value, _ := strings.Cut(string(f.Raw), ":")
	value = strings.TrimSuffix(value, "\r\n")
	if !o.has(milter.OptHeaderLeadingSpace) {
		value = strings.TrimPrefix(value, " ")
	}
	return value
}
