package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"mailgate/internal/advise"
	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/rotation"
	"mailgate/internal/web"
)

// rotationAPI implements web.Rotations.
type rotationAPI struct{ g *gateway }

// Rotations implements web.Rotations.
func (v rotationAPI) Rotations(ctx context.Context, domain string) ([]web.Rotation, error) {
	var d mail.Domain
	if domain != "" {
		o, err := v.order(web.RotationOrder{Domain: domain}, "")
		if err != nil {
			return nil, err
		}
		d = o.Domain
	}
	return v.views(ctx, v.g.rotations.Rotations(d)), nil
}

// Rotate implements web.Rotations.
func (v rotationAPI) Rotate(ctx context.Context, o web.RotationOrder, actor string) ([]web.Rotation, error) {
	return v.do(ctx, o, actor, v.g.rotations.Rotate)
}

// CancelRotation implements web.Rotations.
func (v rotationAPI) CancelRotation(ctx context.Context, o web.RotationOrder, actor string) ([]web.Rotation, error) {
	return v.do(ctx, o, actor, v.g.rotations.Cancel)
}

func (v rotationAPI) do(ctx context.Context, o web.RotationOrder, actor string,
	act func(context.Context, rotation.Order) ([]rotation.Rotation, error)) ([]web.Rotation, error) {
	order, err := v.order(o, actor)
	if err != nil {
		return nil, err
	}
	list, err := act(ctx, order)
	if err != nil {
		return nil, rotationError(err)
	}
	return v.views(ctx, list), nil
}

// order reads an order. A domain that mail is signed for stands for the one it is
// signed as.
func (v rotationAPI) order(o web.RotationOrder, actor string) (rotation.Order, error) {
	d, err := mail.ParseDomain(o.Domain)
	if err != nil {
		return rotation.Order{}, fmt.Errorf("domain %q: %w: %w", o.Domain, quarantine.ErrQuery, err)
	}
	signs := func(d mail.Domain) bool {
		_, ok := rotationDomain(v.g.live.Load().cfg, d)
		return ok
	}
	if keys := v.g.live.Load().gate.Keys().For(d); !signs(d) && len(keys) > 0 {
		d = keys[0].Domain
	}
	return rotation.Order{Domain: d, Selector: o.Selector, DryRun: o.DryRun, Again: o.Again, By: actor}, nil
}

// rotationError is err in the API's terms.
func rotationError(err error) error {
	for _, as := range []struct{ is, as error }{
		{rotation.ErrOrder, quarantine.ErrQuery},
		{rotation.ErrNoKey, quarantine.ErrNotFound},
		{rotation.ErrNone, quarantine.ErrNotFound},
		{rotation.ErrTooLate, quarantine.ErrConflict},
		{rotation.ErrInvisible, quarantine.ErrWouldBeRefused},
		{rotation.ErrUnsure, quarantine.ErrWaiting},
	} {
		if errors.Is(err, as.is) {
			return &renamed{err, as.as}
		}
	}
	return err
}

// renamed is an error in its own words that counts as another.
type renamed struct{ words, as error }

func (e *renamed) Error() string   { return e.words.Error() }
func (e *renamed) Unwrap() []error { return []error{e.words, e.as} }

func (v rotationAPI) views(ctx context.Context, list []rotation.Rotation) []web.Rotation {
	views := make([]web.Rotation, len(list))
	for i, r := range list {
		views[i] = v.view(ctx, r)
	}
	return views
}

// view is a rotation with what is left to publish and to configure.
func (v rotationAPI) view(ctx context.Context, r rotation.Rotation) web.Rotation {
	w := v.brief(r)
	if name, value := v.toPublish(r); name != "" {
		w.Publish = []web.RotationRecord{v.record(ctx, name, value, r.Seen)}
	}
	if r.State.Switched() && v.named(r) {
		w.Configure = fmt.Sprintf("{ selector = %q, file = %q }", r.New.Selector, r.New.File)
		w.UsedBy = usedBy(v.g.live.Load().cfg, v.g.rotations.Book(), r)
	}
	return w
}

// brief is how far a rotation is. Nothing is asked of DNS for it.
func (v rotationAPI) brief(r rotation.Rotation) web.Rotation {
	w := web.Rotation{
		Domain: string(r.Domain), Old: web.RotationKey(r.Old), New: web.RotationKey(r.New), State: string(r.State), By: r.By,
		Begun: r.Begun, Visible: r.Visible, Switched: r.Switched, Revoke: r.Revoke, Ended: r.Ended,
		Hold: r.Hold, Grace: r.Grace, Waited: r.Waited, Looked: r.Looked, Problem: r.Problem, Record: r.Record,
		Servers: []web.RotationServer{},
	}
	if isPlanned(r) {
		w.State = "planned"
	}
	for _, s := range r.Servers {
		w.Servers = append(w.Servers, web.RotationServer{Name: s.Name, State: string(s.State), Words: s.Words})
	}
	c, configured := rotationDomain(v.g.live.Load().cfg, r.Domain)
	if name, _ := v.toPublish(r); name != "" && configured && c.Publisher != "" {
		w.Publisher = &web.RotationPublished{
			Name: c.Publisher, Tried: r.Publisher.Tried, Written: r.Publisher.Written, Failures: r.Publisher.Failures, Error: r.Publisher.Error,
		}
	}
	return w
}

// isPlanned reports that a rotation is what a dry run would begin.
func isPlanned(r rotation.Rotation) bool { return r.Record == "" }

// toPublish is the record to publish now. Over what is somebody else's there is none.
func (v rotationAPI) toPublish(r rotation.Rotation) (name, value string) {
	if isPlanned(r) || len(r.Foreign) > 0 {
		return "", ""
	}
	return r.ToPublish()
}

// underWay are the rotations that haven't ended, in brief.
func (v rotationAPI) underWay() []web.Rotation {
	list := []web.Rotation{}
	for _, r := range v.g.rotations.Rotations("") {
		if r.State != rotation.Done && r.State != rotation.Cancelled {
			list = append(list, v.brief(r))
		}
	}
	return list
}

// named reports whether the configuration names the old key.
func (v rotationAPI) named(r rotation.Rotation) bool {
	return slices.ContainsFunc(rotationSite(v.g.live.Load().cfg).Keys, func(k rotation.Key) bool {
		return k.Domain == r.Domain && k.Selector == r.Old.Selector
	})
}

// usedBy are the other keys, configured or in use, that are in the file of a rotation's
// old key, as "selector of domain".
func usedBy(cfg *config.Config, book rotation.Book, r rotation.Rotation) []string {
	var list []string
	old, _ := os.Stat(r.Old.File)
	for _, d := range cfg.Domains {
		uses := keyUses(d, book)
		for _, k := range d.Keys {
			uses = append(uses, keyUse(k))
		}
		for _, u := range uses {
			info, _ := os.Stat(u.File)
			same := u.File == r.Old.File || old != nil && info != nil && os.SameFile(old, info)
			itself := d.Signer() == r.Domain && strings.EqualFold(u.Selector, r.Old.Selector)
			if name := u.Selector + " of " + d.Pattern; same && !itself && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

// record puts what is to be published into the form of the domain's DNS host.
func (v rotationAPI) record(ctx context.Context, name, value string, seen []string) web.RotationRecord {
	zone := v.g.live.Load().view.resolver.ZoneOf(ctx, name)
	host, title := advise.DetectHost(zone.NameServers)
	if title == "" {
		title = host.Title()
	}
	replaces := slices.DeleteFunc(slices.Clone(seen), func(old string) bool { return old == value })
	fields := advise.Form(advise.Record{Check: preflight.DKIM, Type: "TXT", Name: name, Zone: zone.Apex, Value: value, Replaces: replaces}, host)
	return web.RotationRecord{At: title, Type: fields.Type, Name: fields.Name, Value: fields.Value, Replaces: replaces, Notes: fields.Notes}
}
