package mail

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"strings"
)

// checkEncodedWords refuses a field whose encoded words hide a NUL or a line end:
// mail readers that decode before they parse have been made to show another
// author this way.
func checkEncodedWords(s []byte) error {
	if !bytes.Contains(s, []byte("=?")) {
		return nil
	}
	words := mime.WordDecoder{CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil }}
	decoded, err := words.DecodeHeader(strings.ReplaceAll(string(s), "\r\n", ""))
	if err != nil {
		return errors.New("an encoded word that cannot be decoded")
	}
	if strings.ContainsAny(decoded, "\x00\r\n") {
		return errors.New("an encoded word that hides a NUL or a line end")
	}
	return nil
}
