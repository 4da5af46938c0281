package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// fill has a benchmark of cmd/mailgate make a store with n held recipients at path,
// in memory first where there is room for that: waiting for the disk is not what is
// measured.
func fill(ctx context.Context, path string, n int) error {
	dir, err := os.MkdirTemp("/dev/shm", "mailgate-bench-")
	if err != nil {
		return runFill(ctx, path, n)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "made.db")
	if err := runFill(ctx, made, n); err != nil {
		return err
	}
	return copyFile(made, path)
}

func runFill(ctx context.Context, path string, n int) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkFill$", "-benchtime", "1x", "-timeout", "1h", "mailgate/cmd/mailgate")
	cmd.Env = append(os.Environ(), "MAILGATE_BENCH_STORE="+path, "MAILGATE_BENCH_HELD="+strconv.Itoa(n))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a store: %w\n%s", err, out)
	}
	return nil
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	return w.Sync()
}
