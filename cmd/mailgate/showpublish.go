package main

import (
	"fmt"
	"io"

	"mailgate/internal/notice"
	"mailgate/internal/quarantine"
)

func printPublishAll(out io.Writer, d quarantine.Detail) {
	word := "Publish"
	if d.Now == "pass" {
		word = "Still worth publishing"
	}
	at := ""
	for _, x := range d.Publish {
		if x.At != at {
			at = x.At
			fmt.Fprintf(out, "\n%s at %s:\n", word, plain(at, 80))
		}
		printPublish(out, x)
	}
}

func printPublish(out io.Writer, x notice.Record) {
	fmt.Fprintf(out, "  Type %s   Name %s   Content %s\n", x.Type, x.Name, plain(x.Value, 0))
	for _, old := range x.Replaces {
		fmt.Fprintf(out, "      replaces %s\n", plain(old, 0))
	}
	for _, note := range x.Notes {
		fmt.Fprintf(out, "      %s\n", plain(note, 0))
	}
}
