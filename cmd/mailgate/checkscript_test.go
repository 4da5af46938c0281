package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mailgate/internal/dnstest"
)

// dnsProgram is mailgate for scripts with a name server of their own, which can't
// listen on port 53: it asks name servers at $DNS_PORT, and waits for an answer for
// $DNS_TIME, or else for patientDNS.
const dnsProgram = "mailgate-dns"

func dnsMain() {
	port, err := strconv.Atoi(os.Getenv("DNS_PORT"))
	if err != nil {
		panic("DNS_PORT: " + err.Error())
	}
	dnsTime := patientDNS
	if text := os.Getenv("DNS_TIME"); text != "" {
		if dnsTime, err = time.ParseDuration(text); err != nil {
			panic("DNS_TIME: " + err.Error())
		}
	}
	os.Exit(run(&app{authorityPort: port, dnsTime: dnsTime}, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// scriptDNS is the name server and the panel's of a script.
type scriptDNS struct{ world, panel *dnstest.Server }

// dnsOfScripts are those of scripts that run, by their directory.
var dnsOfScripts sync.Map

// TestCheckScripts runs the scripts in testdata/check, which have the command "dns":
//
//	dns start             serves the zones in zones/ to the world, those in panel/ as a panel;
//	                      sets DNS, PANEL (addresses and ports) and DNS_PORT
//	dns add LINE          adds a record, a line of a zone file
//	dns remove NAME TYPE  removes records
//	dns fault NAME FAULT  answers questions for NAME badly, see dnstest.Fault
func TestCheckScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/check",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "dns": runDNS},
		Setup: func(e *testscript.Env) error {
			e.Setenv("COLUMNS", "80")
			return os.Chmod(e.WorkDir, 0o700)
		},
	})
}

func runDNS(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "start" {
		s, err := startScriptDNS(ts)
		ts.Check(err)
		dnsOfScripts.Store(ts.Getenv("WORK"), s)
		return
	}
	found, _ := dnsOfScripts.Load(ts.Getenv("WORK"))
	s := found.(*scriptDNS)
	switch args[0] {
	case "add":
		ts.Check(s.world.Add(args[1]))
	case "remove":
		s.world.Remove(args[1], args[2])
	case "fault":
		s.world.Fault(args[1], dnstest.Fault(args[2]))
	default:
		ts.Fatalf("dns %s: no such command", args[0])
	}
}

func startScriptDNS(ts *testscript.TestScript) (*scriptDNS, error) {
	servers, err := dnstest.StartAll("127.0.0.1", "127.0.0.2")
	if err != nil {
		return nil, err
	}
	s := &scriptDNS{world: servers[0], panel: servers[1]}
	ts.Defer(func() { s.world.Close(); s.panel.Close() })
	for dir, server := range map[string]*dnstest.Server{"zones": s.world, "panel": s.panel} {
		files, err := filepath.Glob(ts.MkAbs(dir) + "/*")
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			if err := server.SetZone(filepath.Base(file), string(text)); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	ts.Setenv("DNS", s.world.Addr())
	ts.Setenv("PANEL", s.panel.Addr())
	ts.Setenv("DNS_PORT", strconv.Itoa(s.world.Port()))
	config := fmt.Sprintf("hostname = \"mx1.one.example\"\negress = [\"203.0.113.9\"]\n[dns]\nresolvers = [%q]\npanel = %q\n", s.world.Addr(), s.panel.Addr())
	if err := os.WriteFile(ts.MkAbs("site.toml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return s, s.world.Recursive()
}
