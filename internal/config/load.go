package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 4 << 20

// Load reads and validates the configuration file at path. Its errors are Errors.
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, Errors{{File: path, Problem: "cannot be read: " + cause(err).Error(), Err: err}}
	}
	return Parse(data, path)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("over %d bytes", maxFile)
	}
	return data, nil
}

// cause strips the path from an error that carries it, as it is shown already.
func cause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Parse validates the configuration in data. The path is for error messages, and
// relative paths in data are relative to its directory. Its errors are Errors.
func Parse(data []byte, path string) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, Errors{{File: path, Problem: "path cannot be made absolute: " + err.Error(), Err: err}}
	}
	src := readSource(data, path)
	in := defaults()
	if err := decode(data, &in); err != nil {
		src.add(path, err)
		if !errors.As(err, new(*toml.StrictMissingError)) {
			return nil, src.errs.sorted() // syntax, or a wrong type: there are no values
		}
	}
	b := builder{in: in, src: src, dir: filepath.Dir(abs)}
	c := b.build()
	c.Path = abs
	if len(src.errs) > 0 {
		return nil, src.errs.sorted()
	}
	return c, nil
}

func decode(data []byte, into *file) error {
	return toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(into)
}

// add takes over a decoding error unless the source has found faults of its own,
// which say the same in more helpful words.
func (s *source) add(path string, err error) {
	if len(s.errs) > 0 {
		return
	}
	var missing *toml.StrictMissingError
	var fault *toml.DecodeError
	switch {
	case errors.As(err, &missing):
		for i := range missing.Errors {
			s.errs = append(s.errs, fromDecoder(path, &missing.Errors[i]))
		}
	case errors.As(err, &fault):
		s.errs = append(s.errs, fromDecoder(path, fault))
	default:
		s.errs = append(s.errs, &Error{File: path, Problem: err.Error(), Err: err})
	}
}

func fromDecoder(path string, e *toml.DecodeError) *Error {
	line, column := e.Position()
	return &Error{
		File: path, Line: line, Column: column,
		Key: strings.Join(e.Key(), "."), Problem: strings.TrimPrefix(e.Error(), "toml: "), Err: e,
	}
}
