package main

import (
	"context"
	"log/slog"
)

// noteHandler collects log messages, for commands that show them in place of
// logging.
type noteHandler struct{ notes []string }

func (h *noteHandler) logger() *slog.Logger { return slog.New(h) }

func (h *noteHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (h *noteHandler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h *noteHandler) WithGroup(string) slog.Handler                { return h }

func (h *noteHandler) Handle(_ context.Context, r slog.Record) error {
	note := r.Message
	r.Attrs(func(a slog.Attr) bool {
		note += " " + a.String()
		return true
	})
	h.notes = append(h.notes, note)
	return nil
}
