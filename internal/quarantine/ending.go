package quarantine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mailgate/internal/notice"
	"mailgate/internal/spool"
)

// noteEnding is the kind of the notes on what digests told of. Name: that of the
// Ending; data: its end.
const noteEnding = "digest-ending"

// endingUntold is what ends soon and was in no digest, or with another end.
func (q *Quarantine) endingUntold(ctx context.Context) ([]notice.Ending, error) {
	all := q.o.Ending()
	if len(all) == 0 {
		return nil, nil
	}
	notes, err := q.store.Notes(ctx, noteEnding)
	if err != nil {
		return nil, fmt.Errorf("look what digests told of: %w", err)
	}
	told := make(map[string]string, len(notes))
	for _, n := range notes {
		told[n.Name] = string(n.Data)
	}
	return slices.DeleteFunc(all, func(e notice.Ending) bool { return told[e.Name] == endOf(e) }), nil
}

// noteTold is for when the digest is on its way.
func (q *Quarantine) noteTold(ctx context.Context, ending []notice.Ending) error {
	for _, e := range ending {
		n := spool.Note{Kind: noteEnding, Name: e.Name, Data: []byte(endOf(e)), Until: e.End}
		if err := q.store.KeepNote(context.WithoutCancel(ctx), n, nil); err != nil {
			return fmt.Errorf("note that a digest told of %s: %w", e.Name, err)
		}
	}
	return nil
}

func endOf(e notice.Ending) string { return e.End.UTC().Format(time.RFC3339Nano) }
