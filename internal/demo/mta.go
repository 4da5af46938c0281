package demo

import (
	"context"

	"mailgate/internal/mail"
	"mailgate/internal/mtatest"
	"mailgate/internal/tlspolicy"
)

// mta stands in for Postfix: it takes mail, asks the milter, does as told and
// delivers to the MX. Without a milter it is what the site had before.
type mta struct {
	*mtatest.MTA
	milter    string
	names     *names
	receivers map[string]*receiver // by MX host
	policy    func(context.Context, mail.Domain) (tlspolicy.Policy, error)
}

func startMTA(milterAddress string, n *names, receivers map[string]*receiver) (*mta, error) {
	m := &mta{milter: milterAddress, names: n, receivers: receivers}
	var err error
	m.MTA, err = mtatest.Start(mtatest.Options{
		Hostname: "mx1.demo.test",
		Milter:   func() string { return milterAddress },
		Deliver: func(ctx context.Context, to mtatest.Mail) (string, error) {
			return m.Deliver(ctx, to.From, to.To, to.Content)
		},
	})
	return m, err
}
