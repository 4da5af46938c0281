package socketmap

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
)

// maxText is the longest text of a reply, so that it fits into an SMTP line.
const maxText = 400

// parseKey reads the key of the map preflight: sender and recipient, with a space
// between. A space within quotes belongs to an address, and an empty sender or
// "<>" is the null sender.
func parseKey(key string) (a Ask, ok bool) {
	quoted := false
	for i := 0; i < len(key); i++ {
		switch key[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case ' ':
			if quoted {
				continue
			}
			a = Ask{Sender: strings.TrimSuffix(strings.TrimPrefix(key[:i], "<"), ">"), Recipient: key[i+1:]}
			return a, a.Recipient != ""
		}
	}
	return Ask{}, false
}

// advise asks Preflight. Whatever goes wrong, there is an answer.
func (s *Server) advise(ctx context.Context, peer string, a Ask) Advice {
	if s.Preflight == nil {
		return Advice{}
	}
	ctx, cancel := context.WithTimeout(ctx, s.Limits.Advice)
	defer cancel()
	advice, err := s.askPreflight(ctx, a)
	if err != nil {
		s.Metrics.failed("advice")
		s.Log.Warn("socketmap: no advice", "peer", peer, "from", a.Sender, "to", a.Recipient, "error", err)
		return Advice{}
	}
	return advice
}

func (s *Server) askPreflight(ctx context.Context, a Ask) (advice Advice, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.Metrics.failed("panic")
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return s.Preflight.Advise(ctx, a)
}

// appendAction adds what access(5) calls an action.
func (a Advice) appendAction(b []byte) []byte {
	switch a.Action {
	case Refuse:
		code := a.Code
		if code < 500 || code > 599 {
			code = 550
		}
		b = strconv.AppendInt(b, int64(code), 10)
		b = append(b, ' ')
		b = append(b, a.status('5')...)
	case Defer:
		b = append(b, "DEFER_IF_PERMIT "...)
		b = append(b, a.status('4')...)
	default:
		return append(b, "DUNNO"...)
	}
	if a.Text != "" {
		b = append(b, ' ')
		b = appendPrintable(b, a.Text, maxText)
	}
	return b
}

// status is the enhanced status code, which must be of the reply's class.
func (a Advice) status(class byte) string {
	digits := strings.Split(a.Status, ".")
	ok := len(digits) == 3 && digits[0] == string(class)
	for _, d := range digits {
		ok = ok && d != "" && len(d) <= 3 && strings.Trim(d, "0123456789") == ""
	}
	if !ok {
		return string(class) + ".7.1"
	}
	return a.Status
}

// word is the action's name in the metrics.
func (a Action) word() string {
	switch a {
	case Refuse:
		return "refuse"
	case Defer:
		return "defer"
	}
	return "dunno"
}

// appendPrintable adds at most n bytes of s, which nothing in them can end.
func appendPrintable(b []byte, s string, n int) []byte {
	for i := 0; i < len(s) && i < n; i++ {
		if c := s[i]; c >= ' ' && c <= '~' {
			b = append(b, c)
		} else {
			b = append(b, '?')
		}
	}
	return b
}
