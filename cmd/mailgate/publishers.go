package main

import (
	"errors"
	"fmt"
	"os"

	"mailgate/internal/config"
	"mailgate/internal/publish"
	"mailgate/internal/sign"
)

// errNoPublisher says that a domain's records are published by hand.
var errNoPublisher = errors.New("no publisher")

// publisherFor opens the account that writes a domain's records; errNoPublisher where
// the configuration names none. The host isn't asked yet.
func publisherFor(cfg *config.Config, d config.Domain) (*publish.Host, error) {
	if d.Publisher == "" {
		return nil, fmt.Errorf("%s: %w", d.Pattern, errNoPublisher)
	}
	for _, p := range cfg.Publishers {
		if p.Name == d.Publisher {
			return openPublisher(p)
		}
	}
	return nil, fmt.Errorf("%s: %q is no [[publisher]]", d.Pattern, d.Publisher) // the configuration has checked that
}

func openPublisher(p config.Publisher) (*publish.Host, error) {
	secret, err := publisherSecret(p)
	if err != nil {
		return nil, fmt.Errorf("publisher %q: %w", p.Name, err)
	}
	host, err := publish.Open(publish.Account{
		Provider: string(p.Provider), Zone: string(p.Zone), Server: p.Server,
		KeyName: p.KeyName, KeyAlgorithm: p.KeyAlgorithm, KeyID: p.KeyID, Region: p.Region,
		Secret: secret,
	})
	if err != nil {
		return nil, fmt.Errorf("[[publisher]] %q: %w", p.Name, err)
	}
	return host, nil
}

// publisherSecret is from the publisher's file, or else from the environment. Route 53
// does without: AWS's own files and variables count then.
func publisherSecret(p config.Publisher) (publish.Secret, error) {
	if p.SecretFile != "" {
		uid, err := readerOf(p.SecretFile)
		if err != nil {
			return publish.Secret{}, fmt.Errorf("secret_file: %w", err)
		}
		data, err := sign.ReadPrivate(p.SecretFile, uid)
		if err != nil {
			return publish.Secret{}, fmt.Errorf("secret_file: %w", err)
		}
		secret := publish.NewSecret(string(data))
		if !secret.Known() {
			return secret, fmt.Errorf("secret_file: %s is empty", p.SecretFile)
		}
		return secret, nil
	}
	secret := publish.NewSecret(os.Getenv(p.SecretVariable()))
	if !secret.Known() && !(p.Provider == config.Route53 && p.KeyID == "") {
		return secret, fmt.Errorf("there is no secret: name a file of mode 0600 as its secret_file, or set %s in the environment", p.SecretVariable())
	}
	return secret, nil
}
