package quarantine

import "context"

// notices tells senders whose mail is held for longer than Policy.NotifyAfter.
func (q *Quarantine) notices(ctx context.Context) {}
