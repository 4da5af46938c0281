package mail

import (
	"errors"
	"io"
	"mime"
	"strings"
)

// checkEncodedWords refuses a display name whose encoded words hide a NUL or a
// line end: mail readers that decode before they parse have been made to show
// another author this way.
func checkEncodedWords(name string) error {
	if !strings.Contains(name, "=?") {
		return nil
	}
	words := mime.WordDecoder{CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil }}
	decoded, err := words.DecodeHeader(name)
	if err != nil {
		return errors.New("an encoded word that cannot be decoded")
	}
	raw := strings.Count(name, "\r") // folds between the words
	if strings.Contains(decoded, "\x00") || strings.Count(decoded, "\r") > raw || strings.Count(decoded, "\n") > raw {
		return errors.New("an encoded word that hides a NUL or a line end")
	}
	return nil
}
