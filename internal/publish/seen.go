package publish

import (
	"context"
	"slices"

	"mailgate/internal/dnsview"
)

// View is what asks a name's own name servers; a *dnsview.Resolver is one.
type View interface {
	Published(ctx context.Context, name, qtype string) dnsview.Answer
}

// Seen is what one authoritative server has of a change.
type Seen struct {
	Name   string `json:"name"`
	Server string `json:"server"`
	Has    bool   `json:"has"`           // all that was added, and nothing that was removed
	Why    string `json:"why,omitempty"` // why it counts as not having it: no answer, or which answer
}

// Look asks every authoritative server of a change's name, afresh. The list is empty
// where none could be asked.
func (c Change) Look(ctx context.Context, dns View) []Seen {
	a := dns.Published(dnsview.Fresh(ctx, 0), c.Name, c.Type)
	agreed := !a.Disagree && a.Fallback == ""
	var list []Seen
	for _, o := range a.Observations {
		if o.View != dnsview.Authoritative || canonical(o.Name) != c.Name || o.Type != c.Type {
			continue
		}
		s := Seen{Name: c.Name, Server: o.Server}
		switch has := o.Records; {
		case o.Rcode == "" || o.Error != "":
			s.Why = "no answer: " + o.Error
		default:
			if agreed && len(a.Records) > 0 { // an observation is cut where there are very many
				has = a.Texts()
			}
			s.Has = c.in(has)
			if !s.Has {
				s.Why = o.Rcode
				if len(has) > 0 {
					s.Why = "an older answer"
				}
			}
		}
		list = append(list, s)
	}
	return list
}

// in reports whether values are those after the change.
func (c Change) in(values []string) bool {
	for _, text := range c.Add {
		if !slices.Contains(values, text) {
			return false
		}
	}
	return !slices.ContainsFunc(c.Remove, func(text string) bool { return slices.Contains(values, text) })
}
