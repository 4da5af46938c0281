package main

import "testing"

// Commands that are offered reach the same gateway and configuration.
func TestCommandsToPaste(t *testing.T) {
	for _, c := range []struct {
		app  app
		want string
	}{
		{app{config: defaultConfig}, "mailgate check example.com"},
		{app{config: "m.toml"}, "mailgate check example.com --config m.toml"},
		{app{config: "my site.toml", socket: "/tmp/s"}, "mailgate check example.com --config 'my site.toml' --socket /tmp/s"},
	} {
		if got := c.app.command("check", "example.com"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
