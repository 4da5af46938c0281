package rotation

import (
	"context"
	"fmt"
	"slices"

	"mailgate/internal/dnsview"
)

// foreign are the values at the name of the record to publish that this rotation didn't
// put there: neither its key's record, in whatever spelling, nor what a wildcard puts
// everywhere (RFC 4592). Somebody else may sign with them.
func (e *Engine) foreign(ctx context.Context, r Rotation) []string {
	own := r.Record
	if r.State == Revoking {
		own = r.Was
	}
	list := slices.DeleteFunc(slices.Clone(r.Seen), func(text string) bool {
		return isOf(text, own) || r.State == Revoking && isRevoked(text)
	})
	if len(list) == 0 {
		return nil
	}
	anything := e.o.DNS().Published(dnsview.Fresh(ctx, 0), recordName(r.Domain, wildcardProbe), "TXT").Texts()
	return slices.DeleteFunc(list, func(text string) bool { return slices.Contains(anything, text) })
}

// foreignProblem says what is to be done about them.
func foreignProblem(r Rotation) string {
	name, _ := r.ToPublish()
	if r.State == Revoking {
		return fmt.Sprintf("%s holds something else than the old key, and is not touched: %q. If nobody signs with it, take it away; or else leave it, and end this rotation with --cancel", name, r.Foreign[0])
	}
	return fmt.Sprintf("%s holds something else than the new key, and is not touched: %q. If nobody signs with it, take it away; or else give up this selector with --cancel, and begin again", name, r.Foreign[0])
}
