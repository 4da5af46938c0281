package smtpd

import (
	"context"
	"crypto/rand"
	"fmt"
)

// hashesAtOnce bounds the memory and the processors that logins can take: more
// wait.
const hashesAtOnce = 2

// Account is one who may log in.
type Account struct {
	Name string
	Hash string // as HashPassword gives it
	Rights
}

// Accounts implements Users. A flood of logins costs no more than two at a time.
type Accounts struct {
	known map[string]known
	dummy argon // whose password nobody knows; for users that don't exist
	slots chan struct{}
}

type known struct {
	hash   argon
	rights Rights
}

// NewAccounts checks the hashes. A name must be there once.
func NewAccounts(accounts []Account) (*Accounts, error) {
	a := &Accounts{
		known: make(map[string]known, len(accounts)),
		dummy: argon{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, saltLength), key: make([]byte, keyLength)},
		slots: make(chan struct{}, hashesAtOnce),
	}
	for i, account := range accounts {
		h, err := parseHash(account.Hash)
		if err != nil {
			return nil, fmt.Errorf("user %q: %w", account.Name, err)
		}
		if _, twice := a.known[account.Name]; twice || account.Name == "" {
			return nil, fmt.Errorf("user %q: a name must not be empty and stand only once", account.Name)
		}
		a.known[account.Name] = known{hash: h, rights: account.Rights}
		if i == 0 { // the work of a user who exists
			a.dummy.memory, a.dummy.time, a.dummy.threads = h.memory, h.time, h.threads
		}
	}
	rand.Read(a.dummy.key)
	return a, nil
}

// Check implements Users.
func (a *Accounts) Check(ctx context.Context, user, password string) (Rights, bool, error) {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return Rights{}, false, fmt.Errorf("wait for other logins: %w", ctx.Err())
	}
	k, exists := a.known[user]
	if !exists {
		k.hash = a.dummy
	}
	if !k.hash.matches(password) || !exists {
		return Rights{}, false, nil
	}
	return k.rights, true, nil
}
