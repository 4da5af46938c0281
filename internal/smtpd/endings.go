package smtpd

// softLimit is the longest line without its end that SMTP promises to carry (RFC
// 5321 section 4.5.3.1.6).
const softLimit = 998

// endings makes every line end a CRLF, and notes what there was besides. It works
// on pieces, however the text is cut.
type endings struct {
	bare    bool // there was a CR or LF alone
	longest int  // line, without its end
	line    int  // bytes of the present line
	cr      bool // a CR kept back
}

// append appends the text in raw to dst.
func (e *endings) append(dst, raw []byte) []byte {
	for len(raw) > 0 {
		b := raw[0]
		switch {
		case b == '\n':
			e.bare = e.bare || !e.cr
			dst = e.end(dst)
			raw = raw[1:]
		case e.cr:
			e.bare = true
			dst = e.end(dst)
		case b == '\r':
			e.cr = true
			raw = raw[1:]
		default:
			run := upTo(upTo(raw, '\n'), '\r')
			dst = append(dst, run...)
			raw = raw[len(run):]
			e.line += len(run)
			e.longest = max(e.longest, e.line)
		}
	}
	return dst
}

// finish ends the text: the last line has its end too.
func (e *endings) finish(dst []byte) []byte {
	e.bare = e.bare || e.cr
	if e.cr || e.line > 0 {
		dst = e.end(dst)
	}
	return dst
}

func (e *endings) end(dst []byte) []byte {
	e.cr, e.line = false, 0
	return append(dst, '\r', '\n')
}
