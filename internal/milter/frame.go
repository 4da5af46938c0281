package milter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/emersion/go-milter"
)

// codeUnknown is SMFIC_UNKNOWN, an SMTP command the MTA doesn't know; the library
// has no name for it.
const codeUnknown milter.Code = 'U'

// headerSize is the length of a frame's length.
const headerSize = 4

// maxFrame is the library's bound on a frame: command and payload, in bytes.
const maxFrame = 1 << 20

// frame is one command of the MTA: a length, a code and a payload, as received.
type frame []byte

func (f frame) code() milter.Code { return milter.Code(f[headerSize]) }
func (f frame) payload() []byte   { return f[headerSize+1:] }

// frameLength checks the claimed length of a frame, command included.
func frameLength(header []byte) (int, error) {
	n := binary.BigEndian.Uint32(header)
	switch {
	case n == 0:
		return 0, errors.New("frame of length 0")
	case n > maxFrame:
		return 0, fmt.Errorf("frame of length %d, at most %d are allowed", n, maxFrame)
	}
	return int(n), nil
}

// check reports what is wrong with the payload of a frame. The library would take
// some of these faults for an unknown command, answer where no answer is due, or
// read a field as another.
func (f frame) check() error {
	p := f.payload()
	switch f.code() {
	case milter.CodeOptNeg:
		if len(p) < 12 {
			return fmt.Errorf("negotiation of %d bytes", len(p))
		}
	case milter.CodeMacro:
		if len(p) == 0 {
			return errors.New("macros without the command they belong to")
		}
	case milter.CodeConn:
		return checkConnect(p)
	case milter.CodeHeader:
		if !isHeader(p) {
			return errors.New("header field that is not a name and a value")
		}
	case milter.CodeMail, milter.CodeRcpt, milter.CodeHelo:
		if len(p) == 0 || p[len(p)-1] != 0 {
			return errors.New("command without an argument that ends in NUL")
		}
	case milter.CodeEOH, milter.CodeBody, milter.CodeEOB, milter.CodeAbort,
		milter.CodeData, milter.CodeQuit, milter.CodeQuitNewConn, codeUnknown:
	default:
		return fmt.Errorf("unknown command %q", byte(f.code()))
	}
	return nil
}

// checkConnect checks host NUL family [port address NUL].
func checkConnect(p []byte) error {
	_, rest, ok := bytes.Cut(p, []byte{0})
	if !ok || len(rest) == 0 {
		return errors.New("connect without a family")
	}
	switch milter.ProtoFamily(rest[0]) {
	case milter.FamilyUnknown:
	case milter.FamilyUnix, milter.FamilyInet, milter.FamilyInet6:
		if len(rest) < 4 || rest[len(rest)-1] != 0 {
			return errors.New("connect without port and address")
		}
	default:
		return fmt.Errorf("connect with family %q", rest[0])
	}
	return nil
}

// isHeader reports whether p is a name and a value, each with its NUL.
func isHeader(p []byte) bool {
	name := bytes.IndexByte(p, 0)
	return name > 0 && bytes.Count(p, []byte{0}) == 2 && p[len(p)-1] == 0
}

// offer is what the MTA offers in its negotiation.
type offer struct {
	version  uint32
	actions  milter.OptAction
	protocol milter.OptProtocol
}

func parseOffer(p []byte) offer {
	return offer{
		version:  binary.BigEndian.Uint32(p),
		actions:  milter.OptAction(binary.BigEndian.Uint32(p[4:])),
		protocol: milter.OptProtocol(binary.BigEndian.Uint32(p[8:])),
	}
}

// hasArgument reports whether one of the ESMTP arguments that follow the address
// in a MAIL payload is the given keyword.
func hasArgument(payload []byte, keyword string) bool {
	args := bytes.Split(payload, []byte{0})
	for _, a := range args[1:] {
		if bytes.EqualFold(a, []byte(keyword)) {
			return true
		}
	}
	return false
}
