package tlspolicy

import (
	"strings"

	"github.com/mjl-/mox/mtasts"

	"mailgate/internal/mail"
)

// What other domains can have us keep, and do at once, is bounded: anybody may have
// sub-domains without end, each with a policy of the greatest length.
const (
	maxSTS      = 50_000  // domains remembered
	maxSTSHosts = 100     // mx lines of a policy
	shownSTS    = 4 << 10 // bytes of a policy's text that are kept to be shown
	maxFetches  = 64      // policies fetched at once
)

// put keeps an entry. The lock is held.
func (c *stsCache) put(domain mail.Domain, e *stsEntry) {
	if c.known[domain] == nil && len(c.known) >= c.max {
		c.makeRoom(c.max * 9 / 10)
	}
	c.known[domain] = e
}

// makeRoom forgets domains until no more than so many are left: first those without a
// policy, then those whose policy demands nothing. What is forgotten is asked anew.
func (c *stsCache) makeRoom(left int) {
	for worth := range worthMost + 1 {
		for domain, e := range c.known {
			if len(c.known) <= left {
				return
			}
			if e.worth() == worth {
				delete(c.known, domain)
			}
		}
	}
}

const worthMost = 2

// worth is how much is lost with an entry, up to worthMost.
func (e *stsEntry) worth() int {
	switch {
	case e.policy == nil:
		return 0
	case e.policy.mode != mtasts.ModeEnforce:
		return 1
	}
	return worthMost
}

// shorten gives back what of a long text isn't shown.
func (p *stsPolicy) shorten() {
	if len(p.text) > shownSTS {
		p.text = strings.Clone(p.text[:shownSTS]) + "…"
	}
}
