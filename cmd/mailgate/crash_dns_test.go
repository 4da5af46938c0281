package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"mailgate/internal/dnstest"
)

// crashSite is the domain above the senders'. It signs for them, and its key is
// not published: the receiver takes their mail on their SPF records, or not.
const crashSite = "site.test"

// fineSender is a domain below it that is never broken.
const fineSender = "fine." + crashSite

// crashSenders is how many senders' domains there are at a time.
const crashSenders = 8

// zoneState is what a sender's domain publishes.
type zoneState int

const (
	mended zoneState = iota
	broken           // an SPF record without us: held
	silent           // SERVFAIL: held, waiting for DNS
)

// crashDNS is the name server, for the gateway an authoritative one and its
// resolver. Senders come, are broken, are mended and go: the gateway remembers for
// a while what it has seen of one.
type crashDNS struct {
	*dnstest.Server

	mu      sync.Mutex
	senders map[string]zoneState
	made    int
}

func startCrashDNS() (*crashDNS, error) {
	server, err := dnstest.Start("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &crashDNS{Server: server, senders: map[string]zoneState{}}
	if err := d.publish(); err != nil {
		server.Close()
		return nil, err
	}
	return d, d.stir(func(string) bool { return false })
}

func (d *crashDNS) publish() error {
	if err := d.Recursive(); err != nil {
		return err
	}
	return errors.Join(
		setReceivers(d.Server, crashHost),
		d.SetZone("gate.test", "mx1 A 127.0.0.1\nmx1 TXT \"v=spf1 a -all\"\n"),
		d.SetZone(crashSite, "fine TXT \"v=spf1 ip4:127.0.0.1 -all\"\n@ TXT \"v=spf1 ip4:127.0.0.1 -all\"\n_dmarc TXT \"v=DMARC1; p=none\"\n"),
	)
}

// set changes what a sender's domain publishes. It is called with mu held.
func (d *crashDNS) set(domain string, s zoneState) error {
	d.senders[domain] = s
	fault, spf := dnstest.None, "v=spf1 -all"
	switch s {
	case mended:
		spf = "v=spf1 ip4:127.0.0.1 -all"
	case silent:
		fault = dnstest.ServFail
	}
	d.Remove(domain, "TXT")
	d.Fault(domain, fault)
	return d.AddTXT(domain, spf)
}

// stir mends the senders it is told to, and puts new ones in the place of some that
// need no mending. Most of the new are broken.
func (d *crashDNS) stir(mend func(domain string) bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for domain, state := range d.senders {
		switch {
		case state == mended && rand.IntN(2) == 0:
			delete(d.senders, domain)
		case state != mended && mend(domain):
			if err := d.set(domain, mended); err != nil {
				return err
			}
		}
	}
	for len(d.senders) < crashSenders {
		d.made++
		if err := d.set(fmt.Sprintf("d%d.%s", d.made, crashSite), zoneState(rand.IntN(4)%3)); err != nil {
			return err
		}
	}
	return nil
}

func (d *crashDNS) mendAll() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for domain := range d.senders {
		if err := d.set(domain, mended); err != nil {
			return err
		}
	}
	return nil
}

// sender returns a sender's domain picked at random.
func (d *crashDNS) sender() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for domain := range d.senders {
		return domain // a map's order is random
	}
	return ""
}
