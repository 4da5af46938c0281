package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"mailgate/internal/config"
)

// door is one listener with what answers on it.
type door struct {
	name     string
	listener net.Listener
	serve    func(context.Context, net.Listener) error
}

// listen opens every configured door, or none.
func (g *gateway) listen(cfg *config.Config) ([]door, error) {
	var doors []door
	open := func(name string, listen config.Listen, mode fs.FileMode, serve func(context.Context, net.Listener) error) error {
		l, err := openListener(listen, mode)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		doors = append(doors, door{name, l, serve})
		return nil
	}
	err := open("[control]", config.Listen{Network: "unix", Address: cfg.Control.Socket}, 0o600, g.api().Serve)
	if err == nil && !cfg.Milter.Listen.IsZero() {
		err = open("[milter]", cfg.Milter.Listen, cfg.Milter.SocketMode, g.milterServer(cfg).Serve)
	}
	if err == nil {
		err = g.listenRelay(cfg, func(name string, l config.Listen, serve func(context.Context, net.Listener) error) error {
			return open(name, l, 0, serve)
		})
	}
	if err == nil && !cfg.Socketmap.Listen.IsZero() {
		err = open("[socketmap]", cfg.Socketmap.Listen, socketmapMode, g.socketmapServer().Serve)
	}
	if err != nil {
		for _, d := range doors {
			d.listener.Close()
		}
		return nil, coded(exitSoftware, err)
	}
	return doors, nil
}

// socketmapMode lets all of Postfix's processes ask: what they are told is no secret.
const socketmapMode = 0o666

// openListener listens; a Unix socket gets its mode, and one that a crash left
// behind is replaced if nobody answers on it.
func openListener(listen config.Listen, mode fs.FileMode) (net.Listener, error) {
	if listen.Network != "unix" {
		return net.Listen(listen.Network, listen.Address)
	}
	if err := os.MkdirAll(filepath.Dir(listen.Address), 0o755); err != nil {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	if err := removeStale(listen.Address); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", listen.Address)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(listen.Address, mode); err != nil {
		l.Close()
		return nil, fmt.Errorf("set the socket's mode: %w", err)
	}
	return l, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket; remove it or choose another path", path)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return fmt.Errorf("%s is in use: is another mailgate running?", path)
	}
	return os.Remove(path)
}
