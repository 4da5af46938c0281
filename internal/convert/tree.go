package convert

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Bounds on what is read.
const (
	maxFile  = 8 << 20  // one file, in bytes
	maxBytes = 64 << 20 // all files
	maxFiles = 5000
	maxLinks = 40
)

// tree reads files below a root, as if that were "/": symbolic links stay in it.
type tree struct {
	root  string
	files []string
	bytes int
}

// real is where path is on this system. Links are followed as the old program would
// in a system whose root this is.
func (t *tree) real(name string) (string, error) {
	name = path.Clean("/" + name)
	if t.root == "" {
		return name, nil
	}
	at, todo, links := "/", strings.Split(strings.Trim(name, "/"), "/"), 0
	for len(todo) > 0 {
		next := path.Join(at, todo[0])
		todo = todo[1:]
		target, err := os.Readlink(filepath.Join(t.root, next))
		if err != nil { // no link, or not there: opening it tells
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: more than %d symbolic links", name, maxLinks)
		}
		if path.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(strings.Trim(path.Clean(target), "/"), "/"), todo...)
	}
	return filepath.Join(t.root, at), nil
}

// read returns the content of a regular file.
func (t *tree) read(name string) ([]byte, error) {
	at, err := t.real(name)
	if err != nil {
		return nil, err
	}
	// O_NONBLOCK: opening a FIFO must not hang.
	f, err := os.OpenFile(at, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, cause(err)
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, cause(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("over %d bytes", maxFile)
	}
	return data, t.count(name, len(data))
}

func (t *tree) count(name string, size int) error {
	if !slices.Contains(t.files, name) {
		t.files = append(t.files, name)
	}
	if t.bytes += size; t.bytes > maxBytes || len(t.files) > maxFiles {
		return fmt.Errorf("over %d bytes or %d files in all", maxBytes, maxFiles)
	}
	return nil
}

// cause strips the path from an error: whoever tells it names the file.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (t *tree) stat(name string) (fs.FileInfo, error) {
	at, err := t.real(name)
	if err != nil {
		return nil, err
	}
	return os.Stat(at)
}

func (t *tree) exists(name string) bool {
	_, err := t.stat(name)
	return err == nil
}

// list names the entries of a directory, sorted.
func (t *tree) list(dir string) ([]string, error) {
	at, err := t.real(dir)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(at)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	names, err := f.Readdirnames(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, cause(err)
	}
	slices.Sort(names)
	return names, nil
}

// maxEntries bounds what is listed of a directory.
const maxEntries = 20000

// fill finds what stands for hole in the files that are there for pattern, in which
// hole occurs: domains, in a name such as /keys/HOLE.mail.pem.
func (t *tree) fill(pattern, hole string) []string {
	before, after, found := strings.Cut(pattern, hole)
	if !found || !path.IsAbs(pattern) {
		return nil
	}
	dir, prefix := path.Split(before)
	suffix, rest, _ := strings.Cut(after, "/")
	if strings.Contains(suffix, hole) {
		suffix, _, _ = strings.Cut(suffix, hole) // the hole twice in one name: checked below
	}
	names, err := t.list(dir)
	if err != nil {
		return nil
	}
	var all []string
	for _, name := range names {
		value, ok := strings.CutPrefix(name, prefix)
		if !ok || len(value) <= len(suffix) || !strings.Contains(value, suffix) {
			continue
		}
		if rest == "" && !strings.Contains(after, hole) {
			if value, ok = strings.CutSuffix(value, suffix); !ok {
				continue
			}
		} else if suffix != "" {
			value = value[:strings.Index(value, suffix)]
		}
		if value != "" && t.exists(strings.ReplaceAll(pattern, hole, value)) {
			all = append(all, value)
		}
	}
	return all
}
