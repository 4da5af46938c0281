package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// compareMemory prints how much each milter grows while many large messages pass
// at the same time.
func compareMemory(ctx context.Context, o options, load string, milters []*milter) error {
	fmt.Printf("\n%d sessions at the same time, each a body of %d MiB\n", o.large, o.size>>20)
	fmt.Printf("%-12s %12s %12s %12s %8s\n", "milter", "before MiB", "peak MiB", "growth MiB", "MiB/s")
	for _, m := range milters {
		if err := m.forgetPeak(); err != nil {
			return err
		}
		before, err := m.memory("VmRSS")
		if err != nil {
			return err
		}
		r, err := measure(ctx, load, m, o.large, 1, o.size)
		if err != nil {
			fmt.Println(err)
			continue
		}
		peak, err := m.memory("VmHWM")
		if err != nil {
			return err
		}
		fmt.Printf("%-12s %12.1f %12.1f %12.1f %8.0f\n", m.name, before, peak, peak-before, r.PerSecond*float64(o.size>>20))
	}
	return nil
}

// memory returns a line of /proc/PID/status in MiB, summed over the milter's
// processes.
func (m *milter) memory(line string) (float64, error) {
	var sum float64
	for _, pid := range m.processes() {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		_, rest, found := strings.Cut(string(status), line+":")
		fields := strings.Fields(rest)
		if !found || len(fields) == 0 {
			return 0, fmt.Errorf("%s has no %s", m.name, line)
		}
		kib, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return 0, err
		}
		sum += kib / 1024
	}
	return sum, nil
}

// forgetPeak makes VmHWM count from now on.
func (m *milter) forgetPeak() error {
	for _, pid := range m.processes() {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return err
		}
	}
	return nil
}

// cpu returns the time all the milter's processes have run so far.
func (m *milter) cpu() (time.Duration, error) {
	const ticks = 100 // a second, on every Linux
	var sum time.Duration
	for _, pid := range m.processes() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		// After the name, in parentheses: state is field 3, utime 14, stime 15.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 13 {
			return 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
		}
		for _, f := range fields[11:13] {
			n, err := strconv.Atoi(f)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(n) * time.Second / ticks
		}
	}
	return sum, nil
}

// processes returns the milter's process and its children.
func (m *milter) processes() []int {
	pid := m.cmd.Process.Pid
	all := []int{pid}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return all
	}
	for _, f := range strings.Fields(string(children)) {
		if child, err := strconv.Atoi(f); err == nil {
			all = append(all, child)
		}
	}
	return all
}
