package tlspolicy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"mailgate/internal/mail"
)

// stsNote is a policy as it is remembered over a restart.
type stsNote struct {
	Text    string    `json:"text"`
	ID      string    `json:"id"`
	Fetched time.Time `json:"fetched"`
	Until   time.Time `json:"until"`
}

func (c *stsCache) keep(ctx context.Context, domain mail.Domain, p *stsPolicy) {
	if c.memory == nil {
		return
	}
	data, err := json.Marshal(stsNote{p.text, p.id, p.fetched, p.expires})
	if err == nil {
		err = c.memory.Keep(ctx, Note{Kind: KindSTS, Name: string(domain), Data: data, Until: p.expires}, nil)
	}
	if err != nil {
		c.log.ErrorContext(ctx, "MTA-STS policy won't outlive a restart", "domain", domain, "error", err)
	}
}

func (c *stsCache) recall(ctx context.Context) error {
	notes, err := c.memory.Recall(ctx, KindSTS)
	if err != nil {
		return fmt.Errorf("recall MTA-STS policies: %w", err)
	}
	for _, n := range notes {
		policy, err := readSTSNote(n.Data)
		if err != nil {
			c.log.WarnContext(ctx, "a remembered MTA-STS policy can't be read", "domain", n.Name, "error", err)
			continue
		}
		policy.shorten()
		c.set(mail.Domain(n.Name), &stsEntry{policy: policy, demand: policy.policy()})
	}
	return nil
}

func readSTSNote(data []byte) (*stsPolicy, error) {
	var n stsNote
	if err := json.Unmarshal(data, &n); err != nil {
		return nil, err
	}
	p, err := parseSTS(n.Text)
	if err != nil {
		return nil, err
	}
	p.id, p.fetched, p.expires = n.ID, n.Fetched, n.Until
	return p, nil
}
