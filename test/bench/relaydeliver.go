package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// compareDelivery measures mail on its whole way, from the first submission until
// the last message has arrived, signed, at a server that both deliver to: mailgate's
// relay, and Postfix with OpenDKIM over a Unix socket.
func compareDelivery(ctx context.Context, b *bench) error {
	rows := b.relayRows("through,")
	if len(rows) == 0 {
		return nil
	}
	s, err := startSink()
	if err != nil {
		return err
	}
	defer s.Close()
	g, err := startRelay(b, "relay-delivery", s.Addr().String())
	if err != nil {
		return err
	}
	defer g.stop()
	p, signer, err := startSigningPostfix(b, s.Addr().(*net.TCPAddr))
	if err != nil {
		return err
	}
	if p != nil {
		defer signer.stop()
		defer p.stop()
	}
	return compareDeliveryOf(ctx, b, rows, s, g, p, signer)
}

func compareDeliveryOf(ctx context.Context, b *bench, rows []relayRow, s *sink, g *gateway, p *postfix, signer *milter) error {
	load := submission{to: g.relay, sessions: relaySessions, messages: warming, size: relaySizes[0]}
	if _, err := throughWay(ctx, load, s, g).run(); err != nil {
		return err
	}
	printPairsHeader()
	for _, row := range rows {
		load := submission{to: g.relay, sessions: relaySessions, messages: b.relayed, size: row.size, single: row.single}
		pair := pair{name: row.name, gateway: throughWay(ctx, load, s, g, g.process)}
		if p != nil {
			load.to = p.milted
			pair.postfix = throughWay(ctx, load, s, g, p.process, signer.process)
		}
		if err := pair.measure(b.rounds); err != nil {
			return err
		}
	}
	fmt.Printf(`
messages a second, from the first submission until the last has arrived; each
arrived once and signed, and the signature of one in %d was verified
Postfix:  with OpenDKIM for its milter; both deliver to the same server
`, every)
	return nil
}

// startSigningPostfix starts Postfix with OpenDKIM, delivering to that server. Where
// one of them is not there, it returns neither instance nor error.
func startSigningPostfix(b *bench, to *net.TCPAddr) (*postfix, *milter, error) {
	if _, err := exec.LookPath("opendkim"); err != nil {
		fmt.Println("OpenDKIM is not installed: left out")
		return nil, nil, nil
	}
	config := filepath.Join(b.dir, "relay-opendkim.conf")
	if err := os.WriteFile(config, []byte(opendkimConfig(b.dir)), 0o600); err != nil {
		return nil, nil, err
	}
	signer, err := startMilter("OpenDKIM", b.dir, "opendkim", "-f", "-x", config)
	if err != nil {
		return nil, nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		signer.stop()
		return nil, nil, err
	}
	p, err := startPostfixAt(b.dir, "unix:"+signer.socket, ports, fmt.Sprintf("default_transport = smtp:[%s]:%d\n", to.IP, to.Port))
	if p == nil {
		signer.stop()
		return nil, nil, err
	}
	return p, signer, nil
}

// throughWay measures one submission, until all of it has arrived.
func throughWay(ctx context.Context, load submission, s *sink, g *gateway, servers ...*process) *way {
	return &way{name: load.to, messages: load.messages, servers: servers, run: func() (float64, error) {
		s.forget()
		began := time.Now()
		if _, err := load.run(ctx); err != nil {
			return 0, err
		}
		if err := s.wait(ctx, load.messages); err != nil {
			return 0, err
		}
		took := time.Since(began)
		return float64(load.messages) / took.Seconds(), s.check(ctx, g.dns)
	}}
}
