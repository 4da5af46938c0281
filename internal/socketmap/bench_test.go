package socketmap

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/tlspolicy"
)

// benchServer answers from a table of overrides.
func benchServer(b *testing.B, network, address string) net.Conn {
	b.Helper()
	table, err := tlspolicy.NewTable([]tlspolicy.Override{
		{Destination: "gmail.example", Level: tlspolicy.Encrypt, MaxVersion: tlspolicy.TLS12},
		{Destination: ".example.net", Level: tlspolicy.Secure},
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		b.Fatal(err)
	}
	s := NewServer(Config{
		Policies:  table,
		Preflight: &noAdvice{},
		Postfix:   func() Version { return Version{3, 7} },
		Metrics:   NewMetrics(prometheus.NewRegistry()),
	})
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(ctx, ln) }()
	client, err := net.Dial(network, ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		client.Close()
		stop()
		<-stopped
	})
	return client
}

type noAdvice struct{}

func (*noAdvice) Advise(context.Context, Ask) (Advice, error) { return Advice{}, nil }

// echo sends back what it gets, which shows what loopback itself costs.
func echo(b *testing.B) net.Conn {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		server, err := ln.Accept()
		for p := make([]byte, 100); err == nil; {
			var n int
			if n, err = server.Read(p); err == nil {
				_, err = server.Write(p[:n])
			}
		}
	}()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		client.Close()
		ln.Close()
	})
	return client
}

// oneByOne asks and waits for the answer, as Postfix does.
func oneByOne(b *testing.B, client net.Conn, request, answer string) {
	got := make([]byte, len(answer))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.WriteString(client, request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, got); err != nil || string(got) != answer {
			b.Fatalf("it says %q (%v), want %q", got, err, answer)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}

func BenchmarkOneConnection(b *testing.B) {
	b.Run("override", func(b *testing.B) {
		oneByOne(b, benchServer(b, "tcp", "127.0.0.1:0"), ns("mailgate gmail.example"), ns("OK encrypt protocols=>=TLSv1.2:<=TLSv1.2"))
	})
	b.Run("unix", func(b *testing.B) {
		client := benchServer(b, "unix", filepath.Join(b.TempDir(), "socketmap.sock"))
		oneByOne(b, client, ns("mailgate gmail.example"), ns("OK encrypt protocols=>=TLSv1.2:<=TLSv1.2"))
	})
	b.Run("notfound", func(b *testing.B) {
		oneByOne(b, benchServer(b, "tcp", "127.0.0.1:0"), ns("mailgate other.example"), ns("NOTFOUND "))
	})
	b.Run("delegation", func(b *testing.B) {
		oneByOne(b, benchServer(b, "tcp", "127.0.0.1:0"), rcpt("recipient=bob@gmail.example"), "action=DUNNO\n\n")
	})
	b.Run("echo", func(b *testing.B) { oneByOne(b, echo(b), ns("NOTFOUND "), ns("NOTFOUND ")) })
}

// BenchmarkAhead is a client that doesn't wait for one answer before it asks again.
func BenchmarkAhead(b *testing.B) {
	const ahead = 100
	client := benchServer(b, "tcp", "127.0.0.1:0")
	request := []byte(strings.Repeat(ns("mailgate gmail.example"), ahead))
	answer := []byte(strings.Repeat(ns("OK encrypt protocols=>=TLSv1.2:<=TLSv1.2"), ahead))
	got := make([]byte, len(answer))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, answer) {
			b.Fatalf("it says %q (%v)", got, err)
		}
	}
	b.ReportMetric(float64(b.N*ahead)/b.Elapsed().Seconds(), "answers/s")
}
