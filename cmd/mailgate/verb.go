package main

import (
	"context"
	"net/url"

	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
	"mailgate/internal/web"
)

// verb is what a bulk run does to messages.
type verb struct {
	name string // of the command and in the API
	path string // of messages in the API
	done result // what a message is then
	in   spool.State
}

const (
	quarantinePath = "/v1/quarantine/"
	queuePath      = "/v1/queue/messages/"
)

func verbRelease() verb { return verb{"release", quarantinePath, resultReleased, spool.Held} }
func verbDiscard() verb { return verb{"discard", quarantinePath, resultDiscarded, spool.Held} }
func verbHold() verb    { return verb{"hold", queuePath, resultHeld, spool.Queued} }
func verbFail() verb    { return verb{"fail", queuePath, resultGivenUp, spool.Queued} }

// takes reports whether the verb is about a recipient as it is now.
func (v verb) takes(r quarantine.Recipient) bool {
	return r.State == v.in || v.done == resultGivenUp && isByHand(r)
}

func isByHand(r quarantine.Recipient) bool { return r.State == spool.Held && r.Reason == spool.ByHand }

// post gives one order, and says what came of it.
func (v verb) post(ctx context.Context, c *client, id string, order web.Review) (outcome, error) {
	o := outcome{ID: id, Result: v.done, To: order.Recipients, stays: v.in}
	path := v.path + url.PathEscape(id) + "/" + v.name
	if v.path == quarantinePath {
		var released quarantine.Released
		err := c.post(ctx, path, order, &released)
		o.Recipients = released.Recipients
		return o, err
	}
	var given web.QueueGivenUp // of a hold the beginning
	err := c.post(ctx, path, order, &given)
	if err == nil {
		o.To, o.ReportTo = given.Recipients, given.ReportTo
	}
	return o, err
}
