package tlspolicy

import (
	"iter"
	"time"
)

// layers are the overrides in force for a destination, the closest first. Only the
// last one may have a level: what others set is put over what would hold without
// them.
type layers []*Override

// find returns those of the targets: of equally close ones that of the first table
// comes first.
func find(targets iter.Seq[target], now time.Time, tables ...*Table) (found layers) {
	for target := range targets {
		for _, t := range tables {
			o := t.at(target, now)
			if o == nil {
				continue
			}
			if found = append(found, o); o.Level != 0 {
				return found
			}
		}
	}
	return found
}

// level is the one that sets it, nil where none does.
func (l layers) level() *Override {
	if len(l) == 0 || l[len(l)-1].Level == 0 {
		return nil
	}
	return l[len(l)-1]
}

// over puts the overrides over what is demanded of a destination. validating says
// that TLSA records were looked for.
func (l layers) over(d Destination, demanded Policy, validating bool) Policy {
	p := demanded
	for i := len(l) - 1; i >= 0; i-- {
		below := p
		p = l[i].over(d, below, demanded, validating)
		if below.Raised != "" && p.Raised != "" {
			p.Raised = below.Raised + "; " + p.Raised
		} else if below.Raised != "" {
			p.Raised = below.Raised
		}
	}
	if o := l.level(); o != nil && len(l) > 1 && p.Source == FromOverride {
		p.LevelOf = o.Destination
	}
	return p
}

// alone reports whether they decide without a look at what is demanded.
func (l layers) alone() bool {
	o := l.level()
	if o == nil || !o.alone() {
		return false
	}
	for _, other := range l[:len(l)-1] {
		if !other.excused() && !other.harmless() {
			return false
		}
	}
	return true
}

// bold reports whether they may decide where DNS doesn't tell what is demanded.
func (l layers) bold() bool {
	o := l.level()
	return o != nil && o.bold()
}
