package publish

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/libdns/libdns"
)

// set is all that is wanted of one name.
type set struct {
	name        string
	add, remove []string
	ttl         time.Duration
}

// gather puts together what is wanted of each name, in the order of the names' first.
func gather(zone string, wants []Want) ([]*set, error) {
	var sets []*set
	for _, w := range wants {
		name := canonical(w.Name)
		switch {
		case w.Type != "TXT":
			return nil, fmt.Errorf("%s %s: %w: only TXT records are written", name, w.Type, ErrCannot)
		case name != zone && !strings.HasSuffix(name, "."+zone):
			return nil, fmt.Errorf("%s: %w: the name isn't in zone %s", name, ErrZone, zone)
		case strings.ContainsFunc(w.Value, unprintable):
			return nil, fmt.Errorf("%s TXT: %w: only printable ASCII is written", name, ErrCannot)
		}
		i := slices.IndexFunc(sets, func(s *set) bool { return s.name == name })
		if i < 0 {
			i, sets = len(sets), append(sets, &set{name: name})
		}
		s := sets[i]
		if w.Value != "" && !slices.Contains(s.add, w.Value) {
			s.add = append(s.add, w.Value)
		}
		s.remove = append(s.remove, w.Replaces...)
		if s.ttl = min(cmp.Or(s.ttl, w.TTL), cmp.Or(w.TTL, s.ttl)); s.ttl < 0 {
			return nil, errors.New("a TTL below 0")
		}
	}
	return sets, nil
}

// against is what must change where the name has these values. A text that is there
// several times is named once.
func (s *set) against(have []value) (Change, error) {
	c := Change{Name: s.name, Type: "TXT", Add: []string{}, Remove: []string{}, Keep: []string{}, TTL: cmp.Or(s.ttl, defaultTTL), was: have}
	for _, text := range s.add {
		if !slices.Contains(texts(have), text) {
			c.Add = append(c.Add, text)
		}
	}
	for i, v := range have {
		switch {
		case slices.Contains(texts(have[:i]), v.text):
		case slices.Contains(s.add, v.text):
			c.Keep = append(c.Keep, v.text)
		case slices.Contains(s.remove, v.text):
			c.Remove = append(c.Remove, v.text)
		default:
			for _, text := range s.add {
				if alone(s.name, text, v.text) {
					return c, fmt.Errorf("%s TXT: %w: the host has %q, which isn't what DNS shows; it would be there twice with what is to be published. Look again in a few minutes, or remove it by hand", s.name, ErrChanged, v.text)
				}
			}
			c.Keep = append(c.Keep, v.text)
		}
	}
	for _, text := range s.remove {
		if !slices.Contains(texts(have), text) && !slices.Contains(c.Missing, text) {
			c.Missing = append(c.Missing, text)
		}
	}
	if len(c.Keep) > 0 { // all records of a name have one TTL (RFC 2181, section 5.2)
		c.TTL = have[0].ttl
	}
	return c, nil
}

// alone reports whether a name can't have both of two texts: two SPF (RFC 7208,
// section 4.5) or DMARC records make both void, as two keys of a selector do.
func alone(name, a, b string) bool {
	if strings.Contains(name, "._domainkey.") {
		return true
	}
	for _, version := range []string{"v=spf1", "v=dmarc1"} {
		if isVersion(a, version) && isVersion(b, version) {
			return true
		}
	}
	return false
}

func isVersion(text, version string) bool {
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version)
}

func unprintable(r rune) bool { return r < 0x20 || r >= 0x7f }

// at picks what a zone's records have at one name: the TXT values, as plain makes them
// of the provider's, and the target of an alias.
func at(records []libdns.Record, zone, name string, plain func(string) string) (values []value, alias string) {
	for _, r := range records {
		rr := r.RR()
		if canonical(libdns.AbsoluteName(rr.Name, zone)) != name {
			continue
		}
		switch rr.Type {
		case "CNAME":
			alias = rr.Data
		case "TXT":
			values = append(values, value{text: plain(rr.Data), ttl: rr.TTL})
		}
	}
	return values, alias
}
