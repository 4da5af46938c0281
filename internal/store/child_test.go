package store

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// childEnv names the database of a child process. A test that needs a process to
// kill or to break calls itself in one.
const childEnv = "MAILGATE_STORE_TEST_DB"

// childDB returns the database to work on if this is a child process.
func childDB() (path string, is bool) {
	if path, is = os.LookupEnv(childEnv); is {
		endWithParent()
	}
	return path, is
}

// endWithParent ends a child whose parent is gone, and with it the other end of the
// pipe. It has as much time as its parent.
var endWithParent = sync.OnceFunc(func() {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
})

// child is the command that runs the test of that name, and only it, as a child.
func child(t testing.TB, name, path string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+name+"$", "-test.v", "-test.count=1", "-test.timeout=0")
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+path, "GORACE=atexit_sleep_ms=0")...)
	if _, err := cmd.StdinPipe(); err != nil { // closed when it has ended
		t.Fatal(err)
	}
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
