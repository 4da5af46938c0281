package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Commands to the milter.
const (
	cmdAbort   = 'A'
	cmdBody    = 'B'
	cmdConnect = 'C'
	cmdMacro   = 'D'
	cmdEnd     = 'E'
	cmdHelo    = 'H'
	cmdHeader  = 'L'
	cmdMail    = 'M'
	cmdEOH     = 'N'
	cmdOptions = 'O'
	cmdQuit    = 'Q'
	cmdRcpt    = 'R'
	cmdData    = 'T'
)

// Answers of the milter.
const (
	ansAccept       = 'a'
	ansContinue     = 'c'
	ansDiscard      = 'd'
	ansAddHeader    = 'h'
	ansInsertHeader = 'i'
	ansReject       = 'r'
	ansSkip         = 's'
	ansTempfail     = 't'
	ansReply        = 'y'
	ansProgress     = 'p'
)

// Bits of the protocol word: events not to send, events not to be answered.
const (
	noConnect = 1 << 0
	noHelo    = 1 << 1
	noMail    = 1 << 2
	noRcpt    = 1 << 3
	noBody    = 1 << 4
	noHeaders = 1 << 5
	noEOH     = 1 << 6
	nrHeader  = 1 << 7
	noData    = 1 << 9
	nrConnect = 1 << 12
	nrHelo    = 1 << 13
	nrMail    = 1 << 14
	nrRcpt    = 1 << 15
	nrData    = 1 << 16
	nrEOH     = 1 << 18
	nrBody    = 1 << 19
	leadSpace = 1 << 20

	// What Postfix offers: everything of version 6.
	offerVersion  = 6
	offerActions  = 0x1ff
	offerProtocol = 0x1fffff
)

// maxFrame bounds what a milter may send at once.
const maxFrame = 1 << 20

// writeFrame writes one packet: length, command, data.
func writeFrame(w io.Writer, cmd byte, data ...[]byte) error {
	n := 1
	for _, d := range data {
		n += len(d)
	}
	var head [5]byte
	binary.BigEndian.PutUint32(head[:4], uint32(n))
	head[4] = cmd
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	for _, d := range data {
		if _, err := w.Write(d); err != nil {
			return err
		}
	}
	return nil
}

// readFrame reads one packet.
func readFrame(r *bufio.Reader) (cmd byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, fmt.Errorf("read answer: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n < 1 || n > maxFrame {
		return 0, nil, fmt.Errorf("answer of %d bytes", n)
	}
	data = make([]byte, n-1)
	if _, err := io.ReadFull(r, data); err != nil {
		return 0, nil, fmt.Errorf("read answer: %w", err)
	}
	return head[4], data, nil
}

// zstrings joins C strings.
func zstrings(s ...string) []byte {
	var b []byte
	for _, v := range s {
		b = append(append(b, v...), 0)
	}
	return b
}
