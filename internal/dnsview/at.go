package dnsview

import (
	"context"
	"slices"
)

// publishedAt is the authoritative view where one server only is asked, as before
// a domain is delegated to it: what that server answers with authority counts as
// published, and what it has from elsewhere stands in for it, with Fallback saying
// so.
func (r *Resolver) publishedAt(ctx context.Context, q question) Answer {
	a := r.answer(ctx, Recursive, q)
	a.Observations = slices.Clone(a.Observations)
	authority := false
	for i := range a.Observations {
		if o := &a.Observations[i]; o.AA {
			o.View, authority = Authoritative, true
		}
	}
	a.NameServers = slices.Clone(r.options.Resolvers)
	if !authority {
		a.Fallback = "only " + r.options.Resolvers[0] + " is asked, and it has no authority for the name"
	}
	return a
}
