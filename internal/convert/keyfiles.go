package convert

import (
	"errors"
	"io/fs"
	"strings"

	"mailgate/internal/sign"
)

// checkKeys looks at every key file as mailgate will, and says what to mend: before it
// starts, or, of an entry that is a comment, before that is used. It speaks for the
// user it runs as.
func (p *Plan) checkKeys(t *tree) {
	seen := map[string]bool{}
	for _, in := range p.Inline {
		seen[in.File] = true
	}
	check := func(keys []Key, kind Kind) {
		for _, k := range keys {
			if !seen[k.File] {
				seen[k.File] = true
				p.checkKey(t, k.File, kind)
			}
		}
	}
	for _, d := range p.Domains {
		check(d.Keys, Mend)
	}
	for _, d := range p.Partly {
		check(d.Keys, Left)
	}
}

func (p *Plan) checkKey(t *tree, file string, kind Kind) {
	at, err := t.real(file)
	if err == nil {
		_, warnings, loadErr := sign.LoadKey(at)
		p.warn(file, warnings)
		err = loadErr
	}
	if err == nil {
		return
	}
	var unsafe *sign.UnsafeError
	switch {
	case errors.As(err, &unsafe):
		shown := func(s string) string { return strings.ReplaceAll(s, t.root, "") }
		if t.root == "" {
			shown = func(s string) string { return s }
		}
		where := place{file: file}
		text := shown(unsafe.Path) + " " + unsafe.Reason
		if shown(unsafe.Path) == file {
			text = unsafe.Reason
		}
		p.note(kind, where, "", text+": mailgate won't read the key", "copy the keys with --write-keys DIR; or, once "+p.Source+" signs no more, which may need this as it is: "+shown(unsafe.Mend)+"   (for the user that mailgate runs as)")
	case errors.Is(err, fs.ErrNotExist):
		p.note(kind, place{file: file}, "", "there is no such key file", "put the key there, or take it out of the configuration")
	case errors.Is(err, fs.ErrPermission):
		p.note(kind, place{file: file}, "", "this user can't read the key", "as root, --write-keys DIR --owner USER copies it for the user that mailgate runs as")
	case errors.Is(err, sign.ErrShortKey):
		p.note(kind, place{file: file}, "", "the RSA key has under 1024 bits, which receivers count as no signature", "make a new one: mailgate keys generate")
	default:
		p.note(kind, place{file: file}, "", "mailgate can't use the key: "+cause(rootCause(err)).Error(), "")
	}
}

// warn tells what is to be known about a key that works.
func (p *Plan) warn(file string, warnings []string) {
	for _, w := range warnings {
		p.note(Differs, place{file: file}, "", w, "mailgate keys rotate makes a longer one")
	}
}

// rootCause is the innermost error, without the paths around it.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
