package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mailgate/internal/web"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mailgate":     main,
		"sendmail":     main, // a link
		crashChildName: crashChild,
		dnsProgram:     dnsMain,
	})
}

// TestScripts runs the command line as a user does; see testdata/script. A
// script's "exits CODE COMMAND" checks a command's exit code, "ready FILE" waits until
// the gateway with that configuration answers, and "initialise DIR FILE" is what serve
// --init does before it serves, its words into FILE. $HOST is an address of this machine
// that nobody else listens at.
func TestScripts(t *testing.T) {
	example, err := filepath.Abs("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "initialise": initialiseScript, "ready": ready, "site": runSite},
		Setup: func(e *testscript.Env) error {
			// Keys are refused below a directory that others may write to.
			e.Setenv("EXAMPLE", example)
			e.Setenv("HOST", ownHost())
			return os.Chmod(e.WorkDir, 0o700)
		},
	})
}

// hangGuard ends a wait for what never comes. However slow the machine is, it is no
// matter of minutes.
const hangGuard = 5 * time.Minute

// patientDNS is the time that DNS may take in tests: there all who are asked answer,
// though the machine may stand still meanwhile.
const patientDNS = time.Minute

func initialiseScript(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: initialise DIR FILE")
	}
	var said bytes.Buffer
	_, err := initialise(&said, ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), said.Bytes(), 0o600))
}

// ready waits until a gateway answers.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: ready FILE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	a := &app{config: ts.MkAbs(args[0])}
	for {
		err := a.answered(ctx)
		if err == nil {
			return
		}
		if !sleep(ctx, 20*time.Millisecond) {
			ts.Fatalf("no gateway: %v", err)
		}
	}
}

// answered asks the gateway for its status.
func (a *app) answered(ctx context.Context) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.http.CloseIdleConnections()
	var status web.Status
	return c.get(ctx, "/v1/status", nil, &status)
}

// exits runs "exits CODE mailgate …" and fails unless it ends with that code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND …")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code = exitCodeOf(err)
	}
	if code != args[0] {
		ts.Fatalf("%v ended with %s, want %s", args[1:], code, args[0])
	}
}
