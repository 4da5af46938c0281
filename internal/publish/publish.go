package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	defaultTTL = time.Hour
	patience   = 30 * time.Second // with one question or one order
)

// driver is the interface of one kind of host. Names are absolute and without the
// final dot, as is the zone.
type driver interface {
	// read returns the TXT records of a name, and the target of an alias (CNAME) there.
	read(ctx context.Context, zone, name string) (values []value, alias string, err error)
	// write makes one change, in one step where the host can. c.was is what read
	// just returned again.
	write(ctx context.Context, zone string, c Change) error
	// fits says why the host can't have a value, or nil.
	fits(value string) error
}

// Host is an account at a DNS host. It is safe for concurrent use.
type Host struct {
	provider, zone string
	secret         Secret
	driver         driver
}

// Open checks the account; the host isn't asked yet.
func Open(a Account) (*Host, error) {
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	h := &Host{provider: a.Provider, zone: canonical(a.Zone), secret: a.Secret}
	var err error
	if h.driver, err = open(a); err != nil {
		return nil, fmt.Errorf("publisher: %w", h.veil(err))
	}
	return h, nil
}

// Format shows which host it is, and nothing of the account.
func (h *Host) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "DNS host "+h.provider) }

// Plan reads what the zone has at the names and returns what would change. Nothing is
// written. Records that may not be there twice (SPF, DMARC, a DKIM key) and that no
// Want replaces are ErrChanged.
func (h *Host) Plan(ctx context.Context, zone string, wants []Want) (Changes, error) {
	zone = canonical(zone)
	plan := Changes{Zone: zone, Sets: []Change{}}
	if h.zone != "" && h.zone != zone {
		return plan, fmt.Errorf("zone %s: %w: this publisher writes %s only", zone, ErrZone, h.zone)
	}
	sets, err := gather(zone, wants)
	if err != nil {
		return plan, err
	}
	for _, s := range sets {
		for _, text := range s.add {
			if err := h.driver.fits(text); err != nil {
				return plan, fmt.Errorf("%s TXT: %w: %w", s.name, ErrCannot, err)
			}
		}
		values, err := h.read(ctx, zone, s.name, len(s.add) > 0)
		if err != nil {
			return plan, err
		}
		c, err := s.against(values)
		if err != nil {
			return plan, err
		}
		if len(c.Add)+len(c.Remove) > 0 {
			plan.Sets = append(plan.Sets, c)
		}
	}
	return plan, nil
}

// Apply makes the changes, name by name. Each name is read again before, and is left
// alone with ErrChanged where it isn't as Plan saw it. After an error the names before
// it are written, which the error says.
func (h *Host) Apply(ctx context.Context, changes Changes) error {
	var done []string
	for _, c := range changes.Sets {
		if err := h.apply(ctx, changes.Zone, c); err != nil {
			if len(done) > 0 {
				err = fmt.Errorf("%w (written before that: %s)", err, strings.Join(done, ", "))
			}
			return err
		}
		done = append(done, c.Name)
	}
	return nil
}

func (h *Host) apply(ctx context.Context, zone string, c Change) error {
	now, err := h.read(ctx, zone, c.Name, len(c.Add) > 0)
	if err != nil {
		return err
	}
	if !slices.Equal(texts(now), texts(c.was)) {
		return fmt.Errorf("%s %s: %w since the difference was shown; nothing was written there: run it again", c.Name, c.Type, ErrChanged)
	}
	c.was = now
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := h.guard(func() error { return h.driver.write(ctx, zone, c) }); err != nil {
		return fmt.Errorf("writing %s %s in zone %s: %w", c.Name, c.Type, zone, err)
	}
	return nil
}

// read returns the values of a name in a fixed order. A name that is an alias can have
// none, and none can be added.
func (h *Host) read(ctx context.Context, zone, name string, adding bool) ([]value, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var values []value
	var alias string
	err := h.guard(func() (err error) {
		values, alias, err = h.driver.read(ctx, zone, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s in zone %s: %w", name, zone, err)
	}
	if alias != "" && adding {
		return nil, fmt.Errorf("%s: %w: the name is an alias (CNAME) of %s; publish the TXT record there, or remove the alias first", name, ErrCannot, canonical(alias))
	}
	slices.SortStableFunc(values, func(a, b value) int { return strings.Compare(a.text, b.text) })
	return values, nil
}

// guard takes a panic of a host's library for an error, and sees that no error holds
// the secret.
func (h *Host) guard(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the host's answer isn't as its interface is documented")
		}
		err = h.veil(err)
	}()
	return call()
}

// veil takes the secret out of an error's text.
func (h *Host) veil(err error) error {
	if err == nil || !h.secret.Known() {
		return err
	}
	text, secret := err.Error(), h.secret.text()
	for _, s := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
		text = strings.ReplaceAll(text, s, "(secret)")
	}
	if text == err.Error() {
		return err
	}
	for _, known := range []error{ErrLogin, ErrZone, ErrChanged, ErrCannot, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, known) {
			return &veiled{text, known}
		}
	}
	return errors.New(text)
}

// veiled is an error with another text.
type veiled struct {
	text string
	err  error
}

func (v *veiled) Error() string { return v.text }
func (v *veiled) Unwrap() error { return v.err }

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func texts(values []value) []string {
	list := make([]string, 0, len(values))
	for _, v := range values {
		list = append(list, v.text)
	}
	return list
}
