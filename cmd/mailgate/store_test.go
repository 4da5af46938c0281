package main

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailgate/internal/store"
)

// TestCheckOfAnotherSchema: what couldn't be looked at isn't called sound.
func TestCheckOfAnotherSchema(t *testing.T) {
	dir := t.TempDir()
	config, path := filepath.Join(dir, "mailgate.toml"), filepath.Join(dir, "m.db")
	if err := os.WriteFile(config, []byte("hostname = \"mx1.example.com\"\n[store]\nurl = \"sqlite:m.db\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, tt := range []struct{ name, change, want string }{
		{"newer", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)", "of a newer mailgate"},
		{"older", "DELETE FROM goose_db_version WHERE version_id > 1", "mailgate serve brings it up to date"},
	} {
		if _, err := db.Exec(tt.change); err != nil {
			t.Fatal(err)
		}
		for format, want := range map[string]string{"text": tt.want, "json": `"sound": false`} {
			var out, errOut bytes.Buffer
			code := run(&app{}, []string{"store", "check", "--config", config, "--format", format}, nil, &out, &errOut)
			if code != exitUnknown || !strings.Contains(out.String(), want) || strings.Contains(out.String(), "✓") {
				t.Errorf("%s: %d %s %s", tt.name, code, out.String(), errOut.String())
			}
		}
	}
}
