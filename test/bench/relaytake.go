package main

import (
	"context"
	"fmt"
	"net"
)

// compareTaking measures taking mail, signed and pre-flighted, against a bare
// Postfix. Nothing is delivered meanwhile: the gateway's next hop doesn't speak, and
// Postfix puts all mail on hold as it comes in, which costs its queue manager nothing.
func compareTaking(ctx context.Context, b *bench) error {
	rows := b.relayRows("taking")
	if len(rows) == 0 {
		return nil
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer silent.Close()
	g, err := startRelay(b, "relay-taking", silent.Addr().String())
	if err != nil {
		return err
	}
	defer g.stop()
	defer silent.Close() // so that connections under way end
	defer g.terminate()
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	p, err := startPostfixAt(b.dir, "unix:"+g.socket, ports, "smtpd_data_restrictions = check_client_access static:HOLD\n")
	if err != nil {
		return err
	}
	if p != nil {
		defer p.stop()
	}
	return compareTakingOf(ctx, b, rows, g, p)
}

func compareTakingOf(ctx context.Context, b *bench, rows []relayRow, g *gateway, p *postfix) error {
	if err := warm(ctx, g); err != nil {
		return err
	}
	asked, sent := g.dns.Count(), 0
	printPairsHeader()
	for _, row := range rows {
		load := submission{to: g.relay, sessions: relaySessions, messages: b.relayed, size: row.size, single: row.single}
		pair := pair{name: row.name, gateway: takingWay(ctx, load, g.process)}
		if p != nil {
			load.to = p.bare
			pair.postfix = takingWay(ctx, load, p.process)
		}
		if err := pair.measure(b.rounds); err != nil {
			return err
		}
		sent += b.rounds * b.relayed
	}
	queued, err := g.recipients(ctx, "queued")
	if err == nil && queued != sent+warming {
		err = fmt.Errorf("%d recipients are queued, %d were sent", queued, sent+warming)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%-36s %d for %d messages\n", "questions to DNS", g.dns.Count()-asked, sent)
	fmt.Print(`
messages a second, answered 250 and so on disk; CPU of the servers for a message
Postfix:  without milter; each message is put on hold in its queue
mailgate: each message is pre-flighted, signed and queued; the next hop is silent
`)
	return nil
}

// warming is how many messages are sent before anything is measured.
const warming = 200

func warm(ctx context.Context, g *gateway) error {
	load := submission{to: g.relay, sessions: relaySessions, messages: warming, size: relaySizes[0]}
	_, err := load.run(ctx)
	return err
}

// takingWay measures one submission.
func takingWay(ctx context.Context, load submission, server *process) *way {
	return &way{name: load.to, messages: load.messages, servers: []*process{server}, run: func() (float64, error) {
		took, err := load.run(ctx)
		return float64(load.messages) / took.Seconds(), err
	}}
}
