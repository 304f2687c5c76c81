package asynqrefresh

import (
	"context"
	"fmt"
	"log/slog"
)

// logger passes asynq's lines on.
type logger struct{ to *slog.Logger }

func (l logger) line(level slog.Level, args []any) {
	l.to.LogAttrs(context.Background(), level, "asynqrefresh: "+fmt.Sprint(args...))
}

func (l logger) Debug(args ...any) { l.line(slog.LevelDebug, args) }
func (l logger) Info(args ...any)  { l.line(slog.LevelInfo, args) }
func (l logger) Warn(args ...any)  { l.line(slog.LevelWarn, args) }
func (l logger) Error(args ...any) { l.line(slog.LevelError, args) }

// Fatal does not end the process: that is not for a library to do.
func (l logger) Fatal(args ...any) { l.line(slog.LevelError, args) }
