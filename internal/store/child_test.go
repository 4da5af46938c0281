package store

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// childEnv names the database of a child process. A test that needs a process to
// kill or to break calls itself in one.
const childEnv = "MAILGATE_STORE_TEST_DB"

// childDB returns the database to work on if this is a child process.
func childDB() (path string, is bool) { return os.LookupEnv(childEnv) }

// child is the command that runs the test of that name, and only it, as a child.
func child(t testing.TB, name, path string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+name+"$", "-test.v", "-test.count=1", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+path, "GORACE=atexit_sleep_ms=0")...)
	return cmd
}

// runChild runs it and fails with its output if it does.
func runChild(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !bytes.Contains(out.Bytes(), []byte("--- PASS: ")) {
		t.Fatalf("the child ran no test:\n%s", out.String())
	}
}
