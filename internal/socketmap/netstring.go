package socketmap

import (
	"errors"
	"fmt"
	"strconv"
)

// maxReply is the longest answer that Postfix reads, without its frame.
const maxReply = 100_000

// errMalformed is in every error about what a client sent.
var errMalformed = errors.New("malformed request")

// netstring finds the netstring at the begin of b: "5:hello,". It returns its
// payload and the length of the whole, which is 0 when more of it has to come.
func netstring(b []byte, limit int) (payload []byte, size int, err error) {
	length, i := 0, 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		if i == 1 && b[0] == '0' {
			return nil, 0, fmt.Errorf("%w: netstring with a leading zero", errMalformed)
		}
		if length = 10*length + int(b[i]-'0'); length > limit {
			return nil, 0, fmt.Errorf("%w: netstring longer than %d bytes", errMalformed, limit)
		}
	}
	switch {
	case i == len(b):
		return nil, 0, nil
	case i == 0:
		return nil, 0, fmt.Errorf("%w: netstring without a length", errMalformed)
	case b[i] != ':':
		return nil, 0, fmt.Errorf("%w: netstring without a colon", errMalformed)
	}
	begin, end := i+1, i+1+length
	switch {
	case end >= len(b):
		return nil, 0, nil
	case b[end] != ',':
		return nil, 0, fmt.Errorf("%w: netstring without its comma", errMalformed)
	}
	return b[begin:end], end + 1, nil
}

func appendNetstring(b, payload []byte) []byte {
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ':')
	b = append(b, payload...)
	return append(b, ',')
}
