package main

import (
	"bytes"
	"fmt"
)

// message is what is sent; its body is cut from one text all messages share.
type message struct {
	queueID  string
	from, to string
	header   []field
	size     int
}

type field struct{ name, value string }

// newMessage returns a message like a mail program's, different for each i and n.
func newMessage(o options, n, i int) message {
	id := fmt.Sprintf("4Qx%03X%06X", n, i)
	return message{
		queueID: id, from: o.from, to: o.to, size: o.size,
		header: []field{
			{"Received", "from client.example.com (localhost [127.0.0.1])\n\tby mx1.example.com (Postfix) with ESMTP id " + id + "\n\tfor <" + o.to + ">; Sat, 21 Nov 2026 12:00:00 +0000 (UTC)"},
			{"Date", "Sat, 21 Nov 2026 12:00:00 +0000"},
			{"From", "Ann Example <" + o.from + ">"},
			{"To", "Bob <" + o.to + ">"},
			{"Message-ID", "<" + id + "@example.com>"},
			{"Subject", fmt.Sprintf("Report %d of series %d", i, n)},
			{"MIME-Version", "1.0"},
			{"Content-Type", "text/plain; charset=utf-8"},
			{"Content-Transfer-Encoding", "8bit"},
			{"User-Agent", "Mailer 1.0"},
			{"List-Unsubscribe", "<https://example.com/unsubscribe?id=" + id + ">"},
			{"List-Unsubscribe-Post", "List-Unsubscribe=One-Click"},
		},
	}
}

// text is one chunk of body: lines of a usual length, the last one whole.
var text = bytes.Repeat([]byte(line), chunkSize/len(line)+1)[len(line)-chunkSize%len(line):]

const line = "The quick brown fox jumps over the lazy dog, and then once more, slowly.\r\n"

// chunk returns n bytes of body that end with a line's end.
func (m message) chunk(n int) []byte { return text[len(text)-n:] }
