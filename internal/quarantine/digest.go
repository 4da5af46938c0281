package quarantine

import "context"

// digest tells the postmaster what is newly held.
func (q *Quarantine) digest(ctx context.Context) {}
