package relay

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"mailgate/internal/mail"
)

// An address is told once, and what there is nothing to say of isn't logged.
func TestThingsAreSaidOnce(t *testing.T) {
	closed := nobody(t)
	w := newWorld(t)
	w.e.o.Dial = dialTCP
	w.settings.NextHop.Via = closed
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	if got, want := w.recipients(m)[0].Delivery.Answer, "connect to "+closed+": connection refused"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	log := w.log.String()
	if !strings.Contains(log, " next="+closed+" until=") {
		t.Errorf("the next hop isn't plain in\n%s", log)
	}
	for _, empty := range []string{`=""`, "=[]", " tls=", " reason=", " rule="} {
		if strings.Contains(log, empty) {
			t.Errorf("%s in\n%s", empty, log)
		}
	}
}

func TestDialing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	busy := &net.Dialer{LocalAddr: l.Addr()} // the address is in use: that is about us
	_, err = busy.DialContext(t.Context(), "tcp", l.Addr().String())
	if got := dialing(err).Error(); got != "bind: address already in use" {
		t.Errorf("%q", got)
	}
}

func TestServerIsNamed(t *testing.T) {
	for name, want := range map[string]string{"mx.example.net": "mx.example.net at 192.0.2.7", "192.0.2.7": "192.0.2.7", "192.0.2.8": "192.0.2.8 at 192.0.2.7"} {
		o := opening{host: host{name: name}}
		o.address = netip.MustParseAddrPort("192.0.2.7:25")
		if got := o.server("192.0.2.7"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestLanePlace(t *testing.T) {
	for _, r := range []Route{{Via: "Hop.example:25"}, {Via: "hop.example:25", User: "u"}} {
		if got := (&lane{key: r.key("a.example")}).place(); got != "hop.example:25" {
			t.Errorf("%+v: %q", r, got)
		}
	}
	if got := (&lane{key: Route{}.key(mail.Domain("a.example"))}).place(); got != "a.example" {
		t.Errorf("%q", got)
	}
}
