package quarantine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"mailgate/internal/spool"
)

// maxHeader is how much of a header is shown.
const maxHeader = 64 << 10

// header returns the header of a message as text, and whether its original is still
// there.
func (q *Quarantine) header(ctx context.Context, id string) (text string, there bool, err error) {
	content, err := q.store.Open(ctx, id)
	if errors.Is(err, spool.ErrNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("open %s: %w", id, err)
	}
	defer content.Close()
	begin, err := io.ReadAll(io.LimitReader(content, maxHeader))
	if err != nil {
		return "", false, fmt.Errorf("read the header of %s: %w", id, err)
	}
	return headerText(begin), true, nil
}

// headerText is the header at the beginning of a message: up to the empty line,
// with LF at the ends of lines, valid UTF-8.
func headerText(message []byte) string {
	var text strings.Builder
	for line := range bytes.Lines(message) {
		line, ended := bytes.CutSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 && ended {
			break
		}
		text.Write(line)
		if ended {
			text.WriteByte('\n')
		}
	}
	return strings.ToValidUTF8(text.String(), "\uFFFD")
}
