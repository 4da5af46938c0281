package rotation

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// serials are what tells the selectors of one year apart: a to z, then aa to zz.
func serials(yield func(string) bool) {
	for _, first := range " abcdefghijklmnopqrstuvwxyz" {
		for last := 'a'; last <= 'z'; last++ {
			if !yield(strings.TrimSpace(string(first)) + string(last)) {
				return
			}
		}
	}
}

// freeName finds a selector that nothing has yet, and the file for its key: m2026a,
// m2026b, … or e2026a for Ed25519.
func (e *Engine) freeName(ctx context.Context, d mail.Domain, dir string, ed25519 bool) (selector, file string, err error) {
	letter := "m"
	if ed25519 {
		letter = "e"
	}
	taken := e.selectors(d)
	for serial := range serials {
		selector = fmt.Sprintf("%s%d%s", letter, e.o.Now().Year(), serial)
		file = filepath.Join(dir, fmt.Sprintf("%s.%s.pem", d, selector))
		if taken[selector] {
			continue
		}
		switch _, err := os.Lstat(file); {
		case err == nil:
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return "", "", fmt.Errorf("a new key file: %w", err)
		}
		switch free, err := e.unpublished(ctx, d, selector); {
		case err != nil:
			return "", "", err
		case free:
			return selector, file, nil
		}
	}
	return "", "", fmt.Errorf("%w: every selector from %s%da to zz is taken", ErrOrder, letter, e.o.Now().Year())
}

// selectors are those of a domain that the configuration or a rotation names.
func (e *Engine) selectors(d mail.Domain) map[string]bool {
	taken := map[string]bool{}
	for _, k := range e.o.Site().Keys {
		if k.Domain == d {
			taken[strings.ToLower(k.Selector)] = true
		}
	}
	for _, r := range e.Book().All() {
		if r.Domain == d {
			taken[strings.ToLower(r.Old.Selector)] = true
			taken[strings.ToLower(r.New.Selector)] = true
		}
	}
	return taken
}

// wildcardProbe is a selector nobody has.
const wildcardProbe = "mailgate-wildcard-probe"

// unpublished reports whether DNS has nothing at the selector's name, but for what a
// wildcard puts everywhere (RFC 4592).
func (e *Engine) unpublished(ctx context.Context, d mail.Domain, selector string) (bool, error) {
	name := recordName(d, selector)
	ctx = dnsview.Fresh(ctx, 0)
	switch a := e.o.DNS().Published(ctx, name, "TXT"); {
	case a.Fallback != "" || a.Status == dnsview.Unknown:
		why := a.Fallback
		if why == "" {
			why = "no name server answers"
		}
		return false, fmt.Errorf("see whether %s is free: %w: %s", name, ErrUnsure, why)
	case a.Status == dnsview.Found:
		anything := e.o.DNS().Published(ctx, recordName(d, wildcardProbe), "TXT")
		return slices.Equal(anything.Texts(), a.Texts()), nil
	default:
		return len(a.CNAMEs) == 0, nil
	}
}
