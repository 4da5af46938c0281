package bounce

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// Limits of what is kept in memory, in bytes.
const (
	maxLine    = 64 << 10  // of one line; the rest is left out
	maxBlock   = 256 << 10 // of text that isn't a log, read as one
	maxMessage = 1 << 20   // of one message; the rest is left out
)

// Stats is what Scan has gone through.
type Stats struct {
	Bytes     int64 `json:"bytes"`
	Lines     int64 `json:"lines"`
	Readings  int64 `json:"readings"`
	Delivered int64 `json:"delivered"` // lines and recipients that tell of a delivery
	Reports   int64 `json:"reports"`   // messages read
	Skipped   int64 `json:"skipped"`   // log lines that tell of neither
}

// Scan reads logs, bounces, reports (also several in mbox form) and replies, mixed as
// they come, and calls each for what it understands, and for text in which it finds
// nothing. progress is called after every line or message; it may be nil. Its memory
// doesn't grow with the input. An error is of reading, or each's.
func Scan(in io.Reader, each func(Reading) error, progress func(Stats)) (Stats, error) {
	s := &scanner{in: bufio.NewReaderSize(in, maxLine), each: each, known: newMemory(), progress: progress}
	err := s.run()
	return s.stats, err
}

type scanner struct {
	in       *bufio.Reader
	each     func(Reading) error
	progress func(Stats)
	stats    Stats
	known    *memory

	open  string   // a log line that may go on in the next
	block []string // lines of other text
	size  int      // of block, in bytes
	blank bool     // the last line was empty, or there was none
}

func (s *scanner) run() error {
	s.blank = true
	for {
		if s.blank && s.atMessage() {
			if err := s.message(); err != nil {
				return err
			}
			continue
		}
		line, err := s.line()
		if line != "" || err == nil {
			if err := s.take(line); err != nil {
				return err
			}
		}
		if s.progress != nil {
			s.progress(s.stats)
		}
		if errors.Is(err, io.EOF) {
			return s.flush()
		}
		if err != nil {
			return err
		}
	}
}

// line reads one line without its end; what is beyond maxLine is left out.
func (s *scanner) line() (string, error) {
	raw, err := s.in.ReadSlice('\n')
	s.stats.Bytes += int64(len(raw))
	line := strings.TrimRight(string(raw), "\r\n")
	for errors.Is(err, bufio.ErrBufferFull) {
		raw, err = s.in.ReadSlice('\n')
		s.stats.Bytes += int64(len(raw))
	}
	if err == nil || line != "" {
		s.stats.Lines++
	}
	return line, err
}

// take sorts one line: a log's, the rest of one that was broken, or other text.
func (s *scanner) take(line string) error {
	s.blank = strings.TrimSpace(line) == ""
	l := logLine(line)
	switch {
	case l.known():
		if err := s.flush(); err != nil {
			return err
		}
		s.open = line
	case s.open != "" && !s.blank && !ended(s.open) && len(s.open)+len(line) < maxLine:
		s.open += " " + strings.TrimSpace(line)
	case s.open != "":
		if err := s.flush(); err != nil || s.blank {
			return err
		}
		return s.add(line)
	default:
		return s.add(line)
	}
	return nil
}

// ended reports whether a log line is whole: Postfix closes the parenthesis around
// its words. Of others it can't be told.
func ended(line string) bool {
	return strings.HasSuffix(line, ")") && strings.Contains(line, "status=") && strings.Count(line, "(") == strings.Count(line, ")")
}

// add keeps a line of text.
func (s *scanner) add(line string) error {
	if s.size+len(line) > maxBlock {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.block = append(s.block, line)
	s.size += len(line) + 1
	return nil
}

// flush reads what was kept back.
func (s *scanner) flush() error {
	if s.open != "" {
		l := logLine(s.open)
		s.open = ""
		if err := s.emit(s.readLog(l)); err != nil {
			return err
		}
	}
	block := s.block
	s.block, s.size = nil, 0
	if strings.TrimSpace(strings.Join(block, "")) == "" {
		return nil
	}
	return s.emit(readText(block, Reading{Format: Plain}))
}

// readLog unwraps a log line, with what earlier lines told of the same message.
func (s *scanner) readLog(l line) []Reading {
	list, delivered := s.known.read(l)
	switch {
	case delivered:
		s.stats.Delivered++
	case len(list) == 0:
		s.stats.Skipped++
	}
	return list
}

func (s *scanner) emit(list []Reading) error {
	for i := range list {
		list[i].finish()
		s.stats.Readings++
		if err := s.each(list[i]); err != nil {
			return err
		}
	}
	return nil
}
