package gate

import (
	"context"
	"slices"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// signers returns those of the keys that sign, as the report has it: the prediction
// rests on the same facts. Keys that the report knows nothing of sign, unless they are
// on standby. It allocates only where one is left out.
func signers(keys []sign.Key, report *preflight.Report) []sign.Key {
	leftOut := func(k sign.Key) bool { return unused(k, report) }
	if !slices.ContainsFunc(keys, leftOut) {
		return keys
	}
	if signing := slices.DeleteFunc(slices.Clone(keys), leftOut); len(signing) > 0 {
		return signing
	}
	return keys // never unsigned
}

func unused(k sign.Key, report *preflight.Report) bool {
	for i := range report.Facts.DKIM {
		if f := &report.Facts.DKIM[i]; f.Selector == k.Selector && f.Domain == k.Domain {
			return f.Unused
		}
	}
	return k.Standby
}

// signersNow is signers for mail that isn't judged. What DNS says is asked only where
// it matters, and no longer than for a verdict.
func (g *Gate) signersNow(ctx context.Context, from mail.Domain, sender mail.Address, keys []sign.Key) []sign.Key {
	if len(keys) < 2 {
		return keys
	}
	ctx, cancel := context.WithTimeout(ctx, g.judgeTime())
	defer cancel()
	return signers(keys, g.checker.Check(ctx, g.identity(from, sender, keys)))
}
