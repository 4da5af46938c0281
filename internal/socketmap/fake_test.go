package socketmap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"mailgate/internal/tlspolicy"
)

// fakePolicies has policies by recipient domain or next hop. For fault.example it
// has an error, for unsettled.example tlspolicy.ErrUnsettled, for panic.example a
// panic, and for wait.example it waits.
type fakePolicies map[string]tlspolicy.Policy

func (f fakePolicies) Lookup(ctx context.Context, d tlspolicy.Destination) (tlspolicy.Policy, error) {
	switch d.Domain {
	case "fault.example":
		return tlspolicy.Policy{}, errors.New("the disk is gone")
	case "unsettled.example":
		return tlspolicy.Policy{}, fmt.Errorf("TLSA of mx.unsettled.example:\nno answer: %w", tlspolicy.ErrUnsettled)
	case "panic.example":
		panic("told to")
	case "wait.example":
		<-ctx.Done()
		return tlspolicy.Policy{}, ctx.Err()
	}
	if p, ok := f[string(d.Domain)+d.NextHop]; ok {
		return p, nil
	}
	return tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault}, nil
}

func policies() fakePolicies {
	return fakePolicies{
		"example.net":           {Level: tlspolicy.Encrypt, Source: tlspolicy.FromOverride},
		"[mx.example.net]:587":  {Level: tlspolicy.Verify, Source: tlspolicy.FromOverride},
		"[192.0.2.1]":           {Level: tlspolicy.None, Source: tlspolicy.FromOverride},
		"xn--bcher-kva.example": {Level: tlspolicy.DANEOnly, Source: tlspolicy.FromDANE},
	}
}

// fakePreflight refuses mail to refuse@…, defers that to defer@…, and keeps what it
// was asked.
type fakePreflight struct {
	mu    sync.Mutex
	asked []Ask
}

func (f *fakePreflight) Advise(ctx context.Context, a Ask) (Advice, error) {
	f.mu.Lock()
	f.asked = append(f.asked, a)
	f.mu.Unlock()
	local, _, _ := strings.Cut(a.Recipient, "@")
	switch local {
	case "refuse":
		return Advice{Action: Refuse, Status: "5.7.26", Text: "Gmail would refuse this: no SPF, no DKIM"}, nil
	case "defer":
		return Advice{Action: Defer, Status: "4.7.26", Text: "DNS is silent"}, nil
	case "": // never asked
		return Advice{Action: Refuse}, nil
	case "fault":
		return Advice{Action: Refuse}, errors.New("the disk is gone")
	case "panic":
		panic("told to")
	case "wait":
		<-ctx.Done()
		return Advice{}, ctx.Err()
	}
	return Advice{}, nil
}

func (f *fakePreflight) last(t *testing.T) Ask {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.asked) == 0 {
		t.Fatal("preflight was asked nothing")
	}
	return f.asked[len(f.asked)-1]
}

// ns is a netstring.
func ns(s string) string { return fmt.Sprintf("%d:%s,", len(s), s) }
