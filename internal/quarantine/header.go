package quarantine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"mailgate/internal/notice"
	"mailgate/internal/spool"
)

// header returns the header of a message byte by byte, and whether its original is
// still there. One of more than notice.MaxHeader bytes is cut a byte beyond, which
// tells that there is more.
func (q *Quarantine) header(ctx context.Context, id string) (header []byte, there bool, err error) {
	content, err := q.store.Open(ctx, id)
	if errors.Is(err, spool.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("open %s: %w", id, err)
	}
	defer content.Close()
	begin, err := io.ReadAll(io.LimitReader(content, notice.MaxHeader+1))
	if err != nil {
		return nil, false, fmt.Errorf("read the header of %s: %w", id, err)
	}
	return notice.HeaderOf(begin), true, nil
}

// headerText is a header to be read by people: LF at the ends of lines, valid UTF-8,
// at most notice.MaxHeader bytes of it.
func headerText(header []byte) string {
	var text strings.Builder
	for line := range bytes.Lines(header[:min(len(header), notice.MaxHeader)]) {
		line, ended := bytes.CutSuffix(line, []byte("\n"))
		text.Write(bytes.TrimSuffix(line, []byte("\r")))
		if ended {
			text.WriteByte('\n')
		}
	}
	return strings.ToValidUTF8(text.String(), "\uFFFD")
}
