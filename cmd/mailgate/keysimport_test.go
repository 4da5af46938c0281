package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"mailgate/internal/config"
)

// TestImportedConfigurations has the configuration read what import made of each case
// of internal/convert, which can't ask it itself.
func TestImportedConfigurations(t *testing.T) {
	cases, err := filepath.Glob("../../internal/convert/testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, file := range cases {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			if f.Name != "want.toml" {
				continue
			}
			read++
			if _, err := config.Parse(f.Data, "mailgate.toml"); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if read < 10 {
		t.Errorf("only %d configurations", read)
	}
}
