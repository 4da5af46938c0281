package quarantine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"mailgate/internal/spool"
)

// tokenLifetime bounds how long a released message may take from our SMTP client
// through the MTA to our milter.
const tokenLifetime = 15 * time.Minute

// issueToken makes the one-time token of a release, or with an empty id that of a
// notice. The store keeps only its hash.
func (q *Quarantine) issueToken(ctx context.Context, id string) (string, error) {
	token := rand.Text()
	err := q.store.IssueToken(ctx, id, sha256.Sum256([]byte(token)), q.o.Now().Add(tokenLifetime))
	if err != nil {
		return "", fmt.Errorf("keep the release token of %s: %w", id, err)
	}
	return token, nil
}

// Redeem takes a token and returns the id of the message it releases; that of a
// notice is empty. A token works once; false means that it is not, or no longer, one of ours.
func (q *Quarantine) Redeem(ctx context.Context, token string) (id string, ok bool, err error) {
	id, err = q.store.RedeemToken(ctx, sha256.Sum256([]byte(token)))
	if errors.Is(err, spool.ErrNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("redeem a release token: %w", err)
	}
	return id, true, nil
}
