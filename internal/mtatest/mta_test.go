package mtatest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-milter"
	"github.com/emersion/go-smtp"
)

const letter = "From: ann@a.test\r\nX-Token: t\r\n\r\n.hello\r\n"

// answering is a milter that gives one answer at one stage.
type answering struct {
	milter.NoOpMilter
	header, end milter.Response
	change      func(*milter.Modifier) error
}

func (a answering) Headers(textproto.MIMEHeader, *milter.Modifier) (milter.Response, error) {
	return a.header, nil
}

func (a answering) Body(m *milter.Modifier) (milter.Response, error) {
	if a.change != nil {
		if err := a.change(m); err != nil {
			return nil, err
		}
	}
	if a.end == nil {
		return nil, errors.New("breaks off")
	}
	return a.end, nil
}

// site is an MTA with a milter, and what it has delivered.
type site struct {
	*MTA
	got []Mail
}

func newSite(t *testing.T, a *answering) *site {
	t.Helper()
	s := &site{}
	path := filepath.Join(t.TempDir(), "m")
	if a != nil {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		server := &milter.Server{
			NewMilter: func() milter.Milter { return *a },
			Actions:   milter.OptAddHeader | milter.OptChangeHeader | milter.OptRemoveRcpt,
		}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
	}
	var err error
	s.MTA, err = Start(Options{Hostname: "mta.test", Milter: func() string { return "unix:" + path },
		Deliver: func(_ context.Context, m Mail) (string, error) {
			s.got = append(s.got, m)
			return "250 ok", nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestAnswers: over SMTP the milter's answer decides, and nothing is delivered that
// it didn't let go.
func TestAnswers(t *testing.T) {
	on := milter.RespContinue
	for name, test := range map[string]struct {
		milter *answering
		code   int
		want   string // delivered content
		to     int    // recipients delivered to
	}{
		"accept":             {&answering{header: on, end: milter.RespAccept}, 250, letter, 2},
		"accept at header":   {&answering{header: milter.RespAccept}, 250, letter, 2},
		"discard":            {&answering{header: on, end: milter.RespDiscard}, 250, "", 0},
		"tempfail":           {&answering{header: on, end: milter.RespTempFail}, 451, "", 0},
		"tempfail at header": {&answering{header: milter.RespTempFail}, 451, "", 0},
		"reject":             {&answering{header: on, end: milter.RespReject}, 550, "", 0},
		"own words":          {&answering{header: on, end: milter.NewResponseStr('y', "452 4.3.1 full")}, 452, "", 0},
		"breaks off":         {&answering{header: on}, 451, "", 0},
		"not there":          {nil, 451, "", 0},
		"one removed": {&answering{header: on, end: milter.RespAccept, change: func(m *milter.Modifier) error {
			return m.DeleteRecipient("<bob@b.test>")
		}}, 250, letter, 1},
		"signed": {&answering{header: on, end: milter.RespAccept, change: func(m *milter.Modifier) error {
			return errors.Join(m.InsertHeader(0, "X-Two", "2"), m.InsertHeader(0, "X-One", "1\n 1"), m.ChangeHeader(1, "X-Token", ""))
		}}, 250, "X-One: 1\r\n 1\r\nX-Two: 2\r\nFrom: ann@a.test\r\n\r\n.hello\r\n", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, test.milter)
			if code := send(t, s.Addr()); code != test.code {
				t.Errorf("answer %d, want %d", code, test.code)
			}
			s.Close()
			if len(s.got) != test.to || test.to > 0 && string(s.got[0].Content) != test.want {
				t.Errorf("delivered %q, want %q to %d", s.got, test.want, test.to)
			}
		})
	}
}

func send(t *testing.T, address string) int {
	t.Helper()
	client, err := smtp.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	err = client.SendMail("ann@a.test", []string{"bob@b.test", "carol@b.test"}, strings.NewReader(letter))
	if err == nil {
		return 250
	}
	said, ok := errors.AsType[*smtp.SMTPError](err)
	if !ok {
		t.Fatal(err)
	}
	return said.Code
}

func TestSubmit(t *testing.T) {
	s := newSite(t, &answering{header: milter.RespContinue, end: milter.RespAccept, change: func(m *milter.Modifier) error {
		return m.DeleteRecipient("<bob@b.test>")
	}})
	done, err := s.Submit(t.Context(), "ann@a.test", []string{"bob@b.test", "carol@b.test"}, []byte(letter))
	if err != nil || len(done) != 2 || !done[0].Held || done[1].Held || done[1].Answer != "250 ok" {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := newSite(t, nil).Submit(t.Context(), "ann@a.test", []string{"bob@b.test"}, []byte(letter)); !errors.Is(err, ErrMilterGone) {
		t.Errorf("without a milter: %v", err)
	}
	if !bytes.Equal(s.got[0].Content, []byte(letter)) {
		t.Errorf("delivered %q", s.got[0].Content)
	}
}

// Nobody is let in after the end, even where the server hadn't begun to serve.
func TestClose(t *testing.T) {
	for range 100 {
		m, err := Start(Options{Hostname: "mta.test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if err := m.listener.(*net.TCPListener).SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("it still listens: %v", err)
		}
	}
}
