package main

import (
	"cmp"
	"context"
	"time"

	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/rotation"
	"mailgate/internal/web"
)

// gatewayTime is how long commands that do without the gateway ask it, and how long a
// shell waits for it after a key press.
const gatewayTime = time.Second

func (a *app) timeForGateway() time.Duration { return cmp.Or(a.gatewayTime, gatewayTime) }

// rotationBook is which keys the running gateway has put in place of those configured;
// empty where none answers.
func (a *app) rotationBook(cfg *config.Config) rotation.Book {
	asker := &app{config: a.config, socket: a.socket}
	if asker.socket == "" {
		asker.socket = cfg.Control.Socket
	}
	c, err := asker.connect()
	if err != nil {
		return rotation.Book{}
	}
	defer c.http.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), a.timeForGateway())
	defer cancel()
	var list web.RotationList
	if c.get(ctx, "/v1/rotations", nil, &list) != nil {
		return rotation.Book{}
	}
	var rotations []rotation.Rotation
	for _, r := range list.Rotations {
		rotations = append(rotations, rotation.Rotation{
			Domain: mail.Domain(r.Domain), Old: rotation.Pair(r.Old), New: rotation.Pair(r.New), State: rotation.State(r.State),
		})
	}
	return rotation.BookOf(rotations)
}
