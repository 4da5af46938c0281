package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) explainFile(cmd *cobra.Command, path string, f explainFlags) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return coded(exitNoPerm, fmt.Errorf("explain: %w", err))
	}
	if err != nil {
		return coded(exitSoftware, fmt.Errorf("explain: %w", err))
	}
	defer file.Close()
	return a.explainInput(cmd, file, plain(path, 200), f)
}

// explainInput explains what comes from where.
func (a *app) explainInput(cmd *cobra.Command, from io.Reader, where string, f explainFlags) error {
	text, whole, in, err := beginningOf(interruptible(cmd.Context(), from))
	switch {
	case cmd.Context().Err() != nil:
		return coded(exitInterrupted, errors.New("interrupted"))
	case err != nil:
		return coded(exitSoftware, fmt.Errorf("read %s: %w", where, err))
	case whole && text == "":
		return usageError(fmt.Errorf("explain: %s is empty", where))
	case !whole:
		return a.explainBounces(cmd, in, f, "")
	}
	if known, err := a.explainNames(cmd, text); known {
		return err
	}
	if err := misspelt(text); err != nil {
		return usageError(err)
	}
	return a.explainBounces(cmd, in, f, text)
}

// maxNames is how much of an input may be nothing but names, in bytes.
const maxNames = 4096

// interruptible ends with the context, also while a read of in waits.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	out, to := io.Pipe()
	go func() {
		_, err := io.Copy(to, in)
		to.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { to.CloseWithError(ctx.Err()) })
	return out
}

// beginningOf is the text of a short input, and the whole of any as a reader.
func beginningOf(in io.Reader) (text string, whole bool, all io.Reader, err error) {
	buffered := bufio.NewReaderSize(in, maxNames)
	start, err := buffered.Peek(maxNames)
	switch {
	case err == nil:
		return "", false, buffered, nil
	case !errors.Is(err, io.EOF):
		return "", false, nil, err
	}
	return strings.TrimSpace(string(start)), true, buffered, nil
}
