package quarantine

import "context"

// expire returns what has been held for Policy.MaxAge.
func (q *Quarantine) expire(ctx context.Context) {}
