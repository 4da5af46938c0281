// Package integration plays mailgate's main job against real servers: Postfix or Exim in
// front, Knot DNS and Unbound for DNS, and a receiving SMTP server whose messages
// are verified by python3-dkim. It needs root: see test/integration.sh.
package integration
