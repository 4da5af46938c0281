package main

import (
	"context"

	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/milter"
	"mailgate/internal/socketmap"
)

// socketmapServer is the door at which Postfix asks for TLS policies.
func (g *gateway) socketmapServer() *socketmap.Server {
	return socketmap.NewServer(socketmap.Config{
		Policies:  g.policies,
		Preflight: foreteller{g},
		Postfix: func() socketmap.Version {
			v, _ := socketmap.ParseVersion(g.live.Load().cfg.Socketmap.Postfix) // the configuration has checked it
			return v
		},
		Limits:  socketmap.Limits{Drain: drainTime},
		Metrics: socketmap.NewMetrics(g.registry),
		Log:     g.log,
	})
}

// foreteller says at RCPT what would become of a message of ours.
type foreteller struct{ g *gateway }

// Advise implements socketmap.Preflight. It has no opinion on mail that isn't ours:
// from a client that isn't trusted, or of a domain without a key here. The author
// isn't known yet; most mail has one of the sender's domain.
func (f foreteller) Advise(ctx context.Context, a socketmap.Ask) (socketmap.Advice, error) {
	l := f.g.live.Load()
	if a.Sender == "" || l.cfg.Mode == config.Observe || a.User == "" && a.Client.IsValid() && !milter.In(l.cfg.Socketmap.Trusted)(a.Client) {
		return socketmap.Advice{}, nil
	}
	sender, err := mail.ParsePath("<" + a.Sender + ">")
	if err != nil {
		return socketmap.Advice{}, err
	}
	to, err := mail.ParsePath("<" + a.Recipient + ">")
	if err != nil || len(l.gate.Keys().For(sender.Domain)) == 0 {
		return socketmap.Advice{}, err
	}
	reply := l.gate.Foretell(ctx, sender.Domain, sender, to)
	switch {
	case reply == nil:
		return socketmap.Advice{}, nil
	case reply.Code/100 == 5:
		return socketmap.Advice{Action: socketmap.Refuse, Code: reply.Code, Status: reply.Enhanced, Text: reply.Text}, nil
	}
	return socketmap.Advice{Action: socketmap.Defer, Status: reply.Enhanced, Text: reply.Text}, nil
}
