package tlspolicy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mailgate/internal/mail"
)

// Learned is what a handshake with an MX host lately worked without.
type Learned struct {
	Host       mail.Domain `json:"host"`
	MaxVersion Version     `json:"max_version,omitempty"`
	Curves     Curves      `json:"curves,omitempty"`
	Why        string      `json:"why"` // what failed
	Until      time.Time   `json:"until"`
}

// learnedFor is how long it is remembered.
const learnedFor = 24 * time.Hour

// Learn remembers for a day what a handshake with the host needs. It is used at
// level may only, and where no override says otherwise. An error says that it
// will not outlive a restart.
func (p *Policies) Learn(ctx context.Context, host mail.Domain, l Learned) error {
	l.Host = host
	if l.Until.IsZero() {
		l.Until = p.now().Add(learnedFor)
	}
	p.setLearned(func(all map[mail.Domain]Learned) { all[host] = l })
	p.log.InfoContext(ctx, "a handshake worked without some of TLS's features", "host", host,
		"max_version", l.MaxVersion.String(), "curves", string(l.Curves), "error", l.Why, "until", l.Until)
	if p.o.Memory == nil {
		return nil
	}
	data, err := json.Marshal(l)
	if err == nil {
		err = p.o.Memory.Keep(ctx, Note{Kind: KindLearned, Name: string(host), Data: data, Until: l.Until}, nil)
	}
	if err != nil {
		return fmt.Errorf("keep what was learned of TLS with %s: %w", host, err)
	}
	return nil
}

// Learned returns what was learned and still holds, by host.
func (p *Policies) Learned() []Learned {
	now := p.now()
	var all []Learned
	for _, l := range *p.learned.Load() {
		if now.Before(l.Until) {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b Learned) int { return strings.Compare(string(a.Host), string(b.Host)) })
	return all
}

// setLearned changes a copy: look-ups read without a lock.
func (p *Policies) setLearned(change func(map[mail.Domain]Learned)) {
	p.changing.Lock()
	defer p.changing.Unlock()
	all := maps.Clone(*p.learned.Load())
	change(all)
	p.learned.Store(&all)
}

// withLearned merges what was learned of the host into a policy at level may.
func (p *Policies) withLearned(policy Policy, host mail.Domain, now time.Time) Policy {
	if policy.Level != May || host == "" {
		return policy
	}
	l, ok := (*p.learned.Load())[host]
	if !ok || !now.Before(l.Until) {
		return policy
	}
	if l.MaxVersion != 0 && policy.Origins.Versions == "" {
		policy.MaxVersion, policy.Origins.Versions = l.MaxVersion, FromLearned
	}
	if l.Curves != AnyCurves && policy.Origins.Curves == "" {
		policy.Curves, policy.Origins.Curves = l.Curves, FromLearned
	}
	if policy.Origins.learned() && policy.Destination == "" {
		policy.Reason, policy.Expires = l.Why, l.Until
	}
	return policy
}

func (p *Policies) recallLearned(ctx context.Context) error {
	notes, err := p.o.Memory.Recall(ctx, KindLearned)
	if err != nil {
		return fmt.Errorf("recall what was learned of TLS: %w", err)
	}
	p.setLearned(func(all map[mail.Domain]Learned) {
		for _, n := range notes {
			var l Learned
			if err := json.Unmarshal(n.Data, &l); err != nil {
				p.log.WarnContext(ctx, "what was learned of TLS can't be read", "host", n.Name, "error", err)
				continue
			}
			all[l.Host] = l
		}
	})
	return nil
}
