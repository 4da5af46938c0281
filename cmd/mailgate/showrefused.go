package main

import (
	"slices"

	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

// codeRefused is what mail is held for that its receiver refused, whatever pre-flight
// says of it.
const codeRefused = "receiver-refused"

func isRefusal(codes []string) bool { return slices.Contains(codes, codeRefused) }

// refusedByReceiver reports whether a message is held for what receivers said, and for
// nothing that was predicted.
func refusedByReceiver(d quarantine.Detail) bool {
	any := false
	for _, r := range d.Recipients {
		if r.State != spool.Held || r.Now != "refuse" {
			continue
		}
		if !isRefusal(r.Codes) {
			return false
		}
		any = true
	}
	return any
}

// afterRefusal is what to do about a receiver's answer that nothing here explains.
func afterRefusal(d quarantine.Detail) string {
	look := "look at what the receiver saw: mail that was forwarded or changed on its way, another address than egress has, other DNS than here."
	if len(d.Publish) > 0 {
		look += " The record above may help."
	}
	return look + " Then have it tried: mailgate quarantine release " + d.ID + ` --anyway --reason "…" (it leaves by itself when a finding changes)`
}
