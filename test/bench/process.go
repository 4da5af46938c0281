package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running server, in a session of its own, so that all it started ends
// with it.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	gone chan struct{}
}

// launch starts a program that runs until stop; what it prints goes to a log in dir.
func launch(name, dir string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+".log"), gone: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

const (
	patience = 5 * time.Minute // for a server to come up
	lookOut  = 5 * time.Millisecond
)

// ready waits until ok.
func (p *process) ready(ok func() bool) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if ok() {
			return nil
		}
		select {
		case <-p.gone:
			return fmt.Errorf("%s ended\n%s", p.name, p.tail())
		case <-time.After(lookOut):
		}
	}
	return fmt.Errorf("%s did not come up\n%s", p.name, p.tail())
}

// stop asks the server to end, and then ends what is left of its session.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(30 * time.Second):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.gone
}

// tail returns the end of what the program printed.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// memory returns a line of /proc/PID/status in MiB, summed over its
// processes.
func (p *process) memory(line string) (float64, error) {
	var sum float64
	for _, pid := range p.processes() {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		_, rest, found := strings.Cut(string(status), line+":")
		fields := strings.Fields(rest)
		if !found || len(fields) == 0 {
			return 0, fmt.Errorf("%s has no %s", p.name, line)
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
func (p *process) forgetPeak() error {
	for _, pid := range p.processes() {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return err
		}
	}
	return nil
}

// cpu returns the time the process and its children have run so far, those among
// them that have ended included.
func (p *process) cpu() (time.Duration, error) {
	const ticks = 100 // a second, on every Linux
	var sum time.Duration
	for i, pid := range p.processes() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if os.IsNotExist(err) && i > 0 {
			continue // ended just now
		}
		if err != nil {
			return 0, err
		}
		// After the name, in parentheses: state is field 3, utime 14, stime 15,
		// cutime 16, cstime 17.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 15 {
			return 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
		}
		for _, f := range fields[11:15] {
			n, err := strconv.Atoi(f)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(n) * time.Second / ticks
		}
	}
	return sum, nil
}

// processes returns the process and its children.
func (p *process) processes() []int {
	pid := p.cmd.Process.Pid
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
