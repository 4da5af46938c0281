package bounce

import (
	"cmp"
	"slices"
	"strings"
)

// Group is readings of the same: the first of them, and how many there are.
type Group struct {
	Reading
	Count      int      `json:"count"`
	Recipients []string `json:"recipients,omitempty"` // of more than one, the first few
	QueueIDs   []string `json:"queue_ids,omitempty"`
}

// Groups puts same readings together, in bounded memory. Its zero value is empty.
type Groups struct {
	list  []*Group
	index map[string]*Group

	Left   int // readings beyond MaxGroups, which are counted only
	Strays int // texts in which nothing was found, beyond the first few
}

const (
	// MaxGroups bounds how many different readings are kept.
	MaxGroups = 2000
	// maxStrays bounds the texts kept that say nothing.
	maxStrays = 3
	// maxExamples bounds the recipients and queue ids kept of a group.
	maxExamples = 5
)

// Add counts a reading.
func (g *Groups) Add(r Reading) {
	if g.index == nil {
		g.index = map[string]*Group{}
	}
	key := r.key()
	found, known := g.index[key]
	if !known {
		if !r.Meaning.Understood() && r.Reply.Codes() == "" && g.strays() >= maxStrays {
			g.Strays++
			return
		}
		if len(g.list) >= MaxGroups {
			g.Left++
			return
		}
		found = &Group{Reading: r}
		g.index[key] = found
		g.list = append(g.list, found)
	}
	found.Count++
	found.Recipients = example(found.Recipients, r.Recipient)
	found.QueueIDs = example(found.QueueIDs, r.QueueID)
}

func (g *Groups) strays() int {
	n := 0
	for _, x := range g.list {
		if !x.Meaning.Understood() && x.Reply.Codes() == "" {
			n++
		}
	}
	return n
}

func example(list []string, s string) []string {
	if s == "" || len(list) >= maxExamples || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// key is the same for readings that mean the same to whoever has to mend it.
func (r *Reading) key() string {
	parts := []string{string(r.Event), string(r.Provider), r.Reply.Codes(), r.Meaning.Rule}
	if r.Meaning.Rule == "" {
		parts = append(parts, cut(r.Reply.Text, 60))
	}
	switch r.Meaning.Kind {
	case Authentication, Sender:
		parts = append(parts, string(r.Domain), r.OurIP)
	case Blocklist, Reputation, HostName:
		parts = append(parts, strings.Join(r.Lists, " "), r.OurIP)
	case Network, DNS, TLS:
		parts = append(parts, string(domainOf(r.Recipient)))
	case Recipient:
		parts = append(parts, r.Recipient)
	default:
		if r.Provider == "" {
			parts = append(parts, string(domainOf(r.Recipient)))
		}
	}
	return strings.Join(parts, "\x00")
}

// List returns the groups, the largest first, in their order otherwise.
func (g *Groups) List() []Group {
	list := make([]Group, 0, len(g.list))
	for _, x := range g.list {
		one := *x
		if one.Count == 1 {
			one.Recipients, one.QueueIDs = nil, nil
		}
		list = append(list, one)
	}
	slices.SortStableFunc(list, func(a, b Group) int { return cmp.Compare(b.Count, a.Count) })
	return list
}
