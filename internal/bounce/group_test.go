package bounce

import (
	"fmt"
	"strings"
	"testing"
)

// The most frequent come first, and of too many kinds the last are only counted.
func TestGroups(t *testing.T) {
	var g Groups
	add := func(to string) {
		r := Reading{Format: Postfix, Event: Failed, Recipient: to, QueueID: "4F2A1B", Reply: Reply{Code: 550, Enhanced: "5.1.1", Text: "no"}}
		r.finish()
		g.Add(r)
	}
	for i := range MaxGroups + 3 {
		add(fmt.Sprintf("u%d@partner.example", i))
	}
	add("u7@partner.example")
	list := g.List()
	if len(list) != MaxGroups || g.Left != 3 || list[0].Recipient != "u7@partner.example" || list[0].Count != 2 || list[1].Recipient != "u0@partner.example" {
		t.Errorf("%d groups, %d left out, first %+v", len(list), g.Left, list[0])
	}
}

// What a blocklist answered is not our address.
func TestClientAddress(t *testing.T) {
	for text, want := range map[string]string{
		"550 5.7.1 blocked from 127.0.0.2":               "",
		"550 5.7.1 [127.0.0.4] host [203.0.113.9] no":    "203.0.113.9",
		"550 5.7.1 Mail from 192.0.2.5 by 203.0.113.9":   "",
		"550 5.7.1 version 4.16.55.1 see ip=2001:db8::9": "2001:db8::9",
	} {
		list, _ := scanned(t, "status=bounced (host mx.partner.example[192.0.2.5] said: "+text+" (in reply to RCPT TO command))")
		if len(list) != 1 || list[0].OurIP != want {
			t.Errorf("%s: %+v, want %s", text, list, want)
		}
	}
}

// A reply too deep within parts is not looked for.
func TestDepthOfParts(t *testing.T) {
	nested := func(depth int) string {
		text := "From: a@example.com\nTo: b@example.com\nMIME-Version: 1.0\n"
		for i := range depth {
			text += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return text + "Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822;deep@partner.example\nAction: failed\nDiagnostic-Code: smtp;550 5.1.1 no\n"
	}
	for depth, want := range map[int]bool{1: true, maxDepth: true, maxDepth + 1: false} {
		s := &scanner{}
		list := s.readMessage(nested(depth))
		p := &parts{left: maxParts}
		h, body := readFields(nested(depth))
		p.walk(h, body, 0)
		if found := len(p.status) > 0; found != want || want && (len(list) != 1 || !strings.HasPrefix(list[0].Recipient, "deep@")) {
			t.Errorf("depth %d: %v, %+v", depth, found, list)
		}
	}
}
