//go:build integration

package sign

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// python is Debian's, whose python3-dkim is the verifier: other code than ours.
const python = "/usr/bin/python3"

// verifier is a running testdata/verify.py.
type verifier struct {
	in  *json.Encoder
	out *json.Decoder
}

func startVerifier(t *testing.T) verifier {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, "testdata/verify.py")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil && stderr.Len() > 0 {
			t.Errorf("%s (is python3-dkim installed?): %v\n%s", python, err, &stderr)
		}
	})
	return verifier{json.NewEncoder(in), json.NewDecoder(out)}
}

// ask gives what python3-dkim says of each signature: "true" or an error.
func (v verifier) ask(t *testing.T, message []byte, keys []Key) []string {
	t.Helper()
	records := map[string]string{}
	for _, k := range keys {
		records[strings.ToLower(k.Name())] = k.Record()
	}
	if err := v.in.Encode(map[string]any{"message": message, "records": records}); err != nil {
		t.Fatal(err)
	}
	var answers []any
	if err := v.out.Decode(&answers); err != nil {
		t.Fatalf("no answer from the verifier: %v", err)
	}
	texts := make([]string, len(answers))
	for i, a := range answers {
		texts[i] = fmt.Sprint(a)
	}
	return texts
}

func (v verifier) wantGood(t *testing.T, message []byte, keys []Key) {
	t.Helper()
	answers := v.ask(t, message, keys)
	if len(answers) != len(keys) {
		t.Fatalf("%d signatures, want %d", len(answers), len(keys))
	}
	for i, answer := range answers {
		if answer != "true" {
			t.Errorf("%s: %s\n%s", keys[i].Name(), answer, message)
		}
	}
}

func TestPythonVerifies(t *testing.T) {
	v := startVerifier(t)
	for name, text := range messages {
		t.Run(name, func(t *testing.T) {
			v.wantGood(t, onWire(signText(t, text, testKeys(), Options{})), testKeys())
		})
	}
	t.Run("expiry and identity", func(t *testing.T) {
		keys := testKeys()
		for i := range keys {
			keys[i].Identity = "joe@sub.example.com"
		}
		v.wantGood(t, signText(t, plain, keys, Options{Expire: time.Hour}), keys)
	})
	t.Run("longest h=", func(t *testing.T) {
		v.wantGood(t, signText(t, crlf(everything()+"\nx\n"), testKeys(), Options{}), testKeys())
	})
	t.Run("bare LF, sent as CRLF", func(t *testing.T) {
		head := crlf("From: joe@example.com\n\n")
		signed := string(signText(t, head+"a \nb\n\nc\r\nd\n", testKeys(), Options{}))
		v.wantGood(t, []byte(crlf(strings.ReplaceAll(signed, "\r\n", "\n"))), testKeys())
	})
	t.Run("standard's example", func(t *testing.T) {
		rsa, ed := rfcKeys(t)
		keys := []Key{{Domain: "football.example.com", Selector: "brisbane", Signer: ed}, {Domain: "football.example.com", Selector: "test", Signer: rsa}}
		v.wantGood(t, signText(t, crlf(rfc8463Message), keys, Options{}), keys)
	})
	// The verifier must be able to say no.
	t.Run("changed", func(t *testing.T) {
		signed := strings.Replace(string(signText(t, plain, testKeys(), Options{})), "We lost.", "We won.", 1)
		for _, answer := range v.ask(t, []byte(signed), testKeys()) {
			if answer == "true" {
				t.Error("verifies")
			}
		}
	})
	t.Run("added subject", func(t *testing.T) {
		signed := "Subject: other\r\n" + string(signText(t, plain, testKeys(), Options{}))
		for _, answer := range v.ask(t, []byte(signed), testKeys()) {
			if answer == "true" {
				t.Error("verifies")
			}
		}
	})
}
