package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
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
// script's "exitcode N" checks the last command's exit code.
func TestScripts(t *testing.T) {
	example, err := filepath.Abs("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "site": runSite},
		Setup: func(e *testscript.Env) error {
			// Keys are refused below a directory that others may write to.
			e.Setenv("EXAMPLE", example)
			return os.Chmod(e.WorkDir, 0o700)
		},
	})
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
